/* pull.h: one mailbox, emptied as it fills. Room daemon/imap.
 *
 * Holds one connection at a time. A message is fetched, handed to the couriers, and only after
 * their answer marked, moved or expunged; the mark that came with the answer goes when the server
 * no longer lists it. */
#pragma once
#include <stdbool.h>
#include "daemon/config.h"
#include "daemon/imap/conn.h"

#define PULL_WHY_MAX 600

/* Descriptors, all borrowed. */
struct pull_fds {
	int ask;       /* where the couriers listen */
	int receiving; /* folder for nameless files */
	int kept;      /* folder of the ledgers, to read */
	int status;    /* file; -1: none */
	int secret;    /* daemon/secret.h */
	int tokens;    /* folder in which a sign-in leaves its mark; nothing in it can be read */
	int wake;      /* signals */
};

/* What else of the configuration counts. */
struct pull_settings {
	uint64_t message_bytes;   /* the most that a message may have */
	uint64_t answer_within_s; /* for us to end in */
	uint64_t revision;        /* of the rules */
	bool once;                /* until the mailbox is empty, or a failure */
};

enum pull_login {
	PULL_LOGIN_DONE,
	PULL_LOGIN_REFUSED, /* by the server */
	PULL_LOGIN_BUSY,    /* the server has trouble of its own, and can't tell */
	PULL_LOGIN_BROKEN,  /* the connection is of no use any more */
	PULL_LOGIN_WOKEN,   /* nor here: somebody wants us */
	PULL_LOGIN_LATER,   /* no password or token could be had */
	PULL_LOGIN_NEVER    /* the same, until a person does something */
};

/* Asks for the password or token of the account (60 s at most) and logs in with it; a token that is
 * refused may just have run out: once more, with a new one. Unless it is done, `why_out` says what
 * is wrong. Nothing is left of the secret. */
enum pull_login pull_log_in(struct conn *conn, const struct pull_fds *fds,
			    char why_out[PULL_WHY_MAX]);

/* Runs until it is told to end. Returns the exit status: 0; 75: something waits; 69, 77: no
 * connection, no login. */
int pull_run(const struct config_account *account, const struct pull_settings *settings,
	     const struct pull_fds *fds);
