/* listen.h: the three ways in which this program runs. Room daemon/smtp. Each returns the exit
 * status. */
#pragma once
#include <stddef.h>
#include "daemon/config.h"

/* Where the boss puts what a listener or the door needs (from daemon/role.h, ROLE_FD_FIRST). The
 * keeper is a device without octets where there is none. */
enum { FD_QUEUE = 4, FD_RECEIVING = 5, FD_KEEPER = 6, FD_LISTENING = 7 };

/* Behind the listening sockets come: for a listener a socket on which the door hands over those who
 * want to watch, the file of its state (daemon/status.h), and where messages are counted
 * (daemon/tally.h), all of which it can do without; for
 * the door its ends of these sockets, one for each listener in the order of the configuration. */

/* Sessions for all who connect to the `sockets_count` sockets from FD_LISTENING on. SIGTERM: no new
 * ones, the others hear 421 unless a courier is at work for them. SIGHUP: no new ones, and it
 * returns when the last has gone. */
int listen_run(const struct config *config, const struct config_listener *listener,
	       size_t sockets_count);

/* The local door: `drop` and `smtp-session` of allowed users put their questions here. */
int door_run(const struct config *config, size_t sockets_count);

/* One session on standard input and output. `name`: a listener whose settings hold, or `session`.
 */
int single_run(const struct config *config, const char *name);
