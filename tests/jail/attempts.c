/* attempts.c: the attempts. Each makes no other system call than the one that is to be denied, and
 * those that it can't be made without. Never cleans up. */
#define _GNU_SOURCE
#include "tests/jail/attempts.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define DESCRIPTORS 1024
#define NEIGHBOURS  300                 /* process ids on either side of ours */
#define SECRET      "SECRET-OF-ANOTHER" /* in the message of somebody else */
#define HOUSE       "@misbehave.example"

static pid_t self, parent;
static char outside[256], share[sizeof outside + 16], state[sizeof outside + 16];

void attempts_prepare(void)
{
	const char *folder = getenv("TMPDIR");
	self = getpid();
	parent = getppid();
	snprintf(outside, sizeof outside, "%s", folder ? folder : "/nonexistent");
	snprintf(share, sizeof share, "%s/../share", outside);
	snprintf(state, sizeof state, "%s/../state", outside);
}

/* The C library's wrappers are left out where they make other calls. */
#define CALL(...) result(syscall(__VA_ARGS__))

static int result(long returned)
{
	return returned < 0 ? -errno : 1;
}

/* In two buffers in turn, since a rename needs two. */
static const char *at(const char *folder, const char *name)
{
	static char paths[2][sizeof share + 64];
	static unsigned turn;
	char *path = paths[++turn % 2];
	char *end = stpcpy(stpcpy(stpcpy(path, folder), "/"), name);
	*end = '\0';
	return path;
}

static int open_at(const char *path, int flags)
{
	return CALL(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0666);
}

/* --- network ---------------------------------------------------------------------------------- */

static int socket_inet(void)
{
	return CALL(SYS_socket, AF_INET, SOCK_STREAM, 0);
}

static int socket_inet6(void)
{
	return CALL(SYS_socket, AF_INET6, SOCK_DGRAM, 0);
}

static int socket_unix(void)
{
	return CALL(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
}

static int socket_netlink(void)
{
	return CALL(SYS_socket, AF_NETLINK, SOCK_RAW, 0);
}

/* A datagram socket needs no connect: sendto reaches every local socket by its path. */
static int socketpair_datagram(void)
{
	int pair[2];
	return CALL(SYS_socketpair, AF_UNIX, SOCK_DGRAM, 0, pair);
}

static int connect_any(void)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
	return CALL(SYS_connect, 3, &address, sizeof address);
}

static int bind_any(void)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX };
	return CALL(SYS_bind, 3, &address, sizeof(sa_family_t));
}

static int listen_any(void)
{
	return CALL(SYS_listen, 3, 1);
}

static int accept_any(void)
{
	return CALL(SYS_accept4, 3, NULL, NULL, SOCK_CLOEXEC);
}

#define NOBODY                                               \
	{                                                    \
		.sin_family = AF_INET, .sin_port = htons(9), \
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)    \
	}

/* To hear that nobody is there is to have asked. */
static int asked(long returned)
{
	return returned < 0 && (errno == EINPROGRESS || errno == ECONNREFUSED) ? 1
									       : result(returned);
}

/* Another server than one's own. */
static int connect_tcp(void)
{
	const struct sockaddr_in address = NOBODY;
	long fd = syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
	return fd < 0 ? -errno : asked(syscall(SYS_connect, fd, &address, sizeof address));
}

static int bind_tcp(void)
{
	const struct sockaddr_in address = { .sin_family = AF_INET };
	long fd = syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
	return fd < 0 ? -errno : CALL(SYS_bind, fd, &address, sizeof address);
}

