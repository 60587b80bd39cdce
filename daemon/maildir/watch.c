/* watch.c: wake, scan, ask, settle: one Maildir, read from top to bottom. Never removes a message
 * before a courier has answered for it, and never touches tmp/. */
#define _GNU_SOURCE
#include "daemon/maildir/watch.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/errand.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/log.h"
#include "daemon/patience.h"
#include "daemon/status.h"

#define SCAN_MAX   2048  /* messages of one look; the next finds the others */
#define ACT_AT     16    /* so many decided messages are acted on at once */
#define ANSWER_MS  3000  /* for couriers, between looks at ourselves */
#define WRITING_MS 10000 /* a file that is still written, and was so lately, is waited for */
#define AGAIN_MS   1000  /* between looks at it */
#define FOLLOW_MS  10000 /* who comes after us is there by then */
#define AWAY_MS    5000  /* at most, between looks for a Maildir that is not there */
#define LOOK_MS    5000  /* between looks whether it is still the one that is open */
#define WORD_MS    8000  /* between words of ours, at most, where a folder may hang */
#define PEEK_MS    3000  /* between looks whether it hangs */

enum exit { EXIT_DONE = 0, EXIT_UNREACHED = 69, EXIT_WAITS = 75 };

struct found {
	enum maildir_folder folder;
	char name[NAME_SIZE];
};

struct watcher {
	const struct config *config;
	const struct config_maildir *maildir;
	struct watch_fds fds;
	bool once, stopping;
	struct status status;
	struct errands errands;
	struct patience patience;
	struct box *box;
	uint64_t place[2]; /* device and inode of the Maildir */
	struct found list[SCAN_MAX];
	size_t count, total; /* total: those that there was no room for too */
	bool left;           /* something could not be done */
	bool failed;         /* the folders can't be read */
};

/* --- words ------------------------------------------------------------------------------------ */

static void set_error(struct watcher *watcher, const char *why)
{
	snprintf(watcher->status.error, sizeof watcher->status.error, "%.299s", why);
}

/* By then there will be another word: who hangs in a folder gives none. A disk of ours is left in
 * peace. */
static void promise(struct watcher *watcher)
{
	if (watcher->status.state != STATUS_UP || !watcher->box->may_hang)
		return;
	watcher->status.until_ms = wall_ms() + WORD_MS;
	status_write(watcher->fds.status, &watcher->status, STATUS_UP);
}

static void touch(struct watcher *watcher)
{
	watcher->status.contact_ms = wall_ms();
	if (!watcher->patience.until_ms)
		watcher->status.until_ms = 0;
	watcher->status.error[0] = '\0';
	status_write(watcher->fds.status, &watcher->status,
		     watcher->patience.until_ms ? STATUS_WAITING : STATUS_UP);
}

static void log_ready(const struct watcher *watcher)
{
	struct log_line line;
	log_start(&line, "ready");
	log_add(&line, "source", "%s", watcher->maildir->name);
	log_quote(&line, "path", watcher->maildir->path);
	log_add(&line, "inotify", "%s", watcher->fds.events >= 0 ? "yes" : "no");
	log_send(LOG_INFO, &line);
}

static void tell(struct watcher *watcher, enum log_level level, int64_t wait_ms)
{
	patience_tell(&watcher->patience, level, watcher->maildir->name, watcher->status.error,
		      wait_ms);
}

static int64_t rescan_ms(const struct config_maildir *maildir)
{
	return (int64_t)maildir->rescan_s * 1000;
}

/* Between looks for one that can't be served: who mends it hears soon that it goes again. */
static int64_t away_ms(const struct config_maildir *maildir)
{
	return rescan_ms(maildir) < AWAY_MS ? rescan_ms(maildir) : AWAY_MS;
}

/* --- waking ----------------------------------------------------------------------------------- */

/* Was a signal sent? It stays readable: from then on only what is hushed is waited for. */
static bool is_woken(struct watcher *watcher)
{
	if (!watcher->stopping && wait_readable(watcher->fds.wake, 0) == 0)
		watcher->stopping = true;
	return watcher->stopping;
}

/* A folder that we hold open never tells of its own end: the one that it lies in does. */
#define HERE_EVENTS (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MOVE_SELF | IN_ATTRIB)
#define MAIL_EVENTS (IN_MOVED_TO | IN_CREATE | IN_CLOSE_WRITE | IN_MOVE_SELF | IN_ATTRIB)

/* What inotify calls it; 0: there is none; -1: errno says why. */
static int watch_folder(int events_fd, int folder_fd, uint32_t events)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", folder_fd);
	return folder_fd < 0 ? 0 : inotify_add_watch(events_fd, path, events);
}

