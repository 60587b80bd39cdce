/* confine.c: limits, then files, then calls: what is entered first is needed for the next. Never
 * says what a role may do. */
#define _GNU_SOURCE
#include "daemon/confine.h"
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include "daemon/keep.h"
#include "daemon/log.h"

#define MEMORY_MAX (256u << 20) /* octets of address space */

static int fail(const char *what, int error)
{
	log_say(LOG_ERROR, "sandbox", "%s: %s", what, strerror(-error));
	return error;
}

int confine_limit(rlim_t files_max, rlim_t stack_max)
{
	const struct {
		__rlimit_resource_t resource;
		rlim_t most;
	} limits[] = {
#if !defined(__SANITIZE_ADDRESS__) /* which reserves terabytes */
		{ RLIMIT_AS, MEMORY_MAX },
#endif
		{ RLIMIT_CORE, 0 },
		{ RLIMIT_NOFILE, files_max },
		{ RLIMIT_STACK, stack_max ? stack_max : RLIM_INFINITY },
	};
	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
		struct rlimit now;
		if (limits[i].most == RLIM_INFINITY)
			continue;
		if (getrlimit(limits[i].resource, &now) < 0)
			return fail("the limits can't be set", -errno);
		rlim_t most = now.rlim_max < limits[i].most ? now.rlim_max : limits[i].most;
		if (setrlimit(limits[i].resource, &(struct rlimit){ most, most }) < 0)
			return fail("the limits can't be set", -errno);
	}
	return 0;
}

static int enter_paths(const struct confinement *c)
{
	auto_close int ruleset_fd = -1;
	int abi = jail_landlock_abi();
	if (abi == 0 && c->mode == JAIL_REQUIRE)
		return fail("sandbox = require, but this kernel has no Landlock", -ENOSYS);
	if (abi < c->landlock_from)
		return 0;
	int error =
		jail_paths_prepare(c->paths, c->paths_count, c->ports, c->ports_count, &ruleset_fd);
	if (!error)
		error = jail_paths_enter(ruleset_fd);
	return error ? fail("Landlock can't be set up", error) : 0;
}

static int enter_calls(const struct confinement *c)
{
	struct jail_filter filter;
	int error = jail_filter_prepare(c->calls, c->calls_count, &filter);
	if (error)
		return fail("the list of system calls can't be compiled", error);
	/* compiling it took 200 kB: pages that each of hundreds of us, or each fork of one, has */
	malloc_trim(0);
	error = jail_filter_enter(&filter);
	jail_filter_done(&filter);
	return error ? fail("seccomp can't be set up", error) : 0;
}

int confine_enter(const struct confinement *confinement)
{
	if (confinement->mode == JAIL_OFF)
		return 0;
	int error = enter_paths(confinement);
	return error ? error : enter_calls(confinement);
}
