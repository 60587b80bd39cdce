/* box.h: what is known of the messages in a mailbox, and what is done to them there. Room
 * daemon/imap.
 *
 * Outlives a connection, but not a change of UIDVALIDITY. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/config.h"
#include "daemon/errand.h"
#include "daemon/imap/conn.h"
#include "daemon/imap/uidset.h"

/* A message that couriers have decided about and that is still to be acted on, or is still listed
 * although it was. */
struct box_decided {
	uint32_t uid;
	bool refused;
	bool copied;      /* where it is to be moved to; flagged and expunged it has yet to be */
	int mark_fd;      /* owned; -1: none */
	int64_t again_ms; /* monotonic; not before */
	unsigned tries;
};

/* A message that has to wait by itself. */
struct box_postponed {
	uint32_t uid;
	int64_t until_ms; /* monotonic */
	int64_t delay_ms;
};

/* More than so many that can't be got rid of: no further ones are fetched. */
#define BOX_DECIDED_MAX 256

struct box {
	const struct config_account *account;
	uint32_t validity;        /* 0: none yet */
	struct uidset known;      /* nothing more is to be done about them */
	struct uidset leaving[2]; /* delivered, refused: are to be removed, whoever decided it; they
				     may stay flagged */
	struct uidset foreign;    /* flagged as deleted, and not by us */
	struct box_decided decided[BOX_DECIDED_MAX];
	size_t decided_count;
	struct box_postponed *postponed; /* owned */
	size_t postponed_count;
	bool told; /* that messages can't be removed */
};

void box_init(struct box *box, const struct config_account *account);
void box_done(struct box *box);

/* A mailbox was selected: forgets what belonged to another UIDVALIDITY, and learns from the ledger
 * what is settled already. `revision`: of the rules; what older ones refused is tried again. 0 or
 * -errno. */
int box_enter(struct box *box, uint32_t validity, int kept_fd, uint64_t revision);

/* How many the ledger knows; *last_out: the highest UID of them. */
size_t box_remembers(const struct box *box, uint32_t *last_out);

/* Is there anything to be fetched of it now? */
bool box_wants(const struct box *box, uint32_t uid, const struct errands *errands);

/* What the server lists now, ascending: of others nothing waits any more. */
void box_see(struct box *box, const uint32_t *uids, size_t count);

/* It waits by itself: longer each time, and at least so long. */
void box_postpone(struct box *box, uint32_t uid, int64_t least_ms);

bool box_waits(const struct box *box, uint32_t uid);

/* Takes over the mark. `copied`: as in struct box_decided. */
void box_decide(struct box *box, uint32_t uid, bool refused, bool copied, int mark_fd);

/* It is listed. If it was decided about before and is to be removed, that is done next: true. */
bool box_owes(struct box *box, uint32_t uid);

/* Is it flagged as deleted by somebody that we don't know yet? */
bool box_wonders(const struct box *box, uint32_t uid, const struct errands *errands);

/* Which outcomes are to be remembered (ASK_STAYS_…): those that leave a message in this mailbox,
 * also where the server can't expunge a single one, and those of refused messages that take more
 * than one command to go. */
uint32_t box_stays(const struct config_account *account, const struct conn *conn);

/* Which messages of the mailbox are ours to take. */
enum conn_criterion box_criterion(const struct config_account *account);

/* Why what the configuration wants can't be done in this mailbox; NULL: it can. */
const char *box_fault(const struct config_account *account, const struct conn_mailbox *mailbox);

/* How many wait to be acted on now. */
size_t box_due(const struct box *box, int64_t now_ms);

/* Does to them what the configuration says, looks whether it was done, and settles the marks.
 * CONN_OK also if the server refused some of it: they stay, and are tried again later. */
enum conn_result box_act(struct box *box, struct conn *conn, const struct errands *errands);

/* Ours may have been left flagged as deleted: by who was us before, or since others had flagged
 * some and the server has no UIDPLUS. Expunges them. */
enum conn_result box_sweep(const struct box *box, struct conn *conn);

/* When the next of the postponed, or of those that could not be removed, is due (monotonic); -1:
 * nothing is. */
int64_t box_next_ms(const struct box *box);
