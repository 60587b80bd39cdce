/* mount.h: does the mount that a folder lies on weaken a promise? Room daemon/courier; for `check`
 * and the start of the gateway.
 *
 * What can be tried is tried out (probe.h). This is about what no try shows: whether a sync reaches
 * a disk, and whether the disk is still there after a restart. It goes by what the kernel says of
 * the mount, and knows nothing of a server's options or of a disk that lies about its cache. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What the folder is for: different things are promised of the two. */
enum mount_place { MOUNT_SHARE, MOUNT_STATE, MOUNT_PLACES };

/* One line of /proc/self/mountinfo (proc(5)); the words are borrowed from it. */
struct mount {
	uint64_t id;
	unsigned major, minor;
	const char *type;    /* of the file system, with a FUSE server's name behind a dot */
	const char *options; /* of the mount, between commas */
	const char *super;   /* of the file system */
};

/* Called for each promise that is weakened. `how`: the type, or the option, that does it. */
typedef void (*mount_told)(void *context, const char *how, const char *weakens, const char *remedy);

/* Takes a line apart, in place. False: it is none. */
bool mount_read(char *line, struct mount *mount_out);

/* Compares one mount with the list of what weakens a promise. */
void mount_judge(const struct mount *mount, enum mount_place place, mount_told told, void *context);

/* /proc/self/mountinfo, to be opened before a jail closes; what is read from it is always what is
 * mounted now. -1 where there is no /proc: nothing is told then. */
int mount_open_list(void);

/* Judges the mount that an open folder lies on. 0, -ENOENT: it is not in the list, or -errno. */
int mount_look(int list_fd, int folder_fd, enum mount_place place, mount_told told, void *context);
