/* jails.h: what a courier may still do. Room daemon/courier. */
#pragma once
#include <stdbool.h>
#include "daemon/config.h"

/* Enters Landlock (shares, spool, shares' identities, quarantine, and what the extractor is made
 * of) and seccomp (no sockets but the ones it has, no tracing, no mounts), as far as `sandbox` asks
 * and the kernel has them. False: `sandbox = require` can't be met; said. */
bool jails_enter(const struct config *config);

/* The same with one share alone, NULL: none. The way to it is walked, and may hang. */
bool jails_enter_share(const struct config *config, const struct rules_share *share);
