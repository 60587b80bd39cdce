/* test_boxname.c: names of mailboxes in modified UTF-7 (RFC 3501 section 5.1.3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "daemon/imap/boxname.h"

static void test_rows(void **state)
{
	static const struct {
		const char *name;
		char separator;
		const char *encoded; /* NULL: it has no such form */
	} rows[] = {
		{ "INBOX", '/', "INBOX" },
		{ "", '/', "" },
		{ "Done/2024", '.', "Done.2024" },
		{ "Done/2024", '/', "Done/2024" },
		{ "Done/2024", 0, "Done/2024" },
		{ "a b~\"\\", '/', "a b~\"\\" },
		{ "R&D", '/', "R&-D" },
		{ "&&", '/', "&-&-" },
		{ "Entw\xc3\xbcrfe", '/', "Entw&APw-rfe" },
		{ "\xc3\xa4\xc3\xb6/\xc3\xbc", '.', "&AOQA9g-.&APw-" },
		/* the RFC's own example */
		{ "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", '/',
		  "~peter/mail/&U,BTFw-/&ZeVnLIqe-" },
		{ "\xf0\x9f\x93\x84", '/', "&2D3cxA-" },
		{ "\xff", '/', NULL },
		{ "a\xc3", '/', NULL },
		{ "\xed\xa0\x80", '/', NULL },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char encoded[BOXNAME_MAX] = "as it was";
		bool good = boxname_encode(rows[i].name, rows[i].separator, encoded);
		assert_int_equal(good, rows[i].encoded != NULL);
		assert_string_equal(encoded, good ? rows[i].encoded : "as it was");
	}
}

/* What does not fit, as it is or encoded, is refused and not cut. */
static void test_long(void **state)
{
	char name[2 * BOXNAME_MAX], encoded[BOXNAME_MAX];
	(void)state;
	for (size_t size = BOXNAME_MAX - 3; size < BOXNAME_MAX + 3; size++) {
		memset(name, 'a', size);
		name[size] = '\0';
		assert_int_equal(boxname_encode(name, '/', encoded), size < BOXNAME_MAX);
	}
	for (size_t size = BOXNAME_MAX / 2 - 2; size < BOXNAME_MAX / 2 + 3; size++) {
		memset(name, '&', size);
		name[size] = '\0';
		assert_int_equal(boxname_encode(name, '/', encoded), 2 * size < BOXNAME_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows),
					    cmocka_unit_test(test_long) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
