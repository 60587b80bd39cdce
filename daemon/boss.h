/* boss.h: start, wire, restart, reload. Ground of daemon.
 *
 * The boss opens the listening sockets, makes the sockets that questions travel on, starts the
 * roles and starts them again when they end. It reads no mail. */
#pragma once
#include <sys/types.h>
#include "daemon/config.h"

/* Runs the gateway until SIGTERM or SIGINT. `config` is taken over; `again` reads it anew for
 * SIGHUP (same returns as config_load). Returns the exit status. */
int boss_run(struct config *config,
	     int (*again)(const void *context, struct config *config_out, char *error_out),
	     const void *context);

/* Empties every mailbox and Maildir once. Returns the exit status: 0; 75: something waits; 69, 77:
 * a source failed. `config` is taken over. */
int boss_run_once(struct config *config);

/* Has each account looked at; findings go to `report_fd` (daemon/imap/look.h). Waits until all have
 * ended. 0 or -EIO: said. */
int boss_check_accounts(const struct config *config, int report_fd);
