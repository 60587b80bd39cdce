/* main.c: a courier: takes questions from its sources and answers them, one at a time. Never
 * listens, never connects.
 *
 *   run NAME...   questions from the sockets of these sources, until all are closed
 *   alone "*"     the same for who started it for himself, without a boss
 *   keep NAME...  no questions: says in the log what is wrong with a share, then adopts the
 *                 dead and clears up
 *   explain       one question, without touching spool or share
 *   check         probes the shares; findings as lines: what, 0 or 1, text, remedy, by tabs
 *   look          at the shares, once: daemon/courier/look.h; what is seen goes where messages
 *                 are counted
 *   lookout       the same, over and over
 *   adopt         the same, after forgetting what is remembered of them
 *
 * Descriptors: ROLE_FD_FIRST the extractor's program, who is asked who signed a message, where
 * messages are counted, then the sockets, or for check the report. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "daemon/ask.h"
#include "daemon/courier/courier.h"
#include "daemon/courier/folder.h"
#include "daemon/courier/jails.h"
#include "daemon/courier/look.h"
#include "daemon/courier/mount.h"
#include "daemon/courier/probe.h"
#include "daemon/courier/quarantine.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/log.h"
#include "daemon/role.h"
#include "daemon/spool.h"

#define ASKS_MAX     ROLE_FDS_MAX
#define TIDY_MS      30000 /* between looks at the age of what is kept */
#define ADOPT_MS     3000  /* between looks for lives whose courier died, or waits for its share */
#define STOP_LOOK_MS 500   /* between looks at the time while we are ending */

enum { FD_PROGRAM = ROLE_FD_FIRST, FD_PROVER, FD_TALLY, FD_ASKS };

/* SIGTERM: no new promise. What was answered is still settled: until those who ask have ended. */
static volatile sig_atomic_t stopping;
static volatile sig_atomic_t draining; /* SIGHUP: nothing more, others take our place */
static int wake_fd;

static void on_signal(int signal)
{
	int saved = errno;
	uint64_t one = 1;
	if (signal == SIGTERM)
		stopping = 1;
	else
		draining = 1;
	while (write(wake_fd, &one, sizeof one) < 0 && errno == EINTR)
		;
	errno = saved;
}

static void catch_signals(void)
{
	static const int ending[] = { SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal };
	for (size_t i = 0; i < sizeof ending / sizeof ending[0]; i++)
		sigaction(ending[i], &action, NULL);
	signal(SIGINT, SIG_IGN); /* Ctrl-C is for the boss, who ends us in order */
	signal(SIGPIPE, SIG_IGN);
}

static bool open_spool(struct courier *courier)
{
	const struct {
		enum spool_folder folder;
		int *fd;
	} folders[] = {
		{ SPOOL_ROOT, &courier->spool.root_fd },
		{ SPOOL_LIVES, &courier->spool.lives_fd },
		{ SPOOL_PUBLISHING, &courier->spool.publishing_fd },
		{ SPOOL_DONE, &courier->spool.done_fd },
		{ SPOOL_TRIES, &courier->spool.tries_fd },
		{ SPOOL_FOLDERS, &courier->spool.folders_fd },
		{ SPOOL_KEPT, &courier->spool.kept_fd },
		{ SPOOL_SHARES, &courier->spool.shares_fd },
		{ SPOOL_QUARANTINE, &courier->spool.quarantine_fd },
	};
	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		int error =
			spool_open(courier->config.gateway.state, folders[i].folder, folders[i].fd);
		if (error) {
			log_say(LOG_ERROR, "spool", "%s: %s", courier->config.gateway.state,
				strerror(-error));
			return false;
		}
	}
	return true;
}

/* --- housekeeping ----------------------------------------------------------------------------- */

/* The spool's clock: seconds that couriers have run, kept in a file by whichever of us tidies. */
static int open_clock(const struct courier *courier)
{
	return openat(courier->spool.root_fd, "clock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
		      0600);
}

static struct marks marks_of(const struct courier *courier)
{
	return (struct marks){ courier->spool.publishing_fd, courier->spool.done_fd };
}

static void read_clock(struct courier *courier, int fd)
{
	const struct marks marks = marks_of(courier);
	char text[32] = "";
	if (pread(fd, text, sizeof text - 1, 0) < 0)
		text[0] = '\0';
	courier->clock_s = strtoull(text, NULL, 10);
	if (courier->clock_s == 0)
		courier->clock_s = marks_newest(&marks);
	courier->clock_ms = monotonic_ms();
}

