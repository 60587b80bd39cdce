/* test_health.c: the rule of health, row by row, and what is said of each. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "daemon/health.h"

#define UP   STATUS_UP
#define DOWN STATUS_DOWN
#define WAIT STATUS_WAITING

/* `shares`: a letter each, u for up; NULL for none. */
static const struct {
	const char *name;
	enum status_state sources[3];
	size_t sources_count;
	const char *shares;
	enum health wanted;
	const char *said; /* sentences, a line feed behind each */
	enum status_state roles;
} rows[] = {
	{ "all is well", { UP, UP }, 2, "uu", HEALTH_OK, "", UP },
	{ "nothing is configured", { UP }, 0, "", HEALTH_OK, "", UP },
	{ "one of two sources is down",
	  { UP, DOWN },
	  2,
	  "u",
	  HEALTH_DEGRADED,
	  "source b is down: why b; `letterchute check` says what to do\n",
	  UP },
	{ "one waits",
	  { WAIT },
	  1,
	  "u",
	  HEALTH_DEGRADED,
	  "source a waits: why a; `letterchute check` says what to do\n",
	  UP },
	{ "all wait, and one is down",
	  { WAIT, DOWN },
	  2,
	  "u",
	  HEALTH_DEGRADED,
	  "source a waits: why a; `letterchute check` says what to do\n"
	  "source b is down: why b; `letterchute check` says what to do\n",
	  UP },
	{ "every source is down",
	  { DOWN, DOWN },
	  2,
	  "u",
	  HEALTH_DOWN,
	  "source a is down: why a; `letterchute check` says what to do\n"
	  "source b is down: why b; `letterchute check` says what to do\n",
	  UP },
	{ "one of two shares is away", { UP }, 1, "ua", HEALTH_DOWN, "share 1: away\n", UP },
	{ "the share without a name is away", { UP }, 1, "a", HEALTH_DOWN, "share: away\n", UP },
	{ "a share first, then a source",
	  { UP, DOWN },
	  2,
	  "a",
	  HEALTH_DOWN,
	  "share: away\nsource b is down: why b; `letterchute check` says what to do\n",
	  UP },
	{ "there is no courier", { UP }, 1, "u", HEALTH_DOWN, "gateway: why\n", DOWN },
	{ "a role ends again and again", { UP }, 1, "u", HEALTH_DEGRADED, "gateway: why\n", WAIT },
	{ "it is told first",
	  { DOWN, UP },
	  2,
	  "u",
	  HEALTH_DOWN,
	  "gateway: why\nsource a is down: why a; `letterchute check` says what to do\n",
	  DOWN },
};

static char said[4096];

static void hear(void *context, const char *sentence)
{
	assert_ptr_equal(context, said);
	strcat(strcat(said, sentence), "\n");
}

static void test_rule(void **state)
{
	static const char *const names[] = { "a", "b", "c" }, *const whys[] = { "why a", "why b" },
				 *const shares_names[] = { "", "1" };
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct health_source sources[3];
		struct health_share shares[3];
		size_t count = strlen(rows[i].shares);
		for (size_t s = 0; s < rows[i].sources_count; s++)
			sources[s] =
				(struct health_source){ names[s], rows[i].sources[s], whys[s] };
		for (size_t s = 0; s < count; s++)
			shares[s] = (struct health_share){ shares_names[s],
							   rows[i].shares[s] == 'u', "away" };
		said[0] = '\0';
		const struct health_facts facts = {
			{ "", rows[i].roles, "why" }, sources, rows[i].sources_count, shares, count
		};
		enum health found = health_judge(&facts, hear, said);
		if (found != rows[i].wanted || strcmp(said, rows[i].said) != 0)
			fail_msg("%s: %s\n%s", rows[i].name, health_word(found), said);
	}
}

/* Nobody said why; or more than there is room for. */
static void test_sentences(void **state)
{
	static char endless[2 * HEALTH_SENTENCE_MAX];
	const struct health_source silent = { "a", STATUS_DOWN, "" },
				   wordy = { "b", STATUS_DOWN, endless },
				   well = { "", STATUS_UP, "" };
	(void)state;
	said[0] = '\0';
	health_judge(&(struct health_facts){ well, &silent, 1, NULL, 0 }, hear, said);
	assert_string_equal(said, "source a is down; `letterchute check` says what to do\n");
	memset(endless, 'x', sizeof endless - 1);
	said[0] = '\0';
	health_judge(&(struct health_facts){ well, &wordy, 1, NULL, 0 }, hear, said);
	assert_int_equal(strlen(said), HEALTH_SENTENCE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rule),
		cmocka_unit_test(test_sentences),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
