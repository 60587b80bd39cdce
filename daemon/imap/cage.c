/* cage.c: the lists of what a puller may do, a reason each. Never decides anything at run time but
 * what is missing. */
#define _GNU_SOURCE
#include "daemon/imap/cage.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include "daemon/confine.h"
#include "daemon/imap/boxname.h"
#include "daemon/names.h"

#define STACK_MAX  (8u << 20)
#define FILES_MAX  1024
#define PORT_NAMES 53

static const struct jail_call calls[] = {
	JAIL_SOCKET(AF_INET, SOCK_STREAM, "the server; names, where an answer is long"),
	JAIL_SOCKET(AF_INET6, SOCK_STREAM, "the same"),
	JAIL_SOCKET(AF_INET, SOCK_DGRAM, "names; which address we would have to whom"),
	JAIL_SOCKET(AF_INET6, SOCK_DGRAM, "the same"),
	JAIL_SOCKET(AF_NETLINK, SOCK_RAW, "names: which addresses this machine has"),
	/* nscd is looked for; but who may have a local socket may knock at the gateway's door */
	{ .call = SYS_socket,
	  .why = "names without nscd",
	  .only = { { 0, JAIL_WORD, AF_UNIX } },
	  .refuse = EAFNOSUPPORT },
	JAIL_CALL(connect, "the server, and those who know names"),
	JAIL_CALL(bind, "names: a netlink socket; no port of TCP (Landlock)"),
	JAIL_CALL(getsockname, "names: which address we would have"),
	/* not SO_ATTACH_FILTER and its like, which bring programs into the kernel */
	JAIL_OPTION(setsockopt, SOL_SOCKET, SO_KEEPALIVE, "a server that is gone"),
	JAIL_OPTION(setsockopt, IPPROTO_TCP, TCP_KEEPIDLE, "the same"),
	JAIL_OPTION(setsockopt, IPPROTO_TCP, TCP_KEEPINTVL, "the same"),
	JAIL_OPTION(setsockopt, IPPROTO_TCP, TCP_KEEPCNT, "the same"),
	JAIL_OPTION(setsockopt, IPPROTO_TCP, TCP_USER_TIMEOUT, "the same"),
	JAIL_OPTION(setsockopt, IPPROTO_TCP, TCP_NODELAY, "short commands"),
	JAIL_OPTION(setsockopt, IPPROTO_IP, IP_RECVERR, "names: nobody is there"),
	JAIL_OPTION(setsockopt, IPPROTO_IPV6, IPV6_RECVERR, "the same"),
	JAIL_OPTION(getsockopt, SOL_SOCKET, SO_ERROR, "has it connected?"),
	/* with MSG_FASTOPEN they would be a connect that Landlock does not see */
	JAIL_ONLY(sendto, "the server in clear; names by netlink", { 3, MSG_FASTOPEN, 0 }),
	JAIL_ONLY(sendmsg, "the server in TLS; questions", { 2, MSG_FASTOPEN, 0 }),
	JAIL_ONLY(sendmmsg, "names: both kinds of address at once", { 3, MSG_FASTOPEN, 0 }),
	JAIL_CALL(recvfrom, "the server; names"),
	JAIL_CALL(recvmsg, "answers; names by netlink"),
	JAIL_ONLY(ioctl, "names: how much has come", { 1, JAIL_WORD, FIONREAD }),
	JAIL_CALL(ppoll, "waiting"),
	JAIL_ONLY(socketpair, "where an answer comes", { 0, JAIL_WORD, AF_UNIX },
		  { 1, JAIL_WORD, SOCK_SEQPACKET | SOCK_CLOEXEC }),
	JAIL_CALL(memfd_create, "a small message"),
	JAIL_CALL(openat, "a big message; names; signers; the ledger"),
	JAIL_ONLY(unlinkat, "scratch where no nameless file can be", { 2, JAIL_WORD, 0 }),
	JAIL_CALL(read, "files; the message when it moves to disk"),
	JAIL_CALL(pread64, "where the source stood"),
	JAIL_CALL(write, "the message, the log"),
	JAIL_CALL(writev, "what libc says before it aborts; names over TCP"),
	JAIL_CALL(pwrite64, "where the source stands"),
	JAIL_CALL(lseek, "the message when it moves to disk"),
	JAIL_CALL(close, "descriptors"),
	JAIL_CALL(fstat, "files, to an older libc"),
	JAIL_CALL(newfstatat, "files; were those of the names replaced?"),
	JAIL_CALL(getdents64, "signers that are a folder of files"),
	JAIL_CALL(brk, "memory"),
	JAIL_ONLY(mmap, "memory, never to be executed", { 2, PROT_EXEC, 0 }),
	/* a library that is wanted so late is missing to who wants it, no more */
	{ .call = SYS_mmap,
	  .why = "nor a library",
	  .only = { { 2, PROT_EXEC, PROT_EXEC } },
	  .refuse = EACCES },
	JAIL_ONLY(mprotect, "malloc, when memory runs short", { 2, PROT_EXEC, 0 }),
	JAIL_CALL(sched_getaffinity, "the same: how many processors?"),
	JAIL_CALL(munmap, "memory"),
	JAIL_CALL(mremap, "memory"),
	JAIL_CALL(madvise, "memory given back"),
	JAIL_CALL(sysinfo, "qsort of many UIDs: how much memory is there?"),
	JAIL_CALL(futex, "what libc does once"),
	JAIL_CALL(getrandom, "TLS; numbers of questions for names"),
	JAIL_CALL(getpid, "the same, to an older libc"),
	JAIL_CALL(uname, "names: ours"),
	/* where the kernel has no vDSO */
	JAIL_CALL(clock_gettime, "deadlines"),
	JAIL_CALL(gettimeofday, "TLS"),
	JAIL_CALL(rt_sigprocmask, "libraries for names"),
	JAIL_CALL(restart_syscall, "a wait goes on after SIGSTOP and SIGCONT"),
	/* no tgkill: whoever may raise a signal may end any process of our user; abort dies of
	 * SIGSYS. No fcntl: whoever may say who owns a descriptor may have signals sent to him */
	JAIL_CALL(exit_group, "the end"),
#ifdef SYS_open /* younger architectures never had these */
	JAIL_CALL(open, "scratch, to another libc"),
	JAIL_CALL(poll, "waiting"),
	JAIL_CALL(stat, "names, to an older libc"),
	JAIL_CALL(time, "TLS"),
#endif
#ifdef __SANITIZE_ADDRESS__
	JAIL_SANITIZER,
#endif
};

static struct names_sight seen;

bool cage_enter(enum jail_mode mode, const struct config_account *account, int receiving_fd,
		int kept_fd)
{
	struct jail_path paths[JAIL_NETWORK_MAX + 2];
	const uint16_t ports[] = { (uint16_t)account->port, PORT_NAMES };
	if (confine_limit(FILES_MAX, STACK_MAX) != 0)
		return false;
	names_load();
	boxname_load();
	names_look(account->ca_file, &seen);
	size_t count = jail_network_paths(account->ca_file, paths);
	paths[count++] = (struct jail_path){ .fd = receiving_fd, .rights = JAIL_READ | JAIL_WRITE };
	paths[count++] = (struct jail_path){ .fd = kept_fd, .rights = JAIL_READ };
	const struct confinement confinement = {
		.mode = mode,
		.paths = paths,
		.paths_count = count,
		.ports = ports,
		.ports_count = sizeof ports / sizeof ports[0],
		.calls = calls,
		.calls_count = sizeof calls / sizeof calls[0],
	};
	return confine_enter(&confinement) == 0;
}

bool cage_is_outdated(const struct config_account *account)
{
	struct names_sight now;
	names_look(account->ca_file, &now);
	return names_differ(&seen, &now);
}
