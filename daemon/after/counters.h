/* counters.h: what was counted of the messages, and how the shares looked last. Room daemon/after.
 *
 * It lies in memory that the boss keeps: who takes our place, when we die or the configuration is
 * read anew, counts on. It starts at nothing with the gateway. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "daemon/tally.h"
#include "policy/rules.h"
#include "policy/verdict.h"

/* What is beyond them is counted as of source and route "other". */
#define COUNTERS_SETS    1000
#define COUNTERS_SOURCES 600
#define COUNTERS_BUCKETS 12

/* Of a source, a route and a reason. */
struct counters_set {
	char source[ASK_SOURCE_MAX + 1];
	char route[TALLY_ROUTE_MAX + 1];
	uint32_t reason; /* enum reason */
	uint64_t count;
};

struct counters_source {
	char source[ASK_SOURCE_MAX + 1];
	uint64_t bytes; /* delivered */
};

/* A share, as it was told last. */
struct counters_share {
	int64_t heard_ms;        /* monotonic; 0: nothing yet */
	uint8_t looking;         /* somebody looks since then */
	struct tally_share last; /* `look` TALLY_LOOKING: nothing yet */
};

struct counters {
	uint32_t magic, sets_count, sources_count;
	struct counters_set sets[COUNTERS_SETS + REASON_COUNT];
	struct counters_source sources[COUNTERS_SOURCES + 1];
	/* deliveries that took as long as that, or less than the next; the last: longer than all */
	uint64_t buckets[COUNTERS_BUCKETS + 1];
	uint64_t took_ms;                                   /* all deliveries together */
	struct counters_share shares[RULES_SHARES_MAX + 1]; /* the last: our own folder */
};

/* The upper bounds of the buckets, in milliseconds. */
extern const unsigned counters_bounds[COUNTERS_BUCKETS];

/* Maps it, and takes what is there if it is whole. NULL: see errno. */
struct counters *counters_map(int fd);

void counters_init(struct counters *counters);
void counters_add(struct counters *counters, const struct tally *tally);

/* Puts the shares into the order of these rules, our own folder behind them. What is known of them
 * by their names stays known. */
void counters_order(struct counters *counters, const struct rules *rules);

/* The place of a share; NULL: it is none of the rules that they are ordered by. */
struct counters_share *counters_find_share(struct counters *counters, const char *name);
