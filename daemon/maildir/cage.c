/* cage.c: the lists of what a watcher may do, a reason each. Never decides anything at run time but
 * what is missing. */
#define _GNU_SOURCE
#include "daemon/maildir/cage.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include "daemon/confine.h"

#define FILES_MAX 1024

static const struct jail_call calls[] = {
	JAIL_CALL(openat, "messages, folders"),
	JAIL_CALL(fstat, "files"),
	JAIL_CALL(newfstatat, "files"),
	JAIL_CALL(statx, "files"),
	JAIL_CALL(readlinkat, "links on the way to the Maildir"),
	JAIL_CALL(faccessat, "may a Maildir be made by now?"),
	JAIL_CALL(faccessat2, "the same"),
	JAIL_CALL(getdents64, "who is there?"),
	JAIL_CALL(unlinkat, "a message that was delivered"),
	JAIL_CALL(renameat, "one that is moved, where it can't be said that nothing is replaced"),
	JAIL_CALL(renameat2, "one that is moved"),
	JAIL_CALL(linkat, "the same, where a rename would replace"),
	/* by a path it would be anybody's */
	JAIL_ONLY(utimensat, "the time of one that is copied", { 1, UINT64_MAX, 0 }),
	JAIL_CALL(fsync, "it is gone for good"),
	JAIL_CALL(read, "signals, events"),
	JAIL_CALL(pread64, "a message that is copied"),
	JAIL_CALL(write, "the same, and the log"),
	JAIL_CALL(pwrite64, "where the source stands"),
	JAIL_CALL(lseek, "folders"),
	JAIL_CALL(close, "descriptors"),
	/* no F_SETOWN, which sends signals */
	JAIL_ONLY(fcntl, "folders", { 1, JAIL_WORD, F_GETFL }),
	JAIL_ONLY(fcntl, "folders", { 1, JAIL_WORD, F_SETFD }),
	JAIL_ONLY(fcntl, "is a message still written?", { 1, JAIL_WORD, F_SETLEASE }),
	/* with a pair of datagram sockets one could write to every local socket by its path */
	JAIL_ONLY(socketpair, "where an answer comes", { 0, JAIL_WORD, AF_UNIX },
		  { 1, JAIL_WORD, SOCK_SEQPACKET | SOCK_CLOEXEC }),
	JAIL_ONLY(sendmsg, "questions", { 2, MSG_FASTOPEN, 0 }),
	JAIL_CALL(recvmsg, "answers"),
	JAIL_CALL(ppoll, "waiting"),
	JAIL_CALL(nanosleep, "waiting"),
	JAIL_CALL(clock_nanosleep, "waiting"),
	JAIL_CALL(clock_gettime, "time"),
	JAIL_CALL(gettimeofday, "time"),
	JAIL_CALL(getrandom, "names, waiting"),
	JAIL_CALL(sysinfo, "libc: is there memory to sort much in?"),
	JAIL_CALL(brk, "memory"),
	JAIL_ONLY(mmap, "memory", { 2, PROT_EXEC, 0 }),
	JAIL_ONLY(mprotect, "memory", { 2, PROT_EXEC, 0 }),
	JAIL_CALL(munmap, "memory"),
	JAIL_CALL(mremap, "memory"),
	JAIL_CALL(madvise, "memory"),
	JAIL_CALL(futex, "libc"),
	JAIL_CALL(rt_sigaction, "signals"),
	JAIL_CALL(rt_sigprocmask, "signals"),
	JAIL_CALL(rt_sigreturn, "signals"),
	JAIL_CALL(sigaltstack, "signals"),
	JAIL_CALL(restart_syscall, "signals"),
	JAIL_CALL(gettid, "libc"),
	JAIL_CALL(getpid, "libc"),
	/* no tgkill: whoever may raise a signal may end any process of our user; abort dies of
	 * SIGSYS */
	JAIL_CALL(exit, "the end"),
	JAIL_CALL(exit_group, "the end"),
#ifdef SYS_open /* younger architectures never had these */
	JAIL_CALL(open, "libc"),
	JAIL_CALL(poll, "waiting"),
	JAIL_CALL(access, "may a Maildir be made by now?"),
	JAIL_CALL(time, "time"),
#endif
};

/* A mail may not gain a right by being moved: nobody may write into those of cur/. */
static size_t list_paths(const struct box *box, struct jail_path *paths)
{
	const struct jail_path wanted[] = {
		{ .fd = box->from.folders[MAILDIR_NEW], .rights = JAIL_READ | JAIL_REMOVE },
		{ .fd = box->from.folders[MAILDIR_CUR], .rights = JAIL_READ | JAIL_REMOVE },
		{ .fd = box->after.folders[MAILDIR_CUR], .rights = JAIL_READ | JAIL_MAKE },
		{ .fd = box->after.folders[MAILDIR_TMP], .rights = JAIL_READ | JAIL_WRITE },
		{ .fd = box->refused.folders[MAILDIR_CUR], .rights = JAIL_READ | JAIL_MAKE },
		{ .fd = box->refused.folders[MAILDIR_TMP], .rights = JAIL_READ | JAIL_WRITE },
	};
	size_t count = 0;
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
		if (wanted[i].fd >= 0)
			paths[count++] = wanted[i];
	}
#ifdef __SANITIZE_ADDRESS__
	paths[count++] = (struct jail_path){ .path = "/proc", .fd = -1, .rights = JAIL_READ };
#endif
	return count;
}

bool cage_enter(const struct config *config, const struct box *box)
{
	struct jail_path paths[8];
	const struct confinement confinement = {
		.mode = (enum jail_mode)config->gateway.sandbox,
		.paths = paths,
		.paths_count = list_paths(box, paths),
		/* one that knows no renames would let nothing be moved; the boss has said so */
		.landlock_from = JAIL_ABI_RENAMES,
		.calls = calls,
		.calls_count = sizeof calls / sizeof calls[0],
	};
	return confine_limit(FILES_MAX, 0) == 0 && confine_enter(&confinement) == 0;
}
