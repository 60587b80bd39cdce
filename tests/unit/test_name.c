/* test_name.c: names of messages in a Maildir, and hostile ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "daemon/maildir/name.h"

#define TEN "0123456789"
#define L250                                                                                    \
	TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN \
		TEN TEN TEN

static const struct row {
	const char *name, *base;
	const char *in_cur; /* NULL: too long */
} rows[] = {
	{ "1.M2P3.host", "1.M2P3.host", "1.M2P3.host:2," },
	{ "1.M2P3.host:2,", "1.M2P3.host", "1.M2P3.host:2," },
	{ "1.M2P3.host:2,FRS", "1.M2P3.host", "1.M2P3.host:2,FRS" },
	/* an experimental one, and other colons, say nothing */
	{ "1.host:1,x", "1.host:1,x", "1.host:1,x:2," },
	{ "a:b", "a:b", "a:b:2," },
	{ "a:2", "a:2", "a:2:2," },
	/* whatever follows the first */
	{ "a:2,S:2,T", "a", "a:2,S:2,T" },
	{ ":2,S", "", ":2,S" },
	{ "a\nb\xff\x01", "a\nb\xff\x01", "a\nb\xff\x01:2," },
	{ L250 "ab", L250 "ab", L250 "ab:2," },
	{ L250 "abc", L250 "abc", NULL },
	{ L250 "abcde", L250 "abcde", NULL },
	{ L250 "ab:2,", L250 "ab", L250 "ab:2," },
};

static void test_parts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char base[NAME_SIZE], in_cur[NAME_SIZE];
		name_base(rows[i].name, base);
		assert_string_equal(base, rows[i].base);
		assert_int_equal(name_base_size(rows[i].name), strlen(base));
		assert_true(name_has_base(rows[i].name, base));
		assert_int_equal(name_for_cur(rows[i].name, in_cur), rows[i].in_cur != NULL);
		if (rows[i].in_cur)
			assert_string_equal(in_cur, rows[i].in_cur);
	}
}

static void test_others(void **state)
{
	(void)state;
	assert_false(name_has_base("1.host", "1.hos"));
	assert_false(name_has_base("1.hos", "1.host"));
	assert_false(name_has_base("1.host:2,S", "1.host:2,"));
	assert_true(name_is_message("1.host"));
	assert_false(name_is_message(".nfs0001"));
	assert_false(name_is_message("."));
}

static void test_fresh(void **state)
{
	char name[NAME_SIZE];
	(void)state;
	name_fresh(1700000000, 0xabc, name);
	assert_string_equal(name, "1700000000.R0000000000000abc.letterchute:2,");
	name_fresh(INT64_MIN, UINT64_MAX, name);
	assert_true(name_is_message(name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
