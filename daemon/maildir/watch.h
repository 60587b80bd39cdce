/* watch.h: one Maildir, emptied as it fills. Room daemon/maildir.
 *
 * The event wakes and the scan decides: inotify overflows, and is silent for what another host
 * does, so the folders are read at each wake and once every `rescan`. A message is asked about with
 * its own file, and only after the answer removed; the mark that came with it goes when that is
 * durable. */
#pragma once
#include <stdbool.h>
#include "daemon/config.h"
#include "daemon/maildir/box.h"

/* Descriptors, all borrowed. */
struct watch_fds {
	int ask;    /* where the couriers listen */
	int status; /* file; -1: none */
	int wake;   /* signals */
	int events; /* inotify; -1: none */
};

/* Opens inotify on the folders; -1: said, there will be no events. */
int watch_open_events(const struct box *box);

/* Runs until it is told to end or the Maildir is another one; `once`: until it is empty. Returns
 * the exit status: 0; 75: something waits; 69: it can't be read. */
int watch_run(const struct config *config, struct box *box, const struct watch_fds *fds, bool once);

/* There is none that could be served (-errno): waits for the next look, which is for who comes
 * after us, since it may belong to somebody else then. Returns the exit status. */
int watch_wait(const struct config_maildir *maildir, const struct watch_fds *fds, bool once,
	       int error);
