/* cage.h: what a puller may do. Room daemon/imap. */
#pragma once
#include <stdbool.h>
#include "daemon/config.h"

/* Locks us in: this account's connection, names looked up, `receiving_fd` and the ledgers, nothing
 * else. Memory is limited too: what a server sends costs libetpan up to thirty times as much.
 * False: said. */
bool cage_enter(enum jail_mode mode, const struct config_account *account, int receiving_fd,
		int kept_fd);
