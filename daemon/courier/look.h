/* look.h: how the shares, and our own folder, look from where they are used; nothing is left there.
 * Room daemon/courier.
 *
 * Each has a process of its own that looks at it, since one that hangs may never let go of
 * who touches it, and a jail of its own. What it sees goes to `fd` (daemon/tally.h): first that it
 * looks, then how it looks. */
#pragma once
#include <sys/types.h>
#include "daemon/courier/job.h"

/* What lies at the paths of the shares. */
struct look_sites {
	struct {
		dev_t device;
		ino_t inode;
	} list[RULES_SHARES_MAX];
};
void look_at_sites(const struct config *config, struct look_sites *sites_out);

/* Before the other two: a signal ends us. Not in a jail yet. */
void look_prepare(void);

/* Once, and returns when the last has answered. Returns the exit status. */
int look_once(const struct courier *courier, int fd);

/* Every two seconds; who finds that a share was mounted anew, which his jail hides, makes room for
 * another. Returns the exit status. */
int look_on(const struct courier *courier, int fd);
