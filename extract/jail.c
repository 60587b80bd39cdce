/* jail.c: the lists of system calls and how they are loaded. Never leaves a jail and never decides
 * what one is for. */
#define _GNU_SOURCE
#include "extract/jail.h"
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "extract/limits.h"

/* The sanitizers make calls of their own and reserve terabytes: under them neither jail is
 * closed. */
#if defined(__SANITIZE_ADDRESS__)
#define UNDER_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif
#ifndef UNDER_SANITIZER
#define UNDER_SANITIZER 0
#endif

#define DESCRIPTORS_MOST 64 /* of the template, where the kernel can't close all that there are */

enum jail { JAIL_TEMPLATE = 1, JAIL_CHILD = 2, JAIL_BOTH = 3 };

/* A call that is allowed; with `masked`, only if that argument, masked, equals `value`. */
struct call {
	int number;
	enum jail jail;
	bool masked;
	unsigned argument;
	uint64_t mask, value;
};

/* What fork of the C library passes to clone. */
#define FORK_FLAGS (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD)

static const struct call calls[] = {
	/* the template: jobs in, frame_exit out */
	{ SCMP_SYS(ppoll), JAIL_TEMPLATE, .masked = false },
	{ SCMP_SYS(recvmsg), JAIL_TEMPLATE, .masked = false },
	{ SCMP_SYS(sendmsg), JAIL_TEMPLATE, .masked = false },
	/* fork, and nothing else that makes a process or a thread; the C library's child sets its
	 * robust list */
	{ SCMP_SYS(clone), JAIL_TEMPLATE, true, 0, ~(uint64_t)0, FORK_FLAGS },
	{ SCMP_SYS(set_robust_list), JAIL_TEMPLATE, .masked = false },
	{ SCMP_SYS(wait4), JAIL_TEMPLATE, .masked = false },
	/* the signal that a child has ended */
	{ SCMP_SYS(rt_sigprocmask), JAIL_TEMPLATE, .masked = false },
	{ SCMP_SYS(rt_sigreturn), JAIL_BOTH, .masked = false },
	/* the way into the inner jail */
	{ SCMP_SYS(close_range), JAIL_TEMPLATE, .masked = false },
	{ SCMP_SYS(prctl), JAIL_TEMPLATE, true, 0, ~(uint64_t)0, PR_SET_PDEATHSIG },
	{ SCMP_SYS(prlimit64), JAIL_TEMPLATE, true, 0, ~(uint64_t)0, 0 }, /* our own limits */
	{ SCMP_SYS(seccomp), JAIL_TEMPLATE, true, 0, ~(uint64_t)0, SECCOMP_SET_MODE_FILTER },
	/* the child: the message in, frames out */
	{ SCMP_SYS(read), JAIL_BOTH, .masked = false },
	{ SCMP_SYS(pread64), JAIL_BOTH, .masked = false },
	{ SCMP_SYS(lseek), JAIL_BOTH, .masked = false },
	{ SCMP_SYS(write), JAIL_BOTH, .masked = false },
	{ SCMP_SYS(writev), JAIL_BOTH, .masked = false },
	{ SCMP_SYS(close), JAIL_BOTH, .masked = false },
	{ SCMP_SYS(fstat), JAIL_BOTH, .masked = false },
	/* memory, but none that can be executed */
	{ SCMP_SYS(brk), JAIL_BOTH, .masked = false },
	{ SCMP_SYS(mmap), JAIL_BOTH, true, 2, PROT_EXEC, 0 },
	{ SCMP_SYS(mprotect), JAIL_BOTH, true, 2, PROT_EXEC, 0 },
	{ SCMP_SYS(munmap), JAIL_BOTH, .masked = false },
	{ SCMP_SYS(mremap), JAIL_BOTH, .masked = false },
	{ SCMP_SYS(madvise), JAIL_BOTH, .masked = false },
	{ SCMP_SYS(restart_syscall), JAIL_BOTH, .masked = false },
	{ SCMP_SYS(exit), JAIL_BOTH, .masked = false },
	{ SCMP_SYS(exit_group), JAIL_BOTH, .masked = false },
};

