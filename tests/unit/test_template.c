/* test_template.c: templates of the configuration, filled in with what mails say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "policy/template.h"

static struct facts facts = {
	.source = "lan",
	.peer = { .known = true, .address = { [10] = 0xff, 0xff, 192, 0, 2, 7 } },
	.has_envelope = true,
	.sender = "bounce@example.org",
	.from_state = FACTS_FROM_ONE,
	.from = "scan.er+x@mail.example.org",
	.subject = "Rechnung: Mai/Juni",
	.received = { .tm_year = 124,
		      .tm_mon = 4,
		      .tm_mday = 6,
		      .tm_hour = 7,
		      .tm_min = 8,
		      .tm_sec = 9,
		      .tm_wday = 1,
		      .tm_yday = 126 },
	.date = { .tm_year = 99,
		  .tm_mon = 11,
		  .tm_mday = 31,
		  .tm_hour = 23,
		  .tm_min = 59,
		  .tm_sec = 58,
		  .tm_wday = 5,
		  .tm_yday = 364 },
};

static const struct template_values values = { .facts = &facts,
					       .to = "invoices+2024+b@x.example",
					       .route = "invoices",
					       .name = "Scan 1",
					       .number = 3 };

static void expand(const char *text, enum template_kind kind, const struct template_values *with,
		   char *result, size_t size)
{
	char error[TEMPLATE_ERROR_MAX] = "";
	struct template template;
	if (!template_parse(text, kind, &template, error))
		fail_msg("`%s`: %s", text, error);
	assert_true(template_expand(&template, kind, with, result, size));
	template_done(&template);
	template_done(&template);
}

static void file_names(void **state)
{
	(void)state;
	static const struct {
		const char *text, *result;
	} rows[] = {
		{ "{name}", "Scan 1" },
		{ "{received:%Y-%m-%d_%H%M%S}_{name}", "2024-05-06_070809_Scan 1" },
		{ "{received}", "2024-05-06_070809" },
		{ "{received:}", "2024-05-06_070809" },
		{ "{date:%d.%m.%y}", "31.12.99" },
		{ "{received:%F %a %A %b %B %j %u %w %p %I %G-W%V %C}",
		  "2024-05-06 Mon Monday May May 127 1 1 AM 07 2024-W19 20" },
		{ "{received:%H:%M}", "07_08" },
		{ "{received:100%%}", "100%" },
		{ "{received:%Y\xff}", "2024ÿ" },
		{ "{received: %Y & %m. }-", "2024 _ 05. -" },
		{ "{from}", "scan.er+x@mail.example.org" },
		{ "{from.local}", "scan.er+x" },
		{ "{from.domain}", "mail.example.org" },
		{ "{to}", "invoices+2024+b@x.example" },
		{ "{to.local}", "invoices+2024+b" },
		{ "{to.tag}", "2024+b" },
		{ "{subject}", "Rechnung_ Mai_Juni" },
		{ "{source}-{route}-{peer}-{n}", "lan-invoices-192.0.2.7-3" },
		{ "{name}.{ext}", "Scan 1" },
		{ "{{{name}}}", "_Scan 1_" },
		{ "a{{b}}c", "a_b_c" },
		{ "fax & copy", "fax _ copy" },
		{ "-{name}", "_Scan 1" },
		{ "{name}.", "Scan 1" },
		{ "  {name}  ", "Scan 1" },
		{ "..{name}", "_Scan 1" },
		{ "con", "_con" },
		{ "???", "___" },
		{ "\xff{n}", "ÿ3" },
		{ "Grüße {name}", "Grüße Scan 1" },
		{ "u\u0308{n}", "ü3" },
		{ "{n}\\x", "3_x" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char result[200];
		expand(rows[i].text, TEMPLATE_NAME, &values, result, sizeof result);
		if (strcmp(result, rows[i].result) != 0)
			fail_msg("`%s` became `%s`", rows[i].text, result);
	}
}

static void folders(void **state)
{
	(void)state;
	static const struct {
		const char *text, *result;
	} rows[] = {
		{ "", "" },
		{ "invoices", "invoices" },
		{ "invoices/", "invoices" },
		{ "a//b", "a/b" },
		{ "invoices/{received:%Y}", "invoices/2024" },
		{ "{received:%Y/%m}/{from.domain}", "2024/05/mail.example.org" },
		{ "{subject}", "Rechnung_ Mai_Juni" },
		{ "Tom & Ina's #1", "Tom & Ina's #1" },
		{ "{{a}}", "{a}" },
		{ "{to.tag}/{to.local}", "2024+b/invoices+2024+b" },
		{ "{peer}", "192.0.2.7" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char result[200];
		expand(rows[i].text, TEMPLATE_FOLDER, &values, result, sizeof result);
		if (strcmp(result, rows[i].result) != 0)
			fail_msg("`%s` became `%s`", rows[i].text, result);
	}
}

static void empty_and_hostile_values(void **state)
{
	(void)state;
	static const struct {
		const char *value, *name, *folder;
	} rows[] = {
		{ "", "no-subject", "no-subject/x" },
		{ "../../etc", "_._._etc", "_._._etc/x" },
		{ "..", "no-subject", "no-subject/x" },
		{ "/", "no-subject", "no-subject/x" },
		{ ".ssh", "_ssh", "_ssh/x" },
		{ "CON", "_CON", "_CON/x" },
		{ "a\\b\nc\x01", "a_b_c_", "a_b_c_/x" },
		{ "\u202egnp.exe", "_gnp.exe", "_gnp.exe/x" },
		{ "{name}", "_name_", "_name_/x" },
		{ "%Y", "%Y", "%Y/x" },
		{ "x.", "x", "x/x" },
		{ "\xff", "ÿ", "ÿ/x" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char result[200];
		struct facts hostile = facts;
		struct template_values with = values;
		with.facts = &hostile;
		hostile.subject = rows[i].value;
		expand("{subject}", TEMPLATE_NAME, &with, result, sizeof result);
		assert_string_equal(result, rows[i].name);
		expand("{subject}/x", TEMPLATE_FOLDER, &with, result, sizeof result);
		assert_string_equal(result, rows[i].folder);
	}
}

static void missing_values(void **state)
{
	(void)state;
	static const struct {
		const char *text, *result;
	} rows[] = {
		{ "{from}", "unknown" },        { "{from.local}", "unknown" },
		{ "{from.domain}", "unknown" }, { "{to}", "unknown" },
		{ "{to.local}", "unknown" },    { "{to.tag}", "no-tag" },
		{ "{subject}", "no-subject" },  { "{peer}", "unknown" },
		{ "{source}", "unknown" },      { "{name}", "scan" },
		{ "{route}", "unknown" },
	};
	struct facts none = { .source = NULL };
	struct template_values with = { .facts = &none, .to = "", .route = "", .name = "" };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char result[200];
		expand(rows[i].text, TEMPLATE_NAME, &with, result, sizeof result);
		assert_string_equal(result, rows[i].result);
	}
}

static void addresses(void **state)
{
	(void)state;
	static const struct {
		enum facts_from from_state;
		const char *from, *sender, *result;
	} rows[] = {
		{ FACTS_FROM_ONE, "a@b", "c@d", "a@b a b" },
		{ FACTS_FROM_NONE, NULL, "c@d", "c@d c d" },
		{ FACTS_FROM_NONE, NULL, "", "unknown unknown unknown" },
		{ FACTS_FROM_BAD, NULL, "c@d", "c@d c d" },
		{ FACTS_FROM_ONE, "scanner", "", "scanner scanner unknown" },
		{ FACTS_FROM_ONE, "\"a@b\"@c", "", "_a@b_@c _a@b_ c" },
		{ FACTS_FROM_ONE, "@b", "", "_b unknown b" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char result[200];
		struct facts other = facts;
		struct template_values with = values;
		with.facts = &other;
		other.from_state = rows[i].from_state;
		other.from = rows[i].from;
		other.sender = rows[i].sender;
		expand("{from} {from.local} {from.domain}", TEMPLATE_NAME, &with, result,
		       sizeof result);
		assert_string_equal(result, rows[i].result);
	}
}

static void tags(void **state)
{
	(void)state;
	static const struct {
		const char *to, *result;
	} rows[] = {
		{ "a+b@c", "b" }, { "a@c", "no-tag" }, { "a+@c", "no-tag" }, { "a@c+d", "no-tag" },
		{ "a+b", "b" },   { "+b@c", "b" },     { "a++b@c", "_b" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char result[200];
		struct template_values with = values;
		with.to = rows[i].to;
		expand("{to.tag}", TEMPLATE_NAME, &with, result, sizeof result);
		assert_string_equal(result, rows[i].result);
	}
}

/* What the mail says gives way; times, numbers and the author's text stay. */
static void long_values_share_the_room(void **state)
{
	(void)state;
	static char longest[2000];
	char result[129];
	struct facts other = facts;
	struct template_values with = values;
	memset(longest, 's', sizeof longest - 1);
	other.subject = longest;
	with.facts = &other;
	expand("{received:%Y}-{subject}-{n}", TEMPLATE_NAME, &with, result, sizeof result);
	assert_memory_equal(result, "2024-sss", 8);
	assert_string_equal(result + strlen(result) - 4, "ss-3");
	assert_int_equal(strlen(result), sizeof result - 2);
	expand("{name}-{subject}-{n}", TEMPLATE_NAME, &with, result, sizeof result);
	assert_memory_equal(result, "Scan 1-sss", 10);
	assert_string_equal(result + strlen(result) - 4, "ss-3");
	expand("{subject}-{subject}-{seq:4}", TEMPLATE_NAME, &with, result, sizeof result);
	assert_string_equal(result + strlen(result) - 3, "-\x01"
							 "4");
	expand("{subject}{subject}{subject}{subject}{subject}{subject}{subject}", TEMPLATE_NAME,
	       &with, result, sizeof result);
	assert_in_range(strlen(result), 100, 127);
}

