/* box.c: acts on messages that were decided about. Never opens one. */
#define _GNU_SOURCE
#include "daemon/maildir/box.h"
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/log.h"
#include "daemon/maildir/move.h"
#include "daemon/patience.h"

#define POSTPONE_LEAST_MS 2000
#define POSTPONE_MOST_MS  600000
#define REMOVE_MOST_MS    30000
#define TOLD_MS           600000
#define REMOVE_TRIES      3 /* while another program moves it */

void box_init(struct box *box, const struct config_maildir *maildir)
{
	*box = (struct box){ .maildir = maildir };
	maildir_init(&box->from);
	maildir_init(&box->after);
	maildir_init(&box->refused);
}

void box_done(struct box *box)
{
	for (size_t i = 0; i < box->mails_count; i++)
		close_fd(&box->mails[i].mark_fd);
	box->mails_count = 0;
	maildir_done(&box->from);
	maildir_done(&box->after);
	maildir_done(&box->refused);
	free(box->postponed);
	box->postponed = NULL;
	box->postponed_count = 0;
}

/* --- its folders ------------------------------------------------------------------------------ */

static bool is_same_folder(int a_fd, int b_fd)
{
	struct stat a, b;
	return fstat(a_fd, &a) == 0 && fstat(b_fd, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

static int open_made(const char *path, struct maildir *target)
{
	int error = maildir_make(path), found = maildir_find(path, &target->fd);
	if (!error)
		error = found;
	if (!error)
		error = maildir_open(target, MAILDIR_CUR);
	return error ? error : maildir_open(target, MAILDIR_TMP);
}

static bool is_usable(const struct maildir *target)
{
	return target->folders[MAILDIR_CUR] >= 0 && target->folders[MAILDIR_TMP] >= 0;
}

/* What is moved to itself would come again for ever. */
static int open_target(const struct box *box, const struct config_fate *fate, const char *what,
		       struct maildir *target)
{
	if (fate->kind != CONFIG_FATE_MOVE)
		return 0;
	int error = open_made(fate->name, target);
	if (target->fd >= 0 && is_same_folder(target->fd, box->from.fd))
		return -EDEADLK;
	if (error)
		log_say(LOG_ERROR, "maildir",
			"source %s: %s mails will stay where they are, %s: %s", box->maildir->name,
			what, fate->name, strerror(-error));
	/* nothing is known of its folders: only whether it is another one by now */
	if (error)
		target->wanted = 0;
	return 0;
}

/* A disk of ours answers, or fails. */
static bool is_served(int fd)
{
	static const uint32_t kinds[] = { NFS_SUPER_MAGIC,  SMB_SUPER_MAGIC,  CIFS_SUPER_MAGIC,
					  SMB2_SUPER_MAGIC, CEPH_SUPER_MAGIC, AFS_SUPER_MAGIC,
					  FUSE_SUPER_MAGIC, V9FS_MAGIC };
	struct statfs found;
	for (size_t i = 0; fstatfs(fd, &found) == 0 && i < sizeof kinds / sizeof kinds[0]; i++) {
		if ((uint32_t)found.f_type == kinds[i])
			return true;
	}
	return false;
}

int box_open(struct box *box, int fd)
{
	box->from.fd = fd;
	box->may_hang = is_served(fd);
	int error = maildir_open(&box->from, MAILDIR_NEW);
	if (error)
		return error;
	/* there may be none yet */
	error = maildir_open(&box->from, MAILDIR_CUR);
	if (error && error != -ENOENT)
		return error;
	/* two who empty one Maildir would both deliver what is in it. Where there are no locks we
	 * do without */
	if (flock(box->from.folders[MAILDIR_NEW], LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return -EWOULDBLOCK;
	box->opened_ms = monotonic_ms();
	error = open_target(box, &box->maildir->after, "delivered", &box->after);
	return error ? error : open_target(box, &box->maildir->refused, "refused", &box->refused);
}

/* Could mails be moved there? Where a look can't tell, no. */
static bool is_promising(const char *path)
{
	char folder[PATH_MAX];
	if ((size_t)snprintf(folder, sizeof folder, "%s/cur", path) >= sizeof folder)
		return false;
	if (access(folder, W_OK) == 0)
		return true;
	if (errno != ENOENT)
		return false;
	snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
	return access(folder, W_OK) == 0;
}

static bool has_target_changed(const struct box *box, const struct config_fate *fate,
			       const struct maildir *target)
{
	int64_t rescan_ms = (int64_t)box->maildir->rescan_s * 1000;
	if (fate->kind != CONFIG_FATE_MOVE)
		return false;
	if (maildir_has_changed(target, fate->name))
		return true;
	return !is_usable(target) && monotonic_ms() - box->opened_ms >= rescan_ms &&
	       is_promising(fate->name);
}

bool box_is_over(const struct box *box)
{
	return maildir_is_closed(&box->from) ||
	       maildir_has_changed(&box->from, box->maildir->path) ||
	       has_target_changed(box, &box->maildir->after, &box->after) ||
	       has_target_changed(box, &box->maildir->refused, &box->refused);
}

/* --- what is known of a message --------------------------------------------------------------- */

/* Its place in the list; mails_count: it is not there. */
static size_t find_mail(const struct box *box, const char *base)
{
	size_t i = 0;
	while (i < box->mails_count && strcmp(box->mails[i].file.base, base) != 0)
		i++;
	return i;
}

static struct box_postponed *find_postponed(const struct box *box, const char *base)
{
	for (size_t i = 0; i < box->postponed_count; i++) {
		if (strcmp(box->postponed[i].base, base) == 0)
			return &box->postponed[i];
	}
	return NULL;
}

bool box_wants(const struct box *box, const char *base)
{
	const struct box_postponed *postponed = find_postponed(box, base);
	return find_mail(box, base) == box->mails_count &&
	       (!postponed || postponed->until_ms <= monotonic_ms());
}

void box_begin_look(struct box *box)
{
	for (size_t i = 0; i < box->postponed_count; i++)
		box->postponed[i].seen = false;
}

void box_notice(struct box *box, const char *base)
{
	struct box_postponed *postponed = find_postponed(box, base);
	if (postponed)
		postponed->seen = true;
}

void box_end_look(struct box *box)
{
	for (size_t i = box->postponed_count; i-- > 0;) {
		if (!box->postponed[i].seen)
			box->postponed[i] = box->postponed[--box->postponed_count];
	}
}

bool box_is_full(const struct box *box)
{
	return box->mails_count >= BOX_MAILS_MAX;
}

void box_add(struct box *box, const struct maildir_file *file, enum maildir_folder folder,
	     const char *name)
{
	assert(!box_is_full(box));
	struct box_mail *mail = &box->mails[box->mails_count++];
	*mail = (struct box_mail){ .file = *file, .folder = folder, .mark_fd = -1 };
	snprintf(mail->name, sizeof mail->name, "%s", name);
}

static void forget(struct box *box, struct box_mail *mail)
{
	close_fd(&mail->mark_fd);
	*mail = box->mails[--box->mails_count];
}

void box_drop(struct box *box, const char *base)
{
	size_t i = find_mail(box, base);
	if (i < box->mails_count)
		forget(box, &box->mails[i]);
}

void box_postpone(struct box *box, const char *base, int64_t delay_ms)
{
	struct box_postponed *postponed = find_postponed(box, base);
	if (!postponed) {
		struct box_postponed *grown = realloc(
			box->postponed, (box->postponed_count + 1) * sizeof *box->postponed);
		if (!grown)
			abort();
		box->postponed = grown;
		postponed = &box->postponed[box->postponed_count++];
		*postponed = (struct box_postponed){ .seen = true };
		snprintf(postponed->base, sizeof postponed->base, "%s", base);
	}
	postponed->delay_ms = postponed->delay_ms ? postponed->delay_ms * 2 : POSTPONE_LEAST_MS;
	if (delay_ms)
		postponed->delay_ms = delay_ms;
	if (postponed->delay_ms > POSTPONE_MOST_MS)
		postponed->delay_ms = POSTPONE_MOST_MS;
	postponed->until_ms = monotonic_ms() + postponed->delay_ms;
}

void box_decide(struct box *box, const char *base, bool refused, int mark_fd)
{
	size_t i = find_mail(box, base);
	struct box_postponed *postponed = find_postponed(box, base);
	assert(i < box->mails_count && box->mails[i].state == BOX_ASKED);
	struct box_mail *mail = &box->mails[i];
	mail->state = refused ? BOX_REFUSED : BOX_DELIVERED;
	mail->mark_fd = mark_fd;
	if (postponed)
		*postponed = box->postponed[--box->postponed_count];
}

static bool is_due(const struct box_mail *mail, int64_t now_ms)
{
	return mail->state != BOX_ASKED && mail->again_ms <= now_ms;
}

size_t box_due(const struct box *box)
{
	int64_t now_ms = monotonic_ms();
	size_t due = 0;
	for (size_t i = 0; i < box->mails_count; i++)
		due += is_due(&box->mails[i], now_ms);
	return due;
}

size_t box_decided(const struct box *box)
{
	size_t decided = 0;
	for (size_t i = 0; i < box->mails_count; i++)
		decided += box->mails[i].state != BOX_ASKED;
	return decided;
}

int64_t box_next_ms(const struct box *box)
{
	int64_t next = -1;
	for (size_t i = 0; i < box->postponed_count; i++) {
		if (next < 0 || box->postponed[i].until_ms < next)
			next = box->postponed[i].until_ms;
	}
	for (size_t i = 0; i < box->mails_count; i++) {
		const struct box_mail *mail = &box->mails[i];
		if (mail->state != BOX_ASKED && (next < 0 || mail->again_ms < next))
			next = mail->again_ms;
	}
	return next;
}

/* --- acting on those that are due ------------------------------------------------------------- */

static const struct config_fate *fate_of(const struct box *box, const struct box_mail *mail)
{
	return mail->state == BOX_REFUSED ? &box->maildir->refused : &box->maildir->after;
}

static int apply(const struct box *box, const struct box_mail *mail)
{
	int folder_fd = box->from.folders[mail->folder];
	if (fate_of(box, mail)->kind == CONFIG_FATE_MOVE)
		return move_message(folder_fd, mail->name,
				    mail->state == BOX_REFUSED ? &box->refused : &box->after);
	return unlinkat(folder_fd, mail->name, 0) < 0 ? -errno : 0;
}

/* Only the file that was asked about, whatever it is called by now. *gone_out: somebody else has
 * removed it. */
static int find_it(const struct box *box, struct box_mail *mail, bool *gone_out)
{
	int error = maildir_is_file(&box->from, mail->folder, mail->name, &mail->file);
	if (error == -ENOENT)
		error = maildir_look_up(&box->from, &mail->file, &mail->folder, mail->name);
	*gone_out = error == -ENOENT;
	return *gone_out ? 0 : error;
}

static int remove_mail(const struct box *box, struct box_mail *mail)
{
	int error = -ENOENT;
	for (int tries = 0; error == -ENOENT && tries < REMOVE_TRIES; tries++) {
		bool gone;
		error = find_it(box, mail, &gone);
		if (error || gone)
			return error;
		error = apply(box, mail);
	}
	return error;
}

/* It stays decided about, and is not asked about again. */
static void put_off(struct box *box, struct box_mail *mail, int error)
{
	int64_t now_ms = monotonic_ms();
	if (box->told_ms == 0 || now_ms - box->told_ms > TOLD_MS) {
		log_say(LOG_ERROR, "maildir", "source %s: a mail that was %s can't be %s: %s",
			box->maildir->name, mail->state == BOX_REFUSED ? "refused" : "delivered",
			fate_of(box, mail)->kind == CONFIG_FATE_MOVE ? "moved" : "removed",
			strerror(-error));
		box->told_ms = now_ms;
	}
	mail->delay_ms = patience_next(mail->delay_ms, REMOVE_MOST_MS);
	mail->again_ms = now_ms + mail->delay_ms;
}

static int sync_all(const struct box *box)
{
	const int fds[] = { box->after.folders[MAILDIR_CUR], box->refused.folders[MAILDIR_CUR],
			    box->from.folders[MAILDIR_NEW], box->from.folders[MAILDIR_CUR] };
	for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
		int error = fds[i] < 0 ? 0 : sync_folder(fds[i]);
		if (error)
			return error;
	}
	return 0;
}

/* They are gone, and if that is durable no doubt about them is needed. */
static void settle(struct box *box, bool durable, const struct errands *errands)
{
	for (size_t i = box->mails_count; i-- > 0;) {
		struct box_mail *mail = &box->mails[i];
		if (!mail->gone)
			continue;
		if (durable && mail->mark_fd >= 0)
			errand_settle(errands, take_fd(&mail->mark_fd));
		forget(box, mail);
	}
}

void box_act(struct box *box, const struct errands *errands)
{
	int64_t now_ms = monotonic_ms();
	bool any = false;
	for (size_t i = 0; i < box->mails_count; i++) {
		struct box_mail *mail = &box->mails[i];
		if (!is_due(mail, now_ms))
			continue;
		int error = remove_mail(box, mail);
		mail->gone = !error;
		any |= mail->gone;
		if (error)
			put_off(box, mail, error);
	}
	int error = any ? sync_all(box) : 0;
	if (error)
		log_say(LOG_ERROR, "maildir", "source %s: its folders can't be synced: %s",
			box->maildir->name, strerror(-error));
	if (any)
		settle(box, !error, errands);
}
