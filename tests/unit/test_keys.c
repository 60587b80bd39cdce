/* test_keys.c: a file of keys, and the names in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "daemon/prover/keys.h"

static const char text[] = "# keys\n"
			   "\n"
			   "sel._domainkey.example.org v=DKIM1; k=rsa; p=AAAA  \r\n"
			   "  Other._domainkey.Example.org\tp=BBBB\n"
			   "empty._domainkey.example.org\n"
			   "sel._domainkey.example.org p=CCCC\n"
			   "last._domainkey.example.org p=DDDD";

static void find(void **state)
{
	(void)state;
	static const struct {
		const char *name, *record;
	} rows[] = {
		{ "sel._domainkey.example.org", "v=DKIM1; k=rsa; p=AAAA" },
		{ "SEL._domainkey.EXAMPLE.ORG", "v=DKIM1; k=rsa; p=AAAA" },
		{ "other._domainkey.example.org", "p=BBBB" },
		{ "last._domainkey.example.org", "p=DDDD" },
		{ "empty._domainkey.example.org", NULL },
		{ "el._domainkey.example.org", NULL },
		{ "sel._domainkey.example.or", NULL },
		{ "#", NULL },
		{ "", NULL },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char record[100];
		bool found = keys_find(text, rows[i].name, record, sizeof record);
		assert_int_equal(found, rows[i].record != NULL);
		if (found)
			assert_string_equal(record, rows[i].record);
	}
}

static void room(void **state)
{
	(void)state;
	char record[7] = "before";
	assert_false(keys_find(text, "other._domainkey.example.org", record, 6));
	assert_string_equal(record, "before");
	assert_true(keys_find(text, "other._domainkey.example.org", record, 7));
}

static void faults(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned line;
	} rows[] = {
		{ "", 0 },
		{ "\n\n# x\n", 0 },
		{ "a._domainkey.b p=\n", 0 },
		{ "a.b._DomainKey.c p=x", 0 },
		{ "\na._domainkey.b\n", 2 },
		{ "a._domainkey. p=x\n", 1 },
		{ "_domainkey.b p=x\n", 1 },
		{ "._domainkey.b p=x\n", 1 },
		{ "a.b p=x\n", 1 },
		{ "x\n", 1 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(keys_find_fault(rows[i].text), rows[i].line);
	assert_int_equal(keys_find_fault(text), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(find), cmocka_unit_test(room),
					    cmocka_unit_test(faults) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
