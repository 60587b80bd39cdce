/* rename.h: a rename that never replaces, on every file system. Ground of daemon.
 *
 * The ladder (renameat2 without replacing; link and unlink; a look and a plain rename) is climbed
 * as far as the file system needs. On the last rung a name that somebody else makes in that very
 * moment is replaced: the caller holds what lock there is. */
#pragma once

enum rename_rung { RENAME_RUNG_NOREPLACE = 1, RENAME_RUNG_LINK, RENAME_RUNG_LOOK };

/* 0, -EEXIST: the name is taken; or -errno. *rung_out: the rung that decided. */
int rename_new(int from_fd, const char *from, int to_fd, const char *to, int *rung_out);
