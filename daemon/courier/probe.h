/* probe.h: what a share can do, tried out, in plain words. Room daemon/courier; for `check` and the
 * start of the gateway. */
#pragma once
#include <stdint.h>
#include "daemon/courier/life.h"

/* Called for each finding; `remedy` is "" where nothing is to be done. */
typedef void (*probe_told)(void *context, const char *what, bool ok, const char *text,
			   const char *remedy);

/* Probes a share: reachable and known, one file system with our staging, a rename without
 * replacing, owner, group, mode and ACL of its routes, free space. Leaves nothing behind. */
void probe_share(const struct spool *spool, const struct config *config, size_t share,
		 probe_told told, void *context);

#define PROBE_WHY_MAX 700

/* A look that changes nothing: free octets, or -1 for a share that no delivery would get to, with
 * what is wrong and what to change in `why_out`, "" else. */
int64_t probe_look(const struct rules_share *rules, int shares_fd, char why_out[PROBE_WHY_MAX]);