/* The rules for TCP are for TCP. */
static int socket_mptcp(void)
{
	return CALL(SYS_socket, AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
}

static int socket_raw(void)
{
	return CALL(SYS_socket, AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static int fast_open_fresh(void)
{
	const struct sockaddr_in address = NOBODY;
	long fd = syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
	return fd < 0 ? -errno
		      : asked(syscall(SYS_sendto, fd, "x", 1,
				      MSG_FASTOPEN | MSG_DONTWAIT | MSG_NOSIGNAL, &address,
				      sizeof address));
}

/* At the gateway's door. */
static int knock(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof address.sun_path, "%.80s/gateway.sock", state);
	long fd = syscall(SYS_socket, AF_UNIX, SOCK_SEQPACKET, 0);
	return fd < 0 ? -errno : CALL(SYS_connect, fd, &address, sizeof address);
}

/* A program in the kernel, though a small one. */
static int filter_socket(void)
{
	const struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, 0xFFFF);
	const struct sock_fprog program = { 1, (struct sock_filter *)(uintptr_t)&all };
	long fd = syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
	return fd < 0 ? -errno
		      : CALL(SYS_setsockopt, fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
			     sizeof program);
}

/* A socket that listened can connect without connect: shutdown frees it, and sendto says to whom.
 * It tells by how that fails that it tried. */
static int fast_open(void)
{
	const struct sockaddr_in address = { .sin_family = AF_INET,
					     .sin_port = htons(9),
					     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	for (long fd = 3; fd < 16; fd++) {
		syscall(SYS_shutdown, fd, SHUT_RD);
		if (syscall(SYS_sendto, fd, "x", 1, MSG_FASTOPEN | MSG_DONTWAIT | MSG_NOSIGNAL,
			    &address, sizeof address) < 0 &&
		    (errno == EINPROGRESS || errno == ECONNREFUSED))
			return 1;
	}
	return -EISCONN;
}

static int io_uring(void)
{
	struct io_uring_params parameters = { 0 };
	return CALL(SYS_io_uring_setup, 4, &parameters);
}

/* --- files ------------------------------------------------------------------------------------ */

static int open_passwd(void)
{
	return open_at("/etc/passwd", O_RDONLY);
}

static int open_shadow(void)
{
	return open_at("/etc/shadow", O_RDONLY);
}

static int open_memory(void)
{
	return open_at("/proc/self/mem", O_RDWR);
}

static int open_relative(void)
{
	return open_at(".", O_RDONLY | O_DIRECTORY);
}

static int open_by_root(void)
{
	return open_at("/proc/self/root/etc/passwd", O_RDONLY);
}

static int open_openat2(void)
{
	const struct open_how how = { .flags = O_RDONLY | O_CLOEXEC };
	return CALL(SYS_openat2, AT_FDCWD, "/etc/passwd", &how, sizeof how);
}

static int open_by_handle(void)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} file = { .handle = { .handle_bytes = MAX_HANDLE_SZ } };
	int mount;
	if (syscall(SYS_name_to_handle_at, AT_FDCWD, at(outside, "."), &file, &mount, 0) < 0)
		return -errno;
	return CALL(SYS_open_by_handle_at, AT_FDCWD, &file, O_RDONLY);
}

static int open_configuration(void)
{
	return open_at(at(outside, "../gateway.conf"), O_RDONLY);
}

/* Where the test has put what another account logs in with. */
static int read_password(void)
{
	return open_at(at(outside, "../password"), O_RDONLY);
}

static int read_tokens(void)
{
	return open_at(at(state, "tokens"), O_RDONLY | O_DIRECTORY);
}

/* By a folder that is held, or by its path. */
static int read_token(void)
{
	for (long fd = 3; fd < 16; fd++) {
		if (syscall(SYS_openat, fd, "token", O_RDONLY | O_CLOEXEC) >= 0)
			return 1;
	}
	return open_at(at(state, "tokens/token"), O_RDONLY);
}

static int read_plans(void)
{
	return open_at(at(state, "spool/publishing"), O_RDONLY | O_DIRECTORY);
}

static int read_marks(void)
{
	return open_at(at(state, "spool/done"), O_RDONLY | O_DIRECTORY);
}

static int read_statuses(void)
{
	return open_at(at(state, "spool/sources"), O_RDONLY | O_DIRECTORY);
}

static int read_quarantine(void)
{
	return open_at(at(state, "quarantine"), O_RDONLY | O_DIRECTORY);
}

static int read_share(void)
{
	return open_at(at(share, "ours"), O_RDONLY);
}

static int write_ledger(void)
{
	return open_at(at(state, "spool/kept/other"), O_WRONLY | O_CREAT);
}

static int remove_ledger(void)
{
	return CALL(SYS_unlinkat, AT_FDCWD, at(state, "spool/kept/victim"), 0);
}

static int read_outside(void)
{
	return open_at(at(outside, "open"), O_RDONLY);
}

static int write_outside(void)
{
	return open_at(at(outside, "open"), O_WRONLY);
}

