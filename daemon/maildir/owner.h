/* owner.h: whose identity a watcher takes. Room daemon/maildir.
 *
 * Started as root it becomes the owner of the Maildir, with no capability at all: he may read and
 * remove the mails in it, which are for him alone (0600), and touch nothing else of this machine.
 * For a Maildir of root's it becomes `user`, with the right to open files and no other: uid 0 could
 * also signal whatever root runs. The look is the watcher's own, since a folder may hang; until it
 * is over the watcher reads nothing but its configuration. */
#pragma once
#include "daemon/config.h"

/* Takes it, for good, and says where the Maildir is (O_PATH). Before that, as root, makes the
 * Maildirs that mails are moved to where only root may, which the owner then has. 0, or -errno:
 * there is no Maildir that can be served; the identity was taken all the same, but for -EPERM: it
 * could not be. */
int owner_become(const struct config *config, const struct config_maildir *maildir, int *fd_out);
