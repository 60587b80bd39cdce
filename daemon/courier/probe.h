/* probe.h: what a share can do, tried out, in plain words. Room daemon/courier; for `check` and the
 * start of the gateway. */
#pragma once
#include "daemon/courier/life.h"

/* Called for each finding; `remedy` is "" where nothing is to be done. One that is `ok` and has a
 * remedy is a warning: it works, and promises less than it could. */
typedef void (*probe_told)(void *context, const char *what, bool ok, const char *text,
			   const char *remedy);

/* Probes a share: reachable and known, on a mount that keeps what it is given (`mounts_fd`:
 * mount.h), one file system with our staging, a rename without replacing, owner, group, mode and
 * ACL of its routes, free space. Leaves nothing behind. */
void probe_share(const struct spool *spool, const struct config *config, size_t share,
		 int mounts_fd, probe_told told, void *context);

/* Looks at the mount of `state`. */
void probe_state(const struct spool *spool, const struct config *config, int mounts_fd,
		 probe_told told, void *context);
