/* test_resolve.c: answers about names, good and bad (RFC 1035 section 4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "daemon/prover/resolve.h"

/* Header (one question, so many answers), question x TXT IN. */
#define HEAD(answers)                               \
	"\x12\x34\x81\x80\0\1\0" answers "\0\0\0\0" \
	"\1x\0\0\x10\0\1"
#define RECORD(type, size) "\xc0\x0c\0" type "\0\1\0\0\0\x3c\0" size
#define OCTETS(text)       text, sizeof(text) - 1

static const struct {
	const char *octets;
	size_t size;
	const char *text; /* NULL: none */
} rows[] = {
	{ OCTETS(HEAD("\1") RECORD("\x10", "\4") "\3abc"), "abc" },
	{ OCTETS(HEAD("\1") RECORD("\x10", "\6") "\3abc\1d"), "abcd" },
	{ OCTETS(HEAD("\1") RECORD("\x10", "\7") "\0\3abc\1d"), "abcd" },
	{ OCTETS(HEAD("\2") RECORD("\5", "\3") "\1y\0" RECORD("\x10", "\2") "\1a"), "a" },
	/* none, two, empty, of another kind */
	{ OCTETS(HEAD("\0")), NULL },
	{ OCTETS(HEAD("\2") RECORD("\x10", "\2") "\1a" RECORD("\x10", "\2") "\1a"), NULL },
	{ OCTETS(HEAD("\1") RECORD("\x10", "\1") "\0"), NULL },
	{ OCTETS(HEAD("\1") RECORD("\x10", "\0")), NULL },
	{ OCTETS(HEAD("\1") RECORD("\1", "\4") "\1\2\3\4"), NULL },
	/* a NUL, a string that is longer than its record, too long for us */
	{ OCTETS(HEAD("\1") RECORD("\x10", "\4") "\3a\0c"), NULL },
	{ OCTETS(HEAD("\1") RECORD("\x10", "\4") "\4abc"), NULL },
	{ OCTETS(HEAD("\1") RECORD("\x10", "\x10") "\x0f"
						   "abcdefghijklmno"),
	  "abcdefghijklmno" },
	{ OCTETS(HEAD("\1") RECORD("\x10", "\x11") "\x10"
						   "abcdefghijklmnop"),
	  NULL },
	/* cut */
	{ OCTETS(HEAD("\1") RECORD("\x10", "\4") "\3a"), NULL },
	{ OCTETS(HEAD("\1")), NULL },
	{ OCTETS("\x12\x34"), NULL },
	{ OCTETS(""), NULL },
};

static void table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char text[16] = "before";
		bool found = resolve_read((const uint8_t *)rows[i].octets, rows[i].size, text,
					  sizeof text);
		if (found != (rows[i].text != NULL) || (found && strcmp(text, rows[i].text) != 0))
			fail_msg("row %zu: %d %s", i, found, text);
	}
}

static void nobody(void **state)
{
	(void)state;
	char text[16];
	const struct config_resolver none = { .kind = CONFIG_RESOLVER_NONE };
	assert_int_equal(resolve_text(&none, "x", 9000, text, sizeof text), RESOLVE_ABSENT);
	const struct config_resolver some = { .kind = CONFIG_RESOLVER_SYSTEM };
	assert_int_equal(resolve_text(&some, "x", 999, text, sizeof text), RESOLVE_NOT_KNOWN);
	assert_int_equal(resolve_text(&some, "x", -5, text, sizeof text), RESOLVE_NOT_KNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(table), cmocka_unit_test(nobody) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