static void start_clock(struct courier *courier)
{
	auto_close int fd = open_clock(courier);
	read_clock(courier, fd);
}

static void advance_clock(struct courier *courier, int fd)
{
	uint64_t before = courier->clock_s,
		 passed = (uint64_t)(monotonic_ms() - courier->clock_ms) / 1000;
	char text[32];
	read_clock(courier, fd);
	if (before + passed <= courier->clock_s)
		return; /* another gateway on this state was first */
	courier->clock_s = before + passed;
	int size = snprintf(text, sizeof text, "%020llu\n", (unsigned long long)courier->clock_s);
	if (pwrite(fd, text, (size_t)size, 0) < 0)
		log_say(LOG_ERROR, "spool", "the clock can't be written: %s", strerror(errno));
}

static void tidy(struct courier *courier)
{
	const struct marks marks = marks_of(courier);
	auto_close int fd = open_clock(courier);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return;
	advance_clock(courier, fd);
	life_adopt_all(&courier->spool, &courier->config, courier->run);
	life_age_tries(&courier->spool);
	marks_age(&marks, courier->clock_s, courier->config.gateway.doubt_keep_s,
		  courier->spool.quarantine_fd);
	quarantine_tidy(courier->spool.quarantine_fd);
	folder_tidy(courier->spool.folders_fd);
}

static bool is_alone(const struct courier *courier)
{
	return strcmp(courier->run, LIFE_RUN_NONE) == 0;
}

/* A plan that could not be published is left to whoever adopts the life; we begin another. */
static bool renew_life(struct courier *courier)
{
	life_abandon(&courier->life);
	courier->life_spoilt = false;
	int error = life_begin(&courier->spool, courier->run, &courier->life);
	if (error)
		log_say(LOG_ERROR, "spool", "no life can be begun: %s", strerror(-error));
	return !error;
}

/* --- questions -------------------------------------------------------------------------------- */

static union {
	struct ask_head head;
	char room[ASK_MAX];
} question;

static bool is_imap(const struct courier *courier, const char *name)
{
	return config_find_account(&courier->config, name) != NULL;
}

static bool is_pulled(const struct courier *courier, const char *name)
{
	return is_imap(courier, name) || config_find_maildir(&courier->config, name) != NULL;
}

/* Who pulls says nothing of himself, and what he brings has no envelope: only its header says from
 * whom and for whom it is. UIDs are numbers of 32 bits, as the ledger has them. */
static bool is_from_puller(struct ask_head *head, const char *sender, const char *name, bool imap)
{
	bool numbered = head->place[0] <= UINT32_MAX && head->place[1] <= UINT32_MAX;
	if (head->has_envelope || head->recipients > 0 || *sender || (imap && !numbered))
		return false;
	head->origin = (struct ask_origin){
		.kind = imap ? ASK_SOURCE_IMAP : ASK_SOURCE_MAILDIR,
	};
	snprintf(head->origin.source, sizeof head->origin.source, "%s", name);
	head->login[0] = '\0';
	return head->kind == ASK_DELIVER || head->kind == ASK_SETTLE || head->kind == ASK_COMPACT ||
	       head->kind == ASK_RECALL;
}

/* Who asks belongs to the socket. The listener and the door know their sessions and say it
 * themselves; the name must still be the one that the socket was made for, and no message of theirs
 * stays anywhere. Only who started us for himself can ask as if he were one who pulls, or look up
 * what was put aside, which may be from anybody. */
static bool is_from(const struct courier *courier, struct ask_head *head, const char *sender,
		    const char *name)
{
	bool anybody = strcmp(name, "*") == 0;
	if (head->kind == ASK_RETRY || head->kind == ASK_EXPLAIN)
		return anybody && is_alone(courier);
	if (is_pulled(courier, name))
		return is_from_puller(head, sender, name, is_imap(courier, name));
	return head->kind < ASK_COMPACT && !head->stays && head->origin.kind >= ASK_SOURCE_SMTP &&
	       head->origin.kind < ASK_SOURCE_IMAP &&
	       (anybody ? is_alone(courier) || !is_pulled(courier, head->origin.source)
			: strcmp(head->origin.source, name) == 0);
}

/* No question, and yet not the end of the socket: another courier was faster, or what came was cut.
 * Where the kernel can't hand it over to us we make room for a courier that it may go better with.
 */
static void heed_silence(const char *name, int error)
{
	if (error == -EAGAIN || error == -EINTR || error == -EMSGSIZE)
		return;
	log_say(LOG_ERROR, "ask", "source %s can't be heard: %s", name, strerror(-error));
	draining = 1;
}