void watch_open_events(const struct box *box, struct watch_fds *fds)
{
	const int *folders = box->from.folders;
	auto_close int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	fds->here = fd < 0 ? -1 : watch_folder(fd, box->from.fd, HERE_EVENTS);
	if (fds->here >= 0 && watch_folder(fd, folders[MAILDIR_NEW], MAIL_EVENTS) >= 0 &&
	    watch_folder(fd, folders[MAILDIR_CUR], MAIL_EVENTS) >= 0) {
		fds->events = take_fd(&fd);
		return;
	}
	log_say(LOG_WARNING, "maildir",
		"source %s: there is no inotify for it (%s): it is looked at every %llu s",
		box->maildir->name, strerror(errno), (unsigned long long)box->maildir->rescan_s);
}

/* Programs keep their own files beside new/ and cur/, and change those of mails: that is no news.
 * What has no name befell the folder itself, or is all that we missed. */
static bool is_news(const struct watcher *watcher, const struct inotify_event *event)
{
	const char *name = event->name;
	if (event->len == 0)
		return true;
	if (event->wd == watcher->fds.here)
		return strcmp(name, "new") == 0 || strcmp(name, "cur") == 0;
	return !(event->mask & IN_ATTRIB);
}

/* Those that are there. What happened the scan finds out. */
static bool take_events(const struct watcher *watcher)
{
	static alignas(struct inotify_event) char events[16 * 1024];
	const struct inotify_event *event;
	bool news = false;
	ssize_t got = -1;
	while (watcher->fds.events >= 0 &&
	       (got = read(watcher->fds.events, events, sizeof events)) > 0) {
		for (ssize_t at = 0; at < got; at += (ssize_t)(sizeof *event + event->len)) {
			event = (const struct inotify_event *)(events + at);
			news |= is_news(watcher, event);
		}
	}
	return news;
}

/* How long at most nobody has to look. */
static int64_t rest_until(const struct watcher *watcher)
{
	int64_t within_ms =
		watcher->failed ? away_ms(watcher->maildir) : rescan_ms(watcher->maildir);
	return patience_rest_until(&watcher->patience, monotonic_ms() + within_ms,
				   box_next_ms(watcher->box));
}

/* What is no news ends no rest. */
static bool is_left_alone(const struct watcher *watcher, int64_t within_ms)
{
	struct pollfd waits[] = { { .fd = watcher->fds.wake, .events = POLLIN },
				  { .fd = watcher->fds.events, .events = POLLIN } };
	int64_t until_ms = monotonic_ms() + within_ms, left_ms = within_ms;
	while (left_ms > 0) {
		int ready = poll(waits, 2, (int)left_ms);
		if (ready < 0 || (ready > 0 && (waits[0].revents || take_events(watcher))))
			return false;
		left_ms = until_ms - monotonic_ms();
	}
	return true;
}

/* Its server must answer; what it says is for the next look. */
static void peek(const struct watcher *watcher)
{
	struct statx found;
	if (statx(watcher->box->from.fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_MTIME,
		  &found) < 0)
		errno = 0;
}

/* Nobody else mounts over it, or closes the way to it, or does anything on another host, with an
 * event: who rests looks now and then whether it is what it was. */
static void rest(struct watcher *watcher)
{
	int64_t every_ms = watcher->box->may_hang ? PEEK_MS : LOOK_MS;
	int64_t until_ms = rest_until(watcher), left_ms = until_ms - monotonic_ms();
	while (left_ms > every_ms) {
		promise(watcher);
		if (!is_left_alone(watcher, every_ms))
			return;
		if (watcher->box->may_hang)
			peek(watcher);
		if (box_is_over(watcher->box))
			return;
		left_ms = until_ms - monotonic_ms();
	}
	if (left_ms > 0)
		is_left_alone(watcher, left_ms);
}

/* --- what couriers answer --------------------------------------------------------------------- */

static void pause_all(struct watcher *watcher, enum reason reason)
{
	char why[100];
	int64_t wait_ms = patience_pause(&watcher->patience);
	snprintf(why, sizeof why, "mail waits in the Maildir: %s", verdict_row(reason)->words);
	set_error(watcher, why);
	watcher->status.until_ms = wall_ms() + wait_ms;
	status_write(watcher->fds.status, &watcher->status, STATUS_WAITING);
	tell(watcher, LOG_WARNING, wait_ms);
}

