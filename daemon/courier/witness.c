/* witness.c: describes a folder by what its file system knows of it. Never looks into it. */
#define _GNU_SOURCE
#include "daemon/courier/witness.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* A file system without a number of its own makes up those of its inodes. */
static bool look(int folder_fd, struct statfs *system_out, struct statx *folder_out)
{
	return fstatfs(folder_fd, system_out) == 0 &&
	       (system_out->f_fsid.__val[0] | system_out->f_fsid.__val[1]) != 0 &&
	       statx(folder_fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, folder_out) == 0 &&
	       (folder_out->stx_mask & STATX_BTIME) && folder_out->stx_btime.tv_sec != 0;
}

static int put_birth(const struct statx *folder, char *text, size_t size)
{
	return snprintf(text, size, "%llx:%llx.%x", (unsigned long long)folder->stx_ino,
			(unsigned long long)folder->stx_btime.tv_sec, folder->stx_btime.tv_nsec);
}

bool witness_of(int folder_fd, char text_out[WITNESS_SIZE])
{
	struct statfs system;
	struct statx folder;
	if (!look(folder_fd, &system, &folder))
		return false;
	int size = snprintf(text_out, WITNESS_SIZE, "%x:%x:", (unsigned)system.f_fsid.__val[0],
			    (unsigned)system.f_fsid.__val[1]);
	put_birth(&folder, text_out + size, WITNESS_SIZE - (size_t)size);
	return true;
}

bool witness_within(int folder_fd, char text_out[WITNESS_SIZE])
{
	struct statfs system;
	struct statx folder;
	if (!look(folder_fd, &system, &folder))
		return false;
	put_birth(&folder, text_out, WITNESS_SIZE);
	return true;
}
