/* patience.h: how long a source that pulls waits when something fails, and how often it says so.
 * Ground of daemon.
 *
 * Trouble that all messages would have is waited out by the source as a whole: longer each time,
 * and then one message finds out whether it is over. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "daemon/log.h"
#include "daemon/status.h"
#include "policy/verdict.h"

#define PATIENCE_FIRST_MS 1000 /* the first wait; doubled up to the most of its kind */

/* All zero: no trouble. */
struct patience {
	int64_t pause_ms; /* the last pause of the whole source; 0: no trouble since */
	int64_t until_ms; /* monotonic: nothing is asked before that; 0: any time */
	unsigned troubles;
	int64_t told_ms;  /* when the last failure was told */
	int64_t quiet_ms; /* before the same is told again; 0: ten minutes */
	char told[STATUS_ERROR_MAX];
};

/* Is it trouble of ours that all messages would have too? */
bool patience_is_everybodys(enum reason reason);

/* A message has to wait, for this reason. True: the whole source has to, since it is everybody's
 * trouble, or since several in a row had to: it is not them. */
bool patience_lose(struct patience *patience, enum reason reason);

/* Begins a pause of the whole source; how long (milliseconds). */
int64_t patience_pause(struct patience *patience);
bool patience_is_paused(const struct patience *patience);

/* A message was decided about: all goes well. */
void patience_gain(struct patience *patience);

/* The next wait after one of `last_ms`, at most `most_ms` (milliseconds). */
int64_t patience_next(int64_t last_ms, int64_t most_ms);

/* Until when who has nothing to do may rest: `until_ms` at most; `next_ms`: when something is due,
 * -1: nothing is; all monotonic. While the source pauses nothing is due before the end of the
 * pause; what is overdue and was not done just now can't be done at once. */
int64_t patience_rest_until(const struct patience *patience, int64_t until_ms, int64_t next_ms);

/* A quarter more or less, so that many do not knock together. */
int64_t patience_jitter(int64_t ms);

/* Says why a source waits. The same trouble is told again now and then, not each time; words with
 * digits in them don't make it another one. */
void patience_tell(struct patience *patience, enum log_level level, const char *source,
		   const char *why, int64_t wait_ms);

/* Somebody has done something about it: should it be the same still, it is told again. */
void patience_forget(struct patience *patience);