static void long_folders(void **state)
{
	(void)state;
	static char longest[2000];
	char result[1024], text[600] = "";
	struct facts other = facts;
	struct template_values with = values;
	for (size_t i = 0; i + 3 < sizeof longest; i += 3)
		memcpy(longest + i, "日", 4);
	other.subject = longest;
	with.facts = &other;
	for (int i = 0; i < 15; i++)
		strcat(text, "{subject}/");
	expand(text, TEMPLATE_FOLDER, &with, result, sizeof result);
	assert_in_range(strlen(result), 800, 1023);
	expand("{subject}{subject}{subject}", TEMPLATE_FOLDER, &with, result, sizeof result);
	assert_in_range(strlen(result), 190, 200);
	struct template template;
	char error[TEMPLATE_ERROR_MAX];
	memset(text, 'x', 150);
	memcpy(text + 150, "/y", 3);
	assert_true(template_parse(text, TEMPLATE_FOLDER, &template, error));
	assert_false(template_expand(&template, TEMPLATE_FOLDER, &with, result, 128));
	assert_string_equal(result, "");
	template_done(&template);
}

static void sequence_numbers(void **state)
{
	(void)state;
	struct template template;
	char error[TEMPLATE_ERROR_MAX], result[200];
	assert_true(template_parse("a{seq}b{seq:5}", TEMPLATE_NAME, &template, error));
	assert_true(template_has_seq(&template));
	assert_true(template_expand(&template, TEMPLATE_NAME, &values, result, sizeof result));
	assert_string_equal(result, "a\x01"
				    "1b\x01"
				    "5");
	template_done(&template);
	assert_true(template_parse("{n}", TEMPLATE_NAME, &template, error));
	assert_false(template_has_seq(&template));
	template_done(&template);
}

