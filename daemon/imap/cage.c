/* cage.c: the lists of what a puller may do, a reason each. Never decides anything at run time but
 * what is missing. */
#define _GNU_SOURCE
#include "daemon/imap/cage.h"
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "daemon/jail.h"
#include "daemon/log.h"

#define MEMORY_MAX (256u << 20) /* octets of address space */
#define STACK_MAX  (8u << 20)
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
	ONLY(socket, "the server", { 0, JAIL_WORD, AF_INET }),
	ONLY(socket, "the server", { 0, JAIL_WORD, AF_INET6 }),
	ONLY(socket, "names: which addresses this machine has", { 0, JAIL_WORD, AF_NETLINK }),
	/* nscd is looked for; but who may have a local socket may knock at the gateway's door */
	{ .call = SYS_socket,
	  .why = "names without nscd",
	  .only = { { 0, JAIL_WORD, AF_UNIX } },
	  .refuse = EAFNOSUPPORT },
	CALL(connect, "the server, and those who know names"),
	CALL(bind, "names: a netlink socket"),
	CALL(getsockname, "names"),
	CALL(getpeername, "TLS"),
	CALL(setsockopt, "keep-alive"),
	CALL(getsockopt, "has it connected?"),
	CALL(sendto, "the server, names"),
	CALL(sendmsg, "questions, TLS"),
	CALL(sendmmsg, "names"),
	CALL(recvfrom, "the server, names"),
	CALL(recvmsg, "answers, names"),
	CALL(ioctl, "names: how much has come"),
	CALL(ppoll, "waiting"),
	ONLY(socketpair, "where an answer comes", { 0, JAIL_WORD, AF_UNIX },
	     { 1, JAIL_WORD, SOCK_SEQPACKET | SOCK_CLOEXEC }),
	CALL(shutdown, "the end"),
	CALL(memfd_create, "a small message"),
	CALL(openat, "a big message; names; signers; the ledger"),
	CALL(unlinkat, "scratch where no nameless file can be"),
	CALL(read, "files"),
	CALL(pread64, "files"),
	CALL(readv, "libc"),
	CALL(write, "the message, the log"),
	CALL(pwrite64, "where the source stands"),
	CALL(writev, "libc"),
	CALL(lseek, "the message when it moves to disk"),
	CALL(close, "descriptors"),
	CALL(fcntl, "descriptors"),
	CALL(dup, "descriptors"),
	CALL(fstat, "files"),
	CALL(newfstatat, "files"),
	CALL(statx, "files"),
	CALL(getdents64, "signers"),
	CALL(readlinkat, "libc"),
	CALL(faccessat2, "names"),
	CALL(brk, "memory"),
	/* libraries that look up names are loaded when they are needed */
	CALL(mmap, "memory"),
	CALL(mprotect, "memory"),
	CALL(munmap, "memory"),
	CALL(mremap, "memory"),
	CALL(madvise, "memory"),
	CALL(futex, "libc"),
	CALL(getrandom, "TLS"),
	CALL(clock_gettime, "time"),
	CALL(gettimeofday, "time"),
	CALL(clock_nanosleep, "waiting"),
	CALL(nanosleep, "waiting"),
	CALL(rt_sigaction, "signals"),
	CALL(rt_sigprocmask, "signals"),
	CALL(rt_sigreturn, "signals"),
	CALL(sigaltstack, "signals"),
	CALL(restart_syscall, "signals"),
	CALL(getpid, "TLS"),
	CALL(gettid, "libc"),
	CALL(getuid, "names"),
	CALL(geteuid, "names"),
	CALL(getgid, "names"),
	CALL(getegid, "names"),
	CALL(getrusage, "TLS"),
	CALL(uname, "names"),
	CALL(sysinfo, "libc"),
	CALL(sched_yield, "libc"),
	CALL(sched_getaffinity, "libc"),
	/* no tgkill: whoever may raise a signal may end any process of our user; abort dies of
	 * SIGSYS */
	CALL(exit, "the end"),
	CALL(exit_group, "the end"),
#ifdef SYS_open /* younger architectures never had these */
	CALL(open, "libc"),
	CALL(poll, "waiting"),
	CALL(access, "names"),
	CALL(stat, "names"),
	CALL(lstat, "libc"),
	CALL(readlink, "libc"),
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
		{ RLIMIT_STACK, STACK_MAX },
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

/* Something of the cage is missing: borne, unless it is required, but for seccomp. */
static bool fail(const char *what, int error)
{
	log_say(LOG_ERROR, "sandbox", "%s: %s", what, strerror(-error));
	return false;
}

static bool enter_paths(enum jail_mode mode, const struct config_account *account, int receiving_fd,
			int kept_fd)
{
	struct jail_path paths[JAIL_NETWORK_MAX + 3];
	size_t count = jail_network_paths(paths);
	paths[count++] = (struct jail_path){ .fd = receiving_fd, .rights = JAIL_READ | JAIL_WRITE };
	paths[count++] = (struct jail_path){ .fd = kept_fd, .rights = JAIL_READ };
	if (*account->ca_file)
		paths[count++] = (struct jail_path){ .path = account->ca_file,
						     .fd = -1,
						     .rights = JAIL_READ };
	int ruleset_fd = -1;
	if (jail_landlock_abi() == 0 && mode == JAIL_REQUIRE)
		return fail("sandbox = require, but this kernel has no Landlock", -ENOSYS);
	int error = jail_paths_prepare(paths, count, &ruleset_fd);
	if (!error)
		error = jail_paths_enter(ruleset_fd);
	if (ruleset_fd >= 0)
		close(ruleset_fd);
	return !error || fail("Landlock can't be set up", error);
}

bool cage_enter(enum jail_mode mode, const struct config_account *account, int receiving_fd,
		int kept_fd)
{
	struct jail_filter filter;
	if (!limit())
		return fail("the limits can't be set", -errno);
	if (mode == JAIL_OFF)
		return true;
	if (!enter_paths(mode, account, receiving_fd, kept_fd))
		return false;
	int error = jail_filter_prepare(calls, sizeof calls / sizeof calls[0], &filter);
	if (error)
		return fail("the list of system calls can't be compiled", error);
	error = jail_filter_enter(&filter);
	jail_filter_done(&filter);
	return !error || fail("seccomp can't be set up", error);
}
