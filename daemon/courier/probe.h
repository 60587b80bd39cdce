/* probe.h: what a share can do, tried out, in plain words. Room daemon/courier; for `check` and the
 * start of the gateway. */
#pragma once
#include "daemon/courier/life.h"

/* Called for each finding; `remedy` is "" where nothing is to be done. */
typedef void (*probe_told)(void *context, const char *what, bool ok, const char *text,
			   const char *remedy);

/* What to do about an error of share_open, or of a try to write there. */
const char *probe_remedy(int error);

/* Probes a share: reachable and known, one file system with our staging, a rename without
 * replacing, owner, group, mode and ACL of its routes, free space. Leaves nothing behind. */
void probe_share(const struct spool *spool, const struct config *config, size_t share,
		 probe_told told, void *context);
