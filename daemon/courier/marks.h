/* marks.h: deliveries whose sender may not know of them yet. Room daemon/courier.
 *
 * A plan, and the mark that it becomes, is an open file that somebody holds locked while the
 * session lives that the delivery was for (daemon/ask.h). A mark that nobody holds is a doubt: its
 * 250 may have been lost. Only a doubt answers the next equal message without writing, once:
 * whoever finds it takes the lock over for his own session. Doubts age by the spool's clock, which
 * runs only while couriers do. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "daemon/courier/plan.h"

struct marks {
	int publishing_fd, done_fd; /* folders of the spool; borrowed */
};

enum marks_found {
	MARKS_NONE,   /* deliver it */
	MARKS_DOUBT,  /* answer it as delivered: *fd_out is the mark, locked, the caller's */
	MARKS_PENDING /* a plan that nobody holds waits in a life, dead or at work: `life_out` */
};

/* What is known of earlier deliveries of this key. 0 or -errno. */
int marks_find(const struct marks *marks, const char *key, enum marks_found *found_out, int *fd_out,
	       char life_out[PLAN_LIFE_SIZE]);

/* The sender knows: removes the mark behind a descriptor that came with a SETTLE. A descriptor that
 * is no mark of ours does nothing. 0 or -errno. */
int marks_settle(const struct marks *marks, int fd);

/* A published plan becomes the mark, in one rename. `name` as in spool/publishing. */
int marks_make(const struct marks *marks, const char *name, const struct plan *plan);

/* Removes doubts that are older than `keep_s` (short ones: ten minutes) by the spool's clock; those
 * of a message that was put aside and tried again, not while it is still there. Returns how many,
 * or -errno. */
int marks_age(const struct marks *marks, uint64_t clock_s, uint64_t keep_s, int quarantine_fd);

/* The largest value of the spool's clock that a mark or a plan bears; 0 where there is none. A
 * clock that was lost starts again from it, so that no doubt waits for a time that will not come.
 */
uint64_t marks_newest(const struct marks *marks);
