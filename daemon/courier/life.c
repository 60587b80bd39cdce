/* life.c: begins, ends and adopts lives. Never touches one whose lock it can't take. */
#define _GNU_SOURCE
#include "daemon/courier/life.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "daemon/courier/publish.h"
#include "daemon/courier/quarantine.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/log.h"

#define LIFE_LENGTH (PLAN_LIFE_SIZE - 1)
#define BEGIN_TRIES 100
#define KEY_LENGTH  (PLAN_KEY_SIZE - 1)
#define SWEEP_AGE_S 86400
#define TRIES_AGE_S (30 * 86400)
#define GONE_AGE_S  60

static bool is_life(const char *name)
{
	return strlen(name) == LIFE_LENGTH && strspn(name, "0123456789abcdef") == LIFE_LENGTH;
}

/* The life's file: the key of the job in hand, `-` if there is none, and the run of the boss. */
static int write_file(const struct life *life, const char *run)
{
	char text[KEY_LENGTH + LIFE_RUN_SIZE];
	memset(text, '-', KEY_LENGTH);
	snprintf(text + KEY_LENGTH, LIFE_RUN_SIZE, "%s", run);
	size_t size = KEY_LENGTH + strlen(text + KEY_LENGTH);
	ssize_t written = pwrite(life->lock_fd, text, size, 0);
	return written < 0 ? -errno : (size_t)written < size ? -ENOSPC : 0;
}

/* A file of its own, locked. -EAGAIN: between the two somebody took it for a dead life's, and
 * adopted it. */
static int make_file(const struct spool *spool, struct life *life)
{
	uint64_t number;
	struct stat found;
	if (getrandom(&number, sizeof number, 0) != sizeof number)
		return -EIO;
	snprintf(life->name, sizeof life->name, "%016llx", (unsigned long long)number);
	auto_close int fd =
		openat(spool->lives_fd, life->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX) < 0 || fstat(fd, &found) < 0)
		return -errno;
	if (found.st_nlink == 0)
		return -EAGAIN;
	life->lock_fd = take_fd(&fd);
	return 0;
}

int life_begin(const struct spool *spool, const char *run, struct life *life_out)
{
	struct life life;
	int error = -EAGAIN;
	for (int tries = 0; error == -EAGAIN && tries < BEGIN_TRIES; tries++)
		error = make_file(spool, &life);
	if (error)
		return error;
	error = write_file(&life, run);
	if (!error)
		error = sync_folder(spool->lives_fd);
	if (error) {
		unlinkat(spool->lives_fd, life.name, 0);
		close(life.lock_fd);
		return error;
	}
	*life_out = life;
	return 0;
}

void life_abandon(struct life *life)
{
	close_fd(&life->lock_fd);
}

void life_set_current(const struct life *life, const char *key)
{
	char text[KEY_LENGTH];
	memset(text, '-', sizeof text);
	memcpy(text, key, strnlen(key, sizeof text));
	/* only the death of this process matters, not a power cut: no sync, and an error only loses
	 * a count */
	if (pwrite(life->lock_fd, text, sizeof text, 0) < 0)
		return;
}

int life_open_staging(const struct share *share, const char *life, bool make, int *fd_out)
{
	int error = share_openat(share->base_fd, life, O_RDONLY | O_DIRECTORY, 0, fd_out);
	if (error != -ENOENT || !make)
		return error;
	if (mkdirat(share->base_fd, life, 0700) < 0 && errno != EEXIST)
		return -errno;
	error = sync_folder(share->base_fd);
	if (!error)
		error = share_openat(share->base_fd, life, O_RDONLY | O_DIRECTORY, 0, fd_out);
	return error;
}

/* --- tries ------------------------------------------------------------------------------------ */

unsigned life_tries(const struct spool *spool, const char *key)
{
	char *text;
	size_t size;
	if (read_file_at(spool->tries_fd, key, 16, &text, &size) != 0)
		return 0;
	unsigned tries = (unsigned)strtoul(text, NULL, 10);
	free(text);
	return tries;
}

