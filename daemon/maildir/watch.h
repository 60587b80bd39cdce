/* watch.h: one Maildir, emptied as it fills. Room daemon/maildir.
 *
 * The event wakes and the scan decides: inotify overflows, and is silent for what another host
 * does, so the folders are read at each wake and once every `rescan`; whether they are still those
 * that are open, and open to us, is looked at every few seconds. A message is asked about with
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
	int here;   /* what inotify calls the folder that new/ and cur/ lie in */
};

/* Opens inotify on the folders: fds->events, which the caller closes. Where there is none it says
 * so. */
void watch_open_events(const struct box *box, struct watch_fds *fds);

/* Runs until it is told to end or the Maildir is another one, or closed to us; `once`: until it is
 * empty. Returns the exit status: 0; 75: something waits; 69: it can't be read. */
int watch_run(const struct config *config, struct box *box, const struct watch_fds *fds, bool once);

/* There is none that could be served by user `reader` (-errno): waits for the next look, which is
 * for who comes after us, since it may belong to somebody else then. Returns the exit status. */
int watch_wait(const struct config_maildir *maildir, const struct watch_fds *fds, bool once,
	       uint32_t reader, int error);
