/* maildir.c: finds, opens and makes folders. Never touches a message. */
#define _GNU_SOURCE
#include "daemon/maildir/maildir.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"

#define LINKS_MAX 40 /* as in the kernel */

static const char *const names[] = {
	[MAILDIR_NEW] = "new",
	[MAILDIR_CUR] = "cur",
	[MAILDIR_TMP] = "tmp",
};

void maildir_init(struct maildir *maildir)
{
	*maildir = (struct maildir){ .fd = -1, .folders = { -1, -1, -1 } };
}

void maildir_done(struct maildir *maildir)
{
	close_fd(&maildir->fd);
	for (size_t i = 0; i < MAILDIR_FOLDERS; i++)
		close_fd(&maildir->folders[i]);
}

/* --- the way to it ---------------------------------------------------------------------------- */

struct way {
	char rest[PATH_MAX]; /* what is still to be walked */
	int fd;
	uint32_t linker; /* who made the links, but for root's; 0: nobody */
	int links;
};

/* Puts what a link says in its place. */
static int follow(struct way *way, int link_fd, uint32_t owner, const char *rest)
{
	char target[PATH_MAX], whole[PATH_MAX];
	ssize_t length = readlinkat(link_fd, "", target, sizeof target - 1);
	if (length < 0)
		return -errno;
	target[length] = '\0';
	if (++way->links > LINKS_MAX || (owner != 0 && way->linker != 0 && owner != way->linker))
		return -ELOOP;
	if (owner != 0)
		way->linker = owner;
	if ((size_t)snprintf(whole, sizeof whole, "%s/%s", target, rest) >= sizeof whole)
		return -ENAMETOOLONG;
	strcpy(way->rest, whole);
	if (target[0] != '/')
		return 0;
	close_fd(&way->fd);
	way->fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return way->fd < 0 ? -errno : 0;
}

static int step(struct way *way)
{
	char name[NAME_SIZE], rest[PATH_MAX];
	const char *from = way->rest + strspn(way->rest, "/");
	size_t length = strcspn(from, "/");
	struct stat found;
	if (length >= sizeof name)
		return -ENAMETOOLONG;
	snprintf(name, sizeof name, "%.*s", (int)length, from);
	strcpy(rest, from + length);
	auto_close int fd = openat(way->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &found) < 0)
		return -errno;
	if (S_ISLNK(found.st_mode))
		return follow(way, fd, found.st_uid, rest);
	close_fd(&way->fd);
	way->fd = take_fd(&fd);
	strcpy(way->rest, rest);
	return 0;
}

static int walk(struct way *way)
{
	struct stat found;
	while (way->rest[strspn(way->rest, "/")] != '\0') {
		int error = step(way);
		if (error)
			return error;
	}
	if (fstat(way->fd, &found) < 0)
		return -errno;
	if (!S_ISDIR(found.st_mode))
		return -ENOTDIR;
	return way->linker != 0 && way->linker != found.st_uid ? -ELOOP : 0;
}

int maildir_find(const char *path, int *fd_out)
{
	static struct way way;
	way = (struct way){ .fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC) };
	if (way.fd < 0)
		return -errno;
	int error = (size_t)snprintf(way.rest, sizeof way.rest, "%s", path) < sizeof way.rest
			    ? walk(&way)
			    : -ENAMETOOLONG;
	if (error)
		close_fd(&way.fd);
	else
		*fd_out = take_fd(&way.fd);
	return error;
}

/* --- its folders ------------------------------------------------------------------------------ */

int maildir_open(struct maildir *maildir, enum maildir_folder folder)
{
	int fd =
		openat(maildir->fd, names[folder], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	maildir->wanted |= 1u << folder;
	if (fd < 0)
		return -errno;
	maildir->folders[folder] = fd;
	return 0;
}

static int make_folder(int parent_fd, const char *name, bool *made_out)
{
	if (mkdirat(parent_fd, name, 0700) == 0)
		*made_out = true;
	else if (errno != EEXIST)
		return -errno;
	return 0;
}

static int sync_path(int fd)
{
	auto_close int real = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return real < 0 ? -errno : sync_folder(real);
}

/* The folder itself, in its parent. */
static int make_whole(const char *path)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');
	auto_close int parent_fd = -1;
	bool made = false;
	snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
	int error = maildir_find(parent, &parent_fd);
	if (!error)
		error = make_folder(parent_fd, slash + 1, &made);
	return !error && made ? sync_path(parent_fd) : error;
}

