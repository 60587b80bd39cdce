/* marks.c: finds, makes, settles and ages marks. Never looks into a message or at a share. */
#define _GNU_SOURCE
#include "daemon/courier/marks.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/courier/quarantine.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"

#define SHORT_DOUBT_S 600
#define KEY_LENGTH    (PLAN_KEY_SIZE - 1)
#define NAME_SIZE     (PLAN_KEY_SIZE + PLAN_JOB_SIZE + 24)

static const char doubt_letters[] = {
	[PLAN_DOUBT_LONG] = 'l',
	[PLAN_DOUBT_SHORT] = 's',
	[PLAN_DOUBT_RETRY] = 'r',
};

/* <key>.<job>.<clock>.<l, s or r>: all that ageing has to know is in the name. */
static void mark_name(const struct plan *plan, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "%s.%s.%" PRIx64 ".%c", plan->key, plan->job, plan->clock_s,
		 doubt_letters[plan->doubt]);
}

static bool is_mark_name(const char *name)
{
	return strspn(name, "0123456789abcdef") == KEY_LENGTH && name[KEY_LENGTH] == '.' &&
	       strspn(name + KEY_LENGTH + 1, "0123456789abcdef") == PLAN_JOB_SIZE - 1 &&
	       name[KEY_LENGTH + PLAN_JOB_SIZE] == '.';
}

#define LOCK_TRIES  100
#define LOCK_NAP_MS 1

/* A session holds its mark alone. Several who only look must not take each other for one: they look
 * with a shared lock first, and only then want it for themselves. */
static int lock_if_free(int fd)
{
	for (int tries = 0; tries < LOCK_TRIES; tries++) {
		if (flock(fd, LOCK_SH | LOCK_NB) < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK)
			return -errno;
		nap_ms(LOCK_NAP_MS);
	}
	return -EWOULDBLOCK;
}

/* Opens the file if nobody holds it. The lock is ours then; a file that vanished meanwhile counts
 * as held. */
static int take_if_free(int folder_fd, const char *name, int *fd_out)
{
	auto_close int fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat found;
	if (fd < 0)
		return errno == ENOENT ? -EWOULDBLOCK : -errno;
	int error = lock_if_free(fd);
	if (error)
		return error;
	if (fstat(fd, &found) < 0)
		return -errno;
	if (found.st_nlink == 0)
		return -EWOULDBLOCK;
	*fd_out = take_fd(&fd);
	return 0;
}

/* The first name in the folder that starts with the key and that nobody holds. 0, -ENOENT or
 * -errno. */
static int find_free(int folder_fd, const char *subfolder, const char *key, int *fd_out,
		     char name_out[PLAN_NAME_SIZE])
{
	DIR *names = open_names(folder_fd, subfolder);
	if (!names)
		return -errno;
	int error = -ENOENT, unread = 0;
	for (struct dirent *entry; error == -ENOENT && (entry = next_name(names, &unread));) {
		if (strncmp(entry->d_name, key, KEY_LENGTH) != 0 ||
		    entry->d_name[KEY_LENGTH] != '.')
			continue;
		error = take_if_free(dirfd(names), entry->d_name, fd_out);
		if (error == -EWOULDBLOCK)
			error = -ENOENT;
		else if (!error)
			snprintf(name_out, PLAN_NAME_SIZE, "%.*s", PLAN_NAME_SIZE - 1,
				 entry->d_name);
	}
	closedir(names);
	return error == -ENOENT && unread ? unread : error;
}

int marks_find(const struct marks *marks, const char *key, enum marks_found *found_out, int *fd_out,
	       char life_out[PLAN_LIFE_SIZE])
{
	char subfolder[3] = { key[0], key[1] }, name[PLAN_NAME_SIZE], name_key[PLAN_KEY_SIZE],
	     job[PLAN_JOB_SIZE];
	auto_close int fd = -1;
	/* plans first: one that becomes a mark while we look is then seen as one or the other */
	int error = find_free(marks->publishing_fd, ".", key, &fd, name);
	if (!error && plan_name_parse(name, name_key, job, life_out)) {
		*found_out = MARKS_PENDING;
		return 0;
	}
	if (error && error != -ENOENT)
		return error;
	close_fd(&fd);
	error = find_free(marks->done_fd, subfolder, key, &fd, name);
	*found_out = error ? MARKS_NONE : MARKS_DOUBT;
	if (error)
		return error == -ENOENT ? 0 : error;
	*fd_out = take_fd(&fd);
	return 0;
}

