/* test_line.c: command lines and what is read in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "daemon/smtp/line.h"

struct row {
	const char *line;
	enum line_verb verb;
	enum line_result result;
	const char *address; /* NULL: not looked at */
	uint64_t number;     /* SIZE= or chunk */
};

static const struct row rows[] = {
	{ "HELO", LINE_HELO, LINE_OK, NULL, 0 },
	{ "ehlo", LINE_EHLO, LINE_OK, NULL, 0 },
	{ "eHlO\tNPIF65E56  ", LINE_EHLO, LINE_OK, NULL, 0 },
	{ " HELO x", LINE_HELO, LINE_OK, NULL, 0 },
	{ "HELOX", LINE_UNKNOWN, LINE_OK, NULL, 0 },
	{ "", LINE_UNKNOWN, LINE_OK, NULL, 0 },
	{ "   ", LINE_UNKNOWN, LINE_OK, NULL, 0 },
	{ "quit now", LINE_QUIT, LINE_OK, NULL, 0 },
	{ "RSET", LINE_RSET, LINE_OK, NULL, 0 },
	{ "NOOP x", LINE_NOOP, LINE_OK, NULL, 0 },
	{ "VRFY", LINE_VRFY, LINE_BAD_ARGUMENT, NULL, 0 },
	{ "VRFY a", LINE_VRFY, LINE_OK, NULL, 0 },
	{ "DATA", LINE_DATA, LINE_OK, NULL, 0 },
	{ "DATA ", LINE_DATA, LINE_OK, NULL, 0 },
	{ "DATA 1", LINE_DATA, LINE_BAD_ARGUMENT, NULL, 0 },
	{ "AUTH LOGIN", LINE_AUTH, LINE_OK, NULL, 0 },
	{ "starttls", LINE_STARTTLS, LINE_OK, NULL, 0 },
	{ "EXPN x", LINE_NEVER, LINE_OK, NULL, 0 },
	{ "TURN", LINE_NEVER, LINE_OK, NULL, 0 },
	{ "GET / HTTP/1.1", LINE_HTTP, LINE_OK, NULL, 0 },
	{ "CONNECT a:25 HTTP/1.1", LINE_HTTP, LINE_OK, NULL, 0 },
	{ "OPTIONS * HTTP/1.1", LINE_HTTP, LINE_OK, NULL, 0 },
	{ "MAIL FROM:<a@b> HTTP/1.1", LINE_HTTP, LINE_OK, NULL, 0 },
	{ "EHLO / http/2", LINE_HTTP, LINE_OK, NULL, 0 },
	{ "X HTTP/1.0 ", LINE_HTTP, LINE_OK, NULL, 0 },
	{ "EHLO HTTP/", LINE_EHLO, LINE_OK, NULL, 0 },
	{ "EHLO xHTTP/1.1", LINE_EHLO, LINE_OK, NULL, 0 },
	{ "HTTP/1.1", LINE_UNKNOWN, LINE_OK, NULL, 0 },
	{ "Host: x", LINE_FIELD, LINE_OK, NULL, 0 },
	{ "Content-Type:x", LINE_FIELD, LINE_OK, NULL, 0 },
	{ "from:", LINE_FIELD, LINE_OK, NULL, 0 },
	{ "MAIL:", LINE_FIELD, LINE_OK, NULL, 0 },
	{ "MAILFROM:<a@b>", LINE_UNKNOWN, LINE_OK, NULL, 0 },
	{ "RcptTo: <a@b>", LINE_UNKNOWN, LINE_OK, NULL, 0 },
	{ ": x", LINE_UNKNOWN, LINE_OK, NULL, 0 },
	{ "a b: c", LINE_UNKNOWN, LINE_OK, NULL, 0 },
	{ "a_b: c", LINE_UNKNOWN, LINE_OK, NULL, 0 },

	/* paths */
	{ "MAIL FROM:<a@b>", LINE_MAIL, LINE_OK, "a@b", 0 },
	{ "mail from:<a@b>", LINE_MAIL, LINE_OK, "a@b", 0 },
	{ "MAIL FROM: <a@b>", LINE_MAIL, LINE_OK, "a@b", 0 },
	{ "MAIL FROM:\t<a@b>", LINE_MAIL, LINE_OK, "a@b", 0 },
	{ "MAIL FROM : <a@b>", LINE_MAIL, LINE_OK, "a@b", 0 },
	{ "MAIL FROM <a@b>", LINE_MAIL, LINE_OK, "a@b", 0 },
	{ "MAIL FROM<a@b>", LINE_MAIL, LINE_OK, "a@b", 0 },
	{ "MAIL FROM:a@b", LINE_MAIL, LINE_OK, "a@b", 0 },
	{ "MAIL FROM: a@b  SIZE=7", LINE_MAIL, LINE_OK, "a@b", 7 },
	{ "MAIL FROM:<>", LINE_MAIL, LINE_OK, "", 0 },
	{ "MAIL FROM:< >", LINE_MAIL, LINE_OK, "", 0 },
	{ "MAIL FROM: <> SIZE=3", LINE_MAIL, LINE_OK, "", 3 },
	{ "MAIL FROM:< a@b >", LINE_MAIL, LINE_OK, "a@b", 0 },
	{ "MAIL FROM:<@x:a@b>", LINE_MAIL, LINE_OK, "a@b", 0 },
	{ "MAIL FROM:<@x,@y:a@b>", LINE_MAIL, LINE_OK, "a@b", 0 },
	{ "MAIL FROM:<@x: a@b>", LINE_MAIL, LINE_OK, "a@b", 0 },
	{ "MAIL FROM:<scanner>", LINE_MAIL, LINE_OK, "scanner", 0 },
	{ "MAIL FROM:<a@[10.0.0.1]>", LINE_MAIL, LINE_OK, "a@[10.0.0.1]", 0 },
	{ "MAIL FROM:<front door@cam>", LINE_MAIL, LINE_OK, "front door@cam", 0 },
	{ "MAIL FROM:<a+b=c@d>", LINE_MAIL, LINE_OK, "a+b=c@d", 0 },
	{ "MAIL FROM:<DOMAIN\\user@b>", LINE_MAIL, LINE_OK, "DOMAIN\\user@b", 0 },
	{ "MAIL", LINE_MAIL, LINE_BAD_ARGUMENT, NULL, 0 },
	{ "MAIL FROM", LINE_MAIL, LINE_BAD_ARGUMENT, NULL, 0 },
	{ "MAIL FROM:", LINE_MAIL, LINE_BAD_ARGUMENT, NULL, 0 },
	{ "MAIL FROM: ", LINE_MAIL, LINE_BAD_ARGUMENT, NULL, 0 },
	{ "MAIL FROMA:<a@b>", LINE_MAIL, LINE_BAD_ARGUMENT, NULL, 0 },
	{ "MAIL TO:<a@b>", LINE_MAIL, LINE_BAD_ARGUMENT, NULL, 0 },
	{ "MAIL FROM:<a@b", LINE_MAIL, LINE_BAD_ADDRESS, NULL, 0 },
	{ "MAIL FROM:<a@>", LINE_MAIL, LINE_BAD_ADDRESS, NULL, 0 },
	{ "MAIL FROM:<@b>", LINE_MAIL, LINE_BAD_ADDRESS, NULL, 0 },
	{ "MAIL FROM:<@>", LINE_MAIL, LINE_BAD_ADDRESS, NULL, 0 },
	{ "MAIL FROM:<@x:>", LINE_MAIL, LINE_BAD_ADDRESS, NULL, 0 },
	{ "MAIL FROM:<a@b@c>", LINE_MAIL, LINE_BAD_ADDRESS, NULL, 0 },
	{ "MAIL FROM:<a@b c>", LINE_MAIL, LINE_BAD_ADDRESS, NULL, 0 },
	{ "MAIL FROM:<<a@b>>", LINE_MAIL, LINE_BAD_ADDRESS, NULL, 0 },
	{ "MAIL FROM:<a\"b@c>", LINE_MAIL, LINE_BAD_ADDRESS, NULL, 0 },
	{ "MAIL FROM:<a\x01@b>", LINE_MAIL, LINE_BAD_ADDRESS, NULL, 0 },
	{ "MAIL FROM:<a\x7f@b>", LINE_MAIL, LINE_BAD_ADDRESS, NULL, 0 },
	{ "MAIL FROM:<a\r@b>", LINE_MAIL, LINE_BAD_ADDRESS, NULL, 0 },
	{ "RCPT TO:<>", LINE_RCPT, LINE_BAD_ADDRESS, NULL, 0 },
	{ "RCPT TO:<a@b>", LINE_RCPT, LINE_OK, "a@b", 0 },
	{ "rcpt to: a@b", LINE_RCPT, LINE_OK, "a@b", 0 },
	{ "RCPT TO:<Postmaster>", LINE_RCPT, LINE_OK, "Postmaster", 0 },

	/* quotes */
	{ "MAIL FROM:<\"a\"@b>", LINE_MAIL, LINE_OK, "a@b", 0 },
	{ "MAIL FROM:<\"a.b\"@b>", LINE_MAIL, LINE_OK, "a.b@b", 0 },
	{ "MAIL FROM:<\"\\a\"@b>", LINE_MAIL, LINE_OK, "a@b", 0 },
	{ "MAIL FROM:<\"a b\"@c>", LINE_MAIL, LINE_OK, "\"a b\"@c", 0 },
	{ "MAIL FROM:<\"a@b\"@c>", LINE_MAIL, LINE_OK, "\"a@b\"@c", 0 },
	{ "MAIL FROM:<\"a>b\"@c>", LINE_MAIL, LINE_OK, "\"a>b\"@c", 0 },
	{ "MAIL FROM:<\"a\\\"b\"@c>", LINE_MAIL, LINE_OK, "\"a\\\"b\"@c", 0 },
	{ "MAIL FROM:<\"a\\\\\"@c>", LINE_MAIL, LINE_OK, "\"a\\\\\"@c", 0 },
	{ "MAIL FROM:<\"\"@c>", LINE_MAIL, LINE_OK, "\"\"@c", 0 },
	{ "MAIL FROM:<\"a.\"@c>", LINE_MAIL, LINE_OK, "\"a.\"@c", 0 },
	{ "MAIL FROM:<\"a..b\"@c>", LINE_MAIL, LINE_OK, "\"a..b\"@c", 0 },
	{ "MAIL FROM:\"a b\"@c SIZE=4", LINE_MAIL, LINE_OK, "\"a b\"@c", 4 },
	{ "MAIL FROM:<\"a>", LINE_MAIL, LINE_BAD_ADDRESS, NULL, 0 },
	{ "MAIL FROM:<\"a\"b@c>", LINE_MAIL, LINE_BAD_ADDRESS, NULL, 0 },
	{ "MAIL FROM:<\"a\\", LINE_MAIL, LINE_BAD_ADDRESS, NULL, 0 },
	{ "MAIL FROM:<\"a\">", LINE_MAIL, LINE_OK, "a", 0 },

	/* not ASCII */
	{ "MAIL FROM:<t\xc3\xbcr@b>", LINE_MAIL, LINE_OK, "t\xc3\xbcr@b", 0 },
	{ "MAIL FROM:<t\xfcr@b>", LINE_MAIL, LINE_OK, "t\xc3\xbcr@b", 0 },
	{ "MAIL FROM:<\xf0\x9f\x93\xb7@b>", LINE_MAIL, LINE_OK, "\xf0\x9f\x93\xb7@b", 0 },
	{ "MAIL FROM:<\xe2\x82@b>", LINE_MAIL, LINE_BAD_ADDRESS, NULL, 0 },
	{ "MAIL FROM:<\xc0\xaf@b>", LINE_MAIL, LINE_OK, "\xc3\x80\xc2\xaf@b", 0 },
	{ "MAIL FROM:<\xc2\x85@b>", LINE_MAIL, LINE_BAD_ADDRESS, NULL, 0 },
	{ "MAIL FROM:<\x85@b>", LINE_MAIL, LINE_BAD_ADDRESS, NULL, 0 },

	/* parameters */
	{ "MAIL FROM:<a@b> SIZE=1000", LINE_MAIL, LINE_OK, "a@b", 1000 },
	{ "MAIL FROM:<a@b>SIZE=1000", LINE_MAIL, LINE_OK, "a@b", 1000 },
	{ "MAIL FROM:<a@b>  size=1000  body=8bitmime", LINE_MAIL, LINE_OK, "a@b", 1000 },
	{ "MAIL FROM:<a@b> SIZE=0", LINE_MAIL, LINE_OK, "a@b", 0 },
	{ "MAIL FROM:<a@b> SIZE=18446744073709551615", LINE_MAIL, LINE_OK, "a@b", UINT64_MAX },
	{ "MAIL FROM:<a@b> SIZE=18446744073709551616", LINE_MAIL, LINE_OK, "a@b", UINT64_MAX },
	{ "MAIL FROM:<a@b> SIZE=99999999999999999999999999", LINE_MAIL, LINE_OK, "a@b",
	  UINT64_MAX },
	{ "MAIL FROM:<a@b> SIZE", LINE_MAIL, LINE_BAD_VALUE, NULL, 0 },
	{ "MAIL FROM:<a@b> SIZE=", LINE_MAIL, LINE_BAD_VALUE, NULL, 0 },
	{ "MAIL FROM:<a@b> SIZE=-1", LINE_MAIL, LINE_BAD_VALUE, NULL, 0 },
	{ "MAIL FROM:<a@b> BODY=7BIT", LINE_MAIL, LINE_OK, NULL, 0 },
	{ "MAIL FROM:<a@b> BODY=BINARYMIME", LINE_MAIL, LINE_OTHER_PARAMETER, NULL, 0 },
	{ "MAIL FROM:<a@b> BODY=X", LINE_MAIL, LINE_BAD_VALUE, NULL, 0 },
	{ "MAIL FROM:<a@b> SMTPUTF8", LINE_MAIL, LINE_OK, NULL, 0 },
	{ "MAIL FROM:<a@b> SMTPUTF8=1", LINE_MAIL, LINE_BAD_VALUE, NULL, 0 },
	{ "MAIL FROM:<a@b> AUTH=<> RET=FULL ENVID=x+2By", LINE_MAIL, LINE_OK, NULL, 0 },
	{ "MAIL FROM:<a@b> NOTIFY=NEVER", LINE_MAIL, LINE_OTHER_PARAMETER, NULL, 0 },
	{ "MAIL FROM:<a@b> X", LINE_MAIL, LINE_OTHER_PARAMETER, NULL, 0 },
	{ "MAIL FROM:<a@b>>", LINE_MAIL, LINE_OTHER_PARAMETER, NULL, 0 },
	{ "RCPT TO:<a@b> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x", LINE_RCPT, LINE_OK, "a@b", 0 },
	{ "RCPT TO:<a@b> SIZE=1", LINE_RCPT, LINE_OTHER_PARAMETER, NULL, 0 },

	/* chunks */
	{ "BDAT 10", LINE_BDAT, LINE_OK, NULL, 10 },
	{ "bdat 0 last", LINE_BDAT, LINE_OK, NULL, 0 },
	{ "BDAT  7   LAST ", LINE_BDAT, LINE_OK, NULL, 7 },
	{ "BDAT 99999999999999999999999999 LAST", LINE_BDAT, LINE_OK, NULL, UINT64_MAX },
	{ "BDAT", LINE_BDAT, LINE_BAD_ARGUMENT, NULL, 0 },
	{ "BDAT x", LINE_BDAT, LINE_BAD_ARGUMENT, NULL, 0 },
	{ "BDAT 1x", LINE_BDAT, LINE_BAD_ARGUMENT, NULL, 1 },
	{ "BDAT -1", LINE_BDAT, LINE_BAD_ARGUMENT, NULL, 0 },
	{ "BDAT 5 LASTX", LINE_BDAT, LINE_BAD_ARGUMENT, NULL, 5 },
	{ "BDAT 5 LAST x", LINE_BDAT, LINE_BAD_ARGUMENT, NULL, 0 },
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct row *row = &rows[i];
		struct line_command command;
		enum line_result result = line_parse(row->line, strlen(row->line), &command);
		if (result != row->result || command.verb != row->verb)
			fail_msg("%s: verb %d, result %d", row->line, command.verb, result);
		if (row->address)
			assert_string_equal(command.address, row->address);
		if (result == LINE_OK)
			assert_int_equal(command.verb == LINE_BDAT ? command.chunk : command.size,
					 row->number);
	}
}

