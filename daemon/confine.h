/* confine.h: a role that has to do with the network, or with what came from it, locks itself in.
 * Ground of daemon; knows what each of them is to be told, and when.
 *
 * Who may do what is said by the role, as data (jail.h). What is missing is logged here. */
#pragma once
#include <sys/resource.h>
#include "daemon/jail.h"

struct confinement {
	enum jail_mode mode;
	const struct jail_path *paths; /* what stays reachable, of all files */
	size_t paths_count;
	const uint16_t *ports; /* where to TCP may connect; NULL: left as it is */
	size_t ports_count;
	int landlock_from; /* the ABI below which there is no Landlock; 0: as any */
	const struct jail_call *calls;
	size_t calls_count;
};

/* Memory (256 MiB of addresses), descriptors, and `stack_max` octets of stack (0: as it is); and no
 * core is dumped, which would have a secret or a mail in it. 0 or -errno, which is logged. */
int confine_limit(rlim_t files_max, rlim_t stack_max);

/* For good. What `sandbox` allows to be missing is borne, but for seccomp: the boss has said it. 0;
 * else -errno, which is logged: the caller must not go on. */
int confine_enter(const struct confinement *confinement);
