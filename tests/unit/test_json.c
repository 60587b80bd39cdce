/* test_json.c: what is printed is safe for a terminal, and says the same. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "daemon/json.h"
#include "daemon/keep.h"

static const struct {
	const char *text, *line;
} lines[] = {
	{ "scan", "{\"k\":\"scan\"}" },
	{ "\x1b[2J\n", "{\"k\":\"\\u001B[2J\\n\"}" },
	{ "\x7F", "{\"k\":\"\\u007f\"}" },
	{ "\xC2\x9B"
	  "2J\xC2\x80\xC2\x9F",
	  "{\"k\":\"\\u009b2J\\u0080\\u009f\"}" },
	{ "B\xC3\xBCro \xC2\xA0\xE2\x82\xAC", "{\"k\":\"B\xC3\xBCro \xC2\xA0\xE2\x82\xAC\"}" },
	{ "\xE0\xA2\x9B", "{\"k\":\"\xE0\xA2\x9B\"}" },
};

static void test_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		struct json *json = json_object_new();
		json_put_text(json, "k", lines[i].text);
		auto_free char *line = json_line(json);
		assert_string_equal(line, lines[i].line);
		struct json *again = json_parse(line);
		assert_string_equal(json_text(again, "k"), lines[i].text);
		json_free(again);
		json_free(json);
	}
}

/* Octets that are no UTF-8 are Latin-1. */
static void test_octets(void **state)
{
	(void)state;
	struct json *json = json_object_new();
	json_put_text(json, "k", "B\xFCro\x9B");
	auto_free char *line = json_line(json);
	assert_string_equal(line, "{\"k\":\"B\xC3\xBCro\\u009b\"}");
	json_free(json);
}

static void test_parse(void **state)
{
	static const char *const none[] = { "", "[1]", "null", "{", "\"k\"" };
	(void)state;
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
		assert_null(json_parse(none[i]));
	struct json *json = json_parse("{\"yes\":true,\"no\":false,\"one\":1}");
	assert_true(json_bool(json, "yes"));
	assert_false(json_bool(json, "no"));
	assert_false(json_bool(json, "one"));
	assert_false(json_bool(json, "other"));
	json_free(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_octets),
		cmocka_unit_test(test_parse),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
