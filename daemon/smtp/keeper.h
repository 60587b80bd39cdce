/* keeper.h: who has the private keys and the logins of all listeners, and sees no mail. Room
 * daemon/smtp.
 *
 * Answers sessions over the pairs that their listeners introduce (vault.h). One process: what needs
 * the key is done at once, passwords one after the other in between, since a hash takes its time by
 * design. A wrong password is answered FAILURE_MS after the question, whether the name is known or
 * not, and costs the same work. Who is right is known for some minutes, so that a camera that sends
 * a picture a second is not hashed each time. A peer that has been wrong often waits before he is
 * looked at, and at last is not looked at for a while; this machine itself, which may speak for
 * many, is not held up. `letterchute smtp-session` gives each connection a keeper of its own, which
 * remembers none of that.
 *
 * Descriptors from daemon/role.h, ROLE_FD_FIRST on: the folder of our own pair, then for each
 * listener that is named its link, certificate, key and file of logins; a device without octets
 * where it has none. */
#pragma once
#include <stddef.h>
#include "daemon/config.h"

#define KEEPER_FDS 4 /* of each listener */

/* Returns when all listeners and their sessions have ended (SIGHUP came), or at SIGTERM: the exit
 * status. */
int keeper_run(const struct config *config, char *const *names, size_t count);

/* Only reads the certificate and key of one listener. What is wrong with them is written, in words
 * that begin with the configuration's key, where else the link is. */
int keeper_look(const struct config *config, const char *name);
