/* look.c: looks at shares, a process each. Never changes what a user sees. */
#define _GNU_SOURCE
#include "daemon/courier/look.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/courier/jails.h"
#include "daemon/courier/share.h"
#include "daemon/denied.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/log.h"
#include "daemon/spool.h"
#include "daemon/tally.h"
#include "daemon/turn.h"

#define BETWEEN_MS 2000
#define DENIED_MS  10000      /* so often at most we end for a share that we may not enter */
#define LEAST      (1u << 20) /* octets that have to be free wherever we write */

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

/* What is wrong, and what to do. */
static void put_away(struct tally_share *told, int error, const char *why)
{
	told->look = TALLY_AWAY;
	told->error = error;
	snprintf(told->why, sizeof told->why, "%.250s; %.140s", why, share_remedy(error));
}

/* Could a mail be delivered there, whatever is in it? Only the first components of a route's folder
 * are known before. */
static int try_folders(const struct share *share, const struct rules *rules, char *why_out)
{
	char folder[PLACE_FOLDER_MAX + 1];
	int error = share_reach(share, SHARE_BASE, why_out);
	for (size_t i = 0; !error && i < rules->routes_count; i++) {
		if (&rules->shares[rules->routes[i].share] != share->rules)
			continue;
		template_fixed(&rules->routes[i].folder, folder, sizeof folder);
		error = share_reach(share, folder, why_out);
	}
	return error;
}

static void put_full(struct tally_share *told, const char *path, enum share_room room,
		     uint64_t free_bytes, const char *floor, uint64_t least, const char *remedy)
{
	told->look = TALLY_FULL;
	if (room == SHARE_NO_FILES)
		snprintf(told->why, sizeof told->why,
			 "%.200s " SHARE_NO_FILES_WORDS
			 ": every mail is told to come later; " SHARE_NO_FILES_REMEDY,
			 path);
	else
		snprintf(
			told->why, sizeof told->why,
			"%.200s has %llu MB left, %s %llu MB: every mail is told to come later; %s",
			path, (unsigned long long)free_bytes >> 20, floor,
			(unsigned long long)least >> 20, remedy);
}

/* It is the one that we know: could a mail be delivered there? */
static void look_within(const struct share *share, const struct rules *rules,
			struct tally_share *told)
{
	uint64_t floor = share->rules->free_floor, free_bytes;
	uint64_t least = floor < LEAST ? LEAST : floor;
	enum share_room room = share_room(share->root_fd, least, &free_bytes);
	char why[SHARE_WHY_MAX];
	int error = try_folders(share, rules, why);
	told->free_bytes = free_bytes > INT64_MAX ? -1 : (int64_t)free_bytes;
	told->look = TALLY_UP;
	if (error)
		put_away(told, error, why);
	else if (room != SHARE_ROOM)
		put_full(told, share->rules->path, room, free_bytes,
			 least == floor ? "free_floor is" : "the least is", least,
			 least == floor ? "make room, or lower free_floor"
					: "make room on its disk");
}

/* Somebody who looks. */
struct look {
	const struct courier *courier;
	const struct rules_share *rules; /* NULL: at our own folder */
	const char *name, *path;
	int fd;
	bool again;
	int turn_fd; /* daemon/turn.h */
};

/* Of one share; nothing is known of it yet. */
static struct tally_share telling_of(const struct look *look)
{
	struct tally_share told = { .kind = TALLY_SHARE, .look = TALLY_LOOKING, .free_bytes = -1 };
	snprintf(told.name, sizeof told.name, "%s", look->name);
	return told;
}

static void begin_look(const struct look *look)
{
	const struct tally_share told = telling_of(look);
	tally_send(look->fd, &told, sizeof told);
}

/* Our own folder: no share, and no file of any route. */
static int look_at_state(const struct look *look, struct tally_share *told)
{
	char why[DENIED_MAX];
	uint64_t free_bytes;
	auto_close int fd = open(look->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error = fd < 0 || faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) < 0 ? -errno : 0;
	enum share_room room = error ? SHARE_ROOM : share_room(fd, LEAST, &free_bytes);
	told->look = TALLY_UP;
	if (error) {
		denied_text(look->path, error, why);
		put_away(told, error, why);
	} else if (room != SHARE_ROOM) {
		put_full(told, look->path, room, free_bytes, "the least is", LEAST,
			 "make room on its disk");
	}
	return error;
}

