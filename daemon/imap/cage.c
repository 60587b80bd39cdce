/* cage.c: the lists of what a puller may do, a reason each. Never decides anything at run time but
 * what is missing. */
#define _GNU_SOURCE
#include "daemon/imap/cage.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "daemon/imap/boxname.h"
#include "daemon/jail.h"
#include "daemon/log.h"
#include "daemon/names.h"

#define MEMORY_MAX (256u << 20) /* octets of address space */
#define STACK_MAX  (8u << 20)
#define FILES_MAX  1024
#define PORT_NAMES 53

#define CALL(name, reason)                          \
	{                                           \
		.call = SYS_##name, .why = (reason) \
	}
#define ONLY(name, reason, ...)                                              \
	{                                                                    \
		.call = SYS_##name, .why = (reason), .only = { __VA_ARGS__ } \
	}

/* Sockets whose protocol is the usual one: there are others for the same family and type, which the
 * rules for TCP do not know. */
#define SOCKET(family, type, reason)                                                 \
	ONLY(socket, reason, { 0, JAIL_WORD, (family) }, { 1, SOCKET_TYPE, (type) }, \
	     { 2, JAIL_WORD, 0 })
#define OPTION(name, level, option, reason) \
	ONLY(name, reason, { 1, JAIL_WORD, (level) }, { 2, JAIL_WORD, (option) })
#define SOCKET_TYPE 0xF /* the rest of an int are flags (linux/net.h) */

