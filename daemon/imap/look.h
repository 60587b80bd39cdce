/* look.h: what would come of an account, for the verb `check`. Room daemon/imap. */
#pragma once
#include "daemon/config.h"
#include "daemon/imap/pull.h"

/* Connects, logs in and looks; changes nothing. Findings go to `report_fd` as lines: what, 0 or 1,
 * text, remedy, by tabs. */
void look_at_account(const struct config_account *account, const struct pull_fds *fds,
		     int report_fd);
