/* owner.h: owner, group, mode and ACL of what we write. Room daemon/courier; the only file that
 * knows libacl.
 *
 * A renamed file inherits nothing. So a staged one is given what a file created in the destination
 * folder would have (group of a setgid folder, the default ACL), then what the route says, in the
 * order ACL, mode, owner, and all of it is read back. The caller syncs the file afterwards: the
 * owner is part of the promise. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct owner {
	uint32_t owner, group, mode; /* RULES_UNSET: as inherited */
	const char *acl;             /* POSIX ACL text of further entries; "": none */
};

/* What a file system did not do, though it did not say so, or said that it can't. */
enum { OWNER_LOST_OWNER = 1, OWNER_LOST_GROUP = 2, OWNER_LOST_MODE = 4, OWNER_LOST_ACL = 8 };

/* Gives a staged file its final state. `folder_fd`: where it will lie. *lost_out: what the file
 * system would not keep (a set of OWNER_LOST_…); 0, or -errno for a failing disk. */
int owner_apply(int file_fd, int folder_fd, const struct owner *owner, unsigned *lost_out);

/* A folder made by us in `parent_fd`. What the file system can't keep is borne. 0 or -errno. */
int owner_set_folder(int folder_fd, int parent_fd, uint32_t owner, uint32_t group, uint32_t mode);

/* A folder for us alone: mode 0700, no ACL, no default ACL. 0 or -errno. */
int owner_make_private(int folder_fd);
