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
#define KEY_LENGTH  (PLAN_KEY_SIZE - 1)
#define PLAN_LIVES  3 /* a plan that fails in so many lives is put aside */
#define SWEEP_AGE_S 86400

static bool is_life(const char *name)
{
	return strlen(name) == LIFE_LENGTH && strspn(name, "0123456789abcdef") == LIFE_LENGTH;
}

int life_begin(const struct spool *spool, struct life *life_out)
{
	uint64_t number;
	struct life life;
	if (getrandom(&number, sizeof number, 0) != sizeof number)
		return -EIO;
	snprintf(life.name, sizeof life.name, "%016llx", (unsigned long long)number);
	life.lock_fd =
		openat(spool->lives_fd, life.name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (life.lock_fd < 0)
		return -errno;
	int error = flock(life.lock_fd, LOCK_EX) < 0 ? -errno : sync_folder(spool->lives_fd);
	if (error) {
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

void life_count_try(const struct spool *spool, const char *key)
{
	char text[16];
	int size = snprintf(text, sizeof text, "%u\n", life_tries(spool, key) + 1);
	int error = write_file_at(spool->tries_fd, key, text, (size_t)size, 0600);
	if (error)
		log_say(LOG_ERROR, "spool", "a failed try can't be counted: %s", strerror(-error));
}

void life_forget_tries(const struct spool *spool, const char *key)
{
	unlinkat(spool->tries_fd, key, 0);
}

/* --- removing --------------------------------------------------------------------------------- */

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
	for (struct dirent *entry; (entry = readdir(names));) {
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(names), entry->d_name, 0);
	}
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
		if (!error && share.base_fd >= 0) {
			error = remove_folder(share.base_fd, name);
			if (!error)
				error = sync_folder(share.base_fd);
		}
		if (!error)
			share_close(&share);
		first = first ? first : error;
	}
	return first;
}

void life_end(const struct spool *spool, const struct config *config, struct life *life)
{
	if (remove_staging(spool, config, life->name) == 0)
		unlinkat(spool->lives_fd, life->name, 0);
	close_fd(&life->lock_fd);
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

/* 0; -ENOTDIR: the staging folder is gone; else the share is away. */
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
	if (error) {
		share_close(share);
		return error == -ENOENT ? -ENOTDIR : error;
	}
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

/* *tried_out: the shares were all there, so an error is the plan's own, or the disk's. */
static int publish_opened(const struct spool *spool, const struct config *config,
			  const struct plan *plan, const char *life, bool *tried_out)
{
	struct opened opened = { .count = 0 };
	int error = 0;
	for (size_t i = 0; !error && i < plan->shares_count; i++)
		error = open_share(spool, config, &plan->shares[i], life, &opened);
	*tried_out = !error;
	if (!error)
		error = publish_plan(plan, opened.publish, spool->folders_fd, tell_adopted,
				     plan->job);
	close_opened(&opened);
	return error;
}

/* What a share that is full or failing does to any plan; it says nothing about this one. */
static bool is_disk_error(int error)
{
	static const int errors[] = { ENOSPC,    EDQUOT,   EROFS,  ESTALE, EACCES, EIO,
				      ETIMEDOUT, ENOTCONN, ENOMEM, EMFILE, ENFILE, EINTR };
	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
		if (errors[i] == -error)
			return true;
	}
	return false;
}

/* A plan that the file system refuses for what it is. Put aside with its staged files after some
 * lives. */
