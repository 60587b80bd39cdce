/* jail.c: compiles and enters jails. Never decides whether a missing one may be borne: the caller
 * knows `sandbox`. */
#define _GNU_SOURCE
#include "daemon/jail.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"

static int add_calls(scmp_filter_ctx filter, const struct jail_call *calls, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct jail_match *only = calls[i].only;
		struct scmp_arg_cmp matches[JAIL_MATCHES];
		unsigned used = 0;
		for (; used < JAIL_MATCHES && only[used].mask != 0; used++)
			matches[used] = SCMP_CMP(only[used].argument, SCMP_CMP_MASKED_EQ,
						 only[used].mask, only[used].value);
		uint32_t action = calls[i].refuse ? SCMP_ACT_ERRNO((unsigned)calls[i].refuse)
						  : SCMP_ACT_ALLOW;
		int error = seccomp_rule_add_array(filter, action, calls[i].call, used, matches);
		if (error)
			return error;
	}
	return 0;
}

/* libseccomp writes the program to a descriptor; a file in memory serves. */
static int export_program(scmp_filter_ctx filter, struct jail_filter *filter_out)
{
	auto_close int fd = -1;
	int error = memory_file("jail", &fd);
	if (!error)
		error = seccomp_export_bpf(filter, fd);
	if (error)
		return error;
	struct stat size;
	if (fstat(fd, &size) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	auto_free void *program = malloc((size_t)size.st_size);
	if (!program)
		return -ENOMEM;
	if (read_all(fd, program, (size_t)size.st_size) != size.st_size)
		return -EIO;
	filter_out->program = take_pointer(&program);
	filter_out->instructions = (size_t)size.st_size / sizeof(struct sock_filter);
	return 0;
}

int jail_filter_prepare(const struct jail_call *calls, size_t count, struct jail_filter *filter_out)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!filter)
		return -ENOMEM;
	/* a binary search instead of a long ladder: this runs at every system call */
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	/* call number -1 does nothing; a tracer that makes a call fail puts it there */
	seccomp_attr_set(filter, SCMP_FLTATR_API_TSKIP, 1);
	int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, -1, 0);
	if (!error)
		error = add_calls(filter, calls, count);
	if (!error)
		error = export_program(filter, filter_out);
	seccomp_release(filter);
	return error;
}

void jail_filter_done(struct jail_filter *filter)
{
	free(filter->program);
	*filter = (struct jail_filter){ 0 };
}

int jail_filter_enter(const struct jail_filter *filter)
{
	struct sock_fprog program = { .len = (unsigned short)filter->instructions,
				      .filter = filter->program };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}

bool jail_filter_works(void)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;
	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

int jail_landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	return abi < 0 ? 0 : (int)abi;
}

/* The headers of Debian 12 end at ABI 2; TRUNCATE came with 3, ports with 4, scopes with 6. */
#define ACCESS_REFER        (1ULL << 13)
#define ACCESS_TRUNCATE     (1ULL << 14)
#define ACCESS_BIND_TCP     (1ULL << 0)
#define ACCESS_CONNECT_TCP  (1ULL << 1)
#define RULE_NET_PORT       2
#define SCOPE_ABSTRACT_UNIX (1ULL << 0)
#define SCOPE_SIGNAL        (1ULL << 1)

struct ruleset_attributes {
	uint64_t files, network, scopes;
};

struct port_rule {
	uint64_t rights, port;
};

#define RIGHTS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define RIGHTS_WRITE                                                     \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |  \
	 LANDLOCK_ACCESS_FS_MAKE_REG | ACCESS_REFER | ACCESS_TRUNCATE)

#define RIGHTS_FILE                                                  \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | \
	 LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE)

/* Everything of ABI 1 (bits 0 to 12) and of the later ones as far as the kernel has them. */
static uint64_t handled_rights(int abi)
{
	uint64_t all = (1ULL << 13) - 1;
	if (abi >= 2)
		all |= ACCESS_REFER;
	if (abi >= 3)
		all |= ACCESS_TRUNCATE;
	return all;
}

/* A kernel takes no more than it knows. What is outside of us and our children gets no signal of
 * ours, though it runs as the same user. */
static int make_ruleset(int abi, uint64_t handled, bool ports)
{
	struct ruleset_attributes attributes = { .files = handled };
	size_t size = sizeof attributes.files;
	if (abi >= JAIL_ABI_PORTS) {
		attributes.network = ports ? ACCESS_BIND_TCP | ACCESS_CONNECT_TCP : 0;
		size = offsetof(struct ruleset_attributes, scopes);
	}
	if (abi >= 6) {
		attributes.scopes = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
		size = sizeof attributes;
	}
	return (int)syscall(SYS_landlock_create_ruleset, &attributes, size, 0);
}

