/* alone.h: one role without a gateway, for the verbs that do its work. Room daemon/cli. */
#pragma once
#include <sys/types.h>
#include "daemon/config.h"

/* Starts who looks at signatures, if the configuration wants any; *asks_out, the caller's, is where
 * questions go (daemon/prove.h): it ends when all copies of that are closed. 0 or -errno. */
int alone_start_prover(const struct config *config, int *asks_out);

/* Are the certificates, keys and logins of the listeners such as can be used? 0, or 78 with
 * `error_out` saying where in the configuration, as config_load. */
int alone_check_keys(const struct config *config, char error_out[CONFIG_ERROR_MAX]);

/* Starts who has the private key and the logins of one listener, for who holds a session without a
 * gateway; it ends when all other ends of `link_fd` are closed. 0 or -errno. */
int alone_start_keys(const struct config *config, const struct config_listener *listener,
		     int link_fd, pid_t *pid_out);

/* Starts one courier. `mode`: "alone", "explain", "check", "adopt" or "look"
 * (daemon/courier/main.c); its socket or report is `fd`, borrowed. 0 or -errno. */
int alone_start_courier(const struct config *config, const char *mode, int fd, pid_t *pid_out);

/* Starts who lets a person sign in to an account, on our standard input and output, with the
 * identity that the gateway gives to who answers for the account: what he stores is the gateway's
 * to read. `arguments` as in daemon/token/main.c. The state must have been made. 0 or -errno. */
int alone_start_login(const struct config *config, const struct config_account *account,
		      const char *const *arguments, pid_t *pid_out);
