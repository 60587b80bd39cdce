/* jails.c: the lists of what a courier may do, a reason each. Never decides anything at run time
 * but what is missing. */
#define _GNU_SOURCE
#include "daemon/courier/jails.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "daemon/fdio.h"
#include "daemon/jail.h"
#include "daemon/log.h"
#include "daemon/role.h"
#include "daemon/scout.h"
#include "daemon/spool.h"

static const struct jail_call calls[] = {
	JAIL_CALL(read, "frames"),
	JAIL_CALL(write, "parts, the log"),
	JAIL_CALL(pread64, "the message, plans"),
	JAIL_CALL(pwrite64, "the job in hand"),
	JAIL_CALL(readv, "libc"),
	JAIL_CALL(writev, "libc"),
	JAIL_CALL(lseek, "files"),
	JAIL_CALL(close, "descriptors"),
	JAIL_CALL(close_range, "libc"),
	JAIL_CALL(dup, "descriptors"),
	JAIL_CALL(dup3, "descriptors of the template"),
	/* no F_SETOWN, which sends signals */
	JAIL_ONLY(fcntl, "may a descriptor be written to?", { 1, JAIL_WORD, F_GETFL }),
	JAIL_ONLY(fcntl, "frames are not waited for", { 1, JAIL_WORD, F_SETFL }),
	JAIL_ONLY(fcntl, "folders", { 1, JAIL_WORD, F_SETFD }),
	JAIL_ONLY(fcntl, "folders; descriptors of the template", { 1, JAIL_WORD, F_DUPFD_CLOEXEC }),
	JAIL_ONLY(fcntl, "frames: room in the pipe", { 1, JAIL_WORD, F_SETPIPE_SZ }),
	JAIL_CALL(pipe2, "frames"),
	JAIL_CALL(ppoll, "waiting"),
	JAIL_CALL(epoll_pwait, "waiting"),
	JAIL_CALL(epoll_ctl, "waiting"),
	JAIL_CALL(epoll_create1, "waiting"),
	JAIL_CALL(recvmsg, "questions"),
	JAIL_CALL(sendmsg, "answers"),
	/* with a pair of datagram sockets one could write to every local socket by its path */
	JAIL_ONLY(socketpair, "the template's control socket", { 0, JAIL_WORD, AF_UNIX },
		  { 1, JAIL_WORD, SOCK_SEQPACKET | SOCK_CLOEXEC }),
	JAIL_CALL(openat, "spool and share"),
	JAIL_CALL(openat2, "below the share"),
	JAIL_CALL(fstat, "files"),
	JAIL_CALL(newfstatat, "files"),
	JAIL_CALL(stat, "libacl"),
	JAIL_CALL(lstat, "libacl"),
	JAIL_CALL(statx, "files"),
	JAIL_CALL(fstatfs, "free space"),
	JAIL_CALL(statfs, "free space"),
	JAIL_CALL(faccessat, "lives"),
	JAIL_CALL(faccessat2, "lives"),
	JAIL_CALL(readlinkat, "marks"),
	JAIL_CALL(getdents64, "folders"),
	JAIL_CALL(mkdirat, "folders"),
	JAIL_CALL(unlinkat, "staging"),
	JAIL_CALL(renameat, "marks"),
	JAIL_CALL(renameat2, "publishing"),
	JAIL_CALL(linkat, "publishing"),
	JAIL_CALL(ftruncate, "what we remember of folders"),
	JAIL_CALL(fallocate, "the same"),
	JAIL_CALL(fsync, "the promise"),
	JAIL_CALL(fdatasync, "the promise"),
	JAIL_CALL(flock, "locks"),
	/* a program that is root's and setuid would make its caller root */
	JAIL_ONLY(fchmod, "owner.c", { 1, S_ISUID, 0 }),
	JAIL_CALL(fchown, "owner.c"),
	JAIL_CALL(fgetxattr, "ACLs"),
	JAIL_CALL(fsetxattr, "ACLs"),
	JAIL_CALL(getxattr, "ACLs"),
	JAIL_CALL(fremovexattr, "ACLs"),
	JAIL_CALL(umask, "owner.c"),
	JAIL_CALL(memfd_create, "the template's jail"),
	JAIL_CALL(brk, "memory"),
	JAIL_CALL(mmap, "memory"),
	JAIL_CALL(munmap, "memory"),
	JAIL_CALL(mremap, "memory"),
	JAIL_CALL(mprotect, "memory"),
	JAIL_CALL(madvise, "memory"),
	JAIL_CALL(futex, "libc"),
	JAIL_CALL(getrandom, "names"),
	JAIL_CALL(clock_gettime, "time"),
	JAIL_CALL(gettimeofday, "time"),
	JAIL_CALL(nanosleep, "waiting"),
	JAIL_CALL(clock_nanosleep, "waiting"),
	JAIL_CALL(setitimer, "a lock is not waited for for ever"),
	JAIL_CALL(rt_sigaction, "signals"),
	JAIL_CALL(rt_sigprocmask, "signals"),
	JAIL_CALL(rt_sigreturn, "signals"),
	JAIL_CALL(sigaltstack, "signals"),
	JAIL_CALL(restart_syscall, "signals"),
	JAIL_CALL(exit, "the end"),
	JAIL_CALL(exit_group, "the end"),
	JAIL_CALL(getpid, "ourselves"),
	JAIL_CALL(gettid, "ourselves"),
	JAIL_CALL(getppid, "our parent"),
	JAIL_CALL(getuid, "ourselves"),
	JAIL_CALL(geteuid, "ourselves"),
	JAIL_CALL(getgid, "ourselves"),
	JAIL_CALL(getegid, "ourselves"),
	JAIL_CALL(sysinfo, "libc"),
	JAIL_CALL(sched_getaffinity, "libc"),
	JAIL_CALL(sched_yield, "libc"),
	/* no tgkill: whoever may raise a signal may end any process of our user; abort dies of
	 * SIGSYS */
	/* starting the template, which closes its own jail */
	JAIL_ONLY(clone, "the template", { 0, JAIL_FORK_FORBIDS, 0 }),
	JAIL_CALL(execveat, "the template"),
	JAIL_CALL(wait4, "the template"),
	JAIL_CALL(pidfd_open, "the template"),
	JAIL_CALL(pidfd_send_signal, "a template that is stuck"),
	JAIL_ONLY(prctl, "the template gains nothing", { 0, JAIL_WORD, PR_SET_NO_NEW_PRIVS }),
	JAIL_ONLY(prctl, "the template is not to be traced", { 0, JAIL_WORD, PR_SET_DUMPABLE },
		  { 1, JAIL_WORD, 0 }),
	JAIL_ONLY(prctl, "the template dies with us", { 0, JAIL_WORD, PR_SET_PDEATHSIG }),
	JAIL_ONLY(prctl, "the template has no capabilities", { 0, JAIL_WORD, PR_CAP_AMBIENT },
		  { 1, JAIL_WORD, PR_CAP_AMBIENT_CLEAR_ALL }),
	JAIL_CALL(seccomp, "the template's jail"),
	JAIL_CALL(set_tid_address, "starting a program"),
	JAIL_CALL(set_robust_list, "starting a program"),
	JAIL_CALL(rseq, "starting a program"),
	JAIL_ONLY(prlimit64, "the extractor's limits, set by itself", { 0, JAIL_WORD, 0 }),
	JAIL_CALL(capset, "the template"),
	JAIL_CALL(capget, "the template"),
#ifdef SYS_open /* younger architectures never had these */
	JAIL_CALL(open, "libacl"),
	JAIL_CALL(dup2, "descriptors of the template"),
	JAIL_CALL(poll, "waiting"),
	JAIL_CALL(epoll_wait, "waiting"),
	JAIL_CALL(access, "libc"),
	JAIL_CALL(readlink, "marks"),
	JAIL_CALL(time, "time"),
	JAIL_CALL(arch_prctl, "starting a program"),
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

static bool enter_paths(const struct config *config, const struct paths *paths)
{
	if (jail_landlock_abi() < JAIL_ABI_RENAMES)
		return config->gateway.sandbox != JAIL_REQUIRE ||
		       bear(config, "there is no Landlock that allows renames");
	int ruleset_fd;
	int error = jail_paths_prepare(paths->list, paths->count, NULL, 0, &ruleset_fd);
	if (!error)
		error = jail_paths_enter(ruleset_fd);
	return !error || bear(config, "Landlock can't be entered");
}

#define CALLS    (sizeof calls / sizeof calls[0])
#define MORE_MAX 4

/* `more`: those that are allowed too. */
static bool enter_calls(const struct config *config, const struct jail_call *more,
			size_t more_count)
{
	struct jail_call all[CALLS + MORE_MAX];
	struct jail_filter filter;
	assert(more_count <= MORE_MAX);
	memcpy(all, calls, sizeof calls);
	for (size_t i = 0; i < more_count; i++)
		all[CALLS + i] = more[i];
	int error = jail_filter_prepare(all, CALLS + more_count, &filter);
	if (!error)
		error = jail_filter_enter(&filter);
	return !error || bear(config, "seccomp can't be entered");
}

bool jails_enter(const struct config *config)
{
	static struct paths paths;
	if (config->gateway.sandbox == JAIL_OFF)
		return true;
	add_own(&paths, config);
	if (jail_landlock_abi() >= JAIL_ABI_RENAMES)
		add_shares(&paths, config);
	add_extractor(&paths);
	return enter_paths(config, &paths) && enter_calls(config, NULL, 0);
}

/* Who only looks reads what we remember of the share. What kind of mount it is is seen by a try to
 * make something there (share.c). */
bool jails_enter_folder(const struct config *config, const char *path)
{
	static struct paths paths;
	if (config->gateway.sandbox == JAIL_OFF)
		return true;
	spool_path(config->gateway.state, SPOOL_SHARES, paths.spool[0]);
	add_path(&paths, paths.spool[0], JAIL_READ);
	add_path(&paths, path, JAIL_READ | JAIL_WRITE);
#ifdef __SANITIZE_ADDRESS__
	add_path(&paths, "/proc", JAIL_READ);
#endif
	return enter_paths(config, &paths) && enter_calls(config, NULL, 0);
}

bool jails_enter_parent(const struct config *config)
{
	static const struct jail_call more[] = {
		JAIL_CALL(landlock_create_ruleset, "the jails of our children"),
		JAIL_CALL(landlock_add_rule, "the same"),
		JAIL_CALL(landlock_restrict_self, "the same"),
	};
	return config->gateway.sandbox == JAIL_OFF ||
	       enter_calls(config, more, sizeof more / sizeof more[0]);
}
