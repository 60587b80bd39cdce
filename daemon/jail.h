/* jail.h: what a program may no longer do. Ground of daemon; knows libseccomp and Landlock.
 *
 * A jail is data: a list of allowed calls, a list of allowed trees, a comment each. It is prepared
 * once (slow, allocates) and entered in the process itself or in children forked later (fast: two
 * system calls). It is never left. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

enum jail_mode { JAIL_BEST, JAIL_REQUIRE, JAIL_OFF }; /* [gateway] sandbox */

/* Argument `argument` (0..5), masked, must equal `value`. */
struct jail_match {
	uint8_t argument;
	uint64_t mask, value;
};

#define JAIL_MATCHES 3

#define JAIL_WORD 0xFFFFFFFF /* a mask: all of an int */

/* What clone may not be told (sched.h): a child shares nothing with us, and no new namespace. */
#define JAIL_FORK_FORBIDS                                                                 \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_NEWNS | \
	 CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |   \
	 CLONE_NEWNET)

struct jail_call {
	int call; /* SCMP_SYS(…), i.e. __NR_… */
	const char *why;
	struct jail_match only[JAIL_MATCHES]; /* all of these; `mask` 0: none, any call */
	int refuse; /* not allowed, but borne: the call fails with this errno; 0: it is allowed */
};

/* Rows of a list: any such call; one whose arguments match (JAIL_MATCHES braces at most). */
#define JAIL_CALL(name, reason)                     \
	{                                           \
		.call = SYS_##name, .why = (reason) \
	}
#define JAIL_ONLY(name, reason, ...)                                         \
	{                                                                    \
		.call = SYS_##name, .why = (reason), .only = { __VA_ARGS__ } \
	}

/* A socket whose protocol is the usual one: there are others for the same family and type, which
 * the rules for TCP do not know. */
#define JAIL_SOCKET(family, type, reason)                                                      \
	JAIL_ONLY(socket, reason, { 0, JAIL_WORD, (family) }, { 1, JAIL_SOCKET_TYPE, (type) }, \
		  { 2, JAIL_WORD, 0 })
#define JAIL_SOCKET_TYPE 0xF /* a mask: the rest of an int are flags (linux/net.h) */

/* getsockopt or setsockopt. */
#define JAIL_OPTION(name, level, option, reason) \
	JAIL_ONLY(name, reason, { 1, JAIL_WORD, (level) }, { 2, JAIL_WORD, (option) })

/* What a sanitizer needs for its reports, and to end: rows for where there is one. */
#define JAIL_SANITIZER                                                                \
	JAIL_CALL(sigaltstack, "the sanitizer"), JAIL_CALL(rt_sigaction, "the same"), \
		JAIL_CALL(readlink, "the same"), JAIL_CALL(gettid, "the same"),       \
		JAIL_CALL(sched_yield, "the same")

/* Rights on a tree, as much of them as the kernel knows. */
enum {
	JAIL_READ = 1,  /* read files and list folders */
	JAIL_WRITE = 2, /* write, make and remove files and folders, rename and link within */
	JAIL_EXECUTE = 4,
	JAIL_MAKE = 8,   /* make files, and rename or link them in, but not write to those there */
	JAIL_REMOVE = 16 /* remove files, and rename them away */
};

struct jail_path {
	const char *path; /* NULL: `fd` */
	int fd;
	unsigned rights;
};

struct jail_filter {
	void *program; /* struct sock_filter array; owned */
	size_t instructions;
};

/* Compiles the allow-list. Any other call ends the process (SIGSYS). 0 or -errno. */
int jail_filter_prepare(const struct jail_call *calls, size_t count,
			struct jail_filter *filter_out);
void jail_filter_done(struct jail_filter *filter);

/* From here on the process and its children make only these calls. 0 or -errno. */
int jail_filter_enter(const struct jail_filter *filter);

/* Does this kernel, or container, let a process enter one? */
bool jail_filter_works(void);

/* The Landlock ABI of the running kernel; 0: none. */
int jail_landlock_abi(void);

/* The first that lets files be renamed between folders (Linux 5.19). */
#define JAIL_ABI_RENAMES 2

/* What is read by whoever looks up names and checks certificates, those of `ca_file` ("": none)
 * too. Fills JAIL_NETWORK_MAX rows at most; how many. `ca_file` is borrowed by them. */
#define JAIL_NETWORK_MAX 24
size_t jail_network_paths(const char *ca_file, struct jail_path paths_out[JAIL_NETWORK_MAX]);

/* Makes a rule set of the paths; one that does not exist is left out (it can't be reached then).
 * And of TCP, as far as the kernel has rules for it: connections go to these ports alone, and no
 * port is bound; with `ports` NULL the network is left as it is. *fd_out is -1 where the kernel has
 * no Landlock, which is no error. 0 or -errno. */
int jail_paths_prepare(const struct jail_path *paths, size_t count, const uint16_t *ports,
		       size_t ports_count, int *fd_out);

/* The first that knows ports (Linux 6.7). */
#define JAIL_ABI_PORTS 4

/* 0 or -errno; -1 for `ruleset_fd` does nothing. */
int jail_paths_enter(int ruleset_fd);

/* No new privileges, not dumpable, dies with its parent. To be called after the last change of
 * identity. `parent`: the process id that our parent must have; if it is another one already, we
 * exit at once. 0 or -errno. */
int jail_settle(int parent);
