/* status.h: where a source stands. Ground of daemon: the source writes it, the verb `status` reads.
 *
 * A file spool/sources/<source> of one struct, written over at each change; that of a listener also
 * holds its failed sessions (daemon/failures.h). It is a report: nobody decides by it, and it is
 * not synced. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum status_state { STATUS_DOWN, STATUS_UP, STATUS_WAITING };

#define STATUS_ROLES                                                                           \
	"[gateway]" /* no source is called so: the roles, as the boss finds them. STATUS_DOWN: \
		       there is no courier; STATUS_WAITING: another one ends again and again */

#define STATUS_VERSION   1
#define STATUS_ERROR_MAX 300

struct status {
	uint32_t version;
	uint32_t state;      /* enum status_state */
	int64_t since_ms;    /* of this state; all times: wall clock (milliseconds since 1970); 0:
				never */
	int64_t contact_ms;  /* the last word of the server, or look at the folder */
	int64_t delivery_ms; /* the last message that was delivered */
	int64_t until_ms;    /* with STATUS_WAITING: the next try; of a Maildir that is up: its
				watcher gives another word by then; 0: perhaps not */
	uint32_t waiting;    /* messages that are there and not delivered yet */
	uint32_t deaths;     /* of who pulls, in a row, over the message in hand */
	uint64_t in_hand[2]; /* its place (daemon/ask.h); 0: none */
	char error[STATUS_ERROR_MAX]; /* the last one; NUL-terminated; "": none since it is up */
};

/* Opens (makes) the file of a source for its writer. As root the file is given to whom the folder
 * belongs to, so that `status` works for the gateway's own user too. 0 or -errno. */
int status_open(int folder_fd, const char *source, int *fd_out);

/* Writes it. `state` other than before sets since_ms. `fd` -1: nothing. */
void status_write(int fd, struct status *status, enum status_state state);

/* What the last writer left, for the next: times, and the message that he died over. */
void status_load(int fd, struct status *status_out);

/* Opens it for a reader; -1: see errno. */
int status_open_to_read(int folder_fd, const char *source);

/* False: there is none, or it is not whole. `fd`: open for reading; -1: none. */
bool status_read_at(int fd, struct status *status_out);
