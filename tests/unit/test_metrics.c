/* test_metrics.c: what is counted, how much at most, and the text that it becomes. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "daemon/after/metrics.h"
#include "daemon/fdio.h"

static struct counters counters;

static void add(const char *source, const char *route, enum reason reason, uint64_t bytes,
		int64_t took_ms)
{
	struct tally tally = {
		.kind = TALLY_MESSAGE, .reason = reason, .bytes = bytes, .took_ms = took_ms
	};
	snprintf(tally.source, sizeof tally.source, "%s", source);
	snprintf(tally.route, sizeof tally.route, "%s", route);
	assert_true(tally_valid(&tally, sizeof tally));
	counters_add(&counters, &tally);
}

static void assert_has(const char *text, const char *line)
{
	if (!text || !strstr(text, line))
		fail_msg("no `%s` in\n%s", line, text ? text : "");
}

static char *text_of(const struct metrics_source *sources, size_t sources_count,
		     const struct metrics_share *shares, size_t shares_count)
{
	const struct metrics metrics = { .version = "1.2",
					 .counters = &counters,
					 .sources = sources,
					 .sources_count = sources_count,
					 .shares = shares,
					 .shares_count = shares_count,
					 .quarantined = 7 };
	char *text = metrics_text(&metrics);
	assert_non_null(text);
	return text;
}

static void test_numbers(void **state)
{
	static const struct metrics_source sources[] = { { "lan", true, 1700000000250 },
							 { "office", false, 0 } };
	static const struct metrics_share shares[] = { { "", true, 5000000000 },
						       { "far", false, -1 } };
	static const char *const wanted[] = {
		"\nletterchute_messages_total{source=\"lan\",route=\"scans\",outcome=\"delivered\",reason=\"\"} 2\n",
		"\nletterchute_messages_total{source=\"lan\",route=\"-\",outcome=\"refused\",reason=\"route\"} 1\n",
		"\nletterchute_messages_total{source=\"office\",route=\"a,b\",outcome=\"later\",reason=\"share\"} 1\n",
		"\nletterchute_bytes_total{source=\"lan\"} 1010\n",
		"_bucket{le=\"0.005\"} 1\n",
		"_bucket{le=\"0.01\"} 1\n",
		"_bucket{le=\"30\"} 1\n",
		"_bucket{le=\"+Inf\"} 2\n",
		"\nletterchute_delivery_seconds_sum 40.005\n",
		"\nletterchute_delivery_seconds_count 2\n",
		"\nletterchute_source_up{source=\"lan\"} 1\n",
		"\nletterchute_source_up{source=\"office\"} 0\n",
		"\nletterchute_source_last_contact_seconds{source=\"lan\"} 1700000000.250\n",
		"\nletterchute_share_up{share=\"\"} 1\n",
		"\nletterchute_share_up{share=\"far\"} 0\n",
		"\nletterchute_share_free_bytes{share=\"\"} 5000000000\n",
		"\nletterchute_held_messages 0\n",
		"\nletterchute_quarantined_messages 7\n",
		"\nletterchute_build_info{version=\"1.2\"} 1\n",
	};
	(void)state;
	counters_init(&counters);
	add("lan", "scans", REASON_NONE, 1000, 5);
	add("lan", "scans", REASON_NONE, 10, 40000);
	add("lan", "-", REASON_ROUTE, 500, 5);
	add("office", "a,b", REASON_SHARE, 500, 5);
	char *text = text_of(sources, 2, shares, 2);
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
		assert_has(text, wanted[i]);
	assert_null(strstr(text, "last_contact_seconds{source=\"office\"}"));
	assert_null(strstr(text, "free_bytes{share=\"far\"}"));
	assert_null(strstr(text, "bytes_total{source=\"office\"}"));
	free(text);
}

static void test_escapes(void **state)
{
	const struct metrics_source odd = { "a\"b\\c\nd\te\xC3\xA4", true, 0 };
	(void)state;
	counters_init(&counters);
	char *text = text_of(&odd, 1, NULL, 0);
	assert_has(text, "_up{source=\"a\\\"b\\\\c\\nd?e??\"} 1\n");
	free(text);
}

static uint64_t all_messages(void)
{
	uint64_t count = 0;
	for (size_t i = 0; i < counters.sets_count; i++)
		count += counters.sets[i].count;
	return count;
}

/* Whatever names come: nothing is lost, and it does not grow for ever. */
static void test_bounds(void **state)
{
	char source[32], route[32];
	(void)state;
	counters_init(&counters);
	for (int i = 0; i < 5000; i++) {
		snprintf(source, sizeof source, "s%d", i % 700);
		snprintf(route, sizeof route, "r%d", i);
		add(source, route, i % 2 ? REASON_NONE : REASON_TYPE, 3, 1);
	}
	assert_int_equal(counters.sets_count, COUNTERS_SETS + 2);
	assert_int_equal(counters.sources_count, 350);
	assert_int_equal(all_messages(), 5000);
	assert_int_equal(counters.buckets[0], 2500);
	for (int i = 0; i < 1000; i++) {
		snprintf(source, sizeof source, "t%d", i);
		add(source, "r", REASON_NONE, 3, 1);
	}
	assert_int_equal(counters.sources_count, COUNTERS_SOURCES + 1);
	uint64_t bytes = 0;
	for (size_t i = 0; i < counters.sources_count; i++)
		bytes += counters.sources[i].bytes;
	assert_int_equal(bytes, 3 * 3500);
	char *text = text_of(NULL, 0, NULL, 0);
	assert_has(text, "{source=\"other\",route=\"other\",outcome=\"delivered\",reason=\"\"} ");
	assert_has(text, "letterchute_bytes_total{source=\"other\"} ");
	free(text);
}

