/* jails.c: the lists of what a courier may do, a reason each. Never decides anything at run time
 * but what is missing. */
#define _GNU_SOURCE
#include "daemon/courier/jails.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "daemon/fdio.h"
#include "daemon/jail.h"
#include "daemon/log.h"
#include "daemon/role.h"
#include "daemon/scout.h"
#include "daemon/spool.h"

#define CALL(name, reason)                          \
	{                                           \
		.call = SYS_##name, .why = (reason) \
	}
#define ONLY(name, reason, ...)                                              \
	{                                                                    \
		.call = SYS_##name, .why = (reason), .only = { __VA_ARGS__ } \
	}

static const struct jail_call calls[] = {
	CALL(read, "frames"),
	CALL(write, "parts, the log"),
	CALL(pread64, "the message, plans"),
	CALL(pwrite64, "the job in hand"),
	CALL(readv, "libc"),
	CALL(writev, "libc"),
	CALL(lseek, "files"),
	CALL(close, "descriptors"),
	CALL(close_range, "libc"),
	CALL(dup, "descriptors"),
	CALL(dup3, "descriptors of the template"),
	CALL(fcntl, "descriptors"),
	CALL(pipe2, "frames"),
	CALL(ppoll, "waiting"),
	CALL(epoll_pwait, "waiting"),
	CALL(epoll_ctl, "waiting"),
	CALL(epoll_create1, "waiting"),
	CALL(recvmsg, "questions"),
	CALL(sendmsg, "answers"),
	/* with a pair of datagram sockets one could write to every local socket by its path */
	ONLY(socketpair, "the template's control socket", { 0, JAIL_WORD, AF_UNIX },
	     { 1, JAIL_WORD, SOCK_SEQPACKET | SOCK_CLOEXEC }),
	CALL(openat, "spool and share"),
	CALL(openat2, "below the share"),
	CALL(fstat, "files"),
	CALL(newfstatat, "files"),
	CALL(stat, "libacl"),
	CALL(lstat, "libacl"),
	CALL(statx, "files"),
	CALL(fstatfs, "free space"),
	CALL(statfs, "free space"),
	CALL(faccessat, "lives"),
	CALL(faccessat2, "lives"),
	CALL(readlinkat, "marks"),
	CALL(getdents64, "folders"),
	CALL(mkdirat, "folders"),
	CALL(unlinkat, "staging"),
	CALL(renameat, "marks"),
	CALL(renameat2, "publishing"),
	CALL(linkat, "publishing"),
	CALL(ftruncate, "what we remember of folders"),
	CALL(fallocate, "the same"),
	CALL(fsync, "the promise"),
	CALL(fdatasync, "the promise"),
	CALL(flock, "locks"),
	/* a program that is root's and setuid would make its caller root */
	ONLY(fchmod, "owner.c", { 1, S_ISUID, 0 }),
	CALL(fchown, "owner.c"),
	CALL(fgetxattr, "ACLs"),
	CALL(fsetxattr, "ACLs"),
	CALL(getxattr, "ACLs"),
	CALL(fremovexattr, "ACLs"),
	CALL(umask, "owner.c"),
	CALL(memfd_create, "the template's jail"),
	CALL(brk, "memory"),
	CALL(mmap, "memory"),
	CALL(munmap, "memory"),
	CALL(mremap, "memory"),
	CALL(mprotect, "memory"),
	CALL(madvise, "memory"),
	CALL(futex, "libc"),
	CALL(getrandom, "names"),
	CALL(clock_gettime, "time"),
	CALL(gettimeofday, "time"),
	CALL(nanosleep, "waiting"),
	CALL(clock_nanosleep, "waiting"),
	CALL(setitimer, "a lock is not waited for for ever"),
	CALL(rt_sigaction, "signals"),
	CALL(rt_sigprocmask, "signals"),
	CALL(rt_sigreturn, "signals"),
	CALL(sigaltstack, "signals"),
	CALL(restart_syscall, "signals"),
	CALL(exit, "the end"),
	CALL(exit_group, "the end"),
	CALL(getpid, "ourselves"),
	CALL(gettid, "ourselves"),
	CALL(getppid, "our parent"),
	CALL(getuid, "ourselves"),
	CALL(geteuid, "ourselves"),
	CALL(getgid, "ourselves"),
	CALL(getegid, "ourselves"),
	CALL(sysinfo, "libc"),
	CALL(sched_getaffinity, "libc"),
	CALL(sched_yield, "libc"),
	/* no tgkill: whoever may raise a signal may end any process of our user; abort dies of
	 * SIGSYS */
	/* starting the template, which closes its own jail */
	ONLY(clone, "the template", { 0, JAIL_FORK_FORBIDS, 0 }),
	CALL(execveat, "the template"),
	CALL(wait4, "the template"),
	CALL(pidfd_open, "the template"),
	CALL(pidfd_send_signal, "a template that is stuck"),
	ONLY(prctl, "the template gains nothing", { 0, JAIL_WORD, PR_SET_NO_NEW_PRIVS }),
	ONLY(prctl, "the template is not to be traced", { 0, JAIL_WORD, PR_SET_DUMPABLE },
	     { 1, JAIL_WORD, 0 }),
	ONLY(prctl, "the template dies with us", { 0, JAIL_WORD, PR_SET_PDEATHSIG }),
	ONLY(prctl, "the template has no capabilities", { 0, JAIL_WORD, PR_CAP_AMBIENT },
	     { 1, JAIL_WORD, PR_CAP_AMBIENT_CLEAR_ALL }),
	CALL(seccomp, "the template's jail"),
	CALL(set_tid_address, "starting a program"),
	CALL(set_robust_list, "starting a program"),
	CALL(rseq, "starting a program"),
	ONLY(prlimit64, "the extractor's limits, set by itself", { 0, JAIL_WORD, 0 }),
	CALL(capset, "the template"),
	CALL(capget, "the template"),
#ifdef SYS_open /* younger architectures never had these */
	CALL(open, "libacl"),
	CALL(dup2, "descriptors of the template"),
	CALL(poll, "waiting"),
	CALL(epoll_wait, "waiting"),
	CALL(access, "libc"),
	CALL(readlink, "marks"),
	CALL(time, "time"),
	CALL(arch_prctl, "starting a program"),
#endif
};