/* Takes one question. False: the socket is at its end. */
static bool take_question(struct courier *courier, int fd, const char *name)
{
	int fds[FDIO_PASS_MAX];
	size_t count = FDIO_PASS_MAX;
	struct ask ask;
	ssize_t size = receive_fds(fd, &question, sizeof question, fds, &count, MSG_DONTWAIT);
	if (size == 0)
		return false;
	if (size < 0) {
		heed_silence(name, (int)size);
		return true;
	}
	if (ask_read(&question, (size_t)size, &ask) &&
	    is_from(courier, &question.head, ask.sender, name))
		courier_answer(courier, &ask, fds, count);
	else
		log_say(LOG_ERROR, "ask", "source %s asked nonsense", name);
	while (count > 0)
		close(fds[--count]);
	return true;
}

static int watch(int epoll_fd, int fd, uint32_t events, uint32_t index)
{
	struct epoll_event event = { .events = events, .data.u32 = index };
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void tell_mounted(void)
{
	log_say(LOG_INFO, "restart", "a share may have been mounted anew");
}

#define DENIED_MS 2000 /* so often at most a courier ends for a share that it may not enter */

/* What was learned by a job and needs more than the next job. */
static bool follow_up(struct courier *courier)
{
	if (courier->life_spoilt && !renew_life(courier))
		return false;
	if (courier->share_denied && monotonic_ms() - courier->started_ms > DENIED_MS) {
		tell_mounted();
		return false;
	}
	return true;
}

static void serve(struct courier *courier, int epoll_fd, char **names, int left)
{
	int64_t limit = 0;
	while (left > 0 && !draining && (limit == 0 || monotonic_ms() < limit)) {
		struct epoll_event event;
		int ready = epoll_wait(epoll_fd, &event, 1, stopping ? STOP_LOOK_MS : -1);
		if (stopping && limit == 0) {
			limit = monotonic_ms() + courier->config.gateway.answer_within_s * 1000;
			epoll_ctl(epoll_fd, EPOLL_CTL_DEL, wake_fd, NULL);
		}
		if (ready <= 0 || event.data.u32 >= ASKS_MAX)
			continue;
		int fd = FD_ASKS + (int)event.data.u32;
		if (!take_question(courier, fd, names[event.data.u32])) {
			epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
			left--;
		}
		if (!follow_up(courier))
			return;
	}
}

static int run(struct courier *courier, char **names, int count)
{
	auto_close int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int error = epoll_fd < 0 || count > ASKS_MAX ? -EINVAL
						     : watch(epoll_fd, wake_fd, EPOLLIN, ASKS_MAX);
	for (int i = 0; !error && i < count; i++)
		error = watch(epoll_fd, FD_ASKS + i, EPOLLIN | EPOLLEXCLUSIVE, (uint32_t)i);
	if (!error)
		error = life_begin(&courier->spool, courier->run, &courier->life);
	if (error) {
		log_say(LOG_ERROR, "start", "the courier can't start: %s", strerror(-error));
		return 70;
	}
	start_clock(courier);
	courier->started_ms = monotonic_ms();
	if (is_alone(courier)) { /* and holds up nobody */
		tidy(courier);
		life_sweep(&courier->spool, &courier->config);
	} else {
		courier->seats = seat_count(&courier->config);
	}
	serve(courier, epoll_fd, names, count);
	extractor_stop(&courier->extractor);
	life_end(&courier->spool, &courier->config, &courier->life);
	return 0;
}

/* A boss's run has its own sockets, and no two sockets of one boot have the same number. */
static void name_run(bool alone, char run[LIFE_RUN_SIZE])
{
	char boot[37] = "";
	struct stat found = { 0 };
	auto_close int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, boot, 8) < 0)
		boot[0] = '\0';
	fstat(FD_ASKS, &found);
	if (alone)
		snprintf(run, LIFE_RUN_SIZE, "%s", LIFE_RUN_NONE);
	else
		snprintf(run, LIFE_RUN_SIZE, "%s-%llx", boot, (unsigned long long)found.st_ino);
}

/* --- the other modes -------------------------------------------------------------------------- */

static int explain(struct courier *courier)
{
	if (wait_readable(FD_ASKS, -1) == 0)
		take_question(courier, FD_ASKS, "*");
	extractor_stop(&courier->extractor);
	return 0;
}

