/* counters.c: adds up what was told. Never forgets, and never grows. */
#define _GNU_SOURCE
#include "daemon/after/counters.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAGIC 0x6C630001

/* From a file on a fast disk to the time that devices wait. */
const unsigned counters_bounds[COUNTERS_BUCKETS] = { 5,   10,   25,   50,   100,   250,
						     500, 1000, 2500, 5000, 10000, 30000 };

void counters_init(struct counters *counters)
{
	memset(counters, 0, sizeof *counters);
	counters->magic = MAGIC;
}

static bool is_whole(const struct counters *counters)
{
	return counters->magic == MAGIC &&
	       counters->sets_count <= sizeof counters->sets / sizeof counters->sets[0] &&
	       counters->sources_count <= sizeof counters->sources / sizeof counters->sources[0];
}

struct counters *counters_map(int fd)
{
	if (ftruncate(fd, sizeof(struct counters)) < 0)
		return NULL;
	struct counters *counters =
		mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (counters == MAP_FAILED)
		return NULL;
	if (!is_whole(counters))
		counters_init(counters);
	return counters;
}

static struct counters_set *find_set(struct counters *counters, const char *source,
				     const char *route, uint32_t reason, size_t most)
{
	for (size_t i = 0; i < counters->sets_count; i++) {
		struct counters_set *set = &counters->sets[i];
		if (set->reason == reason && strcmp(set->source, source) == 0 &&
		    strcmp(set->route, route) == 0)
			return set;
	}
	if (counters->sets_count >= most)
		return NULL;
	struct counters_set *set = &counters->sets[counters->sets_count++];
	snprintf(set->source, sizeof set->source, "%s", source);
	snprintf(set->route, sizeof set->route, "%s", route);
	set->reason = reason;
	return set;
}

static struct counters_source *find_source(struct counters *counters, const char *name, size_t most)
{
	for (size_t i = 0; i < counters->sources_count; i++) {
		if (strcmp(counters->sources[i].source, name) == 0)
			return &counters->sources[i];
	}
	if (counters->sources_count >= most)
		return NULL;
	struct counters_source *source = &counters->sources[counters->sources_count++];
	snprintf(source->source, sizeof source->source, "%s", name);
	return source;
}

static void add_delivery(struct counters *counters, const struct tally *tally)
{
	size_t bucket = 0;
	struct counters_source *source = find_source(counters, tally->source, COUNTERS_SOURCES);
	if (!source)
		source = find_source(counters, "other", COUNTERS_SOURCES + 1);
	if (source)
		source->bytes += tally->bytes;
	while (bucket < COUNTERS_BUCKETS && tally->took_ms > counters_bounds[bucket])
		bucket++;
	counters->buckets[bucket]++;
	counters->took_ms += (uint64_t)tally->took_ms;
}

void counters_add(struct counters *counters, const struct tally *tally)
{
	struct counters_set *set =
		find_set(counters, tally->source, tally->route, tally->reason, COUNTERS_SETS);
	if (!set)
		set = find_set(counters, "other", "other", tally->reason,
			       COUNTERS_SETS + REASON_COUNT);
	if (set)
		set->count++;
	if (tally->reason == REASON_NONE)
		add_delivery(counters, tally);
}

/* --- shares ----------------------------------------------------------------------------------- */

struct counters_share *counters_find_share(struct counters *counters, const char *name)
{
	for (size_t i = 0; i <= RULES_SHARES_MAX; i++) {
		struct counters_share *share = &counters->shares[i];
		if (share->last.kind == TALLY_SHARE && strcmp(share->last.name, name) == 0)
			return share;
	}
	return NULL;
}

void counters_order(struct counters *counters, const struct rules *rules)
{
	static struct counters_share ordered[RULES_SHARES_MAX + 1];
	memset(ordered, 0, sizeof ordered);
	for (size_t i = 0; i <= rules->shares_count; i++) {
		const char *name = i < rules->shares_count ? rules->shares[i].name : TALLY_STATE;
		const struct counters_share *known = counters_find_share(counters, name);
		struct tally_share *last = &ordered[i].last;
		if (known && tally_valid(&known->last, sizeof known->last)) {
			ordered[i] = *known;
			continue;
		}
		*last = (struct tally_share){ .kind = TALLY_SHARE, .free_bytes = -1 };
		snprintf(last->name, sizeof last->name, "%s", name);
	}
	memcpy(counters->shares, ordered, sizeof ordered);
}
