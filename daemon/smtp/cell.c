/* cell.c: the lists, and how a process enters them. Never knows what the calls are made for but by
 * their comments. */
#define _GNU_SOURCE
#include "daemon/smtp/cell.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <malloc.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "daemon/log.h"

#define LISTENER (1u << CELL_LISTENER)
#define DOOR     (1u << CELL_DOOR)
#define SESSION  (1u << CELL_SESSION)
#define ALL      (LISTENER | DOOR | SESSION)
/* A session is forked from the listener: what it may the listener must be allowed too. */
#define TALK (LISTENER | SESSION)

#define CALL(name) .call = __NR_##name
#define ONLY(...)  .only = { __VA_ARGS__ }

/* clang-format off */
static const struct cell_call {
	unsigned cells;
	struct jail_call call;
} calls[] = {
	{ TALK, { CALL(read), .why = "the device on a pipe; the message when it moves to disk" } },
	{ ALL,  { CALL(write), .why = "the log; the message; the device on a pipe" } },
	{ TALK, { CALL(recvfrom), .why = "the device" } },
	/* a socket that listened could connect by it, and a datagram socket reach all others */
	{ ALL,  { CALL(sendto), .why = "replies", ONLY({ 3, MSG_FASTOPEN, 0 }, { 4, UINT64_MAX, 0 }) } },
	{ ALL,  { CALL(sendmsg), .why = "questions", ONLY({ 2, MSG_FASTOPEN, 0 }) } },
	{ ALL,  { CALL(recvmsg), .why = "answers, and questions passed on" } },
	{ TALK, { CALL(shutdown), .why = "the end of what we say" } },
	{ DOOR, { CALL(shutdown), .why = "tells clients that the gateway ends" } },
#ifdef __NR_poll
	{ ALL,  { CALL(poll), .why = "waiting" } },
#endif
	{ ALL,  { CALL(ppoll), .why = "waiting, with notice of signals" } },
	/* with a pair of datagram sockets one could write to every local socket by its path */
	{ TALK, { CALL(socketpair), .why = "where the answer comes",
	  ONLY({ 0, JAIL_WORD, AF_UNIX }, { 1, JAIL_WORD, SOCK_SEQPACKET | SOCK_CLOEXEC }) } },
	{ TALK, { CALL(memfd_create), .why = "a small message" } },
	{ TALK, { CALL(openat), .why = "a big message; our own descriptors opened to be read only" } },
	{ TALK, { CALL(unlinkat), .why = "scratch where no nameless file can be" } },
	{ TALK, { CALL(getrandom), .why = "its name" } },
	{ TALK, { CALL(lseek), .why = "the message when it moves to disk" } },
	{ TALK, { CALL(newfstatat), .why = "is it a socket? (fstat)" } },
	{ TALK, { CALL(fstat), .why = "the same" } },
	{ TALK, { CALL(ioctl), .why = "what the device has acknowledged", ONLY({ 1, JAIL_WORD, SIOCOUTQ }) } },
	{ TALK, { CALL(ioctl), .why = "what it had sent by then", ONLY({ 1, JAIL_WORD, FIONREAD }) } },
	{ ALL,  { CALL(getsockopt), .why = "was the connection reset? who is at the door?" } },
	{ ALL,  { CALL(clock_gettime), .why = "deadlines, where the kernel has no vDSO" } },
	{ ALL,  { CALL(close), .why = "" } },
	{ ALL,  { CALL(brk), .why = "memory" } },
	{ ALL,  { CALL(mmap), .why = "memory, never to be executed", ONLY({ 2, PROT_EXEC, 0 }) } },
	{ ALL,  { CALL(munmap), .why = "memory" } },
	{ ALL,  { CALL(rt_sigreturn), .why = "back from a signal" } },
	{ ALL,  { CALL(rt_sigprocmask), .why = "fork" } },
	{ ALL,  { CALL(restart_syscall), .why = "a wait goes on after SIGSTOP and SIGCONT" } },
	/* no tgkill: whoever may raise a signal may end any process of our user; abort dies of SIGSYS */
	{ ALL,  { CALL(exit_group), .why = "the end" } },
	{ ALL,  { CALL(exit), .why = "the end" } },

	{ DOOR, { CALL(statx), .why = "where a file lies that is handed over" } },
	{ DOOR, { CALL(fcntl), .why = "the same: is it in memory?", ONLY({ 1, JAIL_WORD, F_GET_SEALS }) } },

	{ LISTENER | DOOR, { CALL(accept4), .why = "connections" } },
	{ LISTENER | DOOR, { CALL(epoll_pwait), .why = "the loop" } },
	{ LISTENER | DOOR, { CALL(epoll_ctl), .why = "the loop" } },
	{ LISTENER, { CALL(clone), .why = "a session", ONLY({ 0, JAIL_FORK_FORBIDS, 0 }) } },
	{ LISTENER, { CALL(set_robust_list), .why = "fork, in the child" } },
	{ LISTENER, { CALL(dup3), .why = "the session's descriptors at their places" } },
	{ LISTENER, { CALL(close_range), .why = "what is not the session's" } },
	{ LISTENER, { CALL(prctl), .why = "the session dies with us", ONLY({ 0, JAIL_WORD, PR_SET_PDEATHSIG }) } },
	{ LISTENER, { CALL(prctl), .why = "and is not to be traced", ONLY({ 0, JAIL_WORD, PR_SET_DUMPABLE }, { 1, JAIL_WORD, 0 }) } },
	{ LISTENER, { CALL(prctl), .why = "and gains nothing", ONLY({ 0, JAIL_WORD, PR_SET_NO_NEW_PRIVS }) } },
	{ LISTENER, { CALL(getppid), .why = "the session dies with us" } },
	{ LISTENER, { CALL(seccomp), .why = "the session's own, smaller cell" } },
};
/* clang-format on */

#define CALLS (sizeof calls / sizeof calls[0])

static int prepare(enum cell cell, struct jail_filter *filter_out)
{
	struct jail_call list[CALLS];
	size_t count = 0;
	for (size_t i = 0; i < CALLS; i++) {
		if (calls[i].cells & 1u << cell)
			list[count++] = calls[i].call;
	}
	return jail_filter_prepare(list, count, filter_out);
}

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

static int fail(const char *what, int error)
{
	log_say(LOG_ERROR, "sandbox", "%s: %s", what, strerror(-error));
	return error;
}

static int enter_paths(enum jail_mode mode, int folder_fd)
{
	const struct jail_path scratch = { .fd = folder_fd, .rights = JAIL_READ | JAIL_WRITE };
	int ruleset = -1;
	if (jail_landlock_abi() == 0 && mode == JAIL_REQUIRE)
		return fail("sandbox = require, but this kernel has no Landlock", -ENOSYS);
	int error = jail_paths_prepare(&scratch, folder_fd >= 0 ? 1 : 0, &ruleset);
	if (!error)
		error = jail_paths_enter(ruleset);
	if (ruleset >= 0)
		close(ruleset);
	return error ? fail("Landlock can't be set up", error) : 0;
}

int cell_enter(enum cell cell, enum jail_mode mode, int folder_fd)
{
	struct jail_filter filter;
	if (mode == JAIL_OFF)
		return 0;
	int error = enter_paths(mode, folder_fd);
	if (error)
		return error;
	error = prepare(cell, &filter);
	if (error)
		return fail("the list of system calls can't be compiled", error);
	/* compiling it took 200 kB: pages that each fork of the listener would have to look at */
	malloc_trim(0);
	error = jail_filter_enter(&filter);
	jail_filter_done(&filter);
	return error ? fail("seccomp can't be set up", error) : 0;
}
