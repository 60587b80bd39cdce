/* role.c: forks and executes roles. Never stays in the child: what fails there comes back through a
 * pipe. */
#define _GNU_SOURCE
#include "daemon/role.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/jail.h"
#include "daemon/keep.h"
#include "daemon/log.h"

static const char *const programs[ROLE_COUNT] = {
	[ROLE_EXTRACT] = "letterchute-extract", [ROLE_COURIER] = "letterchute-courier",
	[ROLE_SMTP] = "letterchute-smtp",       [ROLE_PULL] = "letterchute-pull",
	[ROLE_WATCH] = "letterchute-watch",     [ROLE_TOKEN] = "letterchute-token",
	[ROLE_PROVE] = "letterchute-prove",     [ROLE_AFTER] = "letterchute-after",
};

/* What a role may know of our environment. */
static const char *const passed_on[] = { "TZ", "JOURNAL_STREAM", "TMPDIR", "ASAN_OPTIONS",
					 "UBSAN_OPTIONS" };
#define FDS_MOST   1024 /* that we look for where the kernel can't do it for us */
#define PASSED_ON  (sizeof passed_on / sizeof passed_on[0])
#define PARENT_KEY "LETTERCHUTE_PARENT"
#define DEBUG_KEY  "LETTERCHUTE_DEBUG"
#define EXIT_BUG   70

int role_open_program(enum role role, int *fd_out)
{
	char self[PATH_MAX - 64], path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
	if (length < 0)
		return -errno;
	self[length] = '\0';
	*strrchr(self, '/') = '\0';
	/* installed: bin/ and libexec/letterchute/ are neighbours; in the build tree all lie side
	 * by side */
	static const char *const places[] = { "", "/../libexec/letterchute" };
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		snprintf(path, sizeof path, "%s%s/%s", self, places[i], programs[role]);
		int fd = open(path, O_PATH | O_CLOEXEC);
		if (fd >= 0) {
			*fd_out = fd;
			return 0;
		}
	}
	return -errno;
}

/* For kernels and containers without close_range. */
static void shut_one_by_one(void)
{
	for (int fd = ROLE_FD_CONFIG; fd < FDS_MOST; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* No descriptor but the standard ones outlives an exec, unless it is placed after this. */
static void shut_descriptors(void)
{
	if (close_range(ROLE_FD_CONFIG, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		shut_one_by_one();
}

static int hold_to_parent(void)
{
	const char *parent = getenv(PARENT_KEY);
	return parent ? jail_settle(atoi(parent)) : -EINVAL;
}

int role_begin(const char *name, struct config *config_out)
{
	char error[CONFIG_ERROR_MAX];
	shut_descriptors();
	prctl(PR_SET_NAME, name, 0, 0, 0);
	log_open(getenv(DEBUG_KEY) != NULL);
	if (hold_to_parent() != 0)
		return EXIT_BUG;
	int status = config_read(ROLE_FD_CONFIG, config_out, error);
	if (status != 0)
		log_say(LOG_ERROR, "configuration", "%s", error);
	return status;
}

struct role_start role_usual(enum role role, const struct config *config, int config_fd,
			     const char *const *arguments, const int *fds, size_t fds_count)
{
	return (struct role_start){ .role = role,
				    .arguments = arguments,
				    .fds = fds,
				    .fds_count = fds_count,
				    .config_fd = config_fd,
				    .program_fd = -1,
				    .uid = config->uid,
				    .gid = config->gid };
}

int role_open_signals(const int *signals, size_t count)
{
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < count; i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Puts fds[i] at first + i. Two passes, since a place may still be held by another of them. */
static int place_fds(const int *fds, size_t count, int first)
{
	int high[ROLE_FDS_MAX];
	assert(count <= sizeof high / sizeof high[0]);
	for (size_t i = 0; i < count; i++) {
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, first + (int)count);
		if (high[i] < 0)
			return -errno;
	}
	for (size_t i = 0; i < count; i++) {
		if (dup2(high[i], first + (int)i) < 0)
			return -errno;
	}
	return 0;
}

/* Standard input and output may be the connection of a device or the mail of a user. */
static int leave_standard(void)
{
	close(0);
	close(1);
	/* the lowest free ones are taken, and they are to outlive the exec */
	if (open("/dev/null", O_RDONLY) != 0 || open("/dev/null", O_WRONLY) != 1)
		return -errno;
	return 0;
}

#define FILE_CAPABILITIES (1u << CAP_CHOWN | 1u << CAP_FOWNER | 1u << CAP_DAC_OVERRIDE)

static int set_capabilities(uint32_t capabilities)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ .effective = capabilities,
		  .permitted = capabilities,
		  .inheritable = capabilities },
	};
	if (syscall(SYS_capset, &head, data) < 0)
		return -errno;
	static const int each[] = { CAP_CHOWN, CAP_FOWNER, CAP_DAC_OVERRIDE };
	for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
		if ((capabilities & 1u << each[i]) &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, each[i], 0, 0) < 0)
			return -errno;
	}
	return 0;
}