int marks_settle(const struct marks *marks, int fd)
{
	char link[40], path[PATH_MAX], within[4 + NAME_SIZE];
	struct stat held, named;
	int flags = fcntl(fd, F_GETFL);
	/* to point at the mark of another session (O_PATH) needs no right to it */
	if (flags < 0 || (flags & O_PATH))
		return flags < 0 ? -errno : 0;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t length = readlink(link, path, sizeof path - 1);
	if (length < 0 || fstat(fd, &held) < 0)
		return -errno;
	path[length] = '\0';
	const char *name = strrchr(path, '/');
	if (!name || !is_mark_name(++name) || strlen(name) >= NAME_SIZE)
		return 0;
	/* a name can be made up, a file with our inode at that name can't */
	snprintf(within, sizeof within, "%.2s/%s", name, name);
	if (fstatat(marks->done_fd, within, &named, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (named.st_ino != held.st_ino || named.st_dev != held.st_dev)
		return 0;
	return unlinkat(marks->done_fd, within, 0) < 0 ? -errno : 0;
}

int marks_make(const struct marks *marks, const char *name, const struct plan *plan)
{
	char mark[NAME_SIZE], within[4 + NAME_SIZE], subfolder[3] = { plan->key[0], plan->key[1] };
	mark_name(plan, mark);
	snprintf(within, sizeof within, "%s/%s", subfolder, mark);
	if (renameat(marks->publishing_fd, name, marks->done_fd, within) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	if (mkdirat(marks->done_fd, subfolder, 0700) < 0 && errno != EEXIST)
		return -errno;
	return renameat(marks->publishing_fd, name, marks->done_fd, within) < 0 ? -errno : 0;
}

/* The clock when it was made, and which kind of doubt it would be. False: no mark. */
static bool parse_mark(const char *name, uint64_t *made_out, char *kind_out)
{
	return is_mark_name(name) && sscanf(name + KEY_LENGTH + PLAN_JOB_SIZE + 1, "%" SCNx64 ".%c",
					    made_out, kind_out) == 2;
}

/* Its entry is to be removed by the next retry, which must not deliver it once more. */
static bool is_aside(const char *name, int quarantine_fd)
{
	char key[PLAN_KEY_SIZE];
	snprintf(key, sizeof key, "%.*s", KEY_LENGTH, name);
	return quarantine_has_message(quarantine_fd, key);
}

static bool is_old(const char *name, uint64_t clock_s, uint64_t keep_s, int quarantine_fd)
{
	uint64_t made;
	char kind;
	if (!parse_mark(name, &made, &kind))
		return false;
	if (kind == doubt_letters[PLAN_DOUBT_RETRY] && is_aside(name, quarantine_fd))
		return false;
	if (kind == doubt_letters[PLAN_DOUBT_SHORT] && keep_s > SHORT_DOUBT_S)
		keep_s = SHORT_DOUBT_S;
	return clock_s >= made && clock_s - made > keep_s;
}

static int age_folder(DIR *names, uint64_t clock_s, uint64_t keep_s, int quarantine_fd)
{
	int removed = 0;
	for (struct dirent *entry; (entry = readdir(names));) {
		auto_close int fd = -1;
		if (is_old(entry->d_name, clock_s, keep_s, quarantine_fd) &&
		    take_if_free(dirfd(names), entry->d_name, &fd) == 0 &&
		    unlinkat(dirfd(names), entry->d_name, 0) == 0)
			removed++;
	}
	return removed;
}

int marks_age(const struct marks *marks, uint64_t clock_s, uint64_t keep_s, int quarantine_fd)
{
	int removed = 0;
	DIR *subfolders = open_names(marks->done_fd, ".");
	if (!subfolders)
		return -errno;
	for (struct dirent *entry; (entry = readdir(subfolders));) {
		DIR *names =
			entry->d_name[0] == '.' ? NULL : open_names(marks->done_fd, entry->d_name);
		if (!names)
			continue;
		removed += age_folder(names, clock_s, keep_s, quarantine_fd);
		closedir(names);
	}
	closedir(subfolders);
	return removed;
}

static uint64_t newest_mark(DIR *names)
{
	uint64_t newest = 0, made;
	char kind;
	for (struct dirent *entry; (entry = readdir(names));) {
		if (parse_mark(entry->d_name, &made, &kind) && made > newest)
			newest = made;
	}
	return newest;
}

static uint64_t newest_in_done(int done_fd)
{
	uint64_t newest = 0;
	DIR *subfolders = open_names(done_fd, ".");
	for (struct dirent *entry; subfolders && (entry = readdir(subfolders));) {
		DIR *names = entry->d_name[0] == '.' ? NULL : open_names(done_fd, entry->d_name);
		if (!names)
			continue;
		uint64_t found = newest_mark(names);
		newest = found > newest ? found : newest;
		closedir(names);
	}
	if (subfolders)
		closedir(subfolders);
	return newest;
}

/* A plan becomes a mark with the time that is written in it. */
static uint64_t clock_of_plan(int publishing_fd, const char *name)
{
	auto_close int fd = openat(publishing_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct plan plan;
	if (name[0] == '.' || fd < 0 || plan_read(fd, &plan) != 0)
		return 0;
	uint64_t clock_s = plan.clock_s;
	plan_done(&plan);
	return clock_s;
}

uint64_t marks_newest(const struct marks *marks)
{
	uint64_t newest = newest_in_done(marks->done_fd);
	DIR *names = open_names(marks->publishing_fd, ".");
	for (struct dirent *entry; names && (entry = readdir(names));) {
		uint64_t found = clock_of_plan(marks->publishing_fd, entry->d_name);
		newest = found > newest ? found : newest;
	}
	if (names)
		closedir(names);
	return newest;
}
