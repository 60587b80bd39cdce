/* spool.c: makes and opens the tree below `state`. Never reads what lies in it. */
#define _GNU_SOURCE
#include "daemon/spool.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"

static const char *const folder_names[] = {
	[SPOOL_ROOT] = "spool",
	[SPOOL_RECEIVING] = "spool/receiving",
	[SPOOL_LIVES] = "spool/lives",
	[SPOOL_PUBLISHING] = "spool/publishing",
	[SPOOL_DONE] = "spool/done",
	[SPOOL_TRIES] = "spool/tries",
	[SPOOL_FOLDERS] = "spool/folders",
	[SPOOL_KEPT] = "spool/kept",
	[SPOOL_SOURCES] = "spool/sources",
	[SPOOL_SHARES] = "shares",
	[SPOOL_QUARANTINE] = "quarantine",
	[SPOOL_TOKENS] = "tokens",
	[SPOOL_TLS] = "tls",
};
#define FOLDERS_COUNT (sizeof folder_names / sizeof folder_names[0])

/* mkdir -p for the folder that holds everything; 0711, so that local users can knock at the socket
 * in it. */
static int make_state(const char *state)
{
	char path[PATH_MAX];
	if ((size_t)snprintf(path, sizeof path, "%s", state) >= sizeof path)
		return -ENAMETOOLONG;
	for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	if (mkdir(path, 0711) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

static int make_folder(int state_fd, const char *name, uint32_t uid, uint32_t gid)
{
	if (mkdirat(state_fd, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	auto_close int fd = openat(state_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat found;
	if (fd < 0 || fstat(fd, &found) < 0)
		return -errno;
	if (geteuid() == 0 && (found.st_uid != uid || found.st_gid != gid) &&
	    fchown(fd, uid, gid) < 0)
		return -errno;
	return 0;
}

int spool_make(const char *state, uint32_t uid, uint32_t gid, char *path_out)
{
	snprintf(path_out, PATH_MAX, "%s", state);
	int error = make_state(state);
	if (error)
		return error;
	auto_close int state_fd = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (state_fd < 0)
		return -errno;
	for (size_t i = 0; i < FOLDERS_COUNT; i++) {
		error = make_folder(state_fd, folder_names[i], uid, gid);
		if (error) {
			spool_path(state, (enum spool_folder)i, path_out);
			return error;
		}
	}
	auto_close int spool_fd = -1;
	spool_path(state, SPOOL_ROOT, path_out);
	error = spool_open(state, SPOOL_ROOT, &spool_fd);
	if (!error)
		error = sync_folder(spool_fd);
	return error ? error : sync_folder(state_fd);
}

int spool_open(const char *state, enum spool_folder folder, int *fd_out)
{
	char path[PATH_MAX];
	spool_path(state, folder, path);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*fd_out = fd;
	return 0;
}

int spool_socket_path(const char *state, char *path, size_t size)
{
	int length = snprintf(path, size, "%s/gateway.sock", state);
	return length < 0 || (size_t)length >= size ||
			       (size_t)length >= sizeof((struct sockaddr_un *)0)->sun_path
		       ? -ENAMETOOLONG
		       : 0;
}

int spool_open_lock(const char *state, int *fd_out)
{
	auto_close int fd = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : make_owned(fd, "gateway.lock", fd_out);
}

void spool_path(const char *state, enum spool_folder folder, char *path)
{
	if ((size_t)snprintf(path, PATH_MAX, "%s/%s", state, folder_names[folder]) >= PATH_MAX)
		path[0] = '\0'; /* opens nothing: ENOENT */
}
