/* share.h: one share: its identity, and folders below it. Room daemon/courier.
 *
 * A share has an identity, `.letterchute/id`, made once and remembered in state/shares. The share
 * is opened anew for every job and compared: absent or different means that it is away (an
 * unmounted disk shows an empty mount point), and nothing is written. Everything below it is opened
 * beneath it, without symbolic links and without other mounts. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "policy/rules.h"

#define SHARE_BASE    ".letterchute"
#define SHARE_ID_SIZE 33  /* 32 hex digits and NUL */
#define SHARE_WHY_MAX 300 /* octets */

/* In front of the names in .letterchute of what nobody misses: swept once it is a minute old. */
#define SHARE_GONE "gone-"

struct share {
	const struct rules_share *rules; /* borrowed */
	int root_fd;                     /* the share itself */
	int base_fd;                     /* .letterchute */
	int staging_fd; /* of the life that works on it; borrowed; -1: new folders are made in
			   base_fd */
	char id[SHARE_ID_SIZE];
};

#define SHARE_INIT                                             \
	{                                                      \
		.root_fd = -1, .base_fd = -1, .staging_fd = -1 \
	}

/* Opens it and compares its identity. A share that was never met is given one, if `make`; without
 * `make` nothing is written and base_fd may stay -1. 0, or -errno with `why_out` in words: -ENOENT,
 * -ENOTDIR: not there; -ESTALE: another one, or an empty mount point; -EREMCHG: another one than
 * when our jail was made; -ETIMEDOUT: another courier meets a share and does not come to an end;
 * -EROFS, -ENOSPC, -EACCES …: met for the first time and it can't be marked; -EXDEV, -ELOOP,
 * -ENOTDIR: .letterchute is a mount, a link or no folder; -EKEYREJECTED: .letterchute is somebody
 * else's, or open to others: whoever may write to the share can give any folder in it that name, so
 * nothing is written, changed or removed in it. */
int share_open(const struct rules_share *rules, int shares_fd, bool make, struct share *share_out,
	       char why_out[SHARE_WHY_MAX]);
void share_close(struct share *share);

/* What helps against an error of a share: a sentence to go behind the one that says what it is. */
const char *share_remedy(int error);

/* A folder in which we work, `name` below the share, must be ours or root's and closed to all
 * others: a user of the share may have made it before us. A mount that shows one owner or mode for
 * everything is borne. 0; -EKEYREJECTED with `why_out` in words; or -errno. */
int share_check_own(const struct share *share, int folder_fd, const char *name,
		    char why_out[SHARE_WHY_MAX]);

/* The name that stands for a share in our own folders: of its path, so that a new path is a new
 * share. */
void share_name(const struct rules_share *rules, char name[SHARE_ID_SIZE]);

/* Forgets what is remembered, so that the next share_open takes the share as it is. 0 or -errno. */
int share_forget(const struct rules_share *rules, int shares_fd);

/* What a folder made by us gets. */
struct share_owner {
	uint32_t owner, group, folder_mode; /* RULES_UNSET: as inherited */
};

/* Opens a folder below the share ("" for the share itself). `owner`: it and its parents are made
 * where they are missing, each made durable; NULL: -ENOENT then. A new folder is made in our own
 * folder and appears with its final owner, mode and ACL, where the file system can rename it there.
 * *made_out, if wanted: how many of its last components were made, also on failure. */
int share_folder(const struct share *share, const char *path, const struct share_owner *owner,
		 int *fd_out, unsigned *made_out);

/* Could files be put into a folder below the share, or could what is missing of it be made? 0, or
 * -errno with `why_out` in words: the component at fault, and what is wrong with it. */
int share_reach(const struct share *share, const char *path, char why_out[SHARE_WHY_MAX]);

/* Removes the last `made` components of a path again, as far as they are empty. */
void share_unmake_folder(const struct share *share, const char *path, unsigned made);

/* Opens below a folder of ours: beneath it, no symbolic links, no other mounts; -ENOSYS is worked
 * around. */
int share_openat(int folder_fd, const char *path, int flags, mode_t mode, int *fd_out);

enum share_room { SHARE_ROOM, SHARE_FEW_OCTETS, SHARE_NO_FILES };

/* Is there room for one file more, and for `least` octets? Where the file system of a folder does
 * not say, there is. *free_out: octets for us; UINT64_MAX: not known. */
enum share_room share_room(int folder_fd, uint64_t least, uint64_t *free_out);

/* Behind a path, for SHARE_NO_FILES; and what helps. */
#define SHARE_NO_FILES_WORDS  "has no room for another file, however small: its inodes are used up"
#define SHARE_NO_FILES_REMEDY "remove files there"
