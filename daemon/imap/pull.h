/* pull.h: one mailbox, emptied as it fills. Room daemon/imap.
 *
 * Holds one connection at a time. A message is fetched, handed to the couriers, and only after
 * their answer marked, moved or expunged; the mark that came with the answer goes when the server
 * no longer lists it. */
#pragma once
#include <stdbool.h>
#include "daemon/config.h"

#define PULL_SECRET_MS 60000 /* for a password or token to come */

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

/* Runs until it is told to end. Returns the exit status: 0; 75: something waits; 69, 77: no
 * connection, no login. */
int pull_run(const struct config_account *account, const struct pull_settings *settings,
	     const struct pull_fds *fds);
