/* metrics.c: writes the text, one metric after the other. Never looks at anything itself. */
#define _GNU_SOURCE
#include "daemon/after/metrics.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PREFIX "letterchute_"

static void head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name, help, name, type);
}

/* name="value", as the format wants it. Names of ours are ASCII; whatever else comes is not shown.
 */
static void label(FILE *out, const char *before, const char *name, const char *value)
{
	fprintf(out, "%s%s=\"", before, name);
	for (; *value; value++) {
		unsigned char c = (unsigned char)*value;
		if (c == '\\' || c == '"')
			fprintf(out, "\\%c", c);
		else if (c == '\n')
			fputs("\\n", out);
		else
			fputc(c < ' ' || c > '~' ? '?' : c, out);
	}
	fputc('"', out);
}

/* One with a single label. */
static void row(FILE *out, const char *name, const char *key, const char *value)
{
	fprintf(out, PREFIX "%s", name);
	label(out, "{", key, value);
	fputs("} ", out);
}

static void write_messages(FILE *out, const struct counters *counters)
{
	head(out, "messages_total", "counter",
	     "Messages answered, each try of one that waits at its source included.");
	for (size_t i = 0; i < counters->sets_count; i++) {
		const struct counters_set *set = &counters->sets[i];
		const struct verdict_row *verdict = verdict_row((enum reason)set->reason);
		fputs(PREFIX "messages_total", out);
		label(out, "{", "source", set->source);
		label(out, ",", "route", set->route);
		label(out, ",", "outcome", verdict_outcome_name(verdict->outcome));
		label(out, ",", "reason", set->reason == REASON_NONE ? "" : verdict->name);
		fprintf(out, "} %" PRIu64 "\n", set->count);
	}
	head(out, "bytes_total", "counter", "Octets of the messages that were delivered.");
	for (size_t i = 0; i < counters->sources_count; i++) {
		row(out, "bytes_total", "source", counters->sources[i].source);
		fprintf(out, "%" PRIu64 "\n", counters->sources[i].bytes);
	}
}

/* Each bucket holds those before it too. */
static void write_seconds(FILE *out, const struct counters *counters)
{
	uint64_t sum = 0;
	head(out, "delivery_seconds", "histogram",
	     "Time from the last octet of a message to the answer that it is delivered.");
	for (size_t i = 0; i < COUNTERS_BUCKETS; i++) {
		sum += counters->buckets[i];
		fprintf(out, PREFIX "delivery_seconds_bucket{le=\"%g\"} %" PRIu64 "\n",
			counters_bounds[i] / 1000.0, sum);
	}
	sum += counters->buckets[COUNTERS_BUCKETS];
	fprintf(out,
		PREFIX "delivery_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n" PREFIX
		       "delivery_seconds_sum %.3f\n" PREFIX "delivery_seconds_count %" PRIu64 "\n",
		sum, (double)counters->took_ms / 1000, sum);
}

static void write_sources(FILE *out, const struct metrics *metrics)
{
	head(out, "source_up", "gauge", "1 if the source is up, 0 if it is down or waits.");
	for (size_t i = 0; i < metrics->sources_count; i++) {
		row(out, "source_up", "source", metrics->sources[i].name);
		fprintf(out, "%d\n", metrics->sources[i].up);
	}
	head(out, "source_last_contact_seconds", "gauge",
	     "Unix time of the last word from the source: a connection, the server, a look at the "
	     "folder.");
	for (size_t i = 0; i < metrics->sources_count; i++) {
		if (metrics->sources[i].contact_ms <= 0)
			continue;
		row(out, "source_last_contact_seconds", "source", metrics->sources[i].name);
		fprintf(out, "%.3f\n", (double)metrics->sources[i].contact_ms / 1000);
	}
}

static void write_shares(FILE *out, const struct metrics *metrics)
{
	head(out, "share_up", "gauge",
	     "1 if files can be stored on the share, 0 if it is away, full, or gives no answer.");
	for (size_t i = 0; i < metrics->shares_count; i++) {
		row(out, "share_up", "share", metrics->shares[i].name);
		fprintf(out, "%d\n", metrics->shares[i].up);
	}
	head(out, "share_free_bytes", "gauge", "Free octets on the share, where they are known.");
	for (size_t i = 0; i < metrics->shares_count; i++) {
		if (metrics->shares[i].free_bytes < 0)
			continue;
		row(out, "share_free_bytes", "share", metrics->shares[i].name);
		fprintf(out, "%" PRId64 "\n", metrics->shares[i].free_bytes);
	}
}

static void write_rest(FILE *out, const struct metrics *metrics)
{
	head(out, "held_messages", "gauge",
	     "Messages that were accepted and wait for their share.");
	fprintf(out, PREFIX "held_messages %" PRId64 "\n", metrics->held);
	head(out, "quarantined_messages", "gauge", "What was kept aside in the quarantine.");
	fprintf(out, PREFIX "quarantined_messages %" PRId64 "\n", metrics->quarantined);
	head(out, "build_info", "gauge", "Always 1; which letterchute this is.");
	row(out, "build_info", "version", metrics->version);
	fputs("1\n", out);
}

char *metrics_text(const struct metrics *metrics)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return NULL;
	write_messages(out, metrics->counters);
	write_seconds(out, metrics->counters);
	write_sources(out, metrics);
	write_shares(out, metrics);
	write_rest(out, metrics);
	bool failed = fclose(out) != 0;
	if (failed)
		free(text);
	return failed ? NULL : text;
}
