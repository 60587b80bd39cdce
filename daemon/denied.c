/* denied.c: words for a folder that can't be used. Never tries whether it can. */
#define _GNU_SOURCE
#include "daemon/denied.h"
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What could not be made is not there: the folder that it was to be made in is at fault. */
static void cut_to_folder(char *path)
{
	struct stat found;
	for (char *slash;
	     stat(path, &found) < 0 && errno == ENOENT && (slash = strrchr(path, '/'));)
		slash[slash == path] = '\0';
}

static bool is_forbidden(int error)
{
	return error == -EACCES || error == -EPERM;
}

void denied_say(const char *path, const char *cant, int error, const struct stat *found,
		char text[DENIED_MAX])
{
	int size =
		snprintf(text, DENIED_MAX, "%.172s can't be %s: %s", path, cant, strerror(-error));
	if (found && is_forbidden(error))
		snprintf(text + size, DENIED_MAX - (size_t)size,
			 " (we are user %u; it belongs to user %u and group %u, mode %o)",
			 geteuid(), found->st_uid, found->st_gid, found->st_mode & 07777);
}

void denied_text(const char *name, int error, char text[DENIED_MAX])
{
	char path[PATH_MAX];
	struct stat found;
	snprintf(path, sizeof path, "%s", name);
	if (error != -ENOENT)
		cut_to_folder(path);
	bool known = is_forbidden(error) && stat(path, &found) == 0;
	denied_say(path, "written to", error, known ? &found : NULL, text);
}

const char *denied_remedy(int error)
{
	static const struct {
		int error;
		const char *remedy;
	} rows[] = {
		{ ENOENT, "make the folder, or mount its disk" },
		{ EACCES,
		  "give the gateway's user the right to write there, or run it as the owner (in a "
		  "container PUID and PGID); a FUSE mount needs allow_other" },
		{ EPERM,
		  "give the gateway's user the right to write there, or run it as the owner (in a "
		  "container PUID and PGID)" },
		{ EROFS, "mount it read-write (in a container give it a volume, without :ro)" },
		{ ENOSPC, "make room on the disk" },
		{ EDQUOT, "raise the quota" },
		{ ENOTCONN, "its FUSE server has ended: mount it again" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (rows[i].error == -error)
			return rows[i].remedy;
	}
	return "look at the kernel's log";
}
