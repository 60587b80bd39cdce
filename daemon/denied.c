/* denied.c: words for a folder that can't be used. Never tries whether it can. */
#define _GNU_SOURCE
#include "daemon/denied.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REMEDY_OWNER                                                                   \
	"chown it to that user and group, or run the gateway as its owner: `user` in " \
	"[gateway]; in a container --user, or PUID and PGID"

static const struct {
	int error;
	const char *format; /* with the path; NULL: who may what, see refuse_text */
	const char *remedy;
} rows[] = {
	{ ENOENT, "there is no folder %.200s", "make the folder, or mount its disk" },
	{ ENOTDIR, "%.200s is no folder", "`path` must be a folder" },
	{ EACCES, NULL, REMEDY_OWNER },
	{ EPERM, NULL, REMEDY_OWNER },
	{ EROFS, "%.200s is mounted read-only",
	  "mount it read-write; in a container give it a volume, without :ro" },
	{ ENOSPC, "%.200s has no room left", "make room on the disk" },
	{ EDQUOT, "the quota of %.200s is used up", "raise the quota" },
	{ ENOTCONN, "%.200s gives no answer", "its FUSE server has ended: mount it again" },
	{ EXDEV,
	  "%.200s and the .letterchute in it are two file systems: files can't be renamed from one to "
	  "the other",
	  "remove what is mounted at .letterchute" },
	{ ESTALE, "%.200s is another one than it was",
	  "mount the right disk, or run: letterchute check --adopt" },
	{ EKEYREJECTED, "%.200s is not ours alone",
	  "remove it, or give it to the gateway's user with chown, and chmod 700" },
};
#define ROWS (sizeof rows / sizeof rows[0])

static size_t find_row(int error)
{
	size_t i = 0;
	while (i < ROWS && rows[i].error != -error)
		i++;
	return i;
}

static void refuse_text(const char *path, int error, char text[DENIED_MAX])
{
	struct stat found;
	if (stat(path, &found) < 0)
		snprintf(text, DENIED_MAX, "%.200s can't be reached by %u:%u: %s", path, geteuid(),
			 getegid(), strerror(-error));
	else
		snprintf(text, DENIED_MAX,
			 "%.200s belongs to %u:%u, mode %04o, and can't be written to by %u:%u",
			 path, found.st_uid, found.st_gid, found.st_mode & 07777, geteuid(),
			 getegid());
}

/* What could not be made is not there: the folder that it was to be made in is at fault. */
static void cut_to_folder(char *path)
{
	struct stat found;
	for (char *slash;
	     stat(path, &found) < 0 && errno == ENOENT && (slash = strrchr(path, '/'));)
		slash[slash == path] = '\0';
}

void denied_text(const char *name, int error, char text[DENIED_MAX])
{
	size_t row = find_row(error);
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s", name);
	if (error != -ENOENT)
		cut_to_folder(path);
	if (row == ROWS)
		snprintf(text, DENIED_MAX, "%.200s can't be used: %s", path, strerror(-error));
	else if (!rows[row].format)
		refuse_text(path, error, text);
	else
		snprintf(text, DENIED_MAX, rows[row].format, path);
}

const char *denied_remedy(int error)
{
	size_t row = find_row(error);
	return row < ROWS ? rows[row].remedy : "look at the kernel's log";
}
