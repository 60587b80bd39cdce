/* cage.c: the lists of what the prover and its children may do, a reason each. Never decides
 * anything at run time but what is missing. */
#define _GNU_SOURCE
#include "daemon/prover/cage.h"
#include <errno.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/confine.h"
#include "daemon/names.h"

#define STACK_MAX      (8u << 20)
#define FILES_MAX      128
#define CHILD_FILES    16
#define DNS_PORT       53
#define TIME_LEAST_S   30 /* of a clock on the wall: keys are looked up */
#define CPU_LEAST_S    10
#define BYTES_A_SECOND (20u << 20) /* a second more for each so many octets; 250 MB/s is usual */

/* It tells what it has found on standard error. */
#if defined(__SANITIZE_ADDRESS__)
#define UNDER_SANITIZER 1
#else
#define UNDER_SANITIZER 0
#endif

/* Who looks at a message. */
static const struct jail_call child_calls[] = {
	JAIL_SOCKET(AF_INET, SOCK_DGRAM, "names"),
	JAIL_SOCKET(AF_INET6, SOCK_DGRAM, "the same"),
	JAIL_SOCKET(AF_INET, SOCK_STREAM, "names, where an answer is long"),
	JAIL_SOCKET(AF_INET6, SOCK_STREAM, "the same"),
	JAIL_CALL(connect, "those who know names"),
	JAIL_OPTION(setsockopt, IPPROTO_IP, IP_RECVERR, "names: nobody is there"),
	JAIL_OPTION(setsockopt, IPPROTO_IPV6, IPV6_RECVERR, "the same"),
	/* with MSG_FASTOPEN they would be a connect that Landlock does not see */
	JAIL_ONLY(sendto, "names", { 3, MSG_FASTOPEN, 0 }),
	JAIL_ONLY(sendmsg, "the answer", { 2, MSG_FASTOPEN, 0 }),
	JAIL_ONLY(sendmmsg, "names, to another libc", { 3, MSG_FASTOPEN, 0 }),
	JAIL_CALL(recvfrom, "names"),
	JAIL_ONLY(ioctl, "names: how much has come", { 1, JAIL_WORD, FIONREAD }),
	JAIL_CALL(ppoll, "waiting"),
	JAIL_CALL(openat, "how names are looked up"),
	JAIL_CALL(read, "that; names over TCP"),
	JAIL_CALL(pread64, "the message"),
	JAIL_CALL(write, "names over TCP, to another libc"),
	JAIL_CALL(writev, "names over TCP; what libc says before it aborts"),
	JAIL_CALL(lseek, "files"),
	JAIL_CALL(close, "descriptors"),
	JAIL_CALL(fstat, "files, to an older libc"),
	JAIL_CALL(newfstatat, "files; were those of the names replaced?"),
	JAIL_CALL(brk, "memory"),
	JAIL_ONLY(mmap, "memory, never to be executed", { 2, PROT_EXEC, 0 }),
	JAIL_ONLY(mprotect, "malloc, when memory runs short", { 2, PROT_EXEC, 0 }),
	JAIL_CALL(munmap, "memory"),
	JAIL_CALL(mremap, "memory"),
	JAIL_CALL(madvise, "memory given back"),
	JAIL_CALL(futex, "what libraries do once"),
	JAIL_CALL(getrandom, "numbers of questions for names"),
	JAIL_CALL(getpid, "the same, to an older libc; libcrypto: was it forked?"),
	/* where the kernel has no vDSO */
	JAIL_CALL(clock_gettime, "deadlines; has a signature expired?"),
	JAIL_CALL(gettimeofday, "the same"),
	JAIL_CALL(rt_sigprocmask, "what libc does before it aborts"),
	JAIL_CALL(restart_syscall, "a wait goes on after SIGSTOP and SIGCONT"),
	/* no tgkill: whoever may raise a signal may end any process of our user; abort dies of
	 * SIGSYS */
	JAIL_CALL(exit_group, "the end"),
#ifdef SYS_open /* younger architectures never had these */
	JAIL_CALL(open, "files, to another libc"),
	JAIL_CALL(poll, "waiting"),
	JAIL_CALL(stat, "files, to an older libc"),
	JAIL_CALL(time, "has a signature expired?"),
#endif
#ifdef __SANITIZE_ADDRESS__
	JAIL_SANITIZER,
#endif
};

/* Who takes the questions: those too, since nobody can give what he has not. He writes to the log.
 */