static int empty_outside(void)
{
	return open_at(at(outside, "open"), O_RDONLY | O_TRUNC);
}

static int make_outside(void)
{
	return open_at(at(outside, "made"), O_WRONLY | O_CREAT);
}

static int make_nameless_outside(void)
{
	return open_at(outside, O_WRONLY | O_TMPFILE);
}

static int make_folder_outside(void)
{
	return CALL(SYS_mkdirat, AT_FDCWD, at(outside, "folder"), 0777);
}

static int remove_outside(void)
{
	return CALL(SYS_unlinkat, AT_FDCWD, at(outside, "victim"), 0);
}

static int rename_out(void)
{
	return CALL(SYS_renameat2, AT_FDCWD, at(share, "ours"), AT_FDCWD, at(outside, "moved"), 0);
}

static int rename_in(void)
{
	return CALL(SYS_renameat2, AT_FDCWD, at(outside, "lure"), AT_FDCWD, at(share, "in"), 0);
}

static int link_out(void)
{
	return CALL(SYS_linkat, AT_FDCWD, at(share, "linked"), AT_FDCWD, at(outside, "linked"), 0);
}

static int link_in(void)
{
	return CALL(SYS_linkat, AT_FDCWD, at(outside, "open"), AT_FDCWD, at(share, "linked-in"), 0);
}

/* The test has put it there: share/way is a symbolic link to outside/open. */
static int follow_link(void)
{
	return open_at(at(share, "way"), O_RDONLY);
}

static int climb(void)
{
	long folder = syscall(SYS_openat, AT_FDCWD, share, O_PATH | O_CLOEXEC);
	return folder < 0 ? -errno
			  : CALL(SYS_openat, folder, "../outside/open", O_RDONLY | O_CLOEXEC);
}

/* To have a descriptor of a file without reading it is free; to open it anew must not be. */
static int reopen(void)
{
	long fd = syscall(SYS_openat, AT_FDCWD, at(outside, "open"), O_PATH | O_CLOEXEC);
	char path[40] = "/proc/self/fd/", *end = path + strlen(path);
	if (fd < 0)
		return -errno;
	if (fd >= 10)
		*end++ = (char)('0' + fd / 10 % 10);
	*end = (char)('0' + fd % 10);
	return open_at(path, O_RDONLY);
}

static int look_outside(void)
{
	struct stat found;
	return CALL(SYS_newfstatat, AT_FDCWD, at(outside, "open"), &found, 0);
}

static int chmod_path(void)
{
	return CALL(SYS_fchmodat, AT_FDCWD, at(outside, "open"), 0777);
}

/* Of a file that may be read: the same mode again. */
static int chmod_library(void)
{
	struct stat found;
	long fd = syscall(SYS_openat, AT_FDCWD, "/usr/lib/os-release", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || syscall(SYS_fstat, fd, &found) < 0)
		return -errno;
	return CALL(SYS_fchmod, fd, found.st_mode & 07777);
}

static int chown_path(void)
{
	return CALL(SYS_fchownat, AT_FDCWD, at(outside, "open"), 1, 1, 0);
}

static int truncate_path(void)
{
	return CALL(SYS_truncate, at(outside, "open"), 0);
}

static int touch_path(void)
{
	return CALL(SYS_utimensat, AT_FDCWD, at(outside, "open"), NULL, 0);
}

static int setxattr_path(void)
{
	return CALL(SYS_setxattr, at(outside, "open"), "user.jail", "x", 1, 0);
}

static int removexattr_path(void)
{
	return CALL(SYS_removexattr, at(outside, "open"), "user.test");
}

static int symlink_path(void)
{
	return CALL(SYS_symlinkat, "/etc/passwd", AT_FDCWD, at(share, "symlink"));
}

static int make_device(void)
{
	return CALL(SYS_mknodat, AT_FDCWD, at(share, "device"), S_IFCHR | 0666, 1 << 8 | 3);
}

