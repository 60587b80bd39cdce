/* telling.h: what verbs print, for eyes and for scripts. Room daemon/cli. */
#pragma once
#include <stdbool.h>
#include "daemon/dialogue.h"
#include "daemon/json.h"
#include "daemon/standing.h"

/* Prints an object as one line, and frees it. */
void telling_json(struct json *json);

/* Prints each line of a dialogue: time, source, peer, session, who speaks, what. `text` may be
 * anybody's. */
void telling_lines(const struct dialogue *dialogue, const char *text, bool json);

/* Prints how it ended. `at_ms`: wall clock. */
void telling_end(const struct dialogue *dialogue, int64_t at_ms, bool json);