static void faults(void **state)
{
	(void)state;
	static const struct {
		enum template_kind kind;
		const char *text, *part_of_error;
	} rows[] = {
		{ TEMPLATE_NAME, "", "is empty" },
		{ TEMPLATE_NAME, "a/b", "holds /" },
		{ TEMPLATE_NAME, "{received:%Y/%m}", "holds /" },
		{ TEMPLATE_NAME, "{nane}", "did you mean {name}" },
		{ TEMPLATE_NAME, "{Name}", "did you mean {name}" },
		{ TEMPLATE_NAME, "{form.local}", "did you mean {from.local}" },
		{ TEMPLATE_NAME, "{filename}", "has {filename}, expected {received:FMT}" },
		{ TEMPLATE_NAME, "{}", "has {}" },
		{ TEMPLATE_NAME, "{name", "{ without a }" },
		{ TEMPLATE_NAME, "name}", "} without a {" },
		{ TEMPLATE_NAME, "{name:3}", "expected {name}" },
		{ TEMPLATE_NAME, "{n:3}", "expected {n}" },
		{ TEMPLATE_NAME, "{seq:0}", "one digit" },
		{ TEMPLATE_NAME, "{seq:10}", "one digit" },
		{ TEMPLATE_NAME, "{seq:x}", "one digit" },
		{ TEMPLATE_NAME, "{name}{ext}", "{ext}" },
		{ TEMPLATE_NAME, "{ext}/{name}", "{ext}" },
		{ TEMPLATE_NAME, "{name}.{ext}.x", "{ext}" },
		{ TEMPLATE_NAME, "{received:%T}", "has `%T`" },
		{ TEMPLATE_NAME, "{received:%D}", "has `%D`" },
		{ TEMPLATE_NAME, "{received:%e}", "has `%e`" },
		{ TEMPLATE_NAME, "{received:%Z}", "has `%Z`" },
		{ TEMPLATE_NAME, "{received:%s}", "has `%s`" },
		{ TEMPLATE_NAME, "{received:%-d}", "has `%-`" },
		{ TEMPLATE_NAME, "{received:%Ey}", "has `%E`" },
		{ TEMPLATE_NAME, "{date:%}", "has `%`" },
		{ TEMPLATE_NAME, "a\tb", "control character" },
		{ TEMPLATE_NAME, "a\x7f", "control character" },
		{ TEMPLATE_FOLDER, "..", "holds `..`" },
		{ TEMPLATE_FOLDER, "a/../../b", "holds `..`" },
		{ TEMPLATE_FOLDER, "/srv", "begins with /" },
		{ TEMPLATE_FOLDER, "/", "begins with /" },
		{ TEMPLATE_FOLDER, ".letterchute", "makes the folder `.letterchute`" },
		{ TEMPLATE_FOLDER, "a/.b", "makes the folder `.b`" },
		{ TEMPLATE_FOLDER, "./a", "makes the folder `.`" },
		{ TEMPLATE_FOLDER, ".{subject}", "makes the folder `.x`" },
		{ TEMPLATE_FOLDER, "{received:.%Y}", "makes the folder `.xxxx`" },
		{ TEMPLATE_FOLDER, "a:b", "like `a_b`" },
		{ TEMPLATE_FOLDER, "a ", "like `a`" },
		{ TEMPLATE_FOLDER, "nul", "like `_nul`" },
		{ TEMPLATE_FOLDER, "{name}", "nothing in a folder" },
		{ TEMPLATE_FOLDER, "{n}", "nothing in a folder" },
		{ TEMPLATE_FOLDER, "{seq:3}", "nothing in a folder" },
		{ TEMPLATE_FOLDER, "{subject}.{ext}", "{ext}" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char error[TEMPLATE_ERROR_MAX] = "";
		struct template template = { .count = 7 };
		if (template_parse(rows[i].text, rows[i].kind, &template, error))
			fail_msg("`%s` was taken", rows[i].text);
		assert_int_equal(template.count, 7);
		if (!strstr(error, rows[i].part_of_error))
			fail_msg("`%s`: %s", rows[i].text, error);
	}
}

static void too_much(void **state)
{
	(void)state;
	static char text[1200];
	char error[TEMPLATE_ERROR_MAX];
	struct template template;
	memset(text, 'x', 101);
	assert_false(template_parse(text, TEMPLATE_NAME, &template, error));
	assert_non_null(strstr(error, "more than 100 octets"));
	text[100] = '\0';
	assert_true(template_parse(text, TEMPLATE_NAME, &template, error));
	template_done(&template);
	memset(text, 'x', 1001);
	assert_false(template_parse(text, TEMPLATE_FOLDER, &template, error));
	assert_non_null(strstr(error, "at most 1000"));
	text[0] = '\0';
	for (int i = 0; i < 33; i++)
		strcat(text, "{n}");
	assert_false(template_parse(text, TEMPLATE_NAME, &template, error));
	assert_non_null(strstr(error, "32 pieces"));
	text[32 * 3] = '\0';
	assert_true(template_parse(text, TEMPLATE_NAME, &template, error));
	template_done(&template);
	snprintf(text, sizeof text, "{received:%s}",
		 "1234567890123456789012345678901234567890123456789012345678901");
	assert_false(template_parse(text, TEMPLATE_NAME, &template, error));
	assert_non_null(strstr(error, "61 octets"));
}

static void nothing_at_all(void **state)
{
	(void)state;
	struct template empty = { .pieces = NULL };
	char result[200];
	assert_true(template_expand(&empty, TEMPLATE_FOLDER, &values, result, sizeof result));
	assert_string_equal(result, "");
	assert_true(template_expand(&empty, TEMPLATE_NAME, &values, result, sizeof result));
	assert_string_equal(result, "scan");
	template_done(&empty);
}

static void fixed_components(void **state)
{
	static const struct {
		const char *text, *fixed;
	} rows[] = {
		{ "", "" },
		{ "in", "in" },
		{ "in/of the office/", "in/of the office" },
		{ "in//now", "in/now" },
		{ "in/{from}", "in" },
		{ "in/{received:%Y}/x", "in" },
		{ "in/of {from}/x", "in" },
		{ "in{to.tag}", "" },
		{ "{route}/in", "" },
		{ "a {{b}}/{route}", "a {b}" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct template template;
		char error[TEMPLATE_ERROR_MAX], text[128];
		assert_true(template_parse(rows[i].text, TEMPLATE_FOLDER, &template, error));
		template_fixed(&template, text, sizeof text);
		assert_string_equal(text, rows[i].fixed);
		template_done(&template);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_names),
		cmocka_unit_test(folders),
		cmocka_unit_test(empty_and_hostile_values),
		cmocka_unit_test(missing_values),
		cmocka_unit_test(addresses),
		cmocka_unit_test(tags),
		cmocka_unit_test(long_values_share_the_room),
		cmocka_unit_test(long_folders),
		cmocka_unit_test(sequence_numbers),
		cmocka_unit_test(faults),
		cmocka_unit_test(too_much),
		cmocka_unit_test(nothing_at_all),
		cmocka_unit_test(fixed_components),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
