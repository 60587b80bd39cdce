/* test_address.c: From strictly, To and Cc leniently. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "extract/address.h"
#include "extract/limits.h"

static const struct {
	const char *value;
	enum frame_from state;
	const char *address;
} from_rows[] = {
	/* one */
	{ "scan@example.org", FRAME_FROM_ONE, "scan@example.org" },
	{ "  <Scan@EXAMPLE.Org>  ", FRAME_FROM_ONE, "Scan@example.org" },
	{ "Scanner 2 <scan@example.org>", FRAME_FROM_ONE, "scan@example.org" },
	{ "\"Doe, John\" <scan@example.org>", FRAME_FROM_ONE, "scan@example.org" },
	{ "J. Doe <scan@example.org>", FRAME_FROM_ONE, "scan@example.org" },
	{ "=?utf-8?q?evil=40example=2Ecom?= <scan@example.org>", FRAME_FROM_ONE,
	  "scan@example.org" },
	{ "\"a@b.example\" <scan@example.org>", FRAME_FROM_ONE, "scan@example.org" },
	{ "scan@example.org (the \\) one (nested) <x@y>)", FRAME_FROM_ONE, "scan@example.org" },
	{ "(a@b) scan (c) @ (d) example . org", FRAME_FROM_ONE, "scan@example.org" },
	{ "A <scan\r\n @example.org>", FRAME_FROM_ONE, "scan@example.org" },
	{ "A <scan@example.org> (home)", FRAME_FROM_ONE, "scan@example.org" },
	{ "\"scan\"@example.org", FRAME_FROM_ONE, "scan@example.org" },
	{ "\"sc\\an\"@example.org", FRAME_FROM_ONE, "scan@example.org" },
	{ "\"sc an\"@example.org", FRAME_FROM_ONE, "\"sc an\"@example.org" },
	{ "\"a\\\"@b\\\\\"@example.org", FRAME_FROM_ONE, "\"a\\\"@b\\\\\"@example.org" },
	{ "\"a..b\"@example.org", FRAME_FROM_ONE, "\"a..b\"@example.org" },
	{ "\"a\r\n b\"@example.org", FRAME_FROM_ONE, "\"a b\"@example.org" },
	{ "scan@[192.0.2.1]", FRAME_FROM_ONE, "scan@[192.0.2.1]" },
	{ "sc\xc3\xa4n@ex\xc3\xa4mple.org", FRAME_FROM_ONE, "sc\xc3\xa4n@ex\xc3\xa4mple.org" },
	{ "a+b=c@example.org", FRAME_FROM_ONE, "a+b=c@example.org" },
	{ "sc\xe4nner <scan@example.org>", FRAME_FROM_ONE, "scan@example.org" },
	{ "Scanner [2nd floor] <scan@example.org>", FRAME_FROM_ONE, "scan@example.org" },
	{ "a@b,", FRAME_FROM_ONE, "a@b" },
	{ "a@b; ", FRAME_FROM_ONE, "a@b" },
	{ " ,, A <a@b>,(x),", FRAME_FROM_ONE, "a@b" },
	{ "Doe, John <a@b>", FRAME_FROM_ONE, "a@b" },
	{ "Doe, J., \"R\" & D <a@b>,", FRAME_FROM_ONE, "a@b" },
	{ "scan@example.org <scan@example.org>", FRAME_FROM_ONE, "scan@example.org" },
	{ "Scan@EXAMPLE.org <scan@example.org>", FRAME_FROM_ONE, "scan@example.org" },
	{ "Camera: Yard <a@b>", FRAME_FROM_ONE, "a@b" },
	{ "Camera: 2: Yard <a@b>", FRAME_FROM_ONE, "a@b" },
	{ "\"Scanner (2nd floor)\" <a@b>", FRAME_FROM_ONE, "a@b" },
	{ "Scanner (a@b) <c@d>", FRAME_FROM_ONE, "c@d" },
	{ "=?utf-8?b?c2NhbkBleGFtcGxlLm9yZw==?= <a@b>", FRAME_FROM_ONE, "a@b" },
	{ "\"victim@good\"@evil", FRAME_FROM_ONE, "\"victim@good\"@evil" },
	{ "a%victim@b", FRAME_FROM_ONE, "a%victim@b" },
	{ "a=?b@c", FRAME_FROM_ONE, "a=?b@c" },
	{ "a@xn--bcher-kva.example", FRAME_FROM_ONE, "a@xn--bcher-kva.example" },
	{ "sc\xd0\xb0n@example.org", FRAME_FROM_ONE, "sc\xd0\xb0n@example.org" },
	/* many */
	{ "a@b, c@d", FRAME_FROM_MANY, "" },
	{ "Doe, a@b", FRAME_FROM_MANY, "" },
	{ "a@b, Doe", FRAME_FROM_MANY, "" },
	{ "Doe, John", FRAME_FROM_MANY, "" },
	{ "<a@b>, John", FRAME_FROM_MANY, "" },
	{ "Doe, John <a@b>, <c@d>", FRAME_FROM_MANY, "" },
	{ "c@d, John <a@b>", FRAME_FROM_MANY, "" },
	{ "\"c@d\", John <a@b>", FRAME_FROM_MANY, "" },
	{ "Doe; John <a@b>", FRAME_FROM_MANY, "" },
	{ "group: a@b;", FRAME_FROM_MANY, "" },
	{ "undisclosed:;", FRAME_FROM_MANY, "" },
	{ "a@b; c@d", FRAME_FROM_MANY, "" },
	{ "Camera: Yard <a@b>;", FRAME_FROM_MANY, "" },
	{ "Camera: Yard <a@b>, <c@d>", FRAME_FROM_MANY, "" },
	{ "Camera: a@b", FRAME_FROM_MANY, "" },
	{ "a@b: Yard <c@d>", FRAME_FROM_MANY, "" },
	{ ": <a@b>", FRAME_FROM_MANY, "" },
	/* bad */
	{ "", FRAME_FROM_BAD, "" },
	{ "   ", FRAME_FROM_BAD, "" },
	{ "scanner", FRAME_FROM_BAD, "" },
	{ "<>", FRAME_FROM_BAD, "" },
	{ "A <>", FRAME_FROM_BAD, "" },
	{ "a@b@c", FRAME_FROM_BAD, "" },
	{ "a@b <c@d>", FRAME_FROM_BAD, "" },
	{ "<a@b> <c@d>", FRAME_FROM_BAD, "" },
	{ "c@d <a@b> c@d", FRAME_FROM_BAD, "" },
	{ "a@b a@b <a@b>", FRAME_FROM_BAD, "" },
	{ "a@ <a@b>", FRAME_FROM_BAD, "" },
	{ "\"a@b\" c@d <a@b>", FRAME_FROM_BAD, "" },
	{ "victim@good@evil", FRAME_FROM_BAD, "" },
	{ "<<a@b>>", FRAME_FROM_BAD, "" },
	{ "<@relay,@other:a@b>", FRAME_FROM_BAD, "" },
	{ "=?utf-8?q?scan=40example.org?=", FRAME_FROM_BAD, "" },
	{ "=?utf-8?q?scan?=@example.org", FRAME_FROM_BAD, "" },
	{ "scan@=?utf-8?q?example.org?=", FRAME_FROM_BAD, "" },
	{ "=?utf-8?q?scan=40example.org=3e?=@evil", FRAME_FROM_BAD, "" },
	{ "\"=?utf-8?q?scan=40example.org=3e?=\"@evil", FRAME_FROM_BAD, "" },
	{ "a@b\xc2\x85", FRAME_FROM_BAD, "" },
	{ "\"a\xc2\x80\"@b", FRAME_FROM_BAD, "" },
	{ "<a@b.>", FRAME_FROM_BAD, "" },
	{ "<a@b> c", FRAME_FROM_BAD, "" },
	{ "<@relay:a@b>", FRAME_FROM_BAD, "" },
	{ "<a@b", FRAME_FROM_BAD, "" },
	{ "a@b>", FRAME_FROM_BAD, "" },
	{ "a@", FRAME_FROM_BAD, "" },
	{ "@b", FRAME_FROM_BAD, "" },
	{ "a@b.", FRAME_FROM_BAD, "" },
	{ ".a@b", FRAME_FROM_BAD, "" },
	{ "a..b@c", FRAME_FROM_BAD, "" },
	{ "a b@c", FRAME_FROM_BAD, "" },
	{ "\"a\".b@c", FRAME_FROM_BAD, "" },
	{ "a.\"b\"@c", FRAME_FROM_BAD, "" },
	{ "a@\"b\"", FRAME_FROM_BAD, "" },
	{ "\"\"@b", FRAME_FROM_BAD, "" },
	{ "\"a\x01\"@b", FRAME_FROM_BAD, "" },
	{ "a@[b].c", FRAME_FROM_BAD, "" },
	{ "a@[]", FRAME_FROM_BAD, "" },
	{ "a@[b c]", FRAME_FROM_BAD, "" },
	{ "a@b.[c]", FRAME_FROM_BAD, "" },
	{ "[a]@b", FRAME_FROM_BAD, "" },
	{ "\"a@b", FRAME_FROM_BAD, "" },
	{ "(a@b", FRAME_FROM_BAD, "" },
	{ "a@[b", FRAME_FROM_BAD, "" },
	{ "a\\@b", FRAME_FROM_BAD, "" },
	{ "a)@b", FRAME_FROM_BAD, "" },
	{ "a\r@b", FRAME_FROM_BAD, "" },
	{ "sc\xe4n@example.org", FRAME_FROM_BAD, "" },
};

