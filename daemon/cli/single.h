/* single.h: one message, through the gateway that runs or through a courier of our own. Room
 * daemon/cli. */
#pragma once
#include <stdint.h>
#include <sys/types.h>
#include "daemon/ask.h"
#include "daemon/cli/verbs.h"

/* Who answers. */
struct single {
	int ask_fd; /* questions go here */
	pid_t pid;  /* of our own courier; 0: the gateway's */
};

/* Connects to the gateway on this state, else starts a courier. 0, or the exit status with the
 * reason said. */
int single_open(const struct config *config, const char *mode, struct single *single_out);

/* Starts a courier, whether a gateway runs or not. It believes who we say that the source is. */
int single_start(const struct config *config, const char *mode, struct single *single_out);

/* Takes leave: our own courier ends its life, for which it gets a second. If that is not enough it
 * dies with us, and the next one rolls forward what it has promised. */
void single_close(struct single *single);

/* Reads a whole message from a descriptor into a nameless file; *fd_out can only be read. 0 or
 * -errno; -EFBIG: it has more than `max` octets. Then it is read on, so that whoever writes comes
 * to the end, but not for ever. */
int single_spill(int from_fd, uint64_t max, int *fd_out, uint64_t *bytes_out);

/* Asks and waits for the answer. `report_fd`: for ASK_EXPLAIN, else -1. *mark_out: the caller's, -1
 * if none came. 0; -ETIMEDOUT; -EPIPE: whoever was asked died, or would not listen. */
int single_ask(const struct single *single, const struct ask_head *head, const char *sender,
	       const char *const *recipients, int message_fd, int report_fd,
	       struct ask_answer *answer_out, int *mark_out);

/* The sender knows as soon as we exit, which must be the next thing that we do: who is killed
 * before that is asked again, and finds no mark any more. Our own courier ends its life before it
 * takes the mark away, and nobody waits for it afterwards. 0; -ETIMEDOUT; another error: whoever
 * was asked died, and the mark may still be there. */
int single_settle(struct single *single, const struct ask_head *head, int mark_fd);
