/* owner.c: looks whose the Maildir is, and becomes him. Never reads what is in it. */
#define _GNU_SOURCE
#include "daemon/maildir/owner.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "daemon/keep.h"
#include "daemon/log.h"
#include "daemon/maildir/maildir.h"
#include "daemon/role.h"

#define FRESH ".letterchute-new" /* a folder that its owner has not got yet */

struct identity {
	uint32_t uid, gid;
};

static const char *const folders[] = { "new", "cur", "tmp" };

/* Nobody but root can put anything there: what we do in it with root's rights nobody can misuse. */
static bool is_roots(int fd)
{
	struct stat found;
	return fstat(fd, &found) == 0 && found.st_uid == 0 &&
	       !(found.st_mode & (S_IWGRP | S_IWOTH));
}

static int give(int parent_fd, const char *name, const struct identity *owner, int *fd_out)
{
	if (mkdirat(parent_fd, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*fd_out = fd;
	return fchown(fd, owner->uid, owner->gid) < 0 ? -errno : 0;
}

/* It has its name only when it has its owner: whoever dies in between leaves nothing that he could
 * not use. */
static int make_for(int parent_fd, const char *name, const struct identity *owner)
{
	auto_close int fd = -1;
	int error = give(parent_fd, FRESH, owner, &fd);
	for (size_t i = 0; !error && i < sizeof folders / sizeof folders[0]; i++) {
		auto_close int folder_fd = -1;
		error = give(fd, folders[i], owner, &folder_fd);
	}
	if (!error && renameat2(parent_fd, FRESH, parent_fd, name, RENAME_NOREPLACE) < 0)
		error = -errno;
	return error;
}

/* Where the owner may do it himself he does, later. */
static void make_target(const struct config_fate *fate, const struct identity *owner)
{
	char parent[PATH_MAX];
	struct stat found;
	auto_close int fd = -1;
	if (fate->kind != CONFIG_FATE_MOVE || lstat(fate->name, &found) == 0 || errno != ENOENT)
		return;
	const char *slash = strrchr(fate->name, '/');
	snprintf(parent, sizeof parent, "%.*s", (int)(slash - fate->name), fate->name);
	if (maildir_find(parent, &fd) != 0 || !is_roots(fd))
		return;
	int error = make_for(fd, slash + 1, owner);
	if (error)
		log_say(LOG_ERROR, "maildir", "%s can't be made: %s", fate->name, strerror(-error));
}

/* The group of root opens much on some machines: only root gets it. */
static struct identity owner_of(const struct config *config, int fd)
{
	struct stat found;
	if (fstat(fd, &found) < 0)
		return (struct identity){ config->uid, config->gid };
	bool roots_group = found.st_gid == 0 && found.st_uid != 0;
	return (struct identity){ found.st_uid, roots_group ? config->gid : found.st_gid };
}

int owner_become(const struct config *config, const struct config_maildir *maildir, int *fd_out)
{
	auto_close int fd = -1;
	int error = maildir_find(maildir->path, &fd);
	const struct identity user = { config->uid, config->gid };
	struct identity owner = error ? user : owner_of(config, fd);
	if (!error && geteuid() == 0) {
		make_target(&maildir->after, &owner);
		make_target(&maildir->refused, &owner);
	}
	bool roots = !error && owner.uid == 0;
	if (roots)
		owner = user;
	if (role_become(owner.uid, owner.gid, roots) != 0)
		return -EPERM;
	if (!error)
		*fd_out = take_fd(&fd);
	return error;
}