/* A program on the share, by which whoever may execute it becomes somebody else. */
static long make_program(unsigned mode)
{
	syscall(SYS_unlinkat, AT_FDCWD, at(share, "program"), 0);
	return syscall(SYS_openat, AT_FDCWD, at(share, "program"),
		       O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
}

/* Did it work? */
static int has_bit(long fd, unsigned bit)
{
	struct stat found;
	if (syscall(SYS_fstat, fd, &found) < 0)
		return -errno;
	return found.st_mode & bit ? 1 : -EPERM;
}

static int give_setuid(void)
{
	long fd = make_program(0600);
	return fd < 0 ? -errno : CALL(SYS_fchmod, fd, 04755);
}

/* It is born with the bit, then given away. */
static int give_setuid_away(void)
{
	long fd = make_program(04755);
	struct stat found;
	if (fd < 0 || syscall(SYS_fstat, fd, &found) < 0 ||
	    (found.st_uid != 0 && syscall(SYS_fchown, fd, 0, -1) < 0))
		return -errno;
	return has_bit(fd, S_ISUID);
}

static int give_setgid(void)
{
	long fd = make_program(0600);
	if (fd < 0 || syscall(SYS_fchown, fd, -1, 0) < 0 || syscall(SYS_fchmod, fd, 02755) < 0)
		return -errno;
	return has_bit(fd, S_ISGID);
}

static int give_capabilities(void)
{
	const struct vfs_cap_data all = { .magic_etc = VFS_CAP_REVISION_2 | 1,
					  .data = { { .permitted = ~0u } } };
	long fd = make_program(0755);
	return fd < 0 ? -errno
		      : CALL(SYS_fsetxattr, fd, "security.capability", &all, XATTR_CAPS_SZ_2, 0);
}

/* --- programs and processes ------------------------------------------------------------------- */

static char *const no_words[] = { NULL };

static int execute(void)
{
	return CALL(SYS_execve, "/bin/true", no_words, no_words);
}

static int execute_at(void)
{
	return CALL(SYS_execveat, AT_FDCWD, "/bin/true", no_words, no_words, 0);
}

/* Who comes to life ends at once. */
static int born(long pid)
{
	if (pid == 0)
		syscall(SYS_exit_group, 0);
	return result(pid);
}

static int fork_call(void)
{
	return born(syscall(SYS_fork));
}

static int fork_library(void)
{
	return born(fork());
}

static int vfork_call(void)
{
	pid_t pid = vfork();
	if (pid == 0)
		_exit(0);
	return result(pid);
}

static int clone_user(void)
{
	return born(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
}

static int clone_three(void)
{
	uint64_t arguments[8] = { [4] = SIGCHLD };
	return born(syscall(SYS_clone3, arguments, sizeof arguments));
}

static int end_thread(void *nothing)
{
	(void)nothing;
	syscall(SYS_exit, 0);
	return 0;
}

static int thread(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	return result(clone(end_thread, stack + sizeof stack,
			    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
				    CLONE_SYSVSEM,
			    NULL));
}

static int trace(void)
{
	return CALL(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0);
}

static int read_memory(void)
{
	char octet;
	struct iovec here = { &octet, 1 }, there = { &self, 1 };
	return CALL(SYS_process_vm_readv, self, &here, 1, &there, 1, 0);
}

static int take_descriptor(void)
{
	return CALL(SYS_pidfd_getfd, -1, 0, 0);
}

static int kill_other(void)
{
	return CALL(SYS_kill, parent, 0);
}

static int kill_thread(void)
{
	return CALL(SYS_tgkill, parent, parent, 0);
}

static int limit_other(void)
{
	struct rlimit limit;
	return CALL(SYS_prlimit64, parent, RLIMIT_NOFILE, NULL, &limit);
}

static bool is_signalled(int pid)
{
	long fd = syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return false;
	bool could = syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) == 0;
	syscall(SYS_close, fd);
	return could;
}

/* Somebody who is neither we nor our child: there is always a listener and a keeper of our user. */
static int signal_neighbour(void)
{
	for (int pid = self - NEIGHBOURS; pid < self; pid++) {
		if (pid > 0 && is_signalled(pid))
			return 1;
	}
	return -EPERM;
}

/* Whoever owns a descriptor is sent a signal when something comes; F_SETSIG says which. */
static int own_descriptor(void)
{
	return CALL(SYS_fcntl, 2, F_SETOWN, parent);
}

/* As if it were typed at the terminal of who started us. Allowed, it fails where there is none. */
static int type_ahead(void)
{
	return CALL(SYS_ioctl, 0, TIOCSTI, "\n");
}

/* --- memory ----------------------------------------------------------------------------------- */

static int map_code(void)
{
	return result(syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static int make_code(void)
{
	static char page[8192] __attribute__((aligned(4096)));
	return CALL(SYS_mprotect, page, 4096, PROT_READ | PROT_EXEC);
}

static int memory_file(void)
{
	return CALL(SYS_memfd_create, "jail", MFD_CLOEXEC);
}

static int fault_in(void)
{
	return CALL(SYS_userfaultfd, O_CLOEXEC);
}

/* --- the system, and who we are --------------------------------------------------------------- */

static int mount_any(void)
{
	return CALL(SYS_mount, "none", outside, "tmpfs", 0, NULL);
}

static int unshare_mounts(void)
{
	return CALL(SYS_unshare, CLONE_NEWNS);
}

static int unshare_user(void)
{
	return CALL(SYS_unshare, CLONE_NEWUSER);
}

static int enter_namespace(void)
{
	return CALL(SYS_setns, 3, 0);
}

static int change_root(void)
{
	return CALL(SYS_chroot, outside);
}

static int keys(void)
{
	return CALL(SYS_keyctl, 0, -3, 1);
}

static int add_key(void)
{
	return CALL(SYS_add_key, "user", "jail", "x", 1, -3);
}

static int load_bpf(void)
{
	uint64_t attributes[16] = { 0 };
	return CALL(SYS_bpf, 0, attributes, sizeof attributes);
}

static int count_events(void)
{
	struct perf_event_attr event = { .size = sizeof event };
	return CALL(SYS_perf_event_open, &event, 0, -1, -1, 0);
}

static int load_module(void)
{
	return CALL(SYS_finit_module, 3, "", 0);
}

static int become_root(void)
{
	return CALL(SYS_setuid, 0);
}

static int become_root_really(void)
{
	return CALL(SYS_setresuid, 0, 0, 0);
}

static int change_groups(void)
{
	gid_t none = 0;
	return CALL(SYS_setgroups, 1, &none);
}

static int take_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 1u << CAP_SYS_ADMIN, 1u << CAP_SYS_ADMIN, 0 } };
	return CALL(SYS_capset, &head, data);
}

