/* test_redirect.c: who comes back from the provider is told from everybody else. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "daemon/token/redirect.h"

#define STATE "s-1_x"

static const struct {
	const char *head;
	enum redirect_kind kind;
	const char *text; /* code or error */
} rows[] = {
	{ "GET /?code=4%2F0A&state=" STATE "&scope=x HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n",
	  REDIRECT_CODE, "4/0A" },
	{ "GET /?state=" STATE "&code=a HTTP/1.0\r\n\r\n", REDIRECT_CODE, "a" },
	{ "GET /?error=access_denied&state=" STATE " HTTP/1.1\r\n", REDIRECT_DENIED,
	  "access_denied" },
	/* both: the person said no */
	{ "GET /?code=a&error=access_denied&state=" STATE " HTTP/1.1\r\n", REDIRECT_DENIED,
	  "access_denied" },
	{ "GET /?code=a&state=guessed HTTP/1.1\r\n", REDIRECT_OTHER, "" },
	{ "GET /?code=a&state=" STATE "x HTTP/1.1\r\n", REDIRECT_OTHER, "" },
	{ "GET /?code=a&state= HTTP/1.1\r\n", REDIRECT_OTHER, "" },
	{ "GET /?code=a HTTP/1.1\r\n", REDIRECT_OTHER, "" },
	{ "GET /?state=" STATE " HTTP/1.1\r\n", REDIRECT_OTHER, "" },
	{ "GET /?code=&state=" STATE " HTTP/1.1\r\n", REDIRECT_OTHER, "" },
	{ "GET /?error=%1b[2J&state=" STATE " HTTP/1.1\r\n", REDIRECT_OTHER, "" },
	{ "GET /favicon.ico HTTP/1.1\r\n", REDIRECT_OTHER, "" },
	{ "GET /x?code=a&state=" STATE " HTTP/1.1\r\n", REDIRECT_OTHER, "" },
	{ "POST /?code=a&state=" STATE " HTTP/1.1\r\n", REDIRECT_OTHER, "" },
	{ "GET /?code=a&state=" STATE, REDIRECT_OTHER, "" },
	{ "GET /?code=a&state=" STATE "#x HTTP/1.1\r\n", REDIRECT_OTHER, "" },
	{ "GET /?code=a&state=" STATE "\r\n HTTP/1.1\r\n", REDIRECT_OTHER, "" },
	{ "", REDIRECT_OTHER, "" },
};

static void test_rows(void **state)
{
	static struct redirect redirect;
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		redirect_read(rows[i].head, STATE, &redirect);
		if (redirect.kind != rows[i].kind)
			fail_msg("%s: %d", rows[i].head, redirect.kind);
		if (redirect.kind == REDIRECT_CODE)
			assert_string_equal(redirect.code, rows[i].text);
		if (redirect.kind == REDIRECT_DENIED)
			assert_string_equal(redirect.error, rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
