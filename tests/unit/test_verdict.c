/* test_verdict.c: what senders hear, reason by reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "policy/verdict.h"

static const struct {
	enum reason reason;
	const char *name, *outcome;
	int code;
	const char *enhanced;
} rows[] = {
	{ REASON_NONE, "none", "delivered", 250, "2.0.0" },
	{ REASON_TYPE, "type", "refused", 550, "5.7.1" },
	{ REASON_NAME, "name", "refused", 550, "5.7.1" },
	{ REASON_SIZE, "size", "refused", 552, "5.3.4" },
	{ REASON_PARTS, "parts", "refused", 554, "5.6.0" },
	{ REASON_DEPTH, "depth", "refused", 554, "5.6.0" },
	{ REASON_HEADER, "header", "refused", 554, "5.6.0" },
	{ REASON_SENDER, "sender", "refused", 550, "5.7.1" },
	{ REASON_PEER, "peer", "refused", 550, "5.7.1" },
	{ REASON_LOGIN, "login", "refused", 550, "5.7.1" },
	{ REASON_PROOF, "proof", "refused", 550, "5.7.1" },
	{ REASON_ROUTE, "route", "refused", 550, "5.7.1" },
	{ REASON_NO_PARTS, "no_parts", "refused", 554, "5.6.0" },
	{ REASON_AMBIGUOUS, "ambiguous", "refused", 554, "5.6.0" },
	{ REASON_SUSPICIOUS, "suspicious", "refused", 554, "5.6.0" },
	{ REASON_CRASH, "crash", "refused", 554, "5.6.0" },
	{ REASON_SCAN, "scan", "refused", 550, "5.7.1" },
	{ REASON_SHARE, "share", "later", 451, "4.3.0" },
	{ REASON_FULL, "full", "later", 452, "4.3.1" },
	{ REASON_IO, "io", "later", 451, "4.3.0" },
	{ REASON_DNS, "dns", "later", 451, "4.4.3" },
	{ REASON_DEADLINE, "deadline", "later", 451, "4.4.5" },
	{ REASON_SPOOL, "spool", "later", 452, "4.3.1" },
	{ REASON_SHUTDOWN, "shutdown", "later", 421, "4.3.2" },
};
#define ROWS (sizeof rows / sizeof *rows)

static void the_table(void **state)
{
	(void)state;
	assert_int_equal(ROWS, REASON_COUNT);
	for (size_t i = 0; i < ROWS; i++) {
		const struct verdict_row *row = verdict_row(rows[i].reason);
		assert_int_equal(rows[i].reason, i);
		assert_string_equal(row->name, rows[i].name);
		assert_string_equal(verdict_outcome_name(row->outcome), rows[i].outcome);
		assert_int_equal(row->code, rows[i].code);
		assert_string_equal(row->enhanced, rows[i].enhanced);
	}
}

/* The first digit of the reply, of the enhanced code and the outcome say the same. */
static void codes_agree(void **state)
{
	(void)state;
	static const int first[OUTCOME_COUNT] = {
		[OUTCOME_DELIVERED] = 2, [OUTCOME_REFUSED] = 5, [OUTCOME_LATER] = 4
	};
	for (unsigned i = 0; i < REASON_COUNT; i++) {
		const struct verdict_row *row = verdict_row(i);
		assert_int_equal(row->code / 100, first[row->outcome]);
		assert_int_equal(row->enhanced[0] - '0', first[row->outcome]);
	}
}

/* Two lines of a panel: printable ASCII, under 60 characters. */
static void words_fit_a_panel(void **state)
{
	(void)state;
	for (unsigned i = 0; i < REASON_COUNT; i++) {
		const char *words = verdict_row(i)->words;
		assert_in_range(strlen(words), 1, 59);
		for (; *words; words++)
			assert_in_range(*words, ' ', '~');
	}
}

static void reasons_are_all_different(void **state)
{
	(void)state;
	for (unsigned i = 0; i < REASON_COUNT; i++)
		for (unsigned j = 0; j < i; j++) {
			assert_string_not_equal(verdict_row(i)->name, verdict_row(j)->name);
			assert_string_not_equal(verdict_row(i)->words, verdict_row(j)->words);
		}
}

static void outcomes(void **state)
{
	(void)state;
	assert_string_equal(verdict_outcome_name(OUTCOME_DELIVERED), "delivered");
	assert_string_equal(verdict_outcome_name(OUTCOME_REFUSED), "refused");
	assert_string_equal(verdict_outcome_name(OUTCOME_LATER), "later");
	assert_string_equal(verdict_outcome_name(OUTCOME_HELD), "held");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table),         cmocka_unit_test(codes_agree),
		cmocka_unit_test(words_fit_a_panel), cmocka_unit_test(reasons_are_all_different),
		cmocka_unit_test(outcomes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
