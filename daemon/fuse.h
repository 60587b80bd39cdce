/* fuse.h: as whom the couriers run, since a FUSE mount may be root's alone. Ground of daemon. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "daemon/config.h"
#include "daemon/scout.h"

struct fuse_identity {
	uint32_t uid, gid;
};

/* Root can be somebody else for his couriers. */
bool fuse_has_choice(const struct config *config);

/* `user`, unless a share is a FUSE mount that only root may see: then the couriers keep uid 0, with
 * no more capabilities than else. Says so, and which share hangs. `scouts`: one a share, all zero
 * at first, the caller's until fuse_forget. */
void fuse_choose_identity(const struct config *config, struct scout scouts[RULES_SHARES_MAX],
			  struct fuse_identity *identity_out);

/* Waits no longer for those that are on the way. */
void fuse_forget(struct scout scouts[RULES_SHARES_MAX]);
