/* cage.h: what a puller may do. Room daemon/imap. */
#pragma once
#include <stdbool.h>
#include "daemon/config.h"

/* Locks us in: connections to the port of this account, names looked up, `receiving_fd` and the
 * ledgers, nothing else; no memory becomes executable any more. Memory is limited too: what a
 * server sends costs libetpan up to thirty times as much. False: said. */
bool cage_enter(enum jail_mode mode, const struct config_account *account, int receiving_fd,
		int kept_fd);

/* Were the files that names are looked up by, or those of the signers, replaced since? A jail lets
 * us at what was there when it was closed: who ends now is followed by one who sees the new ones.
 */
bool cage_is_outdated(const struct config_account *account);