static void from(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof from_rows / sizeof from_rows[0]; i++) {
		char bytes[FRAME_ADDRESS_MAX];
		struct text address = text_in(bytes, sizeof bytes);
		const char *value = from_rows[i].value;
		enum frame_from got = address_read_from(span_of(value, strlen(value)), &address);
		struct span wanted = span_of(from_rows[i].address, strlen(from_rows[i].address));
		if (got != from_rows[i].state ||
		    (got == FRAME_FROM_ONE && !span_equal(text_span(&address), wanted)))
			fail_msg("%s: %d %.*s", value, (int)got, (int)address.size, address.at);
	}
}

static void from_odd(void **state)
{
	static char value[LIMIT_FROM_MAX + 10];
	char bytes[FRAME_ADDRESS_MAX];
	struct text address = text_in(bytes, sizeof bytes);
	(void)state;
	assert_int_equal(address_read_from(span_of("a\0@b", 4), &address), FRAME_FROM_BAD);
	/* the longest address, and one octet more */
	memset(value, 'a', sizeof value);
	memcpy(value + FRAME_ADDRESS_MAX - 2, "@b", 2);
	assert_int_equal(address_read_from(span_of(value, FRAME_ADDRESS_MAX), &address),
			 FRAME_FROM_ONE);
	memcpy(value + FRAME_ADDRESS_MAX - 2, "a@b", 3);
	assert_int_equal(address_read_from(span_of(value, FRAME_ADDRESS_MAX + 1), &address),
			 FRAME_FROM_BAD);
	/* a quoted one that is too long */
	memset(value, 'a', sizeof value);
	value[0] = '"';
	memcpy(value + 500, "\"@b", 3);
	assert_int_equal(address_read_from(span_of(value, 503), &address), FRAME_FROM_BAD);
	/* a field that is too long */
	memset(value, ' ', sizeof value);
	memcpy(value, "a@b", 3);
	assert_int_equal(address_read_from(span_of(value, LIMIT_FROM_MAX), &address),
			 FRAME_FROM_ONE);
	assert_int_equal(address_read_from(span_of(value, LIMIT_FROM_MAX + 1), &address),
			 FRAME_FROM_BAD);
}

