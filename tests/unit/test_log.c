/* test_log.c: no foreign octet breaks a line of the log, or hides in it. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include <unistd.h>
#include "daemon/log.h"

static const struct {
	const char *text, *quoted;
} quotes[] = {
	{ "scan@office", "k=\"scan@office\"" },
	{ "a\"b\\c", "k=\"a\\\"b\\\\c\"" },
	{ "a\r\nb\tc", "k=\"a\\x0d\\x0ab\\x09c\"" },
	{ "\x1b[31m", "k=\"\\x1b[31m\"" },
	{ "B\xC3\xBCro", "k=\"B\xC3\xBCro\"" },
	{ "\xC3", "k=\"\\xc3\"" },
	{ "\xC2\x85", "k=\"\\xc2\\x85\"" },
	{ "a\xE2\x80\xAE"
	  "b",
	  "k=\"a\\xe2\\x80\\xaeb\"" },
	{ "\xEF\xBB\xBF", "k=\"\\xef\\xbb\\xbf\"" },
	{ "\xED\xA0\x80", "k=\"\\xed\\xa0\\x80\"" },
	{ "\x7F", "k=\"\\x7f\"" },
	{ "", "k=\"\"" },
};

static void test_quotes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof quotes / sizeof quotes[0]; i++) {
		struct log_line line;
		log_start(&line, "");
		log_quote(&line, "k", quotes[i].text);
		assert_int_equal(line.used, strlen(quotes[i].quoted));
		assert_memory_equal(line.text, quotes[i].quoted, line.used);
	}
}

static const struct {
	const char *text;
	size_t size;
	const char *escaped;
} escapes[] = {
	{ "scan \"1\"", 20, "scan \"1\"" },
	{ "a\\b", 20, "a\\\\b" },
	{ "\x1b]0;x\x07", 20, "\\x1b]0;x\\x07" },
	{ "B\xC3\xBCro", 6, "B\xC3\xBCro" },
	{ "B\xC3\xBCros", 6, "B\xC3\xBCr~" },
	{ "abc\x1b", 7, "abc~" },
	{ "abc", 2, "~" },
	{ "", 2, "" },
};

static void test_escapes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++) {
		char out[20];
		log_escape(escapes[i].text, out, escapes[i].size);
		assert_string_equal(out, escapes[i].escaped);
	}
}

static void test_long_line(void **state)
{
	static char text[10000];
	struct log_line line;
	(void)state;
	memset(text, '\n', sizeof text - 1);
	log_start(&line, "event");
	for (int i = 0; i < 3; i++)
		log_quote(&line, "k", text);
	log_add(&line, "n", "%d", 7);
	assert_true(line.used < sizeof line.text);
	assert_memory_equal(line.text + line.used - 1, "~", 1);
}

/* One write, one line, on standard error; debug lines only when asked for. */
static void test_send(void **state)
{
	int ends[2], saved = dup(2);
	char text[200] = "";
	struct log_line line;
	(void)state;
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], 2);
	log_open(false);
	log_start(&line, "ready");
	log_add(&line, "port", "%d", 25);
	log_send(LOG_INFO, &line);
	log_say(LOG_DEBUG, "never", "%s", "seen");
	dup2(saved, 2);
	close(ends[1]);
	assert_true(read(ends[0], text, sizeof text - 1) > 0);
	assert_string_equal(text, "ready port=25\n");
	close(ends[0]);
	close(saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quotes),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_send),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
