/* cage.c: the lists of what may be done by who gets passwords and tokens, a reason each. Never
 * decides anything at run time but what is missing. */
#define _GNU_SOURCE
#include "daemon/token/cage.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "daemon/jail.h"
#include "daemon/keep.h"
#include "daemon/log.h"

#define MEMORY_MAX (256u << 20) /* octets of address space */
#define FILES_MAX  64

/* Without the flags SOCK_CLOEXEC and SOCK_NONBLOCK. */
#define SOCKET_TYPE 0xF

#define CALL(level, name, reason)                           \
	{                                                   \
		(level),                                    \
		{                                           \
			.call = SYS_##name, .why = (reason) \
		}                                           \
	}
#define ONLY(level, name, reason, ...)                                               \
	{                                                                            \
		(level),                                                             \
		{                                                                    \
			.call = SYS_##name, .why = (reason), .only = { __VA_ARGS__ } \
		}                                                                    \
	}

static const struct cage_call {
	enum cage from;
	struct jail_call call;
} calls[] = {
	CALL(CAGE_FILE, sendmsg, "the answer; TLS, names"),
	CALL(CAGE_FILE, read, "files, a provider"),
	CALL(CAGE_FILE, pread64, "the secret"),
	CALL(CAGE_FILE, write, "the log"),
	CALL(CAGE_FILE, writev, "libc"),
	CALL(CAGE_FILE, close, "descriptors"),
	CALL(CAGE_FILE, brk, "memory"),
	ONLY(CAGE_FILE, mmap, "memory, none of it code", { 2, PROT_EXEC, 0 }),
	ONLY(CAGE_FILE, mprotect, "memory, none of it code", { 2, PROT_EXEC, 0 }),
	CALL(CAGE_FILE, munmap, "memory"),
	CALL(CAGE_FILE, mremap, "memory"),
	CALL(CAGE_FILE, madvise, "memory"),
	CALL(CAGE_FILE, futex, "libc"),
	CALL(CAGE_FILE, clock_gettime, "time"),
	CALL(CAGE_FILE, gettimeofday, "time"),
	CALL(CAGE_FILE, rt_sigaction, "signals"),
	CALL(CAGE_FILE, rt_sigprocmask, "signals"),
	CALL(CAGE_FILE, rt_sigreturn, "signals"),
	CALL(CAGE_FILE, sigaltstack, "signals"),
	CALL(CAGE_FILE, restart_syscall, "signals"),
	CALL(CAGE_FILE, getpid, "TLS"),
	CALL(CAGE_FILE, gettid, "libc"),
	CALL(CAGE_FILE, exit, "the end"),
	CALL(CAGE_FILE, exit_group, "the end"),

	ONLY(CAGE_NETWORK, socket, "the provider", { 0, JAIL_WORD, AF_INET }),
	ONLY(CAGE_NETWORK, socket, "the provider", { 0, JAIL_WORD, AF_INET6 }),
	ONLY(CAGE_NETWORK, socket, "names: which addresses this machine has",
	     { 0, JAIL_WORD, AF_NETLINK }),
	/* nscd is looked for; but who may have a local socket may knock at the gateway's door */
	{ CAGE_NETWORK,
	  { .call = SYS_socket,
	    .why = "names without nscd",
	    .only = { { 0, JAIL_WORD, AF_UNIX } },
	    .refuse = EAFNOSUPPORT } },
	ONLY(CAGE_NETWORK, socketpair, "libcurl wakes itself", { 0, JAIL_WORD, AF_UNIX },
	     { 1, SOCKET_TYPE, SOCK_STREAM }),
	CALL(CAGE_NETWORK, fstat, "files"),
	CALL(CAGE_NETWORK, newfstatat, "files"),
	/* libraries that look up names are loaded when they are needed */
	CALL(CAGE_NETWORK, mmap, "memory"),
	CALL(CAGE_NETWORK, mprotect, "memory"),
	CALL(CAGE_NETWORK, connect, "the provider, and those who know names"),
	CALL(CAGE_NETWORK, bind, "names: a netlink socket"),
	CALL(CAGE_NETWORK, getsockname, "names"),
	CALL(CAGE_NETWORK, getpeername, "libcurl"),
	CALL(CAGE_NETWORK, setsockopt, "libcurl"),
	CALL(CAGE_NETWORK, getsockopt, "has it connected?"),
	CALL(CAGE_NETWORK, sendto, "the provider, names"),
	CALL(CAGE_NETWORK, sendmmsg, "names"),
	CALL(CAGE_NETWORK, recvfrom, "the provider, names"),
	CALL(CAGE_NETWORK, recvmsg, "names"),
	CALL(CAGE_NETWORK, ioctl, "names: how much has come; is standard output a terminal?"),
	CALL(CAGE_NETWORK, ppoll, "waiting"),
	CALL(CAGE_NETWORK, pselect6, "waiting"),
	CALL(CAGE_NETWORK, shutdown, "the end of a connection"),
	CALL(CAGE_NETWORK, openat, "tokens, names, signers"),
	CALL(CAGE_NETWORK, unlinkat, "tokens"),
	CALL(CAGE_NETWORK, renameat2, "tokens"),
	CALL(CAGE_NETWORK, fsync, "tokens"),
	CALL(CAGE_NETWORK, flock, "tokens"),
	CALL(CAGE_NETWORK, readv, "libc"),
	CALL(CAGE_NETWORK, lseek, "files"),
	CALL(CAGE_NETWORK, fcntl, "descriptors"),
	CALL(CAGE_NETWORK, dup, "descriptors"),
	CALL(CAGE_NETWORK, statx, "files"),
	CALL(CAGE_NETWORK, getdents64, "signers"),
	CALL(CAGE_NETWORK, readlinkat, "libc"),
	CALL(CAGE_NETWORK, faccessat2, "names"),
	CALL(CAGE_NETWORK, getrandom, "TLS"),
	CALL(CAGE_NETWORK, clock_nanosleep, "waiting"),
	CALL(CAGE_NETWORK, nanosleep, "waiting"),
	CALL(CAGE_NETWORK, getuid, "names"),
	CALL(CAGE_NETWORK, geteuid, "names"),
	CALL(CAGE_NETWORK, getgid, "names"),
	CALL(CAGE_NETWORK, getegid, "names"),
	CALL(CAGE_NETWORK, getrusage, "TLS"),
	CALL(CAGE_NETWORK, uname, "names"),
	CALL(CAGE_NETWORK, sysinfo, "libc"),
	CALL(CAGE_NETWORK, sched_yield, "libc"),
	CALL(CAGE_NETWORK, sched_getaffinity, "libc"),
#ifdef SYS_renameat /* the younger architectures have renameat2 alone */
	CALL(CAGE_NETWORK, renameat, "tokens"),
#endif
#ifdef SYS_open /* younger architectures never had these */
	CALL(CAGE_NETWORK, open, "libc"),
	CALL(CAGE_NETWORK, poll, "waiting"),
	CALL(CAGE_NETWORK, access, "names"),
	CALL(CAGE_NETWORK, stat, "names"),
	CALL(CAGE_NETWORK, lstat, "libc"),
	CALL(CAGE_NETWORK, readlink, "libc"),
	CALL(CAGE_NETWORK, time, "time"),
#endif

	CALL(CAGE_LISTENER, accept4, "the browser"),
};
#define CALLS (sizeof calls / sizeof calls[0])

