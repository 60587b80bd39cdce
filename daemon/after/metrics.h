/* metrics.h: what was counted, and where all stand -> the text that Prometheus reads (exposition
 * format 0.0.4). Room daemon/after: pure. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/after/counters.h"

struct metrics_source {
	const char *name;
	bool up;
	int64_t contact_ms; /* wall clock; 0: never */
};

struct metrics_share {
	const char *name;
	bool up;
	int64_t free_bytes; /* -1: not known */
};

struct metrics {
	const char *version;
	const struct counters *counters;
	const struct metrics_source *sources;
	size_t sources_count;
	const struct metrics_share *shares;
	size_t shares_count;
	int64_t held, quarantined;
};

/* The caller's to free; NULL: out of memory. */
char *metrics_text(const struct metrics *metrics);
