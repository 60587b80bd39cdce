/* rename.c: the ladder of renames. Never opens what it renames. */
#define _GNU_SOURCE
#include "daemon/rename.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/keep.h"

#define NOT_THIS_RUNG 1 /* the file system does not know this kind of rename */

static bool in_list(int error, const int *errors, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (errors[i] == error)
			return true;
	}
	return false;
}

static bool is_same_file(int from_fd, const char *from, int to_fd, const char *to)
{
	struct stat a, b;
	return fstatat(from_fd, from, &a, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstatat(to_fd, to, &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

static int rung_rename(int from_fd, const char *from, int to_fd, const char *to)
{
	static const int unknown[] = { EINVAL, ENOSYS, EOPNOTSUPP };
	if (renameat2(from_fd, from, to_fd, to, RENAME_NOREPLACE) == 0)
		return 0;
	return in_list(errno, unknown, sizeof unknown / sizeof unknown[0]) ? NOT_THIS_RUNG : -errno;
}

static int rung_link(int from_fd, const char *from, int to_fd, const char *to)
{
	static const int unknown[] = { EPERM, EIO, EOPNOTSUPP, ENOSYS, EMLINK };
	bool linked = linkat(from_fd, from, to_fd, to, 0) == 0;
	int error = linked ? 0 : errno;
	/* over a network the first answer may be lost, and the second says that the name exists: it
	 * is ours */
	if (error == EEXIST && is_same_file(from_fd, from, to_fd, to))
		error = 0;
	if (error)
		return in_list(error, unknown, sizeof unknown / sizeof unknown[0]) ? NOT_THIS_RUNG
										   : -error;
	return unlinkat(from_fd, from, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* A file system of this kind may lose the file in a rename to a name that it can't have (FAT over
 * FUSE does). So the name is tried with an empty file first, in our own folder. */
static int try_name(int folder_fd, const char *name)
{
	auto_close int fd =
		openat(folder_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	return unlinkat(folder_fd, name, 0) < 0 ? -errno : 0;
}

/* The folder is locked against the other couriers; a user who makes the same name in this very
 * moment loses. */
static int rung_look(int from_fd, const char *from, int to_fd, const char *to)
{
	struct stat found;
	if (fstatat(to_fd, to, &found, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	if (errno != ENOENT)
		return -errno;
	int error = try_name(from_fd, to);
	if (error)
		return error == -EEXIST ? -EIO : error;
	return renameat(from_fd, from, to_fd, to) < 0 ? -errno : 0;
}

static int (*const ladder[])(int from_fd, const char *from, int to_fd,
			     const char *to) = { rung_rename, rung_link, rung_look };
#define RUNGS (sizeof ladder / sizeof ladder[0])

int rename_new(int from_fd, const char *from, int to_fd, const char *to, int *rung_out)
{
	int error = NOT_THIS_RUNG;
	for (size_t i = 0; error == NOT_THIS_RUNG && i < RUNGS; i++) {
		error = ladder[i](from_fd, from, to_fd, to);
		*rung_out = (int)i + 1;
	}
	return error;
}