int maildir_make(const char *path)
{
	auto_close int fd = -1;
	bool made = false;
	int error = maildir_find(path, &fd);
	if (error == -ENOENT)
		error = make_whole(path);
	if (!error && fd < 0)
		error = maildir_find(path, &fd);
	for (size_t i = 0; !error && i < MAILDIR_FOLDERS; i++)
		error = make_folder(fd, names[i], &made);
	return !error && made ? sync_path(fd) : error;
}

static bool is_same(int a_fd, int b_fd)
{
	struct stat a, b;
	return fstat(a_fd, &a) == 0 && fstat(b_fd, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* Is this folder another than the one that is open, or newly there or away? */
static bool has_changed(const struct maildir *maildir, int fd, enum maildir_folder folder)
{
	auto_close int now =
		openat(fd, names[folder], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (now < 0 && (errno == ENOENT || errno == ENOTDIR))
		return maildir->folders[folder] >= 0;
	return now >= 0 &&
	       (maildir->folders[folder] < 0 || !is_same(now, maildir->folders[folder]));
}

bool maildir_has_changed(const struct maildir *maildir, const char *path)
{
	auto_close int fd = -1;
	int error = maildir_find(path, &fd);
	if (error == -ENOENT || error == -ENOTDIR || error == -ELOOP)
		return maildir->fd >= 0;
	if (error && maildir->fd < 0)
		return false;
	if (!error && (maildir->fd < 0 || !is_same(fd, maildir->fd)))
		return true;
	for (size_t i = 0; i < MAILDIR_FOLDERS; i++) {
		if ((maildir->wanted & 1u << i) &&
		    has_changed(maildir, maildir->fd, (enum maildir_folder)i))
			return true;
	}
	return false;
}

bool maildir_is_closed(const struct maildir *maildir)
{
	for (size_t i = 0; i < MAILDIR_FOLDERS; i++) {
		if (maildir->folders[i] < 0)
			continue;
		auto_close int now = openat(maildir->fd, names[i],
					    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (now < 0 && errno == EACCES)
			return true;
	}
	return false;
}

/* --- a file in them --------------------------------------------------------------------------- */

int maildir_is_file(const struct maildir *maildir, enum maildir_folder folder, const char *name,
		    const struct maildir_file *file)
{
	struct stat found;
	if (maildir->folders[folder] < 0)
		return -ENOENT;
	if (fstatat(maildir->folders[folder], name, &found, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return found.st_dev == file->device && found.st_ino == file->inode ? 0 : -ENOENT;
}

static int look_into(const struct maildir *maildir, const struct maildir_file *file,
		     enum maildir_folder folder, char *name_out)
{
	int error = 0, found = -ENOENT;
	DIR *list = open_names(maildir->folders[folder], ".");
	if (!list)
		return -errno;
	for (struct dirent *entry; found == -ENOENT && (entry = next_name(list, &error));) {
		if (!name_has_base(entry->d_name, file->base))
			continue;
		found = maildir_is_file(maildir, folder, entry->d_name, file);
		if (!found)
			snprintf(name_out, NAME_SIZE, "%s", entry->d_name);
	}
	closedir(list);
	return found == -ENOENT && error ? error : found;
}

int maildir_look_up(const struct maildir *maildir, const struct maildir_file *file,
		    enum maildir_folder *folder_out, char name_out[NAME_SIZE])
{
	static const enum maildir_folder folders[] = { MAILDIR_NEW, MAILDIR_CUR, MAILDIR_NEW };
	int error = -ENOENT;
	/* new/ twice: while we looked there, it may have been moved back from where we looked next
	 */
	for (size_t i = 0; error == -ENOENT && i < sizeof folders / sizeof folders[0]; i++) {
		*folder_out = folders[i];
		if (maildir->folders[folders[i]] >= 0)
			error = look_into(maildir, file, folders[i], name_out);
	}
	return error;
}