static const struct {
	const char *value, *addresses; /* joined by blanks */
} to_rows[] = {
	{ "", "" },
	{ "a@b", "a@b " },
	{ "a@b, C <c@D>,, \"x, y\" <e@f> (z)", "a@b c@d e@f " },
	{ "nobody, a@b", "a@b " },
	{ "friends: a@b, c@d;, e@f", "a@b c@d e@f " },
	{ "undisclosed-recipients:;", "" },
	{ "undisclosed-recipients: ;", "" },
	{ "a@b; c@d", "a@b c@d " },
	{ "<a@b> <c@d>, e@f", "e@f " },
	{ "\"unclosed <a@b>, c@d", "" },
	{ "a@b (unclosed, c@d", "" },
	{ "a@b, \x01, c@d", "a@b c@d " },
};

static void to(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof to_rows / sizeof to_rows[0]; i++) {
		char bytes[FRAME_ADDRESS_MAX], joined[200];
		struct text address = text_in(bytes, sizeof bytes),
			    all = text_in(joined, sizeof joined - 1);
		struct span rest = span_of(to_rows[i].value, strlen(to_rows[i].value));
		while (address_next(&rest, &address)) {
			text_put(&all, text_span(&address));
			text_put_octet(&all, ' ');
		}
		joined[all.size] = '\0';
		assert_string_equal(joined, to_rows[i].addresses);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(from), cmocka_unit_test(from_odd),
					    cmocka_unit_test(to) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
