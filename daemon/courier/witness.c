/* witness.c: describes a folder by what its file system knows of it. Never looks into it. */
#define _GNU_SOURCE
#include "daemon/courier/witness.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

bool witness_of(int folder_fd, char text_out[WITNESS_SIZE])
{
	struct statfs system;
	struct statx folder;
	if (fstatfs(folder_fd, &system) < 0 ||
	    (system.f_fsid.__val[0] | system.f_fsid.__val[1]) == 0)
		return false;
	if (statx(folder_fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &folder) < 0 ||
	    !(folder.stx_mask & STATX_BTIME) || folder.stx_btime.tv_sec == 0)
		return false;
	snprintf(text_out, WITNESS_SIZE, "%x:%x:%llx:%llx.%x", (unsigned)system.f_fsid.__val[0],
		 (unsigned)system.f_fsid.__val[1], (unsigned long long)folder.stx_ino,
		 (unsigned long long)folder.stx_btime.tv_sec, folder.stx_btime.tv_nsec);
	return true;
}
