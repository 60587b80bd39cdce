/* browser.h: a sign-in in a browser that comes back to a port of ours on loopback (RFC 8252 section
 * 7.3, with PKCE). Room daemon/token. */
#pragma once
#include <stdint.h>
#include "daemon/token/oauth.h"

/* Listens on 127.0.0.1; port 0: any that is free. To be done before a jail is entered. 0 or -errno.
 */
int browser_listen(uint16_t port, int *fd_out, uint16_t *port_out);

/* Shows the address, serves the one request that is meant for us, stores what comes. Exit status
 * (login.h). */
int browser_sign_in(const struct oauth *oauth, int listening_fd, uint16_t port);
