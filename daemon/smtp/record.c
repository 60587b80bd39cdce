/* record.c: puts log lines together. Never decides what is told. */
#include "daemon/smtp/record.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "daemon/fdio.h"
#include "daemon/smtp/line.h"
#include "daemon/tally.h"
#include "policy/sender.h"

static void add_connection(const struct record *record, struct log_line *line)
{
	char peer[46];
	network_print(record->peer, peer);
	log_add(line, "source", "%s", record->source);
	log_add(line, "peer", "%s", peer);
}

static void add_envelope(const struct record *record, struct log_line *line)
{
	char joined[2048] = "";
	size_t used = 0;
	for (size_t i = 0; i < record->to_count && used < sizeof joined; i++)
		used += (size_t)snprintf(joined + used, sizeof joined - used, "%s%s", i ? "," : "",
					 record->to[i]);
	log_quote(line, "from", record->from);
	log_quote(line, "to", joined);
}

/* The listener, who hears it, writes whose it is. */
static void count(const struct record *record, enum reason reason, int tally_fd)
{
	struct tally tally = { .kind = TALLY_MESSAGE,
			       .reason = reason,
			       .bytes = record->bytes,
			       .took_ms = monotonic_ms() - record->heard_ms,
			       .route = "-" };
	if (tally_fd >= 0)
		tally_send(tally_fd, &tally, sizeof tally);
}

void record_verdict(const struct record *record, enum reason reason, const char *words,
		    int tally_fd)
{
	struct log_line line;
	const struct verdict_row *row = verdict_row(reason);
	log_start(&line, "");
	log_add(&line, "job", "-");
	add_connection(record, &line);
	add_envelope(record, &line);
	log_add(&line, "route", "-");
	log_add(&line, "parts", "0");
	log_add(&line, "bytes", "%" PRIu64, record->bytes);
	log_add(&line, "outcome", "%s", verdict_outcome_name(row->outcome));
	log_add(&line, "reason", "%s", row->name);
	log_quote(&line, "text", words);
	log_add(&line, "took_ms", "%" PRId64, monotonic_ms() - record->heard_ms);
	if (record->error)
		log_quote(&line, "error", strerror(-record->error));
	log_send(LOG_WARNING, &line);
	count(record, reason, tally_fd);
}

void record_unfinished(const struct record *record, const char *words)
{
	struct log_line line;
	log_start(&line, "unfinished");
	add_connection(record, &line);
	add_envelope(record, &line);
	log_add(&line, "bytes", "%" PRIu64, record->bytes);
	log_quote(&line, "text", words);
	log_send(LOG_INFO, &line);
}

void record_peer(const struct record *record, enum log_level level, const char *event,
		 const char *key, const char *words)
{
	struct log_line line;
	log_start(&line, event);
	add_connection(record, &line);
	log_quote(&line, key, words);
	log_send(level, &line);
}

void record_dialogue(const struct record *record, const char *direction, const char *text,
		     size_t size)
{
	char shown[LINE_MAX_BYTES + 1];
	struct log_line line;
	size = size < LINE_MAX_BYTES ? size : LINE_MAX_BYTES;
	for (size_t i = 0; i < size; i++)
		shown[i] = text[i] ? text[i] : '?';
	shown[size] = '\0';
	log_start(&line, "dialogue");
	add_connection(record, &line);
	log_quote(&line, direction, shown);
	log_send(LOG_DEBUG, &line);
}