static const struct jail_call calls[] = {
	SOCKET(AF_INET, SOCK_STREAM, "the server; names, where an answer is long"),
	SOCKET(AF_INET6, SOCK_STREAM, "the same"),
	SOCKET(AF_INET, SOCK_DGRAM, "names; which address we would have to whom"),
	SOCKET(AF_INET6, SOCK_DGRAM, "the same"),
	SOCKET(AF_NETLINK, SOCK_RAW, "names: which addresses this machine has"),
	/* nscd is looked for; but who may have a local socket may knock at the gateway's door */
	{ .call = SYS_socket,
	  .why = "names without nscd",
	  .only = { { 0, JAIL_WORD, AF_UNIX } },
	  .refuse = EAFNOSUPPORT },
	CALL(connect, "the server, and those who know names"),
	CALL(bind, "names: a netlink socket; no port of TCP (Landlock)"),
	CALL(getsockname, "names: which address we would have"),
	/* not SO_ATTACH_FILTER and its like, which bring programs into the kernel */
	OPTION(setsockopt, SOL_SOCKET, SO_KEEPALIVE, "a server that is gone"),
	OPTION(setsockopt, IPPROTO_TCP, TCP_KEEPIDLE, "the same"),
	OPTION(setsockopt, IPPROTO_TCP, TCP_KEEPINTVL, "the same"),
	OPTION(setsockopt, IPPROTO_TCP, TCP_KEEPCNT, "the same"),
	OPTION(setsockopt, IPPROTO_TCP, TCP_USER_TIMEOUT, "the same"),
	OPTION(setsockopt, IPPROTO_TCP, TCP_NODELAY, "short commands"),
	OPTION(setsockopt, IPPROTO_IP, IP_RECVERR, "names: nobody is there"),
	OPTION(setsockopt, IPPROTO_IPV6, IPV6_RECVERR, "the same"),
	OPTION(getsockopt, SOL_SOCKET, SO_ERROR, "has it connected?"),
	/* with MSG_FASTOPEN they would be a connect that Landlock does not see */
	ONLY(sendto, "the server in clear; names by netlink", { 3, MSG_FASTOPEN, 0 }),
	ONLY(sendmsg, "the server in TLS; questions", { 2, MSG_FASTOPEN, 0 }),
	ONLY(sendmmsg, "names: both kinds of address at once", { 3, MSG_FASTOPEN, 0 }),
	CALL(recvfrom, "the server; names"),
	CALL(recvmsg, "answers; names by netlink"),
	ONLY(ioctl, "names: how much has come", { 1, JAIL_WORD, FIONREAD }),
	CALL(ppoll, "waiting"),
	ONLY(socketpair, "where an answer comes", { 0, JAIL_WORD, AF_UNIX },
	     { 1, JAIL_WORD, SOCK_SEQPACKET | SOCK_CLOEXEC }),
	CALL(memfd_create, "a small message"),
	CALL(openat, "a big message; names; signers; the ledger"),
	ONLY(unlinkat, "scratch where no nameless file can be", { 2, JAIL_WORD, 0 }),
	CALL(read, "files; the message when it moves to disk"),
	CALL(pread64, "where the source stood"),
	CALL(write, "the message, the log"),
	CALL(writev, "what libc says before it aborts; names over TCP"),
	CALL(pwrite64, "where the source stands"),
	CALL(lseek, "the message when it moves to disk"),
	CALL(close, "descriptors"),
	CALL(fstat, "files, to an older libc"),
	CALL(newfstatat, "files; were those of the names replaced?"),
	CALL(getdents64, "signers that are a folder of files"),
	CALL(brk, "memory"),
	ONLY(mmap, "memory, never to be executed", { 2, PROT_EXEC, 0 }),
	/* a library that is wanted so late is missing to who wants it, no more */
	{ .call = SYS_mmap,
	  .why = "nor a library",
	  .only = { { 2, PROT_EXEC, PROT_EXEC } },
	  .refuse = EACCES },
	ONLY(mprotect, "malloc, when memory runs short", { 2, PROT_EXEC, 0 }),
	CALL(sched_getaffinity, "the same: how many processors?"),
	CALL(munmap, "memory"),
	CALL(mremap, "memory"),
	CALL(madvise, "memory given back"),
	CALL(sysinfo, "qsort of many UIDs: how much memory is there?"),
	CALL(futex, "what libc does once"),
	CALL(getrandom, "TLS; numbers of questions for names"),
	CALL(getpid, "the same, to an older libc"),
	CALL(uname, "names: ours"),
	/* where the kernel has no vDSO */
	CALL(clock_gettime, "deadlines"),
	CALL(gettimeofday, "TLS"),
	CALL(rt_sigprocmask, "libraries for names"),
	CALL(restart_syscall, "a wait goes on after SIGSTOP and SIGCONT"),
	/* no tgkill: whoever may raise a signal may end any process of our user; abort dies of
	 * SIGSYS. No fcntl: whoever may say who owns a descriptor may have signals sent to him */
	CALL(exit_group, "the end"),
#ifdef SYS_open /* younger architectures never had these */
	CALL(open, "scratch, to another libc"),
	CALL(poll, "waiting"),
	CALL(stat, "names, to an older libc"),
	CALL(time, "TLS"),
#endif
#ifdef __SANITIZE_ADDRESS__ /* its reports, and how it ends */
	CALL(sigaltstack, "the sanitizer"),
	CALL(rt_sigaction, "the sanitizer"),
	CALL(readlink, "the sanitizer"),
	CALL(gettid, "the sanitizer"),
	CALL(sched_yield, "the sanitizer"),
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
	const uint16_t ports[] = { (uint16_t)account->port, PORT_NAMES };
	int ruleset_fd = -1;
	if (jail_landlock_abi() == 0 && mode == JAIL_REQUIRE)
		return fail("sandbox = require, but this kernel has no Landlock", -ENOSYS);
	int error = jail_ports_prepare(paths, count, ports, sizeof ports / sizeof ports[0],
				       &ruleset_fd);
	if (!error)
		error = jail_paths_enter(ruleset_fd);
	if (ruleset_fd >= 0)
		close(ruleset_fd);
	return !error || fail("Landlock can't be set up", error);
}

static struct names_sight seen;

bool cage_enter(enum jail_mode mode, const struct config_account *account, int receiving_fd,
		int kept_fd)
{
	struct jail_filter filter;
	if (!limit())
		return fail("the limits can't be set", -errno);
	names_load();
	boxname_load();
	names_look(account->ca_file, &seen);
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

bool cage_is_outdated(const struct config_account *account)
{
	struct names_sight now;
	names_look(account->ca_file, &now);
	return names_differ(&seen, &now);
}
