/* errand.h: questions of a source that pulls, several under way at a time. Ground of daemon.
 *
 * While one message is made durable the next is already fetched: at most ERRANDS_MAX messages, or
 * ERRANDS_BYTES octets, are at couriers. An answer that says delivered comes with a mark
 * (daemon/ask.h): who pulls keeps it until its source no longer has the message. To end at any time
 * is right: what is not answered is asked again. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/ask.h"
#include "policy/verdict.h"

#define ERRANDS_MAX   4
#define ERRANDS_BYTES (64 << 20)

struct errand {
	int answer_fd;  /* owned; -1: free */
	int message_fd; /* owned: it is asked once more if its courier dies */
	int mark_fd;    /* owned; -1: none came yet */
	unsigned tries;
	int64_t limit_ms; /* monotonic */
	struct ask_head head;
};

struct errands {
	int ask_fd; /* borrowed: where the couriers listen */
	struct errand list[ERRANDS_MAX];
};

/* How one of them ended. */
struct errand_end {
	struct ask_head head; /* of the question */
	enum reason reason;   /* REASON_NONE: delivered */
	bool unknown;         /* it was an ASK_RECALL, and it was not */
	int mark_fd;          /* the caller's; -1: nothing was to be stored */
	int message_fd; /* the caller's where it has to be asked again (OUTCOME_LATER); else -1 */
};

void errands_init(struct errands *errands, int ask_fd);
void errands_done(struct errands *errands);

/* Is there room for a message of so many octets? There always is for one alone. */
bool errands_have_room(const struct errands *errands, uint64_t bytes);
size_t errands_count(const struct errands *errands);

/* Is the message of this place under way? */
bool errands_have(const struct errands *errands, const uint64_t place[2], const char *item);

/* Asks. `message_fd` (read-only) is taken over. 0; -EBUSY: ERRANDS_MAX are under way; or -errno. */
int errands_ask(struct errands *errands, const struct ask_head *head, int message_fd);

/* The next that has ended, waited for until `until_ms` (monotonic clock; 0: not at all). False:
 * none has, or `wake_fd` (-1: none) can be read. A courier that dies is asked once more; one that
 * says nothing for a minute and a second for each MB is given up (REASON_DEADLINE): it finds
 * that nobody waits for it. */
bool errands_take(struct errands *errands, int64_t until_ms, int wake_fd,
		  struct errand_end *end_out);

/* The source no longer has the message: its mark goes. Takes over `mark_fd`. Nobody waits: a mark
 * that stays ages, and matches no other message. */
void errand_settle(const struct errands *errands, int mark_fd);

/* What is remembered of messages up to the UID `last` that the source no longer lists under
 * UIDVALIDITY `validity` may be forgotten (daemon/kept.h). `uids`: all that it lists, ascending.
 * Nobody waits. */
void errands_compact(const struct errands *errands, uint32_t validity, uint32_t last,
		     const uint32_t *uids, size_t count);
