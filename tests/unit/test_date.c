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
	bool local;
} rows[] = {
	{ "Thu, 01 Jan 1970 00:00:00 +0000", 0, false },
	{ "Thu, 1 Jan 1970 01:00:00 +0100", 0, false },
	{ "1 Jan 1970 00:00 GMT", 0, false },
	{ "Fri, 21 Nov 1997 09:55:06 -0600", 880127706, false },
	{ "21 Nov 97 09:55:06 CST", 880127706, false },
	{ "Fri, 21 Nov 1997 09(comment (nested)):   55  :  06 -0600", 880127706, false },
	{ "Thu,\r\n 13\r\n Feb\r\n 1969\r\n 23:32\r\n -0330 (Newfoundland Time)", -27723480,
	  false },
	{ "Tue, 29 Feb 2000 12:00:00 +0000", 951825600, false },
	{ "Sat, 31 Dec 2016 23:59:60 +0000", 1483228800, false },
	{ "21-Nov-1997 09:55:06 -06:00", 880127706, false },
	{ "Fri, 21 November 1997 09:55:06 -0600", 880127706, false },
	{ "Fri 21 Nov 1997 09.55.06 -0600", 880127706, false },
	{ "21 Nov 1997 15:55:06", 880127706, true },
	{ "21 Nov 1997 15:55:06.5 (at home)", 880127706, true },
	{ "21 Nov 1997 15:55:06 UTC", 880127706, false },
	{ "21 Nov 1997 15:55:06 -0000", 880127706, false },
	{ "21 Nov 1997 17:55:06 +200", 880127706, false },
	{ "21 Nov 1997 17:55:06 +2", 880127706, false },
	{ "21 Nov 1997 17:55:06 +2:00", 880127706, false },
	{ "21 Nov 1997 17:55:06 +02", 880127706, false },
	{ "21 Nov 1997 15:55:06 +", 880127706, false },
	{ "21 Nov 1997 12:25:06 -330", 880127706, false },
	{ "21 Nov 1997 17:55:06 GMT+0200 (CEST)", 880127706, false },
	{ "21 Nov 1997 17:55:06 UTC +02:00", 880127706, false },
	{ "21 Nov 1997 17:55:06.123 +0200", 880127706, false },
	{ "21 Nov 1997 17:55:06,123456 +0200", 880127706, false },
	{ "21 Nov 1997 17.55.06.123 +0200", 880127706, false },
	{ "21 Nov 1997 15:55:06 XYZ", 880127706, false },
	{ "21 Nov 1997 15:55:06 +9999", 880127706, false },
	{ "21 Nov 1997 08:55:06 PDT -0700 (PDT)", 880127706, false },
	{ "1 Jan 49 00:00:00 Z", 2493072000, false },
	{ "1 Jan 50 00:00:00 Z", -631152000, false },
	{ "1 Jan 104 00:00:00 Z", 1072915200, false },
	{ "", BAD, false },
	{ "soon", BAD, false },
	{ "Mon, 32 Jan 2024 00:00:00 +0000", BAD, false },
	{ "Mon, 30 Feb 2024 00:00:00 +0000", BAD, false },
	{ "29 Feb 1900 00:00:00 +0000", BAD, false },
	{ "Mon, 0 Jan 2024 00:00:00 +0000", BAD, false },
	{ "Mon, 1 Foo 2024 00:00:00 +0000", BAD, false },
	{ "Mon, 1 J 2024 00:00:00 +0000", BAD, false },
	{ "Mon, 1 Jan 1800 00:00:00 +0000", BAD, false },
	{ "Mon, 1 Jan 4 00:00:00 +0000", BAD, false },
	{ "Mon, 1 Jan 2024 24:00:00 +0000", BAD, false },
	{ "Mon, 1 Jan 2024 23:60:00 +0000", BAD, false },
	{ "Mon, 1 Jan 2024 23:59:61 +0000", BAD, false },
	{ "Mon, 1 Jan 2024", BAD, false },
	{ "Mon, 1 Jan 2024 12", BAD, false },
	{ "Mon, 1 Jan 2024 :12", BAD, false },
	{ "2024-01-01T00:00:00Z", BAD, false },
};

static void all_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t seconds = BAD;
		bool local = false;
		bool good =
			date_read(span_of(rows[i].value, strlen(rows[i].value)), &seconds, &local);
		if (seconds != rows[i].seconds || local != rows[i].local ||
		    good != (rows[i].seconds != BAD))
			fail_msg("%s: %lld", rows[i].value, (long long)seconds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(all_rows) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