static void take_end(struct watcher *watcher, struct errand_end *end)
{
	/* the folder has it still */
	close_fd(&end->message_fd);
	const char *base = end->head.item;
	enum outcome outcome = verdict_row(end->reason)->outcome;
	if (outcome == OUTCOME_DELIVERED || outcome == OUTCOME_REFUSED) {
		box_decide(watcher->box, base, outcome == OUTCOME_REFUSED, take_fd(&end->mark_fd));
		patience_gain(&watcher->patience);
		if (outcome == OUTCOME_DELIVERED)
			watcher->status.delivery_ms = wall_ms();
		return;
	}
	close_fd(&end->mark_fd);
	watcher->left = true;
	box_drop(watcher->box, base);
	if (patience_lose(&watcher->patience, end->reason))
		pause_all(watcher, end->reason);
	if (!patience_is_everybodys(end->reason))
		box_postpone(watcher->box, base, 0);
}

/* Those answers that are there. */
static void take_ready(struct watcher *watcher)
{
	struct errand_end end;
	while (errands_take(&watcher->errands, 0, -1, &end))
		take_end(watcher, &end);
}

static void await_one(struct watcher *watcher)
{
	struct errand_end end;
	promise(watcher);
	if (errands_take(&watcher->errands, monotonic_ms() + ANSWER_MS, watcher->fds.wake, &end))
		take_end(watcher, &end);
}

static void await_all(struct watcher *watcher)
{
	while (errands_count(&watcher->errands) > 0 && !is_woken(watcher))
		await_one(watcher);
}

/* --- asking ----------------------------------------------------------------------------------- */

/* A Maildir's mails are written in tmp/. One that somebody writes where it lies is not whole until
 * he closes it: nobody gets a lease on it before. He is waited for as long as he goes on. */
static bool is_being_written(const struct watcher *watcher, int fd, const struct stat *found)
{
	int64_t changed_ms =
		(int64_t)found->st_mtim.tv_sec * 1000 + found->st_mtim.tv_nsec / 1000000;
	if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0) {
		fcntl(fd, F_SETLEASE, F_UNLCK);
		return false;
	}
	/* where there are no leases a moment is all that can be given */
	int64_t within_ms = errno == EAGAIN ? WRITING_MS : watcher->once ? 0 : AGAIN_MS;
	int64_t age_ms = wall_ms() - changed_ms;
	return age_ms >= 0 && age_ms < within_ms;
}

static void postpone(struct watcher *watcher, const char *base, int error)
{
	char why[100];
	snprintf(why, sizeof why, "a message in the Maildir can't be read: %s", strerror(-error));
	set_error(watcher, why);
	tell(watcher, LOG_ERROR, rescan_ms(watcher->maildir));
	box_postpone(watcher->box, base, 0);
	watcher->left = true;
}

static int open_message(const struct watcher *watcher, const struct found *found,
			struct stat *stat_out)
{
	auto_close int fd = openat(watcher->box->from.folders[found->folder], found->name,
				   O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, stat_out) < 0)
		return -errno;
	if (!S_ISREG(stat_out->st_mode))
		return -EINVAL;
	return take_fd(&fd);
}

/* The file itself is sent. Takes over `fd`. */
static void send_question(struct watcher *watcher, const struct found *found,
			  const struct maildir_file *file, const struct stat *stat, int fd)
{
	struct ask_head head = { .kind = ASK_DELIVER,
				 .bytes = (uint64_t)stat->st_size,
				 .received_ms = (int64_t)stat->st_mtim.tv_sec * 1000 +
						stat->st_mtim.tv_nsec / 1000000,
				 .place = { watcher->place[0], watcher->place[1] } };
	strcpy(head.item, file->base);
	box_add(watcher->box, file, found->folder, found->name);
	if (errands_ask(&watcher->errands, &head, fd) == 0)
		return;
	box_drop(watcher->box, file->base);
	watcher->left = true;
	pause_all(watcher, REASON_IO);
}

static void ask(struct watcher *watcher, const struct found *found)
{
	struct maildir_file file = { 0 };
	struct stat stat;
	name_base(found->name, file.base);
	if (!box_wants(watcher->box, file.base))
		return;
	auto_close int fd = open_message(watcher, found, &stat);
	/* somebody has moved or removed it: the next look knows */
	if (fd == -ENOENT)
		return;
	if (fd < 0) {
		postpone(watcher, file.base, fd);
		return;
	}
	if (is_being_written(watcher, fd, &stat)) {
		box_postpone(watcher->box, file.base, AGAIN_MS);
		watcher->left = true;
		return;
	}
	file.device = stat.st_dev;
	file.inode = stat.st_ino;
	send_question(watcher, found, &file, &stat, take_fd(&fd));
}