static int become_dumpable(void)
{
	return CALL(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static int keep_privileges(void)
{
	return CALL(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0);
}

/* --- the mail of others ----------------------------------------------------------------------- */

static bool holds_secret(const char *block, long size)
{
	return size > 0 && memmem(block, (size_t)size, SECRET, strlen(SECRET));
}

/* From the beginning, without moving where its owner reads: only files have a place. */
static bool has_secret(long fd)
{
	static char block[65536];
	long place = syscall(SYS_lseek, fd, 0, SEEK_CUR);
	if (place < 0 || syscall(SYS_lseek, fd, 0, SEEK_SET) < 0)
		return false;
	bool found = holds_secret(block, syscall(SYS_read, fd, block, sizeof block));
	syscall(SYS_lseek, fd, place, SEEK_SET);
	return found;
}

/* The message of another device, which is being received or read while we look. */
static int other_message(void)
{
	for (long fd = 0; fd < DESCRIPTORS; fd++) {
		if (has_secret(fd))
			return 1;
	}
	return -ENOENT;
}

/* How many descriptors there are, as a result. */
static int descriptors(void)
{
	int count = 0;
	struct stat found;
	for (long fd = 0; fd < DESCRIPTORS; fd++)
		count += syscall(SYS_fstat, fd, &found) == 0;
	return -count;
}

/* /proc/PID/fd/FD of all around us: they run as the same user as we do. */
static int neighbour_descriptor(void)
{
	char path[64];
	for (int pid = self - NEIGHBOURS; pid < self + NEIGHBOURS; pid++) {
		for (int fd = 3; fd < 9 && pid > 0; fd++) {
			snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
			long found = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_NONBLOCK);
			if (found >= 0 && has_secret(found))
				return 1;
			if (found >= 0)
				syscall(SYS_close, found);
		}
	}
	return -EACCES;
}

/* The passwords of another role, or of the boss, would be in its memory. */
static int neighbour_memory(void)
{
	static const char *const files[] = { "mem", "environ", "maps" };
	char path[40];
	for (int pid = self - NEIGHBOURS; pid < self; pid++) {
		for (size_t i = 0; i < sizeof files / sizeof files[0] && pid > 0; i++) {
			snprintf(path, sizeof path, "/proc/%d/%s", pid, files[i]);
			if (syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) >= 0)
				return 1;
		}
	}
	return -EACCES;
}

