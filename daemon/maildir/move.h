/* move.h: a message goes into another Maildir. Room daemon/maildir. */
#pragma once
#include "daemon/maildir/maildir.h"

/* Moves the file `name` of the folder `from_fd` into cur/ of `target`, by a rename, or where that
 * can't be by a copy, which is durable, with its name, before the file is removed. Keeps its name
 * if it can; never replaces. When a copy was made and we died before the file was removed, the next
 * call finds it and makes no second one. What a rename did the caller syncs. 0, -ENOENT: the file,
 * or the target, is not there; or another -errno. Blocks for disk. */
int move_message(int from_fd, const char *name, const struct maildir *target);
