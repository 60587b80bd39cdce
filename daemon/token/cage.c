/* cage.c: the lists of what may be done by who gets passwords and tokens, a reason each. Never
 * decides anything at run time but what is missing. */
#define _GNU_SOURCE
#include "daemon/token/cage.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include "daemon/confine.h"
#include "daemon/names.h"

#define FILES_MAX 64

static const struct cage_call {
	enum cage from;
	struct jail_call call;
} calls[] = {
	{ CAGE_FILE, JAIL_CALL(sendmsg, "the answer; TLS, names") },
	{ CAGE_FILE, JAIL_CALL(read, "files, a provider") },
	{ CAGE_FILE, JAIL_CALL(pread64, "the secret") },
	{ CAGE_FILE, JAIL_CALL(write, "the log") },
	{ CAGE_FILE, JAIL_CALL(writev, "libc") },
	{ CAGE_FILE, JAIL_CALL(close, "descriptors") },
	{ CAGE_FILE, JAIL_CALL(brk, "memory") },
	{ CAGE_FILE, JAIL_ONLY(mmap, "memory, none of it code", { 2, PROT_EXEC, 0 }) },
	{ CAGE_FILE, JAIL_ONLY(mprotect, "memory, none of it code", { 2, PROT_EXEC, 0 }) },
	{ CAGE_FILE, JAIL_CALL(munmap, "memory") },
	{ CAGE_FILE, JAIL_CALL(mremap, "memory") },
	{ CAGE_FILE, JAIL_CALL(madvise, "memory") },
	{ CAGE_FILE, JAIL_CALL(futex, "libc") },
	{ CAGE_FILE, JAIL_CALL(clock_gettime, "time") },
	{ CAGE_FILE, JAIL_CALL(gettimeofday, "time") },
	{ CAGE_FILE, JAIL_CALL(rt_sigaction, "signals") },
	{ CAGE_FILE, JAIL_CALL(rt_sigprocmask, "signals") },
	{ CAGE_FILE, JAIL_CALL(rt_sigreturn, "signals") },
	{ CAGE_FILE, JAIL_CALL(sigaltstack, "signals") },
	{ CAGE_FILE, JAIL_CALL(restart_syscall, "signals") },
	{ CAGE_FILE, JAIL_CALL(getpid, "TLS") },
	{ CAGE_FILE, JAIL_CALL(gettid, "libc") },
	{ CAGE_FILE, JAIL_CALL(exit, "the end") },
	{ CAGE_FILE, JAIL_CALL(exit_group, "the end") },

	{ CAGE_NETWORK, JAIL_ONLY(socket, "the provider", { 0, JAIL_WORD, AF_INET }) },
	{ CAGE_NETWORK, JAIL_ONLY(socket, "the provider", { 0, JAIL_WORD, AF_INET6 }) },
	{ CAGE_NETWORK, JAIL_ONLY(socket, "names: which addresses this machine has",
				  { 0, JAIL_WORD, AF_NETLINK }) },
	/* nscd is looked for; but who may have a local socket may knock at the gateway's door */
	{ CAGE_NETWORK,
	  { .call = SYS_socket,
	    .why = "names without nscd",
	    .only = { { 0, JAIL_WORD, AF_UNIX } },
	    .refuse = EAFNOSUPPORT } },
	{ CAGE_NETWORK, JAIL_ONLY(socketpair, "libcurl wakes itself", { 0, JAIL_WORD, AF_UNIX },
				  { 1, JAIL_SOCKET_TYPE, SOCK_STREAM }) },
	{ CAGE_NETWORK, JAIL_CALL(fstat, "files") },
	{ CAGE_NETWORK, JAIL_CALL(newfstatat, "files") },
	/* a library that is wanted so late is missing to who wants it, no more */
	{ CAGE_NETWORK,
	  { .call = SYS_mmap,
	    .why = "nor a library",
	    .only = { { 2, PROT_EXEC, PROT_EXEC } },
	    .refuse = EACCES } },
	{ CAGE_NETWORK, JAIL_CALL(connect, "the provider, and those who know names") },
	{ CAGE_NETWORK, JAIL_CALL(bind, "names: a netlink socket") },
	{ CAGE_NETWORK, JAIL_CALL(getsockname, "names") },
	{ CAGE_NETWORK, JAIL_CALL(getpeername, "libcurl") },
	{ CAGE_NETWORK, JAIL_CALL(setsockopt, "libcurl") },
	{ CAGE_NETWORK, JAIL_CALL(getsockopt, "has it connected?") },
	{ CAGE_NETWORK, JAIL_CALL(sendto, "the provider, names") },
	{ CAGE_NETWORK, JAIL_CALL(sendmmsg, "names") },
	{ CAGE_NETWORK, JAIL_CALL(recvfrom, "the provider, names") },
	{ CAGE_NETWORK, JAIL_CALL(recvmsg, "names") },
	/* no TIOCSTI: the terminal of a sign-in is that of a shell of root's */
	{ CAGE_NETWORK, JAIL_ONLY(ioctl, "names: how much has come", { 1, JAIL_WORD, FIONREAD }) },
	{ CAGE_NETWORK,
	  JAIL_ONLY(ioctl, "is standard output a terminal?", { 1, JAIL_WORD, TCGETS }) },
	{ CAGE_NETWORK,
	  JAIL_ONLY(ioctl, "the same, to another libc", { 1, JAIL_WORD, TIOCGWINSZ }) },
	{ CAGE_NETWORK, JAIL_CALL(ppoll, "waiting") },
	{ CAGE_NETWORK, JAIL_CALL(pselect6, "waiting") },
	{ CAGE_NETWORK, JAIL_CALL(shutdown, "the end of a connection") },
	{ CAGE_NETWORK, JAIL_CALL(openat, "tokens, names, signers") },
	{ CAGE_NETWORK, JAIL_CALL(unlinkat, "tokens") },
	{ CAGE_NETWORK, JAIL_CALL(renameat2, "tokens") },
	{ CAGE_NETWORK, JAIL_CALL(fsync, "tokens") },
	{ CAGE_NETWORK, JAIL_CALL(flock, "tokens") },
	{ CAGE_NETWORK, JAIL_CALL(readv, "libc") },
	{ CAGE_NETWORK, JAIL_CALL(lseek, "files") },
	/* no F_SETOWN, which sends signals */
	{ CAGE_NETWORK, JAIL_ONLY(fcntl, "libcurl never waits", { 1, JAIL_WORD, F_GETFL }) },
	{ CAGE_NETWORK, JAIL_ONLY(fcntl, "the same", { 1, JAIL_WORD, F_SETFL }) },
	{ CAGE_NETWORK, JAIL_ONLY(fcntl, "files, to another libc", { 1, JAIL_WORD, F_SETFD }) },
	{ CAGE_NETWORK, JAIL_CALL(dup, "descriptors") },
	{ CAGE_NETWORK, JAIL_CALL(statx, "files") },
	{ CAGE_NETWORK, JAIL_CALL(getdents64, "signers") },
	{ CAGE_NETWORK, JAIL_CALL(readlinkat, "libc") },
	{ CAGE_NETWORK, JAIL_CALL(faccessat2, "names") },
	{ CAGE_NETWORK, JAIL_CALL(getrandom, "TLS") },
	{ CAGE_NETWORK, JAIL_CALL(clock_nanosleep, "waiting") },
	{ CAGE_NETWORK, JAIL_CALL(nanosleep, "waiting") },
	{ CAGE_NETWORK, JAIL_CALL(getuid, "names") },
	{ CAGE_NETWORK, JAIL_CALL(geteuid, "names") },
	{ CAGE_NETWORK, JAIL_CALL(getgid, "names") },
	{ CAGE_NETWORK, JAIL_CALL(getegid, "names") },
	{ CAGE_NETWORK, JAIL_CALL(getrusage, "TLS") },
	{ CAGE_NETWORK, JAIL_CALL(uname, "names") },
	{ CAGE_NETWORK, JAIL_CALL(sysinfo, "libc") },
	{ CAGE_NETWORK, JAIL_CALL(sched_yield, "libc") },
	{ CAGE_NETWORK, JAIL_CALL(sched_getaffinity, "libc") },
#ifdef SYS_renameat /* the younger architectures have renameat2 alone */
	{ CAGE_NETWORK, JAIL_CALL(renameat, "tokens") },
#endif
#ifdef SYS_open /* younger architectures never had these */
	{ CAGE_NETWORK, JAIL_CALL(open, "libc") },
	{ CAGE_NETWORK, JAIL_CALL(poll, "waiting") },
	{ CAGE_NETWORK, JAIL_CALL(access, "names") },
	{ CAGE_NETWORK, JAIL_CALL(stat, "names") },
	{ CAGE_NETWORK, JAIL_CALL(lstat, "libc") },
	{ CAGE_NETWORK, JAIL_CALL(readlink, "libc") },
	{ CAGE_NETWORK, JAIL_CALL(time, "time") },
#endif

	{ CAGE_LISTENER, JAIL_CALL(accept4, "the browser") },
};
#define CALLS (sizeof calls / sizeof calls[0])

bool cage_enter(const struct config *config, const struct config_account *account, enum cage cage,
		int tokens_fd)
{
	struct jail_path paths[JAIL_NETWORK_MAX + 1];
	struct jail_call allowed[CALLS];
	struct confinement confinement = {
		.mode = (enum jail_mode)config->gateway.sandbox,
		.paths = paths,
		.calls = allowed,
	};
	if (cage >= CAGE_NETWORK) {
		names_load();
		size_t count = jail_network_paths(account->ca_file, paths);
		paths[count++] =
			(struct jail_path){ .fd = tokens_fd, .rights = JAIL_READ | JAIL_WRITE };
		confinement.paths_count = count;
	}
	for (size_t i = 0; i < CALLS; i++) {
		if (calls[i].from <= cage)
			allowed[confinement.calls_count++] = calls[i].call;
	}
	return confine_limit(FILES_MAX, 0) == 0 && confine_enter(&confinement) == 0;
}
