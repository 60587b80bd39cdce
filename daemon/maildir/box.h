/* box.h: what is known of the messages in a Maildir, and what is done to them there. Room
 * daemon/maildir. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/config.h"
#include "daemon/errand.h"
#include "daemon/maildir/maildir.h"

enum box_state { BOX_ASKED, BOX_DELIVERED, BOX_REFUSED };

/* A message that couriers have, or have decided about. */
struct box_mail {
	struct maildir_file file;
	enum maildir_folder folder; /* where it was last, and as what */
	char name[NAME_SIZE];
	enum box_state state;
	int mark_fd;      /* owned; -1: none */
	int64_t again_ms; /* monotonic; not before */
	int64_t delay_ms; /* the last wait */
	bool gone;        /* but not durably yet */
};

/* One that has to wait by itself. */
struct box_postponed {
	char base[NAME_SIZE];
	int64_t until_ms; /* monotonic */
	int64_t delay_ms;
	bool seen; /* in this look */
};

/* More than so many that can't be got rid of: no further ones are asked about. */
#define BOX_MAILS_MAX 256

struct box {
	const struct config_maildir *maildir;
	struct maildir from, after, refused; /* what is moved to: closed where nothing is */
	struct box_mail mails[BOX_MAILS_MAX];
	size_t mails_count;
	struct box_postponed *postponed; /* owned */
	size_t postponed_count;
	bool may_hang;     /* it lies on a file system that somebody else serves */
	int64_t opened_ms; /* monotonic, as the next */
	int64_t told_ms;   /* when it was said that messages can't be removed; 0: never */
};

void box_init(struct box *box, const struct config_maildir *maildir);
void box_done(struct box *box);

/* Takes over `fd`, where the Maildir is (O_PATH). Makes what mails are moved to; says so where that
 * can't be. 0 or -errno: it can't be read; -EWOULDBLOCK: another watcher does; -EDEADLK: mails
 * would be moved to itself. */
int box_open(struct box *box, int fd);

/* Is it, or what mails are moved to, no longer what was opened? May it no longer be entered and
 * read? Or may something be moved to what could not be used, by now? Then it is for somebody else
 * to open it anew. */
bool box_is_over(const struct box *box);

/* Is a message of this base to be asked about now? */
bool box_wants(const struct box *box, const char *base);

/* Between these two every message that is there is noticed; who waited and is not is forgotten. */
void box_begin_look(struct box *box);
void box_notice(struct box *box, const char *base);
void box_end_look(struct box *box);

/* It is asked about. There must be room. */
void box_add(struct box *box, const struct maildir_file *file, enum maildir_folder folder,
	     const char *name);
bool box_is_full(const struct box *box);

/* Couriers have decided. Takes over the mark. */
void box_decide(struct box *box, const char *base, bool refused, int mark_fd);

/* They have not: it may be asked about again. */
void box_drop(struct box *box, const char *base);

/* It waits by itself, so long (milliseconds), or with 0 longer each time. */
void box_postpone(struct box *box, const char *base, int64_t delay_ms);

/* How many are to be acted on now; how many were decided and are still there. */
size_t box_due(const struct box *box);
size_t box_decided(const struct box *box);

/* Does to those that are due what the configuration says, and once that is durable settles their
 * marks: a mark of which nobody knows whether it is becomes a doubt. What can't be done stays, and
 * is tried again later. */
void box_act(struct box *box, const struct errands *errands);

/* When the next of the postponed, or of those that could not be removed, is due (monotonic); -1:
 * nothing is. */
int64_t box_next_ms(const struct box *box);
