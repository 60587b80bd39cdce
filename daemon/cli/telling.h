/* telling.h: what verbs print, for eyes and for scripts. Room daemon/cli. */
#pragma once
#include <stdbool.h>
#include "daemon/dialogue.h"
#include "daemon/failures.h"
#include "daemon/json.h"

/* Prints an object as one line, and frees it. */
void telling_json(struct json *json);

/* Prints each line of a dialogue: time, source, peer, session, who speaks, what. `text` may be
 * anybody's. */
void telling_lines(const struct dialogue *dialogue, const char *text, bool json);

/* Prints how it ended. `at_ms`: wall clock. */
void telling_end(const struct dialogue *dialogue, int64_t at_ms, bool json);

/* What is kept of a session that failed. */
struct telling_failed {
	struct dialogue dialogue;
	char text[DIALOGUE_TEXT_MAX];
};

/* Those of a source, the last first; how many. */
size_t telling_read_failed(int sources_fd, const char *source,
			   struct telling_failed failed_out[FAILURES_MAX]);

/* A session that failed, as an object with its lines; the caller's. */
struct json *telling_failure(const struct dialogue *dialogue, const char *text);

/* "192.0.2.7", or "-". `peer_out` holds 46 octets. */
void telling_peer(const struct dialogue *dialogue, char *peer_out);

#define TELLING_TIME_MAX 40
/* "2026-11-22T10:00:00+0100"; NULL for never. */
const char *telling_time(int64_t ms, char text[TELLING_TIME_MAX]);