/* What root may still do that a container took away is not asked for. */
static uint32_t bounding_capabilities(uint32_t wanted)
{
	uint32_t left = 0;
	for (int c = 0; c < 32; c++) {
		if ((wanted & 1u << c) && prctl(PR_CAPBSET_READ, c, 0, 0, 0) == 1)
			left |= 1u << c;
	}
	return left;
}

/* What one who is not root was given to hand on (systemd's AmbientCapabilities). */
static uint32_t ambient_capabilities(uint32_t wanted)
{
	uint32_t given = 0;
	for (int c = 0; c < 32; c++) {
		if ((wanted & 1u << c) &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, c, 0, 0) == 1)
			given |= 1u << c;
	}
	return given;
}

static bool get_capabilities(struct __user_cap_data_struct data_out[2])
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	return syscall(SYS_capget, &head, data_out) == 0;
}

/* Root of a container may lack the right, and so does a courier that has kept uid 0. */
static bool may_change_user(void)
{
	struct __user_cap_data_struct data[2];
	return get_capabilities(data) && (data[0].effective & 1u << CAP_SETUID) &&
	       (data[0].effective & 1u << CAP_SETGID);
}

/* Who has none need not give any up: a filter around us may forbid even that. */
static bool has_capabilities(void)
{
	struct __user_cap_data_struct data[2];
	return !get_capabilities(data) || data[0].permitted || data[0].inheritable ||
	       data[1].permitted || data[1].inheritable;
}

static uint32_t capabilities_of(const struct role_start *start)
{
	return start->keep_files ? FILE_CAPABILITIES : 0;
}

static int take_identity(uint32_t uid, uint32_t gid, uint32_t capabilities)
{
	if (geteuid() != 0) {
		/* who started us as `user` may have given us some; what a courier executes gets
		 * none of its own, and who executes nothing any more keeps none */
		uint32_t ours = ambient_capabilities(capabilities);
		prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
		return has_capabilities() ? set_capabilities(ours) : 0;
	}
	if (!may_change_user())
		return set_capabilities(bounding_capabilities(capabilities));
	/* uid 0 is to mean nothing by itself: `user = root` gets the same few capabilities as any
	 * other user */
	const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED;
	if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0 && errno != EPERM)
		return -errno;
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setgroups(0, NULL) < 0 ||
	    setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	return set_capabilities(bounding_capabilities(capabilities));
}

int role_take_identity(uint32_t uid, uint32_t gid)
{
	return take_identity(uid, gid, FILE_CAPABILITIES);
}

/* What a change of identity takes back is set anew. */
int role_become(uint32_t uid, uint32_t gid, bool open_any)
{
	const uint32_t any = 1u << CAP_DAC_OVERRIDE | 1u << CAP_LEASE;
	int error = take_identity(uid, gid, open_any ? any : 0);
	return error ? error : hold_to_parent();
}

static void build_environment(char room[PASSED_ON + 3][256], char **environment, pid_t parent)
{
	static char debug_entry[] = DEBUG_KEY "=1";
	size_t used = 0;
	for (size_t i = 0; i < PASSED_ON; i++) {
		const char *value = getenv(passed_on[i]);
		if (value &&
		    (size_t)snprintf(room[used], 256, "%s=%s", passed_on[i], value) < 256) {
			environment[used] = room[used];
			used++;
		}
	}
	if (log_is_debug())
		environment[used++] = debug_entry;
	snprintf(room[used], 256, PARENT_KEY "=%d", (int)parent);
	environment[used] = room[used];
	environment[used + 1] = NULL;
}

