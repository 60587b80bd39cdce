/* move.c: renames or copies a message into cur/ of another Maildir. Never removes one that is not
 * there whole. */
#define _GNU_SOURCE
#include "daemon/maildir/move.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/rename.h"

#define TRIES 4 /* names */

static bool in_list(int error, const int *errors, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (errors[i] == -error)
			return true;
	}
	return false;
}

static int open_file(int folder_fd, const char *name)
{
	int fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int copy_octets(int from_fd, int to_fd)
{
	static char block[64 * 1024];
	struct stat found;
	off_t at = 0;
	for (ssize_t got; (got = pread(from_fd, block, sizeof block, at)) != 0; at += got) {
		int error = got < 0 ? -errno : write_all(to_fd, block, (size_t)got);
		if (error)
			return error;
	}
	/* its time is when it was received; it is worth no failure */
	if (fstat(from_fd, &found) == 0)
		futimens(to_fd, (const struct timespec[]){ found.st_atim, found.st_mtim });
	return fsync(to_fd) < 0 ? -errno : 0;
}

static bool has_same_octets(int a_fd, int b_fd)
{
	static char a[32 * 1024], b[sizeof a];
	off_t at = 0;
	for (;;) {
		ssize_t size = pread(a_fd, a, sizeof a, at);
		if (size < 0 || pread(b_fd, b, sizeof b, at) != size ||
		    memcmp(a, b, (size_t)size) != 0)
			return false;
		if (size == 0)
			return true;
		at += size;
	}
}

/* Left by who was us before. */
static bool is_copied(int from_fd, const struct maildir *target, const char *name)
{
	auto_close int fd = open_file(target->folders[MAILDIR_CUR], name);
	struct stat found;
	return fd >= 0 && fstat(fd, &found) == 0 && S_ISREG(found.st_mode) &&
	       has_same_octets(from_fd, fd);
}

/* A Maildir's own way: written in tmp/, then renamed. */
static int copy_in(int from_fd, const struct maildir *target, const char *name)
{
	int tmp_fd = target->folders[MAILDIR_TMP], rung;
	if (unlinkat(tmp_fd, name, 0) < 0 && errno != ENOENT)
		return -errno;
	auto_close int fd =
		openat(tmp_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int error = copy_octets(from_fd, fd);
	if (!error)
		error = rename_new(tmp_fd, name, target->folders[MAILDIR_CUR], name, &rung);
	if (error)
		unlinkat(tmp_fd, name, 0);
	if (error == -EEXIST && is_copied(from_fd, target, name))
		error = 0;
	return error ? error : sync_folder(target->folders[MAILDIR_CUR]);
}

static int copy_as(int folder_fd, const char *name, const struct maildir *target, const char *wish)
{
	auto_close int fd = open_file(folder_fd, name);
	if (fd < 0)
		return fd;
	int error = copy_in(fd, target, wish);
	if (!error && unlinkat(folder_fd, name, 0) < 0)
		error = -errno;
	return error;
}

static int move_as(int folder_fd, const char *name, const struct maildir *target, const char *wish)
{
	static const int impossible[] = { EXDEV, EINVAL, ENOSYS, EOPNOTSUPP };
	if (renameat2(folder_fd, name, target->folders[MAILDIR_CUR], wish, RENAME_NOREPLACE) == 0)
		return 0;
	int error = -errno;
	if (in_list(error, impossible, sizeof impossible / sizeof impossible[0]))
		error = copy_as(folder_fd, name, target, wish);
	return error;
}

static int make_name(char name_out[NAME_SIZE])
{
	uint64_t random;
	if (getrandom(&random, sizeof random, 0) != sizeof random)
		return -EIO;
	name_fresh(wall_ms() / 1000, random, name_out);
	return 0;
}

int move_message(int from_fd, const char *name, const struct maildir *target)
{
	static const int names_fault[] = { EEXIST, ENAMETOOLONG, EILSEQ, EINVAL };
	char wish[NAME_SIZE];
	if (target->folders[MAILDIR_CUR] < 0 || target->folders[MAILDIR_TMP] < 0)
		return -ENOENT;
	int error = name_for_cur(name, wish) ? 0 : make_name(wish);
	for (int tries = 0; !error && tries < TRIES; tries++) {
		int failed = move_as(from_fd, name, target, wish);
		if (!in_list(failed, names_fault, sizeof names_fault / sizeof names_fault[0]))
			return failed;
		error = make_name(wish);
	}
	return error ? error : -EEXIST;
}
