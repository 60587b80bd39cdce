/* turn.c: one lock a share. Never touches a share. */
#define _GNU_SOURCE
#include "daemon/turn.h"
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "daemon/digest.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/spool.h"

#define KEPT_S 3600 /* what was written to in the last day is not tidied away (folder_tidy) */

int turn_open(const char *state, const char *path)
{
	char hex[DIGEST_HEX], name[40];
	auto_close int folder_fd = -1;
	int fd = -1;
	digest_octets(path, strlen(path), hex);
	snprintf(name, sizeof name, "turn-%.32s", hex);
	if (spool_open(state, SPOOL_FOLDERS, &folder_fd) != 0 ||
	    make_owned(folder_fd, name, &fd) != 0)
		return -1;
	return fd;
}

void turn_take(int fd)
{
	struct stat found;
	if (fd < 0 || flock(fd, LOCK_EX) < 0 || fstat(fd, &found) < 0)
		return;
	time_t now = time(NULL);
	if (found.st_size > 0 && now - found.st_mtime < KEPT_S)
		return;
	if (pwrite(fd, &now, sizeof now, 0) < 0)
		return;
}

void turn_give(int fd)
{
	if (fd >= 0)
		flock(fd, LOCK_UN);
}