/* What is ignored or blocked here must not be in the role: the template waits for its children. But
 * for SIGINT: at a terminal Ctrl-C reaches the whole group at once, and it is for whoever started
 * the roles to end them in their order; they end with him. */
static void reset_signals(void)
{
	sigset_t kept_off;
	sigemptyset(&kept_off);
	sigaddset(&kept_off, SIGINT);
	sigprocmask(SIG_SETMASK, &kept_off, NULL);
	static const int ours[] = { SIGCHLD, SIGPIPE, SIGHUP, SIGTERM, SIGINT };
	for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
		signal(ours[i], SIG_DFL);
}

/* The child. Returns only with what went wrong. */
static int become(const struct role_start *start, int program_fd, pid_t parent, int report_fd)
{
	int first = start->role == ROLE_EXTRACT ? ROLE_FD_CONFIG : ROLE_FD_FIRST;
	int fds[ROLE_FDS_MAX];
	size_t count = 0;
	if (start->config_fd >= 0) {
		first = ROLE_FD_CONFIG;
		fds[count++] = start->config_fd;
	}
	for (size_t i = 0; i < start->fds_count; i++)
		fds[count++] = start->fds[i];
	/* neither may lie where a descriptor goes */
	int report = fcntl(report_fd, F_DUPFD_CLOEXEC, first + (int)count);
	int program = fcntl(program_fd, F_DUPFD_CLOEXEC, first + (int)count);
	if (report < 0 || program < 0)
		return -errno;
	shut_descriptors();
	int error = place_fds(fds, count, first);
	if (!error && !start->keep_standard)
		error = leave_standard();
	reset_signals();
	if (!error && !start->stays_root)
		error = take_identity(start->uid, start->gid, capabilities_of(start));
	if (!error && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		error = -errno;
	if (!error) {
		char room[PASSED_ON + 3][256];
		char *environment[PASSED_ON + 3];
		/* exec takes them as they are, though its type says that it might write */
		char *arguments[ROLE_FDS_MAX] = { (char *)(uintptr_t)programs[start->role] };
		for (size_t i = 0; start->arguments && start->arguments[i]; i++) {
			assert(i + 2 < sizeof arguments / sizeof arguments[0]);
			arguments[i + 1] = (char *)(uintptr_t)start->arguments[i];
		}
		build_environment(room, environment, parent);
		execveat(program, "", arguments, environment, AT_EMPTY_PATH);
		error = -errno;
	}
	return write(report, &error, sizeof error) < 0 ? -errno : error;
}

int role_start_held(const struct role_start *start, pid_t *pid_out, int *pid_fd_out)
{
	auto_close int found = -1;
	int error = start->program_fd < 0 ? role_open_program(start->role, &found) : 0;
	if (error)
		return error;
	int pair[2];
	if (pipe2(pair, O_CLOEXEC) < 0)
		return -errno;
	auto_close int report_in = pair[0];
	auto_close int report_out = pair[1];
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		become(start, start->program_fd < 0 ? found : start->program_fd, parent,
		       report_out);
		_exit(70);
	}
	/* now, while nobody else can have its number */
	auto_close int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	close_fd(&report_out);
	/* the pipe closes at the exec: nothing comes then */
	if (read_all(report_in, &error, sizeof error) == sizeof error)
		return error;
	*pid_out = pid;
	*pid_fd_out = take_fd(&pid_fd);
	return 0;
}

bool role_is_fault(int signal)
{
	static const int faults[] = { SIGSEGV, SIGBUS,  SIGILL,  SIGFPE, SIGABRT,
				      SIGSYS,  SIGXCPU, SIGXFSZ, SIGTRAP };
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		if (faults[i] == signal)
			return true;
	}
	return false;
}

int role_start(const struct role_start *start, pid_t *pid_out)
{
	auto_close int pid_fd = -1;
	return role_start_held(start, pid_out, &pid_fd);
}
