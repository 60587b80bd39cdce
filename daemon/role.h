/* role.h: the table of roles, and how one is started. Ground of daemon.
 *
 * A role is a program of its own under libexec/letterchute (in the build tree: beside the verb
 * program). It is executed with descriptors at fixed places and, when we are root, the identity of
 * `user`. Who started us as another user may have given us ambient capabilities (systemd's
 * AmbientCapabilities=): a role gets those of them that it would keep of root's, and no other. It
 * is executed by descriptor, since that user may not be allowed into the folder where the programs
 * lie. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "daemon/config.h"

/* Descriptors that every role finds. */
enum { ROLE_FD_CONFIG = 3, ROLE_FD_FIRST = 4 };

enum role {
	ROLE_EXTRACT,
	ROLE_COURIER,
	ROLE_SMTP,
	ROLE_PULL,
	ROLE_WATCH,
	ROLE_TOKEN,
	ROLE_PROVE,
	ROLE_AFTER,
	ROLE_COUNT
};

#define ROLE_FDS_MAX 600 /* descriptors, and arguments */

struct role_start {
	enum role role;
	const char *const *arguments; /* argv from 1 on, ends with NULL */
	const int *fds; /* become ROLE_FD_FIRST and up; without a configuration 3 and up */
	size_t fds_count;
	int config_fd;     /* -1 for none */
	int program_fd;    /* from role_open_program; -1: found by the role */
	uint32_t uid, gid; /* the identity, when we are root */
	bool keep_files;   /* CHOWN, FOWNER and DAC_OVERRIDE stay, as ambient capabilities */
	bool stays_root;   /* for now: whose identity it takes it finds out, and then role_become */
	bool keep_standard; /* standard input and output, a device's connection; else /dev/null */
};

/* A start as most roles have it: the identity of `user`, no files, no input. */
struct role_start role_usual(enum role role, const struct config *config, int config_fd,
			     const char *const *arguments, const int *fds, size_t fds_count);

/* Forks and executes. The role gets no other descriptors than these and standard error. SIGINT is
 * blocked in it. 0 with the process id, or -errno (also of the exec). */
int role_start(const struct role_start *start, pid_t *pid_out);

/* The same, with a descriptor of the process (pidfd_open(2)) for those who ignore SIGCHLD: to them
 * the number may mean another process as soon as the role has ended. -1 where the kernel has none.
 */
int role_start_held(const struct role_start *start, pid_t *pid_out, int *pid_fd_out);

/* Takes the identity that a courier would get, for good: for a child that tries what it could do. 0
 * or -errno. */
int role_take_identity(uint32_t uid, uint32_t gid);

/* For a role that was started with `stays_root`: takes the identity, when we are root, for good,
 * and holds to its parent as at its start (role_begin). No capability stays, or with `open_any`
 * that to open files whoever they are for (DAC_OVERRIDE). 0 or -errno. */
int role_become(uint32_t uid, uint32_t gid, bool open_any);

/* The program of a role, opened (O_PATH) for role_start, here or in a role that it is handed to. 0
 * or -errno. */
int role_open_program(enum role role, int *fd_out);

/* Is it a signal by which a program ends that stumbled over its input, or ran into its limits? */
bool role_is_fault(int signal);

/* What every role does first: its descriptors are shut to what it may execute, its name for ps, its
 * log, its parent checked (jail.h, jail_settle), and its configuration read. 0, or the exit status
 * with the reason said. */
int role_begin(const char *name, struct config *config_out);

/* For who waits for these signals beside everything else: they can be read from the descriptor,
 * which is the caller's. SIGPIPE is ignored. -1: see errno. */
int role_open_signals(const int *signals, size_t count);