/* --- one look at the Maildir ------------------------------------------------------------------ */

static bool is_regular(int folder_fd, const struct dirent *entry)
{
	struct stat found;
	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_REG;
	return fstatat(folder_fd, entry->d_name, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(found.st_mode);
}

static void note(struct watcher *watcher, enum maildir_folder folder, const char *name)
{
	char base[NAME_SIZE];
	name_base(name, base);
	box_notice(watcher->box, base);
	if (!box_wants(watcher->box, base))
		return;
	watcher->total++;
	if (watcher->count == SCAN_MAX)
		return;
	struct found *found = &watcher->list[watcher->count++];
	found->folder = folder;
	snprintf(found->name, sizeof found->name, "%s", name);
}

static int scan_folder(struct watcher *watcher, enum maildir_folder folder)
{
	int folder_fd = watcher->box->from.folders[folder], error = 0;
	if (folder_fd < 0)
		return 0;
	DIR *names = open_names(folder_fd, ".");
	if (!names)
		return -errno;
	for (struct dirent *entry; (entry = next_name(names, &error));) {
		if (name_is_message(entry->d_name) && is_regular(folder_fd, entry))
			note(watcher, folder, entry->d_name);
	}
	closedir(names);
	return error;
}

/* Names of mails begin with the time: the oldest come first. */
static int compare_found(const void *a, const void *b)
{
	return strcmp(((const struct found *)a)->name, ((const struct found *)b)->name);
}

static int scan(struct watcher *watcher)
{
	watcher->count = 0;
	watcher->total = 0;
	box_begin_look(watcher->box);
	int error = scan_folder(watcher, MAILDIR_NEW);
	if (!error)
		error = scan_folder(watcher, MAILDIR_CUR);
	if (error)
		return error;
	box_end_look(watcher->box);
	qsort(watcher->list, watcher->count, sizeof watcher->list[0], compare_found);
	return 0;
}

static bool is_stuck(const struct watcher *watcher)
{
	return box_decided(watcher->box) + ERRANDS_MAX >= BOX_MAILS_MAX;
}

/* Nothing more is to be asked now. */
static bool must_rest(struct watcher *watcher)
{
	return patience_is_paused(&watcher->patience) || is_stuck(watcher) || is_woken(watcher);
}

/* Makes room for one more, in the window and among those that are decided. */
static void make_room(struct watcher *watcher, const struct found *found)
{
	struct stat stat = { 0 };
	fstatat(watcher->box->from.folders[found->folder], found->name, &stat, AT_SYMLINK_NOFOLLOW);
	take_ready(watcher);
	while (!errands_have_room(&watcher->errands, (uint64_t)stat.st_size) && !is_woken(watcher))
		await_one(watcher);
	/* while the couriers have trouble one message at a time finds out whether they still have
	 */
	if (watcher->patience.pause_ms)
		await_all(watcher);
	if (box_due(watcher->box) >= ACT_AT)
		box_act(watcher->box, &watcher->errands);
}

/* One that is no longer there, or closed to us, is said by who comes after us: it may be his. */
static void fail(struct watcher *watcher, int error)
{
	watcher->failed = true;
	set_error(watcher, strerror(-error));
	status_write(watcher->fds.status, &watcher->status, STATUS_DOWN);
	if ((error != -ENOENT && error != -EACCES) || watcher->once)
		tell(watcher, LOG_ERROR, away_ms(watcher->maildir));
}

/* Everything that is there now. False: there was nothing, or it can't be read. */
static bool pass(struct watcher *watcher)
{
	take_events(watcher);
	promise(watcher);
	int error = scan(watcher);
	if (error) {
		fail(watcher, error);
		return false;
	}
	watcher->status.waiting = (uint32_t)watcher->total;
	touch(watcher);
	for (size_t i = 0; i < watcher->count; i++) {
		promise(watcher);
		make_room(watcher, &watcher->list[i]);
		if (must_rest(watcher))
			break;
		ask(watcher, &watcher->list[i]);
		watcher->status.waiting = (uint32_t)(watcher->total - i - 1);
	}
	await_all(watcher);
	if (!watcher->stopping)
		box_act(watcher->box, &watcher->errands);
	return watcher->count > 0;
}

/* Until nothing is left that can be done now. */
static void drain(struct watcher *watcher)
{
	bool more = true;
	watcher->left = false;
	watcher->failed = false;
	while (more && !must_rest(watcher))
		more = pass(watcher);
	promise(watcher);
	/* also those that could not be got rid of before */
	if (!watcher->stopping)
		box_act(watcher->box, &watcher->errands);
}

/* We are to end: what couriers have promised is heard, and acted on. */
static void finish(struct watcher *watcher)
{
	int64_t within_ms = (int64_t)watcher->config->gateway.answer_within_s * 1000;
	int64_t until_ms = monotonic_ms() + within_ms / 2;
	struct errand_end end;
	while (errands_take(&watcher->errands, until_ms, -1, &end))
		take_end(watcher, &end);
	box_act(watcher->box, &watcher->errands);
}

static void serve(struct watcher *watcher)
{
	while (!is_woken(watcher)) {
		drain(watcher);
		if (watcher->once || is_woken(watcher))
			break;
		/* another Maildir, or one of somebody else, is for who comes after us */
		if (box_is_over(watcher->box)) {
			log_say(LOG_INFO, "maildir",
				"source %s: its folders are others now, or somebody else's",
				watcher->maildir->name);
			break;
		}
		if (!watcher->failed)
			touch(watcher);
		rest(watcher);
	}
	finish(watcher);
}

static int exit_status(const struct watcher *watcher)
{
	if (!watcher->once)
		return EXIT_DONE;
	if (watcher->failed)
		return EXIT_UNREACHED;
	return watcher->left || watcher->stopping || box_decided(watcher->box) > 0 ? EXIT_WAITS
										   : EXIT_DONE;
}

int watch_run(const struct config *config, struct box *box, const struct watch_fds *fds, bool once)
{
	static struct watcher watcher;
	struct stat found;
	watcher = (struct watcher){
		.config = config, .maildir = box->maildir, .fds = *fds, .once = once, .box = box
	};
	if (fstat(box->from.fd, &found) < 0)
		return EXIT_UNREACHED;
	watcher.place[0] = found.st_dev;
	watcher.place[1] = found.st_ino;
	status_load(fds->status, &watcher.status);
	errands_init(&watcher.errands, fds->ask);
	touch(&watcher);
	log_ready(&watcher);
	serve(&watcher);
	int status = exit_status(&watcher);
	watcher.status.until_ms = 0;
	status_write(fds->status, &watcher.status, STATUS_DOWN);
	errands_done(&watcher.errands);
	return status;
}

/* --- where there is none ---------------------------------------------------------------------- */

static const char *words_for(int error)
{
	switch (-error) {
	case ENOENT:
	case ENOTDIR: return "there is no Maildir yet, or no new/ in it: it is to be made";
	case ELOOP: return "a link on the way to it belongs to somebody else";
	case EWOULDBLOCK: return "another letterchute empties it";
	case EDEADLK: return "its mails would be moved to itself";
	}
	return strerror(-error);
}

static void say_why(const struct config_maildir *maildir, uint32_t reader, int error, char *why,
		    size_t size)
{
	if (error == -EACCES)
		snprintf(why, size,
			 "%.150s: it, or new/ or cur/ in it, is closed to user %u, who is to empty "
			 "it: give it to him (chown), or open it (chmod)",
			 maildir->path, reader);
	else
		snprintf(why, size, "%.200s: %.90s", maildir->path, words_for(error));
}

/* Who was here before us waited too, and said so, or said that it is somebody else's turn. */
static bool is_told(const struct status *status)
{
	int64_t since_ms = wall_ms() - status->until_ms;
	return status->state == STATUS_DOWN && since_ms > -FOLLOW_MS && since_ms < FOLLOW_MS;
}

int watch_wait(const struct config_maildir *maildir, const struct watch_fds *fds, bool once,
	       uint32_t reader, int error)
{
	struct status status;
	struct patience patience = { 0 };
	char why[STATUS_ERROR_MAX];
	status_load(fds->status, &status);
	int64_t wait_ms = away_ms(maildir);
	say_why(maildir, reader, error, why, sizeof why);
	bool told = is_told(&status) && !once;
	patience_tell(&patience,
		      told   ? LOG_DEBUG
		      : once ? LOG_ERROR
			     : LOG_WARNING,
		      maildir->name, why, once ? 0 : wait_ms);
	if (once)
		return EXIT_UNREACHED;
	strcpy(status.error, why);
	status.until_ms = wall_ms() + wait_ms;
	status_write(fds->status, &status, STATUS_DOWN);
	bool ended = wait_readable(fds->wake, monotonic_ms() + wait_ms) == 0;
	status.until_ms = 0;
	if (ended)
		status_write(fds->status, &status, STATUS_DOWN);
	return EXIT_DONE;
}
