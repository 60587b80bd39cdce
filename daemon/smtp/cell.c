/* cell.c: the lists, and how a process enters them. Never knows what the calls are made for but by
 * their comments. */
#define _GNU_SOURCE
#include "daemon/smtp/cell.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include "daemon/confine.h"

#define LISTENER (1u << CELL_LISTENER)
#define DOOR     (1u << CELL_DOOR)
#define KEEPER   (1u << CELL_KEEPER)
#define SESSION  (1u << CELL_SESSION)
#define ALL      (LISTENER | DOOR | KEEPER | SESSION)
/* A session is forked from the listener: what it may the listener must be allowed too. */
#define TALK (LISTENER | SESSION)

/* clang-format off */
static const struct cell_call {
	unsigned cells;
	struct jail_call call;
} calls[] = {
	{ TALK, JAIL_CALL(read, "the device on a pipe; the message when it moves to disk") },
	{ ALL,  JAIL_CALL(write, "the log; the message; the device on a pipe") },
	{ TALK, JAIL_CALL(recvfrom, "the device") },
	/* a socket that listened could connect by it, and a datagram socket reach all others */
	{ ALL,  JAIL_ONLY(sendto, "replies", { 3, MSG_FASTOPEN, 0 }, { 4, UINT64_MAX, 0 }) },
	{ ALL,  JAIL_ONLY(sendmsg, "questions", { 2, MSG_FASTOPEN, 0 }) },
	{ ALL,  JAIL_CALL(recvmsg, "answers, and questions passed on") },
	{ TALK, JAIL_CALL(shutdown, "the end of what we say") },
	{ DOOR, JAIL_CALL(shutdown, "tells clients that the gateway ends") },
#ifdef __NR_poll
	{ ALL,  JAIL_CALL(poll, "waiting") },
#endif
	{ ALL,  JAIL_CALL(ppoll, "waiting, with notice of signals") },
	/* with a pair of datagram sockets one could write to every local socket by its path */
	{ TALK, JAIL_ONLY(socketpair, "where the answer comes",
	  { 0, JAIL_WORD, AF_UNIX }, { 1, JAIL_WORD, SOCK_SEQPACKET | SOCK_CLOEXEC }) },
	{ TALK, JAIL_CALL(memfd_create, "a small message") },
	{ TALK, JAIL_CALL(openat, "a big message; our own descriptors opened to be read only") },
	{ TALK, JAIL_CALL(unlinkat, "scratch where no nameless file can be") },
	{ TALK | KEEPER, JAIL_CALL(getrandom, "its name; TLS") },
	{ TALK | KEEPER, JAIL_ONLY(futex, "TLS: what is done once is done", { 1, JAIL_WORD, FUTEX_WAKE_PRIVATE }) },
	{ TALK | KEEPER, JAIL_CALL(getpid, "TLS: was it forked?") },
	{ TALK, JAIL_CALL(lseek, "the message when it moves to disk") },
	{ TALK, JAIL_CALL(newfstatat, "is it a socket? (fstat)") },
	{ TALK, JAIL_CALL(fstat, "the same") },
	{ TALK, JAIL_ONLY(ioctl, "what the device has acknowledged", { 1, JAIL_WORD, SIOCOUTQ }) },
	{ TALK, JAIL_ONLY(ioctl, "what it had sent by then", { 1, JAIL_WORD, FIONREAD }) },
	{ ALL,  JAIL_CALL(getsockopt, "was the connection reset? who is at the door?") },
	{ ALL,  JAIL_CALL(clock_gettime, "deadlines, where the kernel has no vDSO") },
	{ ALL,  JAIL_CALL(close, "") },
	{ ALL,  JAIL_CALL(brk, "memory") },
	{ ALL,  JAIL_ONLY(mmap, "memory, never to be executed", { 2, PROT_EXEC, 0 }) },
	{ ALL,  JAIL_CALL(munmap, "memory") },
	{ ALL,  JAIL_CALL(rt_sigreturn, "back from a signal") },
	{ ALL,  JAIL_CALL(rt_sigprocmask, "fork") },
	{ ALL,  JAIL_CALL(restart_syscall, "a wait goes on after SIGSTOP and SIGCONT") },
	/* no tgkill: whoever may raise a signal may end any process of our user; abort dies of SIGSYS */
	{ ALL,  JAIL_CALL(exit_group, "the end") },
	{ ALL,  JAIL_CALL(exit, "the end") },

	{ DOOR, JAIL_CALL(statx, "where a file lies that is handed over") },
	{ DOOR, JAIL_ONLY(fcntl, "the same: is it in memory?", { 1, JAIL_WORD, F_GET_SEALS }) },

	{ LISTENER | DOOR, JAIL_CALL(accept4, "connections") },
	{ LISTENER, JAIL_CALL(pwrite64, "its state, and sessions that failed") },
	{ LISTENER | DOOR | KEEPER, JAIL_CALL(epoll_pwait, "the loop") },
	{ LISTENER | DOOR | KEEPER, JAIL_CALL(epoll_ctl, "the loop") },
	{ LISTENER, JAIL_ONLY(clone, "a session", { 0, JAIL_FORK_FORBIDS, 0 }) },
	{ LISTENER, JAIL_CALL(set_robust_list, "fork, in the child") },
	{ LISTENER, JAIL_CALL(dup3, "the session's descriptors at their places") },
	{ LISTENER, JAIL_CALL(close_range, "what is not the session's") },
	{ LISTENER, JAIL_ONLY(prctl, "the session dies with us", { 0, JAIL_WORD, PR_SET_PDEATHSIG }) },
	{ LISTENER, JAIL_ONLY(prctl, "and is not to be traced", { 0, JAIL_WORD, PR_SET_DUMPABLE }, { 1, JAIL_WORD, 0 }) },
	{ LISTENER, JAIL_ONLY(prctl, "and gains nothing", { 0, JAIL_WORD, PR_SET_NO_NEW_PRIVS }) },
	{ LISTENER, JAIL_CALL(getppid, "the session dies with us") },
	{ LISTENER, JAIL_CALL(seccomp, "the session's own, smaller cell") },
};
/* clang-format on */

#define CALLS (sizeof calls / sizeof calls[0])

/* The listener's own filter has looked at the architecture already: both are asked, the stricter
 * answer holds. */
int cell_prepare_session(struct jail_filter *filter_out)
{
	struct sock_filter *program = malloc((CALLS + 3) * sizeof *program);
	size_t count = 0;
	if (!program)
		return -ENOMEM;
	program[count++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
							offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < CALLS; i++) {
		if ((calls[i].cells & LISTENER) && !(calls[i].cells & SESSION))
			program[count++] = (struct sock_filter)BPF_JUMP(
				BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i].call.call, 0, 0);
	}
	program[count] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program[count + 1] =
		(struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	for (size_t i = 1; i < count; i++)
		program[i].jt = (uint8_t)(count - i);
	*filter_out = (struct jail_filter){ .program = program, .instructions = count + 2 };
	return 0;
}

int cell_enter(enum cell cell, enum jail_mode mode, int folder_fd)
{
	const struct jail_path scratch = { .fd = folder_fd, .rights = JAIL_READ | JAIL_WRITE };
	struct jail_call allowed[CALLS];
	struct confinement confinement = {
		.mode = mode,
		.paths = &scratch,
		.paths_count = folder_fd >= 0 ? 1 : 0,
		.calls = allowed,
	};
	for (size_t i = 0; i < CALLS; i++) {
		if (calls[i].cells & 1u << cell)
			allowed[confinement.calls_count++] = calls[i].call;
	}
	return confine_enter(&confinement);
}
