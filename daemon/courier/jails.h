/* jails.h: what a courier may still do. Room daemon/courier. */
#pragma once
#include <stdbool.h>
#include "daemon/config.h"

/* Enters Landlock (shares, spool, shares' identities, quarantine, and what the extractor is made
 * of) and seccomp (no sockets but the ones it has, no tracing, no mounts), as far as `sandbox` asks
 * and the kernel has them. False: `sandbox = require` can't be met; said. */
bool jails_enter(const struct config *config);

/* The same for who looks at one folder, a share or the spool. The way to it is walked, and may
 * hang.
 */
bool jails_enter_folder(const struct config *config, const char *path);

/* The same for the parent of such: the calls alone, and those that close their jails. Who is in a
 * Landlock of his own may signal nobody outside, not even by his death. */
bool jails_enter_parent(const struct config *config);
