/* test_uidset.c: a set of numbers, against a plain table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "daemon/imap/uidset.h"

#define NUMBERS 300

static void check(const struct uidset *set, const bool *there)
{
	size_t count = 0;
	for (uint32_t uid = 0; uid < NUMBERS; uid++) {
		assert_int_equal(uidset_has(set, uid), there[uid]);
		count += there[uid];
	}
	assert_int_equal(set->count, count);
	for (size_t i = 1; i < set->count; i++)
		assert_true(set->uids[i - 1] < set->uids[i]);
}

static void test_table(void **state)
{
	struct uidset set = { 0 };
	bool there[NUMBERS] = { false };
	uint32_t number = 1;
	(void)state;
	for (int i = 0; i < 4000; i++) {
		number = number * 1103515245 + 12345;
		uint32_t uid = (number >> 16) % NUMBERS;
		there[uid] = number & 0x80000000;
		if (there[uid])
			uidset_add(&set, uid);
		else
			uidset_remove(&set, uid);
		if (i % 100 == 0)
			check(&set, there);
	}
	check(&set, there);
	uidset_done(&set);
	assert_false(uidset_has(&set, 1));
	uidset_remove(&set, 1);
	uidset_done(&set);
}

static void test_ends(void **state)
{
	struct uidset set = { 0 };
	(void)state;
	uidset_add(&set, UINT32_MAX);
	uidset_add(&set, 1);
	uidset_add(&set, UINT32_MAX);
	assert_int_equal(set.count, 2);
	assert_true(uidset_has(&set, UINT32_MAX) && uidset_has(&set, 1));
	assert_false(uidset_has(&set, 0) || uidset_has(&set, UINT32_MAX - 1));
	uidset_done(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_table),
					    cmocka_unit_test(test_ends) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