static const struct jail_call own_calls[] = {
	JAIL_CALL(recvmsg, "questions"),
	JAIL_ONLY(clone, "a child for each", { 0, JAIL_FORK_FORBIDS, 0 }),
	JAIL_CALL(set_robust_list, "the same, libc"),
	JAIL_CALL(wait4, "how it ended"),
	JAIL_CALL(getppid, "a child: is its parent there?"),
	JAIL_CALL(rt_sigreturn, "signals"),
	/* the way into the inner jail */
	JAIL_CALL(close_range, "descriptors that are not its own"),
	JAIL_ONLY(prlimit64, "its limits", { 0, JAIL_WORD, 0 }),
	JAIL_CALL(setitimer, "its time"),
	JAIL_ONLY(prctl, "it dies with us", { 0, JAIL_WORD, PR_SET_PDEATHSIG }),
	JAIL_ONLY(prctl, "it gains nothing", { 0, JAIL_WORD, PR_SET_NO_NEW_PRIVS }),
	JAIL_ONLY(seccomp, "its calls", { 0, JAIL_WORD, SECCOMP_SET_MODE_FILTER }),
#ifdef SYS_alarm
	JAIL_CALL(alarm, "its time"),
#endif
};

#define COUNT(calls) (sizeof(calls) / sizeof(calls)[0])

static struct jail_filter child_filter;
static struct names_sight seen;

static bool enter(const struct config *config)
{
	struct jail_path paths[JAIL_NETWORK_MAX];
	struct jail_call calls[COUNT(child_calls) + COUNT(own_calls)];
	const struct sockaddr_storage *address = &config->gateway.resolver.address;
	uint16_t port = DNS_PORT;
	if (address->ss_family == AF_INET)
		port = ntohs(((const struct sockaddr_in *)(const void *)address)->sin_port);
	else if (address->ss_family == AF_INET6)
		port = ntohs(((const struct sockaddr_in6 *)(const void *)address)->sin6_port);
	memcpy(calls, child_calls, sizeof child_calls);
	memcpy(calls + COUNT(child_calls), own_calls, sizeof own_calls);
	const struct confinement confinement = {
		.mode = (enum jail_mode)config->gateway.sandbox,
		.paths = paths,
		.paths_count = jail_network_paths("", paths),
		.ports = &port,
		.ports_count = 1,
		.calls = calls,
		.calls_count = COUNT(calls),
	};
	return confine_enter(&confinement) == 0;
}

bool cage_enter(const struct config *config)
{
	bool locked = config->gateway.sandbox != JAIL_OFF;
	names_look("", &seen);
	if (confine_limit(FILES_MAX, STACK_MAX) != 0)
		return false;
	if (locked && jail_filter_prepare(child_calls, COUNT(child_calls), &child_filter) != 0)
		return false;
	return enter(config);
}

bool cage_is_outdated(void)
{
	struct names_sight now;
	names_look("", &now);
	return names_differ(&seen, &now);
}

static void close_between(int first, int last)
{
	if (first > last || close_range((unsigned)first, (unsigned)last, 0) == 0)
		return;
	/* for kernels and containers without it: we have few */
	for (int fd = first; fd <= last && fd < FILES_MAX; fd++)
		close(fd);
}

static void close_others(int one, int other)
{
	int low = one < other ? one : other, high = one < other ? other : one;
	close_between(UNDER_SANITIZER ? STDERR_FILENO + 1 : 0, low - 1);
	close_between(low + 1, high - 1);
	close_between(high + 1, INT32_MAX);
}

static int limit(uint64_t bytes)
{
	rlim_t more = (rlim_t)(bytes / BYTES_A_SECOND);
	const struct {
		__rlimit_resource_t resource;
		rlim_t soft, hard;
	} limits[] = {
		{ RLIMIT_CPU, CPU_LEAST_S + more, CPU_LEAST_S + more + 1 },
		{ RLIMIT_FSIZE, UNDER_SANITIZER ? RLIM_INFINITY : 0,
		  UNDER_SANITIZER ? RLIM_INFINITY : 0 },
		{ RLIMIT_NPROC, 0, 0 },
		{ RLIMIT_NOFILE, CHILD_FILES, CHILD_FILES },
	};
	for (size_t i = 0; i < COUNT(limits); i++) {
		const struct rlimit most = { limits[i].soft, limits[i].hard };
		if (setrlimit(limits[i].resource, &most) < 0)
			return -errno;
	}
	alarm((unsigned)(TIME_LEAST_S + more));
	return 0;
}

int cage_enter_child(pid_t parent, uint64_t bytes, int message_fd, int answer_fd)
{
	close_others(message_fd, answer_fd);
	int error = limit(bytes);
	if (!error && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		error = -errno;
	if (!error && getppid() != parent)
		error = -ESRCH;
	return error || !child_filter.program ? error : jail_filter_enter(&child_filter);
}
