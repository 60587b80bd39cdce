/* test_date.c: dates as devices write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "extract/date.h"

#define BAD INT64_MIN

static const struct {
	const char *value;
	int64_t seconds;
} rows[] = {
	{ "Thu, 01 Jan 1970 00:00:00 +0000", 0 },
	{ "Thu, 1 Jan 1970 01:00:00 +0100", 0 },
	{ "1 Jan 1970 00:00 GMT", 0 },
	{ "Fri, 21 Nov 1997 09:55:06 -0600", 880127706 },
	{ "21 Nov 97 09:55:06 CST", 880127706 },
	{ "Fri, 21 Nov 1997 09(comment (nested)):   55  :  06 -0600", 880127706 },
	{ "Thu,\r\n 13\r\n Feb\r\n 1969\r\n 23:32\r\n -0330 (Newfoundland Time)", -27723480 },
	{ "Tue, 29 Feb 2000 12:00:00 +0000", 951825600 },
	{ "Sat, 31 Dec 2016 23:59:60 +0000", 1483228800 },
	{ "21-Nov-1997 09:55:06 -06:00", 880127706 },
	{ "Fri, 21 November 1997 09:55:06 -0600", 880127706 },
	{ "Fri 21 Nov 1997 09.55.06 -0600", 880127706 },
	{ "21 Nov 1997 15:55:06", 880127706 },
	{ "21 Nov 1997 15:55:06 XYZ", 880127706 },
	{ "21 Nov 1997 15:55:06 +9999", 880127706 },
	{ "21 Nov 1997 08:55:06 PDT -0700 (PDT)", 880127706 },
	{ "1 Jan 49 00:00:00 Z", 2493072000 },
	{ "1 Jan 50 00:00:00 Z", -631152000 },
	{ "1 Jan 104 00:00:00 Z", 1072915200 },
	{ "", BAD },
	{ "soon", BAD },
	{ "Mon, 32 Jan 2024 00:00:00 +0000", BAD },
	{ "Mon, 30 Feb 2024 00:00:00 +0000", BAD },
	{ "29 Feb 1900 00:00:00 +0000", BAD },
	{ "Mon, 0 Jan 2024 00:00:00 +0000", BAD },
	{ "Mon, 1 Foo 2024 00:00:00 +0000", BAD },
	{ "Mon, 1 J 2024 00:00:00 +0000", BAD },
	{ "Mon, 1 Jan 1800 00:00:00 +0000", BAD },
	{ "Mon, 1 Jan 4 00:00:00 +0000", BAD },
	{ "Mon, 1 Jan 2024 24:00:00 +0000", BAD },
	{ "Mon, 1 Jan 2024 23:60:00 +0000", BAD },
	{ "Mon, 1 Jan 2024 23:59:61 +0000", BAD },
	{ "Mon, 1 Jan 2024", BAD },
	{ "Mon, 1 Jan 2024 12", BAD },
	{ "Mon, 1 Jan 2024 :12", BAD },
	{ "2024-01-01T00:00:00Z", BAD },
};

static void all_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t seconds = BAD;
		bool good = date_read(span_of(rows[i].value, strlen(rows[i].value)), &seconds);
		if (seconds != rows[i].seconds || good != (rows[i].seconds != BAD))
			fail_msg("%s: %lld", rows[i].value, (long long)seconds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(all_rows) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
