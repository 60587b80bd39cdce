/* maildir.h: the folders of a Maildir: found, opened, made. Room daemon/maildir.
 *
 * A symbolic link on the way to one must belong to root, or to whom the folder belongs: else who
 * may make a link could have us read, and empty, what is somebody else's. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "daemon/maildir/name.h"

enum maildir_folder { MAILDIR_NEW, MAILDIR_CUR, MAILDIR_TMP, MAILDIR_FOLDERS };

/* Descriptors; -1: not open. */
struct maildir {
	int fd; /* the folder itself, O_PATH */
	int folders[MAILDIR_FOLDERS];
	unsigned wanted; /* those that it was opened for, 1 << enum maildir_folder */
};

/* All closed. */
void maildir_init(struct maildir *maildir);
void maildir_done(struct maildir *maildir);

/* Finds a folder (O_PATH). 0; -ELOOP: a link of somebody else's is on the way; -ENOENT, or another
 * -errno. */
int maildir_find(const char *path, int *fd_out);

/* Opens one of the folders below maildir->fd; a link is not followed. 0 or -errno. */
int maildir_open(struct maildir *maildir, enum maildir_folder folder);

/* Makes what is missing of a Maildir, one level below a folder that is there, durably, 0700. 0 or
 * -errno. */
int maildir_make(const char *path);

/* Is what lies at `path`, and below it, no longer what is open here? Where the way to it can't be
 * walked for want of rights that is asked of what lies below it alone. Asks for those folders that
 * were to be opened. */
bool maildir_has_changed(const struct maildir *maildir, const char *path);

/* May one of the folders that are open no longer be opened, for want of rights? */
bool maildir_is_closed(const struct maildir *maildir);

/* Looks up under which name in which folder a message is. 0, -ENOENT: it is gone; or another
 * -errno: nobody knows. */
struct maildir_file {
	uint64_t device, inode;
	char base[NAME_SIZE];
};
int maildir_look_up(const struct maildir *maildir, const struct maildir_file *file,
		    enum maildir_folder *folder_out, char name_out[NAME_SIZE]);

/* Is the file of this name this one? 0, -ENOENT: no; or another -errno. */
int maildir_is_file(const struct maildir *maildir, enum maildir_folder folder, const char *name,
		    const struct maildir_file *file);