static void set_tries(const struct spool *spool, const char *key, unsigned tries)
{
	char text[16];
	int size = snprintf(text, sizeof text, "%u\n", tries);
	int error = write_file_at(spool->tries_fd, key, text, (size_t)size, 0600);
	if (error)
		log_say(LOG_ERROR, "spool", "a failed try can't be counted: %s", strerror(-error));
}

static void count_try(const struct spool *spool, const char *key)
{
	set_tries(spool, key, life_tries(spool, key) + 1);
}

void life_forget_tries(const struct spool *spool, const char *key)
{
	unlinkat(spool->tries_fd, key, 0);
}

/* --- removing --------------------------------------------------------------------------------- */

/* A staged file, or a folder that was never moved to its place. */
static void remove_staged(int staging_fd, const char *name)
{
	if (name[0] != '.' && unlinkat(staging_fd, name, 0) < 0 &&
	    (errno == EISDIR || errno == EPERM))
		unlinkat(staging_fd, name, AT_REMOVEDIR);
}

static int remove_folder(int base_fd, const char *name)
{
	int fd;
	int error = share_openat(base_fd, name, O_RDONLY | O_DIRECTORY, 0, &fd);
	if (error)
		return error == -ENOENT ? 0 : error;
	DIR *names = fdopendir(fd);
	if (!names) {
		close(fd);
		return -ENOMEM;
	}
	for (struct dirent *entry; (entry = readdir(names));)
		remove_staged(dirfd(names), entry->d_name);
	closedir(names);
	if (unlinkat(base_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

/* The staging folders of a life, on every share that is there. 0, or the first -errno. */
static int remove_staging(const struct spool *spool, const struct config *config, const char *name)
{
	int first = 0;
	for (size_t i = 0; i < config->rules.shares_count; i++) {
		struct share share;
		char why[SHARE_WHY_MAX];
		int error =
			share_open(&config->rules.shares[i], spool->shares_fd, false, &share, why);
		if (!error) {
			error = share.base_fd < 0 ? 0 : remove_folder(share.base_fd, name);
			if (!error && share.base_fd >= 0)
				error = sync_folder(share.base_fd);
			share_close(&share);
		}
		first = first ? first : error;
	}
	return first;
}

void life_end(const struct spool *spool, const struct config *config, struct life *life)
{
	if (life->lock_fd < 0) /* it was left to be adopted, and no other could be begun */
		return;
	if (remove_staging(spool, config, life->name) == 0)
		unlinkat(spool->lives_fd, life->name, 0);
	life_abandon(life);
}

/* --- rolling forward -------------------------------------------------------------------------- */

/* Everything that a plan's publishing needs, opened. */
struct opened {
	struct share shares[RULES_SHARES_MAX];
	struct publish_share publish[RULES_SHARES_MAX];
	size_t count;
};

static void close_opened(struct opened *opened)
{
	for (size_t i = 0; i < opened->count; i++) {
		share_close(&opened->shares[i]);
		close_fd(&opened->publish[i].staging_fd);
	}
}

static const struct rules_share *find_share(const struct config *config, const char *path)
{
	for (size_t i = 0; i < config->rules.shares_count; i++) {
		if (strcmp(config->rules.shares[i].path, path) == 0)
			return &config->rules.shares[i];
	}
	return NULL;
}

#define STAGING_GONE 1 /* the share is there, but somebody removed the life's staging folder */

/* Whoever may write to the share can take our folder away, and bring it back when we have made
 * another: then a life has two staging folders, and what is not in the one is still in the other.
 */
static bool is_staging_of(const struct plan_share *planned, int staging_fd)
{
	char found[WITNESS_SIZE];
	return !*planned->staging || !witness_within(staging_fd, found) ||
	       strcmp(planned->staging, found) == 0;
}

/* 0, STAGING_GONE, or -errno: the share is away. */
static int open_share(const struct spool *spool, const struct config *config,
		      const struct plan_share *planned, const char *life, struct opened *opened)
{
	const struct rules_share *rules = find_share(config, planned->path);
	char why[SHARE_WHY_MAX];
	if (!rules)
		return -ESTALE;
	struct share *share = &opened->shares[opened->count];
	int error = share_open(rules, spool->shares_fd, false, share, why);
	if (error)
		return error;
	int staging_fd = -1;
	if (share->base_fd < 0 || strcmp(share->id, planned->id) != 0)
		error = -ESTALE;
	else
		error = life_open_staging(share, life, false, &staging_fd);
	if (!error && !is_staging_of(planned, staging_fd)) {
		close(staging_fd);
		error = -ENOENT;
	}
	if (error) {
		share_close(share);
		return error == -ENOENT ? STAGING_GONE : error;
	}
	share->staging_fd = staging_fd;
	opened->publish[opened->count].share = share;
	opened->publish[opened->count].staging_fd = staging_fd;
	opened->count++;
	return 0;
}

static void tell_adopted(const void *context, const struct plan_part *part, const char *path)
{
	struct log_line line;
	(void)part;
	log_start(&line, "adopted");
	const char *job = context;
	log_add(&line, "job", "%s", job);
	log_quote(&line, "path", path);
	log_send(LOG_INFO, &line);
}

/* 0, STAGING_GONE or -errno. *tried_out: the shares were all there, so an error is the plan's own,
 * or the disk's. */
static int publish_opened(const struct spool *spool, const struct config *config,
			  const struct plan *plan, const char *life, bool *tried_out)
{
	struct opened opened = { .count = 0 };
	int error = 0;
	for (size_t i = 0; !error && i < plan->shares_count; i++)
		error = open_share(spool, config, &plan->shares[i], life, &opened);
	*tried_out = !error;
	if (!error)
		error = publish_plan(plan, PUBLISH_AGAIN, opened.publish, spool->folders_fd,
				     tell_adopted, plan->job);
	close_opened(&opened);
	return error;
}

/* What a share that is full or failing does to any plan; it says nothing about this one. */
static bool is_disk_error(int error)
{
	static const int errors[] = { ENOSPC,   EDQUOT, EROFS,  ESTALE, EACCES, EIO,    ETIMEDOUT,
				      ENOTCONN, ENOMEM, EMFILE, ENFILE, EINTR,  EREMCHG };
	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
		if (errors[i] == -error)
			return true;
	}
	return false;
}

#define COUNTER_SIZE (PLAN_JOB_SIZE + 8)

static void name_counter(const struct plan *plan, char counter[COUNTER_SIZE])
{
	snprintf(counter, COUNTER_SIZE, "plan-%s", plan->job);
}

/* A plan that the file system refuses for what it is. Put aside with its staged files after some
 * lives; then its message has had all its tries too, so that whoever sends it again is told. */
static int count_plan(const struct spool *spool, const struct config *config,
		      const struct plan *plan, const char *name, const char *life, int error)
{
	char counter[COUNTER_SIZE];
	name_counter(plan, counter);
	count_try(spool, counter);
	if (life_tries(spool, counter) < LIFE_TRIES_MAX)
		return error;
	int kept = quarantine_keep_plan(spool->quarantine_fd, config, spool->shares_fd, plan, life,
					error);
	if (kept)
		return kept;
	life_forget_tries(spool, counter);
	set_tries(spool, plan->key, LIFE_TRIES_MAX);
	return unlinkat(spool->publishing_fd, name, 0) < 0 ? -errno : 0;
}

static int roll_forward(const struct spool *spool, const struct config *config, const char *name,
			const char *life)
{
	auto_close int fd = openat(spool->publishing_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	struct plan plan;
	int error = plan_read(fd, &plan);
	if (error == -EBADMSG) /* torn: it never was a promise */
		return unlinkat(spool->publishing_fd, name, 0) < 0 ? -errno : 0;
	if (error)
		return error;
	const struct marks marks = { spool->publishing_fd, spool->done_fd };
	bool tried;
	error = publish_opened(spool, config, &plan, life, &tried);
	if (!error) {
		char counter[COUNTER_SIZE];
		name_counter(&plan, counter);
		life_forget_tries(spool, counter);
		error = marks_make(&marks, name, &plan);
	} else if (error == STAGING_GONE) {
		error = unlinkat(spool->publishing_fd, name, 0) < 0 ? -errno : 0;
	} else if (tried && !is_disk_error(error)) {
		error = count_plan(spool, config, &plan, name, life, error);
	}
	plan_done(&plan);
	return error;
}

static int roll_all_forward(const struct spool *spool, const struct config *config,
			    const char *life)
{
	DIR *names = open_names(spool->publishing_fd, ".");
	if (!names)
		return -errno;
	int first = 0, unread = 0;
	for (struct dirent *entry; (entry = next_name(names, &unread));) {
		char key[PLAN_KEY_SIZE], job[PLAN_JOB_SIZE], other[PLAN_LIFE_SIZE];
		if (!plan_name_parse(entry->d_name, key, job, other) || strcmp(other, life) != 0)
			continue;
		/* one plan that can't go on does not keep the others back */
		int error = roll_forward(spool, config, entry->d_name, life);
		first = first ? first : error;
	}
	closedir(names);
	return first ? first : unread;
}

/* --- adopting --------------------------------------------------------------------------------- */

/* A message that its courier died on, and only the courier: where its boss ended too, nobody knows
 * whose fault it was. */
static void count_current(const struct spool *spool, const char *run, int lock_fd)
{
	char text[KEY_LENGTH + LIFE_RUN_SIZE] = "", key[PLAN_KEY_SIZE];
	const char *its = text + KEY_LENGTH;
	if (pread(lock_fd, text, sizeof text - 1, 0) < KEY_LENGTH ||
	    strspn(text, "0123456789abcdef") < KEY_LENGTH ||
	    (strcmp(its, run) != 0 && strcmp(its, LIFE_RUN_NONE) != 0))
		return;
	snprintf(key, sizeof key, "%.*s", KEY_LENGTH, text);
	/* first, so that an adoption which does not come to its end never counts a death twice */
	memset(text, '-', KEY_LENGTH);
	if (pwrite(lock_fd, text, KEY_LENGTH, 0) == KEY_LENGTH)
		count_try(spool, key);
}

int life_adopt(const struct spool *spool, const struct config *config, const char *run,
	       const char *name)
{
	/* a plan may have outlived the file of its life: then it is made anew, to be locked */
	auto_close int lock_fd =
		openat(spool->lives_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct stat found;
	if (lock_fd < 0)
		return -errno;
	if (flock(lock_fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	if (fstat(lock_fd, &found) < 0)
		return -errno;
	if (found.st_nlink == 0) /* somebody was faster */
		return 0;
	count_current(spool, run, lock_fd);
	int error = roll_all_forward(spool, config, name);
	/* no plan may come back whose staged files are removed now */
	if (!error)
		error = sync_folder(spool->publishing_fd);
	if (!error)
		error = remove_staging(spool, config, name);
	if (!error && unlinkat(spool->lives_fd, name, 0) < 0)
		error = -errno;
	return error;
}

/* The life that a file of the folder belongs to: it bears its name, or is a plan of it. */
static bool life_of(const char *name, char life_out[PLAN_LIFE_SIZE])
{
	char key[PLAN_KEY_SIZE], job[PLAN_JOB_SIZE];
	if (is_life(name))
		snprintf(life_out, PLAN_LIFE_SIZE, "%.*s", LIFE_LENGTH, name);
	return is_life(name) || plan_name_parse(name, key, job, life_out);
}

/* The lives that files of the folder belong to. Returns how many had to stay, or -errno. */
static int adopt_from(int folder_fd, const struct spool *spool, const struct config *config,
		      const char *run)
{
	DIR *names = open_names(folder_fd, ".");
	if (!names)
		return -errno;
	int left = 0, unread = 0;
	for (struct dirent *entry; (entry = next_name(names, &unread));) {
		char life[PLAN_LIFE_SIZE];
		if (!life_of(entry->d_name, life))
			continue;
		int error = life_adopt(spool, config, run, life);
		left += error && error != -EWOULDBLOCK;
	}
	closedir(names);
	return unread ? unread : left;
}

int life_adopt_all(const struct spool *spool, const struct config *config, const char *run)
{
	int left = adopt_from(spool->lives_fd, spool, config, run);
	return left ? left : adopt_from(spool->publishing_fd, spool, config, run);
}

/* --- what nobody asks for any more ------------------------------------------------------------ */

void life_age_tries(const struct spool *spool)
{
	DIR *names = open_names(spool->tries_fd, ".");
	struct stat found;
	for (struct dirent *entry; names && (entry = readdir(names));) {
		if (fstatat(spool->tries_fd, entry->d_name, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(found.st_mode) && time(NULL) - found.st_mtime > TRIES_AGE_S)
			unlinkat(spool->tries_fd, entry->d_name, 0);
	}
	if (names)
		closedir(names);
}

/* The share's clock, which may be another machine's (seconds). */
static int64_t share_now(const struct share *share)
{
	static const char name[] = SHARE_GONE "clock";
	struct stat made;
	bool known = mkdirat(share->base_fd, name, 0700) == 0 &&
		     fstatat(share->base_fd, name, &made, AT_SYMLINK_NOFOLLOW) == 0;
	unlinkat(share->base_fd, name, AT_REMOVEDIR);
	return known ? made.st_mtime : 0;
}

/* First it gets another name, so that a plan of another state which promised what is in it finds
 * the folder gone, and never a file of it. */
static void sweep_folder(const struct share *share, const char *name)
{
	char gone[sizeof SHARE_GONE + LIFE_LENGTH];
	snprintf(gone, sizeof gone, "%s%.*s", SHARE_GONE, LIFE_LENGTH, name);
	if (renameat(share->base_fd, name, share->base_fd, gone) == 0)
		remove_folder(share->base_fd, gone);
}

static bool is_older(const struct share *share, const char *name, int64_t than)
{
	struct stat found;
	return fstatat(share->base_fd, name, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
	       found.st_mtime < than;
}

static void remove_any(int base_fd, const char *name)
{
	if (unlinkat(base_fd, name, 0) < 0)
		remove_folder(base_fd, name);
}

static void sweep_share(const struct spool *spool, const struct share *share)
{
	DIR *names = open_names(share->base_fd, ".");
	int64_t now = share_now(share);
	for (struct dirent *entry; names && (entry = readdir(names));) {
		if (strncmp(entry->d_name, SHARE_GONE, sizeof SHARE_GONE - 1) == 0) {
			if (is_older(share, entry->d_name, now - GONE_AGE_S))
				remove_any(share->base_fd, entry->d_name);
		} else if (is_life(entry->d_name) &&
			   faccessat(spool->lives_fd, entry->d_name, F_OK, 0) < 0 &&
			   is_older(share, entry->d_name, now - SWEEP_AGE_S)) {
			sweep_folder(share, entry->d_name);
		}
	}
	if (names)
		closedir(names);
}

void life_sweep(const struct spool *spool, const struct config *config)
{
	for (size_t i = 0; i < config->rules.shares_count; i++) {
		struct share share;
		char why[SHARE_WHY_MAX];
		if (share_open(&config->rules.shares[i], spool->shares_fd, false, &share, why) ==
		    0) {
			if (share.base_fd >= 0)
				sweep_share(spool, &share);
			share_close(&share);
		}
	}
}
