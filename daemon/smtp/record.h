/* record.h: the log lines of a session (INTERFACE section 3). Room daemon/smtp.
 *
 * The courier writes the line of every message that it answers; these are for what no courier saw.
 */
#pragma once
#include <stdint.h>
#include "daemon/log.h"
#include "policy/facts.h"
#include "policy/verdict.h"

/* What a line tells. All borrowed. */
struct record {
	const char *source;
	const struct facts_peer *peer;
	const char *from;
	const char *const *to;
	size_t to_count;
	uint64_t bytes;
	int64_t heard_ms; /* monotonic; when the last byte of what is answered came */
	int error;        /* -errno, 0: none */
};

/* One line of a message that was refused or postponed. `tally_fd`: where it is counted; -1:
 * nowhere.
 */
void record_verdict(const struct record *record, enum reason reason, const char *words,
		    int tally_fd);

/* The device broke off: nothing happened, and the sender knows it. */
void record_unfinished(const struct record *record, const char *words);

/* Something about the connection alone. `key`: of the words, "text" or who logs in. */
void record_peer(const struct record *record, enum log_level level, const char *event,
		 const char *key, const char *words);

/* One line of the dialogue, at debug. `direction`: "in" or "out". `text` may hold any byte. */
void record_dialogue(const struct record *record, const char *direction, const char *text,
		     size_t size);