/* Something of the cage is missing: borne, unless it is required, but for seccomp. */
static bool fail(const char *what, int error)
{
	log_say(LOG_ERROR, "sandbox", "%s: %s", what, strerror(-error));
	return false;
}

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

static bool enter_paths(const struct config *config, const struct config_account *account,
			enum cage cage, int tokens_fd)
{
	struct jail_path paths[JAIL_NETWORK_MAX + 2];
	size_t count = 0;
	auto_close int ruleset_fd = -1;
	if (jail_landlock_abi() == 0 && config->gateway.sandbox == JAIL_REQUIRE)
		return fail("sandbox = require, but this kernel has no Landlock", -ENOSYS);
	if (cage >= CAGE_NETWORK) {
		count = jail_network_paths(paths);
		paths[count++] =
			(struct jail_path){ .fd = tokens_fd, .rights = JAIL_READ | JAIL_WRITE };
	}
	if (cage >= CAGE_NETWORK && *account->ca_file)
		paths[count++] = (struct jail_path){ .path = account->ca_file,
						     .fd = -1,
						     .rights = JAIL_READ };
	int error = jail_paths_prepare(paths, count, &ruleset_fd);
	if (!error)
		error = jail_paths_enter(ruleset_fd);
	return !error || fail("Landlock can't be set up", error);
}

bool cage_enter(const struct config *config, const struct config_account *account, enum cage cage,
		int tokens_fd)
{
	struct jail_call allowed[CALLS];
	struct jail_filter filter;
	size_t count = 0;
	if (!limit())
		return fail("the limits can't be set", -errno);
	if (config->gateway.sandbox == JAIL_OFF)
		return true;
	if (!enter_paths(config, account, cage, tokens_fd))
		return false;
	for (size_t i = 0; i < CALLS; i++) {
		if (calls[i].from <= cage)
			allowed[count++] = calls[i].call;
	}
	int error = jail_filter_prepare(allowed, count, &filter);
	if (error)
		return fail("the list of system calls can't be compiled", error);
	error = jail_filter_enter(&filter);
	jail_filter_done(&filter);
	return !error || fail("seccomp can't be set up", error);
}
