/* standing.h: where sources and shares stand, as objects. Ground of daemon: for the verbs, and for
 * who shows the same over HTTP. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "daemon/dialogue.h"
#include "daemon/failures.h"
#include "daemon/json.h"
#include "daemon/status.h"
#include "daemon/tally.h"

#define STANDING_TIME_MAX 40
/* "2026-11-22T10:00:00+0100"; NULL for never. */
const char *standing_time(int64_t ms, char text[STANDING_TIME_MAX]);

/* "192.0.2.7", or "-". `peer_out` holds 46 octets. */
void standing_peer(const struct dialogue *dialogue, char *peer_out);

/* A line of a dialogue as a text that ends (a NUL is none), and whose it is. */
#define STANDING_LINE_MAX (DIALOGUE_LINE_MAX + 8)
void standing_line(const struct dialogue_line *line, char text[STANDING_LINE_MAX]);
const char *standing_voice(const struct dialogue_line *line);

/* What is kept of a session that failed. */
struct standing_failed {
	struct dialogue dialogue;
	char text[DIALOGUE_TEXT_MAX];
};

/* Those in the file of a source (-1: none), the last first; how many. */
size_t standing_read_failed(int fd, struct standing_failed failed_out[FAILURES_MAX]);

/* One of them, as an object with its lines; the caller's. */
struct json *standing_failure(const struct dialogue *dialogue, const char *text);

/* All of them, as an array. */
struct json *standing_failures(int fd);

/* What the file of a source (-1: none) says, of `kind` "smtp", "imap" or "maildir", or of the
 * roles, STATUS_ROLES. A listener or role that never wrote is up, as the gateway is; who pulls has
 * not reached anybody yet; whose state can't be read is down. A look at a Maildir that takes too
 * long hangs. */
struct status standing_status(int fd, const char *kind);

/* The objects of `status --json`; the caller's. `failed`: of a listener, taken over; NULL: none. */
struct json *standing_source(const char *name, const char *kind, const struct status *status,
			     struct json *failed);
struct json *standing_share(const char *name, const char *path, const char *state,
			    int64_t free_bytes, const char *why);
struct json *standing_aside(int64_t count);

/* "down", "up" or "waiting". */
const char *standing_word(enum status_state state);