static struct sock_fprog template_jail, child_jail;

static int add_calls(scmp_filter_ctx filter, enum jail jail)
{
	int error = 0;
	for (size_t i = 0; i < sizeof calls / sizeof calls[0] && !error; i++) {
		const struct call *call = &calls[i];
		if (!(call->jail & jail))
			continue;
		if (call->masked)
			error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call->number, 1,
						 SCMP_CMP(call->argument, SCMP_CMP_MASKED_EQ,
							  call->mask, call->value));
		else
			error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call->number, 0);
	}
	return error;
}

/* Takes the program out of the file that libseccomp wrote it to. */
static int read_program(int fd, struct sock_fprog *jail_out)
{
	struct stat file;
	if (fstat(fd, &file) < 0)
		return -errno;
	size_t size = (size_t)file.st_size;
	void *program = malloc(size);
	if (!program)
		return -ENOMEM;
	if (pread(fd, program, size, 0) != file.st_size) {
		free(program);
		return -EIO;
	}
	jail_out->filter = program;
	jail_out->len = (unsigned short)(size / sizeof(struct sock_filter));
	return 0;
}

static int export_program(scmp_filter_ctx filter, struct sock_fprog *jail_out)
{
	int fd = memfd_create("jail", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	int error = seccomp_export_bpf(filter, fd);
	if (!error)
		error = read_program(fd, jail_out);
	close(fd);
	return error;
}

static int compile(enum jail jail, struct sock_fprog *jail_out)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!filter)
		return -ENOMEM;
	/* a binary search: this runs at every system call of the child */
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	int error = add_calls(filter, jail);
	/* what a C library tries before clone, and can do without */
	if (!error && jail == JAIL_BOTH)
		error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (!error)
		error = export_program(filter, jail_out);
	seccomp_release(filter);
	return error;
}

int jail_prepare(void)
{
	int error = compile(JAIL_BOTH, &template_jail);
	return error ? error : compile(JAIL_CHILD, &child_jail);
}

int jail_settle(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

static int enter(const struct sock_fprog *jail)
{
	if (UNDER_SANITIZER)
		return 0;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, jail) < 0 ? -errno : 0;
}

int jail_enter_template(void)
{
	return enter(&template_jail);
}

static void close_between(int first, int last)
{
	if (first > last || close_range((unsigned)first, (unsigned)last, 0) == 0)
		return;
	/* for kernels and containers without it: the template has few */
	for (int fd = first; fd <= last && fd < DESCRIPTORS_MOST; fd++)
		close(fd);
}

static void close_others(int message_fd, int pipe_fd)
{
	int low = message_fd < pipe_fd ? message_fd : pipe_fd;
	int high = message_fd < pipe_fd ? pipe_fd : message_fd;
	/* a sanitizer needs standard error for what it has found */
	close_between(UNDER_SANITIZER ? STDERR_FILENO + 1 : 0, low - 1);
	close_between(low + 1, high - 1);
	close_between(high + 1, INT32_MAX);
}

int jail_enter_child(uint32_t cpu_s, int message_fd, int pipe_fd)
{
	const struct {
		__rlimit_resource_t resource;
		rlim_t soft, hard;
	} limits[] = {
		{ RLIMIT_CPU, cpu_s, (rlim_t)cpu_s + 1 },
		{ RLIMIT_AS, LIMIT_CHILD_MEMORY, LIMIT_CHILD_MEMORY },
		{ RLIMIT_NOFILE, LIMIT_CHILD_DESCRIPTORS, LIMIT_CHILD_DESCRIPTORS },
		{ RLIMIT_FSIZE, 0, 0 },
		{ RLIMIT_NPROC, 0, 0 },
		{ RLIMIT_CORE, 0, 0 },
	};
	close_others(message_fd, pipe_fd);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
		struct rlimit limit = { limits[i].soft, limits[i].hard };
		if (UNDER_SANITIZER && limits[i].resource == RLIMIT_AS)
			continue;
		if (setrlimit(limits[i].resource, &limit) < 0)
			return -errno;
	}
	return enter(&child_jail);
}