/* The mark of a delivery, which a session holds to read: written to, it would be another plan. */
static int write_mark(void)
{
	int outcome = -ENOENT;
	struct stat found;
	char path[40];
	for (long fd = 6; fd < DESCRIPTORS; fd++) {
		if (syscall(SYS_fstat, fd, &found) < 0 || !S_ISREG(found.st_mode))
			continue;
		snprintf(path, sizeof path, "/proc/self/fd/%ld", fd);
		outcome = open_at(path, O_RDWR);
		if (outcome > 0)
			return outcome;
	}
	return outcome;
}

/* Where the next message would come from; in a child of the template it is closed. */
static int control_socket(void)
{
	char octet;
	return CALL(SYS_read, 3, &octet, 1);
}

static int control_message(void)
{
	char octet;
	struct iovec piece = { &octet, 1 };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
	return CALL(SYS_recvmsg, 3, &message, MSG_DONTWAIT | MSG_PEEK);
}

/* --- the table -------------------------------------------------------------------------------- */

#define ATTEMPT(name)              \
	{                          \
#name, name, false \
	}

static const struct attempt {
	const char *name;
	int (*make)(void);
	bool alone; /* never with all the others: it waits, or needs what they lack */
} attempts[] = {
	ATTEMPT(socket_inet),
	ATTEMPT(socket_inet6),
	ATTEMPT(socket_unix),
	ATTEMPT(socket_netlink),
	ATTEMPT(socketpair_datagram),
	ATTEMPT(connect_any),
	ATTEMPT(bind_any),
	ATTEMPT(listen_any),
	ATTEMPT(accept_any),
	ATTEMPT(connect_tcp),
	ATTEMPT(bind_tcp),
	ATTEMPT(socket_mptcp),
	ATTEMPT(socket_raw),
	ATTEMPT(filter_socket),
	ATTEMPT(knock),
	ATTEMPT(fast_open),
	ATTEMPT(fast_open_fresh),
	ATTEMPT(io_uring),
	ATTEMPT(open_passwd),
	ATTEMPT(open_shadow),
	ATTEMPT(open_memory),
	ATTEMPT(open_relative),
	ATTEMPT(open_by_root),
	ATTEMPT(open_openat2),
	ATTEMPT(open_by_handle),
	ATTEMPT(open_configuration),
	ATTEMPT(read_password),
	ATTEMPT(read_tokens),
	ATTEMPT(read_token),
	ATTEMPT(read_plans),
	ATTEMPT(read_marks),
	ATTEMPT(read_statuses),
	ATTEMPT(read_quarantine),
	ATTEMPT(read_share),
	ATTEMPT(write_ledger),
	ATTEMPT(remove_ledger),
	ATTEMPT(read_outside),
	ATTEMPT(write_outside),
	ATTEMPT(empty_outside),
	ATTEMPT(make_outside),
	ATTEMPT(make_nameless_outside),
	ATTEMPT(make_folder_outside),
	ATTEMPT(remove_outside),
	ATTEMPT(rename_out),
	ATTEMPT(rename_in),
	ATTEMPT(link_out),
	ATTEMPT(link_in),
	ATTEMPT(follow_link),
	ATTEMPT(climb),
	ATTEMPT(reopen),
	ATTEMPT(look_outside),
	ATTEMPT(chmod_path),
	ATTEMPT(chmod_library),
	ATTEMPT(chown_path),
	ATTEMPT(truncate_path),
	ATTEMPT(touch_path),
	ATTEMPT(setxattr_path),
	ATTEMPT(removexattr_path),
	ATTEMPT(symlink_path),
	ATTEMPT(make_device),
	ATTEMPT(give_setuid),
	ATTEMPT(give_setuid_away),
	ATTEMPT(give_setgid),
	ATTEMPT(give_capabilities),
	ATTEMPT(execute),
	ATTEMPT(execute_at),
	ATTEMPT(fork_call),
	ATTEMPT(fork_library),
	ATTEMPT(vfork_call),
	ATTEMPT(clone_user),
	ATTEMPT(clone_three),
	ATTEMPT(thread),
	ATTEMPT(trace),
	ATTEMPT(read_memory),
	ATTEMPT(take_descriptor),
	ATTEMPT(kill_other),
	ATTEMPT(kill_thread),
	ATTEMPT(limit_other),
	ATTEMPT(signal_neighbour),
	ATTEMPT(own_descriptor),
	ATTEMPT(type_ahead),
	ATTEMPT(map_code),
	ATTEMPT(make_code),
	ATTEMPT(memory_file),
	ATTEMPT(fault_in),
	ATTEMPT(mount_any),
	ATTEMPT(unshare_mounts),
	ATTEMPT(unshare_user),
	ATTEMPT(enter_namespace),
	ATTEMPT(change_root),
	ATTEMPT(keys),
	ATTEMPT(add_key),
	ATTEMPT(load_bpf),
	ATTEMPT(count_events),
	ATTEMPT(load_module),
	ATTEMPT(become_root),
	ATTEMPT(become_root_really),
	ATTEMPT(change_groups),
	ATTEMPT(take_capabilities),
	ATTEMPT(become_dumpable),
	ATTEMPT(keep_privileges),
	ATTEMPT(other_message),
	ATTEMPT(descriptors),
	ATTEMPT(neighbour_descriptor),
	ATTEMPT(neighbour_memory),
	{ "control_socket", control_socket, true },
	{ "write_mark", write_mark, true },
	ATTEMPT(control_message),
};