/* Who comes after us counts on; what is no count of ours is begun anew. */
static void test_kept(void **state)
{
	struct tally tally = { .kind = TALLY_MESSAGE, .source = "lan", .route = "scans" };
	int fd = -1;
	(void)state;
	assert_int_equal(memory_file("counts", &fd), 0);
	struct counters *first = counters_map(fd);
	assert_non_null(first);
	counters_add(first, &tally);
	munmap(first, sizeof *first);
	struct counters *second = counters_map(fd);
	assert_int_equal(second->sets[0].count, 1);
	second->sets_count = UINT32_MAX;
	munmap(second, sizeof *second);
	struct counters *third = counters_map(fd);
	assert_int_equal(third->sets_count, 0);
	munmap(third, sizeof *third);
	close(fd);
}

static void told(const char *name, enum tally_look look)
{
	struct counters_share *share = counters_find_share(&counters, name);
	assert_non_null(share);
	share->heard_ms = 5;
	share->last.look = look;
}

/* What is known of a share by its name outlives a reload; a new one is one that nobody looked at.
 */
static void test_shares(void **state)
{
	struct rules_share one[] = { { .name = "" }, { .name = "far" } },
			   other[] = { { .name = "far" }, { .name = "new" } };
	struct rules before = { .shares = one, .shares_count = 2 },
		     after = { .shares = other, .shares_count = 2 };
	(void)state;
	counters_init(&counters);
	assert_null(counters_find_share(&counters, ""));
	counters_order(&counters, &before);
	told("", TALLY_UP);
	told("far", TALLY_FULL);
	told(TALLY_STATE, TALLY_UP);
	counters_order(&counters, &after);
	assert_null(counters_find_share(&counters, ""));
	assert_string_equal(counters.shares[0].last.name, "far");
	assert_int_equal(counters.shares[0].last.look, TALLY_FULL);
	assert_int_equal(counters.shares[0].heard_ms, 5);
	assert_string_equal(counters.shares[1].last.name, "new");
	assert_int_equal(counters.shares[1].heard_ms, 0);
	assert_int_equal(counters.shares[1].last.look, TALLY_LOOKING);
	assert_int_equal(counters.shares[2].last.look, TALLY_UP);
}

static void test_tally(void **state)
{
	union {
		struct tally tally;
		struct tally_share share;
	} told = { .tally = { .kind = TALLY_MESSAGE } };
	(void)state;
	assert_true(tally_valid(&told, sizeof told.tally));
	assert_false(tally_valid(&told, sizeof told.tally - 1));
	assert_false(tally_valid(&told, 2));
	told.tally.reason = REASON_COUNT;
	assert_false(tally_valid(&told, sizeof told.tally));
	told.tally.reason = REASON_NONE;
	told.tally.took_ms = -1;
	assert_false(tally_valid(&told, sizeof told.tally));
	told.tally.took_ms = 0;
	memset(told.tally.route, 'x', sizeof told.tally.route);
	assert_false(tally_valid(&told, sizeof told.tally));
	told.share = (struct tally_share){ .kind = TALLY_SHARE, .look = TALLY_AWAY };
	assert_true(tally_valid(&told, sizeof told.share));
	told.share.look = TALLY_AWAY + 1;
	assert_false(tally_valid(&told, sizeof told.share));
	told.share.look = TALLY_UP;
	memset(told.share.why, 'x', sizeof told.share.why);
	assert_false(tally_valid(&told, sizeof told.share));
	told.share.kind = 0;
	assert_false(tally_valid(&told, sizeof told.share));
	/* nobody is there to be told */
	tally_send(-1, &told, sizeof told.share);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers), cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_bounds),  cmocka_unit_test(test_kept),
		cmocka_unit_test(test_tally),   cmocka_unit_test(test_shares),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
