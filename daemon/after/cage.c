/* cage.c: the lists of what the window may do, a reason each. Never decides anything at run time
 * but what is missing. */
#define _GNU_SOURCE
#include "daemon/after/cage.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include "daemon/confine.h"

#define FILES_MAX 1024

static const struct jail_call calls[] = {
	JAIL_CALL(accept4, "connections"),
	JAIL_CALL(recvfrom, "requests"),
	/* a socket that listened could connect by it */
	JAIL_ONLY(sendto, "answers", { 3, MSG_FASTOPEN, 0 }, { 4, UINT64_MAX, 0 }),
	JAIL_ONLY(sendmsg, "head and body of an answer", { 2, MSG_FASTOPEN, 0 }),
	JAIL_CALL(recvmsg, "what is counted"),
	JAIL_CALL(shutdown, "the end of a connection"),
	JAIL_OPTION(setsockopt, IPPROTO_TCP, TCP_NODELAY, "answers do not wait"),
	JAIL_OPTION(setsockopt, IPPROTO_TCP, TCP_CORK, "nor leave in pieces"),
	/* no F_SETOWN, which sends signals */
	JAIL_ONLY(fcntl, "would a connection block?", { 1, JAIL_WORD, F_GETFL }),
	JAIL_CALL(epoll_ctl, "connections"),
	JAIL_CALL(epoll_wait, "connections"),
	JAIL_CALL(epoll_pwait, "connections, to another libc"),
	JAIL_CALL(ppoll, "waiting"),
	JAIL_CALL(restart_syscall, "a wait goes on after SIGSTOP and SIGCONT"),
	JAIL_CALL(pread64, "where the sources stand"),
	JAIL_CALL(lseek, "the quarantine, from its beginning"),
	JAIL_CALL(getdents64, "how much is in it"),
	JAIL_CALL(write, "the log"),
	JAIL_CALL(close, "connections"),
	JAIL_CALL(brk, "memory"),
	JAIL_ONLY(mmap, "memory, never to be executed", { 2, PROT_EXEC, 0 }),
	JAIL_ONLY(mprotect, "malloc, when memory runs short", { 2, PROT_EXEC, 0 }),
	JAIL_CALL(munmap, "memory"),
	JAIL_CALL(mremap, "memory"),
	JAIL_CALL(madvise, "memory given back"),
	JAIL_CALL(futex, "what libraries do once"),
	JAIL_CALL(sysinfo, "libc: is there memory to sort much in?"),
	JAIL_CALL(clock_gettime, "time, where the kernel has no vDSO"),
	JAIL_CALL(gettimeofday, "the same"),
	JAIL_CALL(rt_sigprocmask, "what libc does before it aborts"),
	JAIL_CALL(rt_sigreturn, "signals"),
	/* no tgkill: whoever may raise a signal may end any process of our user; abort dies of
	 * SIGSYS */
	JAIL_CALL(exit_group, "the end"),
#ifdef SYS_poll /* younger architectures never had these */
	JAIL_CALL(poll, "waiting"),
	JAIL_CALL(time, "what time it is"),
#endif
#ifdef __SANITIZE_ADDRESS__
	JAIL_SANITIZER,
#endif
};

bool cage_enter(const struct config *config)
{
	static const uint16_t none[1];
	const struct confinement confinement = {
		.mode = (enum jail_mode)config->gateway.sandbox,
		.ports = none,
		.calls = calls,
		.calls_count = sizeof calls / sizeof calls[0],
	};
	return confine_limit(FILES_MAX, 0) == 0 && confine_enter(&confinement) == 0;
}
