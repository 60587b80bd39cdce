/* cage.c: the lists of what a watcher may do, a reason each. Never decides anything at run time but
 * what is missing. */
#define _GNU_SOURCE
#include "daemon/maildir/cage.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "daemon/jail.h"
#include "daemon/log.h"

#define MEMORY_MAX (256u << 20) /* octets of address space */
#define FILES_MAX  1024

#define CALL(name, reason)                          \
	{                                           \
		.call = SYS_##name, .why = (reason) \
	}
#define ONLY(name, reason, ...)                                              \
	{                                                                    \
		.call = SYS_##name, .why = (reason), .only = { __VA_ARGS__ } \
	}

static const struct jail_call calls[] = {
	CALL(openat, "messages, folders"),
	CALL(fstat, "files"),
	CALL(newfstatat, "files"),
	CALL(statx, "files"),
	CALL(readlinkat, "links on the way to the Maildir"),
	CALL(faccessat, "may a Maildir be made by now?"),
	CALL(faccessat2, "the same"),
	CALL(getdents64, "who is there?"),
	CALL(unlinkat, "a message that was delivered"),
	CALL(renameat, "one that is moved, where it can't be said that nothing is replaced"),
	CALL(renameat2, "one that is moved"),
	CALL(linkat, "the same, where a rename would replace"),
	/* by a path it would be anybody's */
	ONLY(utimensat, "the time of one that is copied", { 1, UINT64_MAX, 0 }),
	CALL(fsync, "it is gone for good"),
	CALL(read, "signals, events"),
	CALL(pread64, "a message that is copied"),
	CALL(write, "the same, and the log"),
	CALL(pwrite64, "where the source stands"),
	CALL(lseek, "folders"),
	CALL(close, "descriptors"),
	/* no F_SETOWN, which sends signals */
	ONLY(fcntl, "folders", { 1, JAIL_WORD, F_GETFL }),
	ONLY(fcntl, "folders", { 1, JAIL_WORD, F_SETFD }),
	ONLY(fcntl, "is a message still written?", { 1, JAIL_WORD, F_SETLEASE }),
	/* with a pair of datagram sockets one could write to every local socket by its path */
	ONLY(socketpair, "where an answer comes", { 0, JAIL_WORD, AF_UNIX },
	     { 1, JAIL_WORD, SOCK_SEQPACKET | SOCK_CLOEXEC }),
	ONLY(sendmsg, "questions", { 2, MSG_FASTOPEN, 0 }),
	CALL(recvmsg, "answers"),
	CALL(ppoll, "waiting"),
	CALL(nanosleep, "waiting"),
	CALL(clock_nanosleep, "waiting"),
	CALL(clock_gettime, "time"),
	CALL(gettimeofday, "time"),
	CALL(getrandom, "names, waiting"),
	CALL(sysinfo, "libc: is there memory to sort much in?"),
	CALL(brk, "memory"),
	ONLY(mmap, "memory", { 2, PROT_EXEC, 0 }),
	ONLY(mprotect, "memory", { 2, PROT_EXEC, 0 }),
	CALL(munmap, "memory"),
	CALL(mremap, "memory"),
	CALL(madvise, "memory"),
	CALL(futex, "libc"),
	CALL(rt_sigaction, "signals"),
	CALL(rt_sigprocmask, "signals"),
	CALL(rt_sigreturn, "signals"),
	CALL(sigaltstack, "signals"),
	CALL(restart_syscall, "signals"),
	CALL(gettid, "libc"),
	CALL(getpid, "libc"),
	/* no tgkill: whoever may raise a signal may end any process of our user; abort dies of
	 * SIGSYS */
	CALL(exit, "the end"),
	CALL(exit_group, "the end"),
#ifdef SYS_open /* younger architectures never had these */
	CALL(open, "libc"),
	CALL(poll, "waiting"),
	CALL(access, "may a Maildir be made by now?"),
	CALL(time, "time"),
#endif
};

static bool limit(void)
{
	const struct {
		__rlimit_resource_t resource;
		rlim_t most;
	} limits[] = {
#if !defined(__SANITIZE_ADDRESS__) /* which reserves terabytes */
		{ RLIMIT_AS, MEMORY_MAX },
#endif
		{ RLIMIT_CORE, 0 },
		{ RLIMIT_NOFILE, FILES_MAX },
	};
	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
		struct rlimit now;
		if (getrlimit(limits[i].resource, &now) < 0)
			return false;
		rlim_t most = now.rlim_max < limits[i].most ? now.rlim_max : limits[i].most;
		if (setrlimit(limits[i].resource, &(struct rlimit){ most, most }) < 0)
			return false;
	}
	return true;
}

static bool fail(const char *what, int error)
{
	log_say(LOG_ERROR, "sandbox", "%s: %s", what, strerror(-error));
	return false;
}

/* A mail may not gain a right by being moved: nobody may write into those of cur/. */
static size_t list_paths(const struct box *box, struct jail_path *paths)
{
	const struct jail_path wanted[] = {
		{ .fd = box->from.folders[MAILDIR_NEW], .rights = JAIL_READ | JAIL_REMOVE },
		{ .fd = box->from.folders[MAILDIR_CUR], .rights = JAIL_READ | JAIL_REMOVE },
		{ .fd = box->after.folders[MAILDIR_CUR], .rights = JAIL_READ | JAIL_MAKE },
		{ .fd = box->after.folders[MAILDIR_TMP], .rights = JAIL_READ | JAIL_WRITE },
		{ .fd = box->refused.folders[MAILDIR_CUR], .rights = JAIL_READ | JAIL_MAKE },
		{ .fd = box->refused.folders[MAILDIR_TMP], .rights = JAIL_READ | JAIL_WRITE },
	};
	size_t count = 0;
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
		if (wanted[i].fd >= 0)
			paths[count++] = wanted[i];
	}
#ifdef __SANITIZE_ADDRESS__
	paths[count++] = (struct jail_path){ .path = "/proc", .fd = -1, .rights = JAIL_READ };
#endif
	return count;
}

static bool enter_paths(const struct config *config, const struct box *box)
{
	struct jail_path paths[8];
	int abi = jail_landlock_abi(), ruleset_fd = -1;
	if (abi == 0 && config->gateway.sandbox == JAIL_REQUIRE)
		return fail("sandbox = require, but this kernel has no Landlock", -ENOSYS);
	/* which would let nothing be moved; the boss has said so */
	if (abi < JAIL_ABI_RENAMES)
		return true;
	int error = jail_paths_prepare(paths, list_paths(box, paths), &ruleset_fd);
	if (!error)
		error = jail_paths_enter(ruleset_fd);
	if (ruleset_fd >= 0)
		close(ruleset_fd);
	return !error || fail("Landlock can't be set up", error);
}

bool cage_enter(const struct config *config, const struct box *box)
{
	struct jail_filter filter;
	if (!limit())
		return fail("the limits can't be set", -errno);
	if (config->gateway.sandbox == JAIL_OFF)
		return true;
	if (!enter_paths(config, box))
		return false;
	int error = jail_filter_prepare(calls, sizeof calls / sizeof calls[0], &filter);
	if (error)
		return fail("the list of system calls can't be compiled", error);
	error = jail_filter_enter(&filter);
	jail_filter_done(&filter);
	return !error || fail("seccomp can't be set up", error);
}