static uint64_t path_rights(const struct jail_path *path, uint64_t handled)
{
	uint64_t rights = 0;
	if (path->rights & JAIL_READ)
		rights |= RIGHTS_READ;
	if (path->rights & JAIL_WRITE)
		rights |= RIGHTS_WRITE;
	if (path->rights & JAIL_EXECUTE)
		rights |= LANDLOCK_ACCESS_FS_EXECUTE;
	if (path->rights & JAIL_MAKE)
		rights |= LANDLOCK_ACCESS_FS_MAKE_REG | ACCESS_REFER;
	if (path->rights & JAIL_REMOVE)
		rights |= LANDLOCK_ACCESS_FS_REMOVE_FILE | ACCESS_REFER;
	return rights & handled;
}

static int add_rule(int ruleset_fd, int fd, uint64_t rights)
{
	struct landlock_path_beneath_attr rule = { .parent_fd = fd, .allowed_access = rights };
	return syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0
		       ? -errno
		       : 0;
}

/* What kind of file it is the kernel says by what it refuses: to ask for it would wait for the
 * server of a file system. */
static int add_path(int ruleset_fd, const struct jail_path *path, uint64_t handled)
{
	auto_close int fd = path->path ? open(path->path, O_PATH | O_CLOEXEC)
				       : fcntl(path->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : -errno;
	uint64_t rights = path_rights(path, handled);
	int error = add_rule(ruleset_fd, fd, rights);
	return error == -EINVAL ? add_rule(ruleset_fd, fd, rights & RIGHTS_FILE) : error;
}

static int add_port(int ruleset_fd, uint16_t port)
{
	struct port_rule rule = { .rights = ACCESS_CONNECT_TCP, .port = port };
	return syscall(SYS_landlock_add_rule, ruleset_fd, RULE_NET_PORT, &rule, 0) < 0 ? -errno : 0;
}

int jail_paths_prepare(const struct jail_path *paths, size_t count, const uint16_t *ports,
		       size_t ports_count, int *fd_out)
{
	*fd_out = -1;
	int abi = jail_landlock_abi(), error = 0;
	if (abi == 0)
		return 0;
	uint64_t handled = handled_rights(abi);
	auto_close int fd = make_ruleset(abi, handled, ports != NULL);
	if (fd < 0)
		return -errno;
	for (size_t i = 0; !error && i < count; i++)
		error = add_path(fd, &paths[i], handled);
	for (size_t i = 0; !error && abi >= JAIL_ABI_PORTS && i < ports_count; i++)
		error = add_port(fd, ports[i]);
	if (!error)
		*fd_out = take_fd(&fd);
	return error;
}

size_t jail_network_paths(const char *ca_file, struct jail_path paths_out[JAIL_NETWORK_MAX])
{
	static const char *const read_only[] = {
		/* how names are looked up, by which libraries */
		"/etc/resolv.conf",
		"/etc/hosts",
		"/etc/host.conf",
		"/etc/nsswitch.conf",
		"/etc/gai.conf",
		"/etc/services",
		"/etc/ld.so.cache",
		"/lib",
		"/lib64",
		"/usr/lib",
		"/usr/lib64",
		"/run/systemd/resolve",
		/* who may sign, and what TLS is taken */
		"/etc/ssl",
		"/etc/ca-certificates",
		"/etc/pki",
		"/etc/gnutls",
		"/usr/share/ca-certificates",
		"/usr/local/share/ca-certificates",
		"/usr/share/p11-kit",
		"/etc/pkcs11",
		"/etc/localtime",
		"/usr/share/zoneinfo",
#ifdef __SANITIZE_ADDRESS__
		"/proc",
#endif
	};
	size_t count = sizeof read_only / sizeof read_only[0];
	_Static_assert(sizeof read_only / sizeof read_only[0] < JAIL_NETWORK_MAX, "room");
	for (size_t i = 0; i < count; i++)
		paths_out[i] =
			(struct jail_path){ .path = read_only[i], .fd = -1, .rights = JAIL_READ };
	if (*ca_file)
		paths_out[count++] =
			(struct jail_path){ .path = ca_file, .fd = -1, .rights = JAIL_READ };
	return count;
}

int jail_paths_enter(int ruleset_fd)
{
	if (ruleset_fd < 0)
		return 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return syscall(SYS_landlock_restrict_self, ruleset_fd, 0) < 0 ? -errno : 0;
}

int jail_settle(int parent)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	if (getppid() != parent)
		_exit(70);
	return 0;
}
