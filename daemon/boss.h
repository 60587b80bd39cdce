/* boss.h: start, wire, restart, reload. Ground of daemon.
 *
 * The boss opens the listening sockets, makes the sockets that questions travel on, starts the
 * roles and starts them again when they end. It reads no mail. A courier can also be had alone, for
 * the verbs that do a gateway's work without one. */
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

/* Starts who looks at signatures, if the configuration wants any; *asks_out, the caller's, is where
 * questions go (daemon/prove.h): it ends when all copies of that are closed. 0 or -errno. */
int boss_start_prover(const struct config *config, int *asks_out);

/* Are the certificates, keys and logins of the listeners such as can be used? 0, or 78 with
 * `error_out` saying where in the configuration, as config_load. */
int boss_check_keys(const struct config *config, char error_out[CONFIG_ERROR_MAX]);

/* Starts who has the private key and the logins of one listener, for who holds a session without a
 * gateway; it ends when all other ends of `link_fd` are closed. 0 or -errno. */
int boss_start_keys(const struct config *config, const struct config_listener *listener,
		    int link_fd, pid_t *pid_out);

/* Starts one courier. `mode`: "alone", "explain", "check", "adopt" or "look"
 * (daemon/courier/main.c); its socket or report is `fd`, borrowed. 0 or -errno. */
int boss_start_courier(const struct config *config, const char *mode, int fd, pid_t *pid_out);

/* Starts who lets a person sign in to an account, on our standard input and output, with the
 * identity that the gateway gives to who answers for the account: what he stores is the gateway's
 * to read. `arguments` as in daemon/token/main.c. The state must have been made. 0 or -errno. */
int boss_start_login(const struct config *config, const struct config_account *account,
		     const char *const *arguments, pid_t *pid_out);
