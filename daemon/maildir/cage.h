/* cage.h: what a watcher may do. Room daemon/maildir. */
#pragma once
#include <stdbool.h>
#include "daemon/config.h"
#include "daemon/maildir/box.h"

/* Locks us in: reading and removing in new/ and cur/, making in the Maildirs that mails are moved
 * to, asking; no network, no tmp/, no other file. False: said. */
bool cage_enter(const struct config *config, const struct box *box);