#define LOOK_MS   2000 /* a share that says nothing for so long hangs */
#define PATHS_MAX (RULES_SHARES_MAX + 32)

struct paths {
	struct jail_path list[PATHS_MAX];
	char spool[3][PATH_MAX];
	size_t count;
};

static void add_path(struct paths *paths, const char *path, unsigned rights)
{
	paths->list[paths->count++] =
		(struct jail_path){ .path = path, .fd = -1, .rights = rights };
}

/* Runs in a child. */
static uint8_t walk_to(const void *context)
{
	return open(context, O_PATH | O_CLOEXEC) >= 0;
}

/* A share that the way to can't be walked, since its server hangs, is left out. When it is back, a
 * job finds it denied, and a new courier sees it. */
static void add_shares(struct paths *paths, const struct config *config)
{
	struct scout scouts[RULES_SHARES_MAX] = { 0 };
	const struct rules *rules = &config->rules;
	for (size_t i = 0; i < rules->shares_count; i++)
		scout_send(&scouts[i], walk_to, rules->shares[i].path);
	int64_t deadline_ms = monotonic_ms() + LOOK_MS;
	for (size_t i = 0; i < rules->shares_count; i++) {
		if (scout_hear(&scouts[i], deadline_ms) != -ETIMEDOUT)
			add_path(paths, rules->shares[i].path, JAIL_READ | JAIL_WRITE);
		else
			log_say(LOG_WARNING, "share", "%s gives no answer: does its server hang?",
				rules->shares[i].path);
		scout_forget(&scouts[i]);
	}
}

static void add_own(struct paths *paths, const struct config *config)
{
	static const enum spool_folder folders[] = { SPOOL_ROOT, SPOOL_SHARES, SPOOL_QUARANTINE };
	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		spool_path(config->gateway.state, folders[i], paths->spool[i]);
		add_path(paths, paths->spool[i], JAIL_READ | JAIL_WRITE);
	}
	add_shares(paths, config);
}

/* What the extractor is made of: its program, libraries, charsets and the database of types; and
 * what it has for standard input and output. */
static void add_extractor(struct paths *paths)
{
	static const char *const trees[] = {
		"/lib",
		"/lib64",
		"/usr/lib",
		"/usr/lib64",
		"/usr/local/lib",
		"/usr/share/misc",
		"/usr/share/file",
		"/etc/ld.so.cache",
		"/usr/share/zoneinfo",
		"/etc/localtime",
#ifdef __SANITIZE_ADDRESS__
		"/proc",
#endif
	};
	for (size_t i = 0; i < sizeof trees / sizeof trees[0]; i++)
		add_path(paths, trees[i], JAIL_READ | JAIL_EXECUTE);
	add_path(paths, "/dev/null", JAIL_READ | JAIL_WRITE);
	paths->list[paths->count++] =
		(struct jail_path){ .fd = ROLE_FD_FIRST, .rights = JAIL_READ | JAIL_EXECUTE };
}

/* Something of the jail is missing: borne, unless it is required. What the kernel lacks the boss
 * has said for all. */
static bool bear(const struct config *config, const char *what)
{
	bool required = config->gateway.sandbox == JAIL_REQUIRE;
	log_say(required ? LOG_ERROR : LOG_WARNING, "sandbox", "%s%s", what,
		required ? "; `sandbox = require` can't be met" : "");
	return !required;
}

static bool enter_paths(const struct config *config)
{
	static struct paths paths;
	if (jail_landlock_abi() < JAIL_ABI_RENAMES)
		return config->gateway.sandbox != JAIL_REQUIRE ||
		       bear(config, "there is no Landlock that allows renames");
	add_own(&paths, config);
	add_extractor(&paths);
	int ruleset_fd;
	int error = jail_paths_prepare(paths.list, paths.count, &ruleset_fd);
	if (!error)
		error = jail_paths_enter(ruleset_fd);
	return !error || bear(config, "Landlock can't be entered");
}

static bool enter_calls(const struct config *config)
{
	struct jail_filter filter;
	int error = jail_filter_prepare(calls, sizeof calls / sizeof calls[0], &filter);
	if (!error)
		error = jail_filter_enter(&filter);
	return !error || bear(config, "seccomp can't be entered");
}

bool jails_enter(const struct config *config)
{
	if (config->gateway.sandbox == JAIL_OFF)
		return true;
	return enter_paths(config) && enter_calls(config);
}