/* --- who is told what ------------------------------------------------------------------------- */

static void say(const char *role, const char *attempt, const char *key, const char *value)
{
	char line[200];
	int size = snprintf(line, sizeof line, "misbehave role=%s attempt=%s %s=%s\n", role,
			    attempt, key, value);
	syscall(SYS_write, 2, line, size);
}

static void say_result(const char *role, const struct attempt *attempt, int outcome)
{
	char number[16];
	const char *name = outcome > 0 ? "allowed" : strerrorname_np(-outcome);
	if (attempt->make == descriptors) {
		snprintf(number, sizeof number, "%d", -outcome);
		name = number;
	}
	say(role, attempt->name, "result", name);
}

static void make_in_child(const char *role, const struct attempt *attempt)
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		say_result(role, attempt, attempt->make());
		syscall(SYS_exit_group, 1);
	}
	if (syscall(SYS_wait4, pid, &status, 0, NULL) != pid)
		say(role, attempt->name, "result", "lost");
	else if (WIFSIGNALED(status))
		say(role, attempt->name, "result", sigabbrev_np(WTERMSIG(status)));
	else if (WEXITSTATUS(status) == 0) /* it became another program */
		say(role, attempt->name, "result", "allowed");
}

void attempts_all(const char *role)
{
	for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
		if (!attempts[i].alone)
			make_in_child(role, &attempts[i]);
	}
	say(role, "all", "result", "done");
}

/* The word after ROLE., up to the house. */
static const char *find_word(const char *role, const char *text, size_t *size_out)
{
	const char *house = strstr(text, HOUSE), *start = house;
	size_t size = strlen(role);
	while (start && start > text && strchr("abcdefghijklmnopqrstuvwxyz_.0123456789", start[-1]))
		start--;
	if (!house || strncmp(start, role, size) != 0 || start[size] != '.')
		return NULL;
	*size_out = (size_t)(house - start) - size - 1;
	return start + size + 1;
}

static const struct attempt *find_attempt(const char *word, size_t size)
{
	for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
		if (strlen(attempts[i].name) == size && memcmp(attempts[i].name, word, size) == 0)
			return &attempts[i];
	}
	return NULL;
}

void attempts_obey(const char *role, const char *text)
{
	size_t size;
	const char *word = find_word(role, text, &size);
	const struct attempt *attempt = word ? find_attempt(word, size) : NULL;
	if (attempt) {
		say(role, attempt->name, "at", "it");
		say_result(role, attempt, attempt->make());
	} else if (word && size == 3 && memcmp(word, "all", 3) == 0)
		attempts_all(role);
}

int attempts_quietly(const char *role, const char *text)
{
	size_t size;
	const char *word = find_word(role, text, &size);
	const struct attempt *attempt = word ? find_attempt(word, size) : NULL;
	return attempt ? attempt->make() : 0;
}