static void test_last(void **state)
{
	(void)state;
	struct line_command command;
	assert_int_equal(line_parse("BDAT 5", 6, &command), LINE_OK);
	assert_false(command.last);
	assert_int_equal(line_parse("BDAT 5 last", 11, &command), LINE_OK);
	assert_true(command.last);
}

static void test_nul_is_a_byte(void **state)
{
	(void)state;
	struct line_command command;
	assert_int_equal(line_parse("MAIL FROM:<a\0b@c>", 17, &command), LINE_BAD_ADDRESS);
	assert_int_equal(line_parse("NOOP\0", 5, &command), LINE_OK);
	assert_int_equal(command.verb, LINE_UNKNOWN);
}

static void test_argument(void **state)
{
	(void)state;
	struct line_command command;
	line_parse("EHLO  a name\t", 13, &command);
	assert_int_equal(command.argument_size, 6);
	assert_memory_equal(command.argument, "a name", 6);
}

/* The longest address that fits, one more, and Latin-1 that grows. */
static void test_long_addresses(void **state)
{
	(void)state;
	static char line[4096];
	struct line_command command;
	for (size_t size = LINE_ADDRESS_MAX - 2; size <= LINE_ADDRESS_MAX + 2; size++) {
		int length = snprintf(line, sizeof line, "RCPT TO:<%0*d@b>", (int)size - 2, 7);
		enum line_result result = line_parse(line, (size_t)length, &command);
		assert_int_equal(result, size <= LINE_ADDRESS_MAX ? LINE_OK : LINE_BAD_ADDRESS);
		if (result == LINE_OK)
			assert_int_equal(strlen(command.address), size);
	}
	for (size_t size = LINE_ADDRESS_MAX / 2 - 3; size <= LINE_ADDRESS_MAX / 2 + 1; size++) {
		memcpy(line, "RCPT TO:<", 9);
		memset(line + 9, 0xFC, size);
		memcpy(line + 9 + size, "@b>", 3);
		enum line_result result = line_parse(line, size + 12, &command);
		assert_int_equal(result,
				 2 * size + 2 <= LINE_ADDRESS_MAX ? LINE_OK : LINE_BAD_ADDRESS);
	}
}

static void test_other_protocols(void **state)
{
	(void)state;
	assert_true(line_is_tls("\x16\x03\x01", 3));
	assert_true(line_is_tls("\x16", 1));
	assert_false(line_is_tls("\x16\x04", 2));
	assert_false(line_is_tls("", 0));
	static const char *const commands[] = { "E",      "EHLO x\r\n", "helo", " HELO",
						"QUIT\n", "NOOP\r\n",   "" };
	static const char *const others[] = { "GET /", "SSH-2.0", "\x03",     "EHLOX ", "<xml",
					      "{",     "POST ",   "\x80\x2e", "XYZ" };
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		assert_true(line_is_command(commands[i], strlen(commands[i])));
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_false(line_is_command(others[i], strlen(others[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),           cmocka_unit_test(test_last),
		cmocka_unit_test(test_nul_is_a_byte),  cmocka_unit_test(test_argument),
		cmocka_unit_test(test_long_addresses), cmocka_unit_test(test_other_protocols),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
