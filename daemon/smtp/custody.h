/* custody.h: hands a message to a courier, waits for the answer, and settles once the device knows.
 * Room daemon/smtp.
 *
 * While a mark is held the session lives, and the delivery is neither settled nor in doubt
 * (daemon/ask.h). That a courier settled it is looked for at the next occasion and waited for only
 * at the end, so that the dialogue never waits for it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/ask.h"

/* Deliveries that wait for the device at the same time: only who pipelines has more than one. */
#define CUSTODY_MARKS 8

struct custody_mark {
	int fd;
	uint64_t known_after; /* octets that the device had sent when it was told */
	int answer_fd;        /* where a courier says that it is settled; -1: nobody was asked */
	unsigned asked;       /* how many couriers were */
	int64_t deadline_ms;  /* for the last of them; monotonic clock */
};

struct custody {
	struct ask_origin origin; /* of the last question */
	int device_fd;            /* borrowed: where the device gets its replies */
	int ask_fd; /* borrowed: where the couriers listen, or who passes it on to them */
	struct custody_mark marks[CUSTODY_MARKS];
	size_t count;
};

void custody_init(struct custody *custody, int ask_fd, int device_fd);

/* What is to be settled is waited for, a second for each courier that is asked; what is not becomes
 * a doubt. */
void custody_done(struct custody *custody);

enum custody_result {
	CUSTODY_ANSWERED,
	CUSTODY_DEADLINE,
	CUSTODY_DIED, /* two couriers in turn, or nobody listens */
	CUSTODY_GONE  /* the device broke the connection: nobody is left to be told */
};

/* Asks, a second time if the courier dies. A device that resets the connection meanwhile ends the
 * wait: what is not promised yet need not be done, and what is promised is in doubt at once, so
 * that its next try finds it. `message_fd` is borrowed. The deadline is that of `head`; a promise
 * moves it. With an answer that says delivered *mark_out is the mark that came with the promise, or
 * -1 if none came. */
enum custody_result custody_ask(struct custody *custody, const struct ask_head *head,
				const char *sender, const char *const *recipients, int message_fd,
				struct ask_answer *answer_out, int *mark_out);

/* Keeps a mark (and owns it) until the device knows and a courier has settled it. */
void custody_keep(struct custody *custody, int mark_fd, uint64_t known_after);

/* The device has acknowledged all we wrote, and `taken` octets of its are read: settles what it
 * must have known before it sent the last of these. UINT64_MAX settles everything. A courier that
 * died over what was settled earlier is replaced by another, once. */
void custody_settle(struct custody *custody, uint64_t taken);

/* Is there a delivery that the device may not know of? */
bool custody_is_open(const struct custody *custody);