static void print_finding(void *context, const char *what, bool ok, const char *text,
			  const char *remedy)
{
	(void)context;
	dprintf(FD_ASKS, "%s\t%d\t%s\t%s\n", what, ok, text, remedy);
}

static void log_finding(void *context, const char *what, bool ok, const char *text,
			const char *remedy)
{
	(void)context;
	if (*remedy)
		log_say(ok ? LOG_WARNING : LOG_ERROR, "share", "%s: %s; %s", what, text, remedy);
}

static void probe_all(struct courier *courier, int mounts_fd, probe_told told)
{
	probe_state(&courier->spool, &courier->config, mounts_fd, told, NULL);
	for (size_t i = 0; i < courier->config.rules.shares_count; i++)
		probe_share(&courier->spool, &courier->config, i, mounts_fd, told, NULL);
}

/* A jail lets us at what was there when it was closed. */
static bool have_moved(const struct courier *courier, const struct look_sites *before)
{
	struct look_sites now;
	look_at_sites(&courier->config, &now);
	if (memcmp(before, &now, sizeof now) == 0)
		return false;
	tell_mounted();
	return true;
}

/* Does what no message waits for, so that a share which hangs holds up nobody who serves one. */
static int keep(struct courier *courier, int *mounts_fd)
{
	struct pollfd wake = { .fd = wake_fd, .events = POLLIN };
	struct look_sites sites;
	look_at_sites(&courier->config, &sites);
	start_clock(courier);
	probe_all(courier, *mounts_fd, log_finding);
	close_fd(mounts_fd);
	life_sweep(&courier->spool, &courier->config);
	while (!stopping && !draining) {
		tidy(courier);
		for (int waited = 0; waited < TIDY_MS && poll(&wake, 1, ADOPT_MS) == 0;
		     waited += ADOPT_MS) {
			if (have_moved(courier, &sites))
				return 0;
			life_adopt_all(&courier->spool, &courier->config, courier->run);
		}
	}
	return 0;
}

static int check(struct courier *courier, int mounts_fd, bool forget)
{
	for (size_t i = 0; forget && i < courier->config.rules.shares_count; i++)
		share_forget(&courier->config.rules.shares[i], courier->spool.shares_fd);
	probe_all(courier, mounts_fd, print_finding);
	return 0;
}

static int look(struct courier *courier, bool once)
{
	look_prepare();
	/* who is stuck outlives us all, and is nobody's who asks */
	close(FD_PROGRAM);
	close(FD_PROVER);
	spool_open(courier->config.gateway.state, SPOOL_SHARES, &courier->spool.shares_fd);
	return once ? look_once(courier, FD_TALLY) : look_on(courier, FD_TALLY);
}

int main(int argc, char **argv)
{
	static struct courier courier = {
		.spool = { -1, -1, -1, -1, -1, -1, -1, -1, -1 },
		.life = { .lock_fd = -1 },
		.extractor = EXTRACTOR_INIT,
		.stopping = &stopping,
	};
	if (argc < 2)
		return 64;
	bool once = strcmp(argv[1], "look") == 0, dry = strcmp(argv[1], "explain") == 0;
	int status = role_begin("letterchute-courier", &courier.config);
	if (status)
		return status;
	courier.revision = config_revision(&courier.config);
	if (strcmp(argv[1], "keep") == 0)
		prctl(PR_SET_NAME, "letterchute-keeper", 0, 0, 0);
	name_run(strcmp(argv[1], "run") != 0 && strcmp(argv[1], "keep") != 0, courier.run);
	tzset();
	umask(022);
	raise_file_limit();
	signal(SIGCHLD, SIG_IGN);
	courier.extractor.program_fd = FD_PROGRAM;
	courier.prover_fd = FD_PROVER;
	courier.tally_fd = FD_TALLY;
	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	catch_signals();
	if (once || strcmp(argv[1], "lookout") == 0)
		return look(&courier, once);
	if (dry)
		spool_open(courier.config.gateway.state, SPOOL_SHARES, &courier.spool.shares_fd);
	else if (!open_spool(&courier))
		return 70;
	bool serves = strcmp(argv[1], "run") == 0 || strcmp(argv[1], "alone") == 0;
	auto_close int mounts_fd = serves || dry ? -1 : mount_open_list();
	if (!jails_enter(&courier.config))
		return 70;
	if (dry)
		return explain(&courier);
	if (strcmp(argv[1], "keep") == 0)
		return keep(&courier, &mounts_fd);
	if (serves)
		return run(&courier, argv + 2, argc - 2);
	return check(&courier, mounts_fd, strcmp(argv[1], "adopt") == 0);
}
