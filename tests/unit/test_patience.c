/* test_patience.c: who waits, for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "daemon/fdio.h"
#include "daemon/patience.h"

static void test_next(void **state)
{
	static const struct {
		int64_t last_ms, most_ms, next_ms;
	} rows[] = { { 0, 5000, 1000 },
		     { 1000, 5000, 2000 },
		     { 4000, 5000, 5000 },
		     { 5000, 5000, 5000 },
		     { 300000, 5000, 5000 } };
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(patience_next(rows[i].last_ms, rows[i].most_ms), rows[i].next_ms);
	for (int i = 0; i < 200; i++)
		assert_in_range(patience_jitter(1000), 750, 1250);
	assert_int_equal(patience_jitter(0), 0);
}

/* Everybody's trouble makes all wait at once, else the third in a row. */
static void test_lose(void **state)
{
	static const struct {
		enum reason reason;
		bool everybodys;
	} rows[] = { { REASON_SHARE, true }, { REASON_FULL, true }, { REASON_SPOOL, true },
		     { REASON_DNS, true },   { REASON_IO, false },  { REASON_SCAN, false },
		     { REASON_TYPE, false } };
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct patience patience = { 0 };
		assert_int_equal(patience_is_everybodys(rows[i].reason), rows[i].everybodys);
		for (int tries = 1; tries < 3; tries++)
			assert_int_equal(patience_lose(&patience, rows[i].reason),
					 rows[i].everybodys);
		assert_true(patience_lose(&patience, REASON_IO) || rows[i].everybodys);
		patience_gain(&patience);
		assert_false(patience_lose(&patience, REASON_IO));
	}
}

static void test_rest(void **state)
{
	struct patience patience = { 0 };
	int64_t now_ms = monotonic_ms(), late_ms = now_ms + 60000;
	(void)state;
	assert_int_equal(patience_rest_until(&patience, late_ms, -1), late_ms);
	assert_int_equal(patience_rest_until(&patience, late_ms, late_ms + 1), late_ms);
	assert_int_equal(patience_rest_until(&patience, late_ms, late_ms - 1), late_ms - 1);
	/* overdue, and not done: soon, but not at once */
	assert_true(patience_rest_until(&patience, late_ms, now_ms - 5) >= now_ms + 500);
	assert_true(patience_rest_until(&patience, late_ms, now_ms - 5) <= now_ms + 5000);
	int64_t wait_ms = patience_pause(&patience);
	assert_true(patience_is_paused(&patience));
	assert_in_range(wait_ms, 750, 1250);
	assert_int_equal(patience_rest_until(&patience, late_ms, now_ms - 5), patience.until_ms);
	/* a pause that is over and has found nothing to try is no reason for a look */
	patience.until_ms = now_ms - 1;
	assert_false(patience_is_paused(&patience));
	assert_int_equal(patience_rest_until(&patience, late_ms, -1), late_ms);
	patience_gain(&patience);
	assert_int_equal(patience.pause_ms, 0);
}

/* What is said with the time in it, or the name of a session, is said once. */
static void test_tell(void **state)
{
	static const struct {
		const char *first, *second;
		bool again;
	} rows[] = {
		{ "the server is gone", "the server is gone", true },
		{ "the server is gone", "the server is", false },
		{ "the server is", "the server is gone", false },
		{ "gone [host:10:00:01]", "gone [host:10:00:02]", true },
		{ "gone 12ab of 7", "gone  13xy of", true },
		{ "gone 12ab", "went 12ab", false },
		{ "12", "13", true },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct patience patience = { 0 };
		patience_tell(&patience, LOG_DEBUG, "office", rows[i].first, 1);
		assert_string_equal(patience.told, rows[i].first);
		patience_tell(&patience, LOG_DEBUG, "office", rows[i].second, 1);
		assert_string_equal(patience.told, rows[i].again ? rows[i].first : rows[i].second);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_next),
					    cmocka_unit_test(test_lose),
					    cmocka_unit_test(test_rest),
					    cmocka_unit_test(test_tell) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
