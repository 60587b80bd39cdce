/* look.c: looks at shares, a process each. Never changes what a user sees. */
#define _GNU_SOURCE
#include "daemon/courier/look.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/courier/jails.h"
#include "daemon/courier/probe.h"
#include "daemon/courier/share.h"
#include "daemon/fdio.h"
#include "daemon/log.h"
#include "daemon/tally.h"

#define BETWEEN_MS 2000
#define DENIED_MS  2000 /* so often at most we end for a share that we may not enter */

void look_at_sites(const struct config *config, struct look_sites *sites_out)
{
	memset(sites_out, 0, sizeof *sites_out);
	for (size_t i = 0; i < config->rules.shares_count; i++) {
		struct stat found;
		if (stat(config->rules.shares[i].path, &found) < 0)
			continue;
		sites_out->list[i].device = found.st_dev;
		sites_out->list[i].inode = found.st_ino;
	}
}

/* --- one look at one share -------------------------------------------------------------------- */

/* What is wrong, and what to do, if that has not been said with it. */
static void put_away(struct tally_share *told, int error, const char *why)
{
	told->look = TALLY_AWAY;
	told->error = error;
	snprintf(told->why, sizeof told->why, "%.280s%s%.110s", why, error == -ESTALE ? "" : "; ",
		 error == -ESTALE ? "" : probe_remedy(error));
}

static int try_write(int folder_fd)
{
	return folder_fd >= 0 && faccessat(folder_fd, ".", W_OK | X_OK, AT_EACCESS) < 0 ? -errno
											: 0;
}

/* It is the one that we know: could a mail be delivered there? */
static void look_within(const struct share *share, struct tally_share *told)
{
	const struct rules_share *rules = share->rules;
	uint64_t free_bytes = share_free(share);
	char why[SHARE_WHY_MAX];
	int error = try_write(share->root_fd);
	if (!error)
		error = try_write(share->base_fd);
	told->free_bytes = free_bytes > INT64_MAX ? -1 : (int64_t)free_bytes;
	told->look = TALLY_UP;
	if (error) {
		snprintf(why, sizeof why, "%.200s can't be written to: %s", rules->path,
			 strerror(-error));
		put_away(told, error, why);
	} else if (free_bytes < rules->free_floor) {
		told->look = TALLY_FULL;
		snprintf(
			told->why, sizeof told->why,
			"%.200s has %llu MB left, free_floor is %llu MB: every mail is told to come "
			"later; make room, or lower free_floor",
			rules->path, (unsigned long long)free_bytes >> 20,
			(unsigned long long)rules->free_floor >> 20);
	}
}

struct look {
	const struct courier *courier;
	const struct rules_share *rules;
	int fd;
	bool again;
};

static struct tally_share begin_look(const struct look *look)
{
	struct tally_share told = { .kind = TALLY_SHARE, .look = TALLY_LOOKING, .free_bytes = -1 };
	snprintf(told.name, sizeof told.name, "%s", look->rules->name);
	tally_send(look->fd, &told, sizeof told);
	return told;
}

/* Returns what share_open did. */
static int look_at(const struct look *look)
{
	struct tally_share told = begin_look(look);
	struct share share;
	char why[SHARE_WHY_MAX] = "";
	int error = share_open(look->rules, look->courier->spool.shares_fd, false, &share, why);
	if (error) {
		put_away(&told, error, why);
	} else {
		look_within(&share, &told);
		share_close(&share);
	}
	tally_send(look->fd, &told, sizeof told);
	return error;
}

/* --- a process for each ----------------------------------------------------------------------- */

/* Of a process that dies of a signal the boss would speak. */
static void leave(int signal)
{
	(void)signal;
	_exit(0);
}

void look_prepare(void)
{
	const struct sigaction action = { .sa_handler = leave };
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	signal(SIGCHLD, SIG_DFL);
}

static bool has_moved(const char *path, struct stat *before)
{
	struct stat now = { 0 };
	if (stat(path, &now) < 0)
		return false; /* it is away: what comes back is looked at then */
	bool moved = now.st_dev != before->st_dev || now.st_ino != before->st_ino;
	*before = now;
	return moved;
}

/* Returns when another process may see more. */
static void look_over_and_over(const struct look *look)
{
	const char *path = look->rules->path;
	struct stat site = { 0 };
	int64_t started_ms = monotonic_ms();
	stat(path, &site);
	for (;;) {
		int error = look_at(look);
		nap_ms(BETWEEN_MS);
		if (has_moved(path, &site) ||
		    (error == -EACCES && monotonic_ms() - started_ms > DENIED_MS))
			return;
	}
}

static void run_child(const struct look *look, pid_t parent)
{
	/* who is stuck outlives us all, and must not keep the log, or a terminal */
	dup2(STDOUT_FILENO, STDERR_FILENO);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(0);
	/* already the way there may hang, and the jail walks it */
	begin_look(look);
	if (!jails_enter_share(&look->courier->config, look->rules))
		_exit(70);
	if (look->again)
		look_over_and_over(look);
	else
		look_at(look);
	_exit(0);
}

static bool send_out(const struct courier *courier, int fd, bool again)
{
	pid_t parent = getpid();
	for (size_t i = 0; i < courier->config.rules.shares_count; i++) {
		const struct look look = { courier, &courier->config.rules.shares[i], fd, again };
		pid_t pid = fork();
		if (pid == 0)
			run_child(&look, parent);
		if (pid < 0) {
			log_say(LOG_ERROR, "look", "no process can be made: %s", strerror(errno));
			return false;
		}
	}
	return jails_enter_calls(&courier->config);
}

int look_once(const struct courier *courier, int fd)
{
	if (!send_out(courier, fd, false))
		return 70;
	while (waitpid(-1, NULL, 0) > 0)
		;
	return 0;
}

int look_on(const struct courier *courier, int fd)
{
	if (!send_out(courier, fd, true))
		return 70;
	/* all others die with us, and who comes after us has a new jail */
	waitpid(-1, NULL, 0);
	return 0;
}
