/* test_checkpoint.c: what of an extractor's words becomes a fact. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>
#include <string.h>
#include "daemon/courier/checkpoint.h"

static const struct {
	const char *address;
	bool good;
} addresses[] = {
	{ "scan@example.org", true },
	{ "\"a b\"@example.org", true },
	{ "sc\xC3\xA4n@example.org", true },
	{ "a@[192.0.2.1]", true },
	{ "", false },
	{ "scan", false },
	{ "@example.org", false },
	{ "scan@", false },
	{ "a@b c", false },
	{ "a@b>,<evil@example.net", false },
	{ "a\nb@c", false },
	{ "a@b\x7F", false },
	{ "a@b;c", false },
};

static void test_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
		print_message("<%s>\n", addresses[i].address);
		assert_int_equal(checkpoint_address(addresses[i].address), addresses[i].good);
	}
}

static void test_message(void **state)
{
	struct frame_message message = { .from_state = FRAME_FROM_ONE,
					 .flags = FRAME_HAS_DATE | FRAME_HAS_MESSAGE_ID,
					 .date_s = 86400 * 365,
					 .from = "a@b",
					 .subject = "line\r\nbreak\x01" };
	struct checkpoint_texts texts;
	struct facts facts = { 0 };
	(void)state;
	checkpoint_message(&message, &texts, &facts);
	assert_int_equal(facts.from_state, FACTS_FROM_ONE);
	assert_string_equal(facts.from, "a@b");
	assert_string_equal(facts.subject, "line  break ");
	assert_true(facts.has_date && facts.has_message_id);
	assert_int_equal(facts.date.tm_year, 71);
	message.flags |= FRAME_DATE_LOCAL;
	message.date_s += 12 * 3600;
	setenv("TZ", "XYZ-5", 1);
	tzset();
	checkpoint_message(&message, &texts, &facts);
	assert_int_equal(facts.date.tm_hour, 12);
	assert_int_equal(facts.date.tm_gmtoff, 5 * 3600);
	strcpy(message.from, "no address");
	message.date_s = INT64_MAX;
	checkpoint_message(&message, &texts, &facts);
	assert_int_equal(facts.from_state, FACTS_FROM_BAD);
	assert_null(facts.from);
	assert_false(facts.has_date);
	message.from_state = FRAME_FROM_MANY;
	checkpoint_message(&message, &texts, &facts);
	assert_int_equal(facts.from_state, FACTS_FROM_MANY);
	assert_null(facts.from);
}

/* Fields that frames.h lets through; what is no id and no domain makes them worth nothing. */
static const struct {
	const char *cause;
	struct frame_results results;
	enum facts_form form;
} fields[] = {
	{ "RFC 8601",
	  { FRAME_RESULTS_RFC, 1, 1, 2, "mx_1.example.net", "example.org", { "a.example", "b" } },
	  FACTS_RESULTS_RFC },
	{ "Microsoft",
	  { FRAME_RESULTS_MICROSOFT, 1, 0, 0, "", "example.org", { "" } },
	  FACTS_RESULTS_MICROSOFT },
	{ "malformed", { FRAME_RESULTS_BAD, 0, 0, 0, "", "", { "" } }, FACTS_RESULTS_BAD },
	{ "malformed, and yet a pass",
	  { FRAME_RESULTS_BAD, 1, 1, 1, "", "example.org", { "example.org" } },
	  FACTS_RESULTS_BAD },
	{ "malformed, with an id",
	  { FRAME_RESULTS_BAD, 0, 0, 0, "mx", "", { "" } },
	  FACTS_RESULTS_BAD },
	{ "no id", { FRAME_RESULTS_RFC, 1, 1, 0, "", "example.org", { "" } }, FACTS_RESULTS_BAD },
	{ "an id where there is none",
	  { FRAME_RESULTS_MICROSOFT, 1, 1, 0, "mx", "example.org", { "" } },
	  FACTS_RESULTS_BAD },
	{ "a blank in an id",
	  { FRAME_RESULTS_RFC, 0, 0, 0, "m x", "", { "" } },
	  FACTS_RESULTS_BAD },
	{ "a comma in an id",
	  { FRAME_RESULTS_RFC, 0, 0, 0, "m,x", "", { "" } },
	  FACTS_RESULTS_BAD },
	{ "upper case", { FRAME_RESULTS_RFC, 0, 0, 0, "MX", "", { "" } }, FACTS_RESULTS_BAD },
	{ "8-bit",
	  { FRAME_RESULTS_RFC, 1, 1, 0, "mx", "ex\xc3\xa4mple.org", { "" } },
	  FACTS_RESULTS_BAD },
	{ "an address for a domain",
	  { FRAME_RESULTS_RFC, 1, 1, 0, "mx", "a@example.org", { "" } },
	  FACTS_RESULTS_BAD },
	{ "a control in a signer",
	  { FRAME_RESULTS_RFC, 0, 0, 1, "mx", "", { "example.org\n" } },
	  FACTS_RESULTS_BAD },
	{ "a signer that is empty",
	  { FRAME_RESULTS_RFC, 0, 0, 2, "mx", "", { "a" } },
	  FACTS_RESULTS_BAD },
};

static void test_results(void **state)
{
	static struct checkpoint_texts texts;
	struct facts facts = { 0 };
	(void)state;
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		const struct frame_results *results = &fields[i].results;
		print_message("%s\n", fields[i].cause);
		checkpoint_results(results, &texts, &facts);
		assert_int_equal(facts.results_count, i + 1);
		const struct facts_results *field = &facts.results[i];
		bool good = fields[i].form != FACTS_RESULTS_BAD;
		assert_int_equal(field->form, fields[i].form);
		assert_string_equal(field->id, good ? results->id : "");
		assert_string_equal(field->dmarc_from, good ? results->dmarc_from : "");
		assert_string_equal(field->signer[0], good ? results->signer[0] : "");
		assert_int_equal(field->dmarc, good ? results->dmarc : 0);
		assert_int_equal(field->dmarc_pass, good && results->dmarc_pass);
		assert_int_equal(field->signers, good ? results->signers : 0);
	}
	for (size_t i = 0; i < FACTS_RESULTS_MAX; i++)
		checkpoint_results(&fields[0].results, &texts, &facts);
	assert_int_equal(facts.results_count, FACTS_RESULTS_MAX);
}

static const struct {
	const char *mime, *type;
} types[] = {
	{ "application/pdf", "application/pdf" },
	{ "image/svg+xml", "image/svg+xml" },
	{ "", "application/octet-stream" },
	{ "pdf", "application/octet-stream" },
	{ "/pdf", "application/octet-stream" },
	{ "application/", "application/octet-stream" },
	{ "Application/PDF", "application/octet-stream" },
	{ "a/b c", "application/octet-stream" },
};

static void test_types(void **state)
{
	char type[FRAME_TYPE_MAX];
	(void)state;
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		checkpoint_type(types[i].mime, type);
		assert_string_equal(type, types[i].type);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_message),
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_types),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