static int look_at_share(const struct look *look, struct tally_share *told)
{
	struct share share;
	char why[SHARE_WHY_MAX] = "";
	int error = share_open(look->rules, look->courier->spool.shares_fd, false, &share, why);
	if (error) {
		put_away(told, error, why);
		return error;
	}
	look_within(&share, &look->courier->config.rules, told);
	share_close(&share);
	return 0;
}

/* 0, or -errno of the way there. */
static int look_at(const struct look *look)
{
	struct tally_share told = telling_of(look);
	int error = look->rules ? look_at_share(look, &told) : look_at_state(look, &told);
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

/* How one ends that looks over and over. */
enum { END_MOVED, END_DENIED };

/* Until another process may see more. */
static int look_over_and_over(const struct look *look)
{
	struct stat site = { 0 };
	int64_t started_ms = monotonic_ms();
	stat(look->path, &site);
	for (;;) {
		int error = look_at(look);
		turn_give(look->turn_fd);
		nap_ms(BETWEEN_MS);
		begin_look(look);
		turn_take(look->turn_fd);
		if (has_moved(look->path, &site))
			return END_MOVED;
		if (error == -EACCES && monotonic_ms() - started_ms > DENIED_MS)
			return END_DENIED;
	}
}

static int run_child(struct look *look, pid_t parent)
{
	/* who is stuck outlives us all, and must not keep the log, or a terminal */
	dup2(STDOUT_FILENO, STDERR_FILENO);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		return 0;
	begin_look(look);
	if (look->rules)
		look->turn_fd = turn_open(look->courier->config.gateway.state, look->path);
	turn_take(look->turn_fd);
	/* already the way there may hang, and the jail walks it */
	if (!jails_enter_folder(&look->courier->config, look->path))
		return 70;
	return look->again ? look_over_and_over(look) : look_at(look) != 0;
}

struct looker {
	struct look look;
	pid_t pid;
};

static bool send_out(struct looker *looker)
{
	pid_t parent = getpid();
	looker->pid = fork();
	if (looker->pid == 0)
		_exit(run_child(&looker->look, parent));
	if (looker->pid < 0)
		log_say(LOG_ERROR, "look", "no process can be made: %s", strerror(errno));
	return looker->pid > 0;
}

/* Room for our own folder too. */
static struct looker lookers[RULES_SHARES_MAX + 1];
static size_t lookers_count;

static bool begin(const struct courier *courier, int fd, bool again)
{
	static char state[PATH_MAX];
	const struct rules *rules = &courier->config.rules;
	spool_path(courier->config.gateway.state, SPOOL_ROOT, state);
	for (size_t i = 0; i <= rules->shares_count; i++) {
		const struct rules_share *share =
			i < rules->shares_count ? &rules->shares[i] : NULL;
		lookers[i].look = (struct look){ courier,
						 share,
						 share ? share->name : TALLY_STATE,
						 share ? share->path : state,
						 fd,
						 again,
						 -1 };
		if (!send_out(&lookers[i]))
			return false;
		lookers_count++;
	}
	return jails_enter_parent(&courier->config);
}

int look_once(const struct courier *courier, int fd)
{
	if (!begin(courier, fd, false))
		return 70;
	while (waitpid(-1, NULL, 0) > 0)
		;
	return 0;
}

static struct looker *find_looker(pid_t pid)
{
	for (size_t i = 0; i < lookers_count; i++) {
		if (lookers[i].pid == pid)
			return &lookers[i];
	}
	return NULL;
}

/* Who saw that his share has moved gets a new jail; who may not enter it at all may need another
 * identity, which is for the boss to choose. All others die with us. */
int look_on(const struct courier *courier, int fd)
{
	int status;
	if (!begin(courier, fd, true))
		return 70;
	for (pid_t pid; (pid = waitpid(-1, &status, 0)) > 0;) {
		struct looker *looker = find_looker(pid);
		if (!WIFEXITED(status) || WEXITSTATUS(status) > END_DENIED)
			return 70;
		if (WEXITSTATUS(status) == END_DENIED || !looker || !send_out(looker))
			return 0;
	}
	return 0;
}