static int count_plan(const struct spool *spool, const struct config *config,
		      const struct plan *plan, const char *name, int error)
{
	char life[PLAN_LIFE_SIZE], key[PLAN_KEY_SIZE], job[PLAN_JOB_SIZE],
		counter[PLAN_JOB_SIZE + 8];
	if (!plan_name_parse(name, key, job, life))
		return error;
	snprintf(counter, sizeof counter, "plan-%s", job);
	life_count_try(spool, counter);
	if (life_tries(spool, counter) < PLAN_LIVES)
		return error;
	int kept = quarantine_keep_plan(spool->quarantine_fd, config, spool->shares_fd, plan, life,
					error);
	if (kept)
		return kept;
	life_forget_tries(spool, counter);
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
	if (!error)
		error = marks_make(&marks, name, &plan);
	else if (error == -ENOTDIR)
		error = unlinkat(spool->publishing_fd, name, 0) < 0 ? -errno : 0;
	else if (tried && !is_disk_error(error))
		error = count_plan(spool, config, &plan, name, error);
	plan_done(&plan);
	return error;
}

static int roll_all_forward(const struct spool *spool, const struct config *config,
			    const char *life)
{
	int own = openat(spool->publishing_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *names = own < 0 ? NULL : fdopendir(own);
	if (!names) {
		close_fd(&own);
		return -errno;
	}
	int first = 0;
	for (struct dirent *entry; (entry = readdir(names));) {
		char key[PLAN_KEY_SIZE], job[PLAN_JOB_SIZE], other[PLAN_LIFE_SIZE];
		if (!plan_name_parse(entry->d_name, key, job, other) || strcmp(other, life) != 0)
			continue;
		/* one plan that can't go on does not keep the others back */
		int error = roll_forward(spool, config, entry->d_name, life);
		first = first ? first : error;
	}
	closedir(names);
	return first;
}

/* --- adopting --------------------------------------------------------------------------------- */

/* A message that its courier died on. */
static void count_current(const struct spool *spool, int lock_fd)
{
	char key[PLAN_KEY_SIZE] = "";
	if (pread(lock_fd, key, KEY_LENGTH, 0) == KEY_LENGTH &&
	    strspn(key, "0123456789abcdef") == KEY_LENGTH) {
		life_count_try(spool, key);
		char none[KEY_LENGTH];
		memset(none, '-', sizeof none);
		/* an adoption that does not come to its end counts once */
		if (pwrite(lock_fd, none, sizeof none, 0) < 0)
			return;
	}
}

int life_adopt(const struct spool *spool, const struct config *config, const char *name)
{
	auto_close int lock_fd = openat(spool->lives_fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	struct stat found;
	if (lock_fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (flock(lock_fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	if (fstat(lock_fd, &found) < 0)
		return -errno;
	if (found.st_nlink == 0) /* somebody was faster */
		return 0;
	count_current(spool, lock_fd);
	int error = roll_all_forward(spool, config, name);
	if (!error)
		error = remove_staging(spool, config, name);
	if (!error && unlinkat(spool->lives_fd, name, 0) < 0)
		error = -errno;
	return error;
}

int life_adopt_all(const struct spool *spool, const struct config *config)
{
	int own = openat(spool->lives_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *names = own < 0 ? NULL : fdopendir(own);
	if (!names) {
		close_fd(&own);
		return -errno;
	}
	int left = 0;
	for (struct dirent *entry; (entry = readdir(names));) {
		if (!is_life(entry->d_name))
			continue;
		int error = life_adopt(spool, config, entry->d_name);
		left += error && error != -EWOULDBLOCK;
	}
	closedir(names);
	return left;
}

static void sweep_share(const struct spool *spool, const struct share *share)
{
	int own = openat(share->base_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *names = own < 0 ? NULL : fdopendir(own);
	struct stat found;
	for (struct dirent *entry; names && (entry = readdir(names));) {
		if (!is_life(entry->d_name) ||
		    faccessat(spool->lives_fd, entry->d_name, F_OK, 0) == 0)
			continue;
		if (fstatat(share->base_fd, entry->d_name, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISDIR(found.st_mode) && time(NULL) - found.st_mtime > SWEEP_AGE_S)
			remove_folder(share->base_fd, entry->d_name);
	}
	if (names)
		closedir(names);
	else
		close_fd(&own);
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
