/* owner.c: computes and sets owner, group, mode and ACL. Never touches a file by name. */
#define _GNU_SOURCE
#include "daemon/courier/owner.h"
#include <acl/libacl.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/acl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "daemon/keep.h"
#include "daemon/log.h"
#include "policy/rules.h"

#define CREATE_MODE 0666 /* what a program asks for that creates a document */

static void free_acl(acl_t *acl)
{
	if (*acl)
		acl_free(*acl);
}
#define auto_acl __attribute__((cleanup(free_acl)))

/* "This file system has no such thing", in the words of all of them. */
static bool is_unsupported(int error)
{
	return error == EOPNOTSUPP || error == ENOSYS || error == EPERM || error == EINVAL;
}

/* Some FUSE file systems say EIO where they mean that they have no ACLs; a disk that says it means
 * it. */
static bool has_no_acls(int fd, int error)
{
	struct statfs found;
	return is_unsupported(error) ||
	       (error == EIO && fstatfs(fd, &found) == 0 && found.f_type == FUSE_SUPER_MAGIC);
}

/* libacl takes a path for default ACLs; that of a descriptor of ours will do. *acl_out is NULL
 * where there is none. */
static int default_acl(int folder_fd, acl_t *acl_out)
{
	char path[40];
	snprintf(path, sizeof path, "/proc/self/fd/%d", folder_fd);
	acl_t acl = acl_get_file(path, ACL_TYPE_DEFAULT);
	*acl_out = NULL;
	if (!acl)
		return has_no_acls(folder_fd, errno) ? 0 : -errno;
	if (acl_entries(acl) > 0)
		*acl_out = acl;
	else
		acl_free(acl);
	return 0;
}

/* Takes rights away from an entry: what is not in `bits` (rwx as 7). */
static void limit_entry(acl_entry_t entry, unsigned bits)
{
	static const struct {
		unsigned bit;
		acl_perm_t right;
	} rights[] = { { 4, ACL_READ }, { 2, ACL_WRITE }, { 1, ACL_EXECUTE } };
	acl_permset_t set;
	acl_get_permset(entry, &set);
	for (size_t i = 0; i < sizeof rights / sizeof rights[0]; i++) {
		if (!(bits & rights[i].bit))
			acl_delete_perm(set, rights[i].right);
	}
}

static acl_entry_t find_entry(acl_t acl, acl_tag_t wanted)
{
	acl_entry_t entry;
	for (int more = acl_get_entry(acl, ACL_FIRST_ENTRY, &entry); more == 1;
	     more = acl_get_entry(acl, ACL_NEXT_ENTRY, &entry)) {
		acl_tag_t tag;
		if (acl_get_tag_type(entry, &tag) == 0 && tag == wanted)
			return entry;
	}
	return NULL;
}

/* What open(2) makes of a default ACL (acl(5), "OBJECT CREATION AND DEFAULT ACLs"). */
static void limit_to_mode(acl_t acl, unsigned mode)
{
	acl_entry_t mask = find_entry(acl, ACL_MASK);
	limit_entry(find_entry(acl, ACL_USER_OBJ), mode >> 6);
	limit_entry(mask ? mask : find_entry(acl, ACL_GROUP_OBJ), mode >> 3);
	limit_entry(find_entry(acl, ACL_OTHER), mode);
}

/* The entry of `acl` for the same user or group, or a new one. */
static int place_entry(acl_t *acl, acl_entry_t wanted)
{
	acl_tag_t tag, other_tag;
	acl_entry_t entry, found = NULL;
	acl_get_tag_type(wanted, &tag);
	id_t *qualifier = tag == ACL_USER || tag == ACL_GROUP ? acl_get_qualifier(wanted) : NULL;
	for (int more = acl_get_entry(*acl, ACL_FIRST_ENTRY, &entry); more == 1 && !found;
	     more = acl_get_entry(*acl, ACL_NEXT_ENTRY, &entry)) {
		acl_get_tag_type(entry, &other_tag);
		id_t *other = qualifier && other_tag == tag ? acl_get_qualifier(entry) : NULL;
		if (other_tag == tag && (!qualifier || *other == *qualifier))
			found = entry;
		acl_free(other);
	}
	acl_free(qualifier);
	if (!found && acl_create_entry(acl, &found) < 0)
		return -errno;
	return acl_copy_entry(found, wanted) < 0 ? -errno : 0;
}

/* As `setfacl -m` does: replaces or adds entries, then makes the mask wide enough, unless the text
 * gives one. */
static int merge_acl(acl_t *acl, const char *text)
{
	auto_acl acl_t wanted = acl_from_text(text);
	acl_entry_t entry;
	if (!wanted)
		return -errno;
	for (int more = acl_get_entry(wanted, ACL_FIRST_ENTRY, &entry); more == 1;
	     more = acl_get_entry(wanted, ACL_NEXT_ENTRY, &entry)) {
		int error = place_entry(acl, entry);
		if (error)
			return error;
	}
	if (!find_entry(wanted, ACL_MASK) && acl_calc_mask(acl) < 0)
		return -errno;
	return 0;
}

/* The ACL that the file gets, NULL if mode bits say it all. */
static int build_acl(int folder_fd, const struct owner *owner, unsigned mode, acl_t *acl_out)
{
	int error = default_acl(folder_fd, acl_out);
	if (error)
		return error;
	if (*acl_out)
		limit_to_mode(*acl_out, CREATE_MODE);
	if (!*owner->acl)
		return 0;
	if (!*acl_out)
		*acl_out = acl_from_mode(mode);
	return *acl_out ? merge_acl(acl_out, owner->acl) : -errno;
}

static unsigned process_umask(void)
{
	mode_t mask = umask(0);
	umask(mask);
	return mask;
}

static int set_acl(int file_fd, acl_t acl, bool wanted, unsigned *lost_out)
{
	if (acl_set_fd(file_fd, acl) == 0)
		return 0;
	if (!is_unsupported(errno))
		return -errno;
	*lost_out |= wanted ? OWNER_LOST_ACL : 0;
	return 0;
}

/* A staged file may have inherited an ACL from the share's root by way of our own folder. */
static int clear_acl(int file_fd, unsigned mode)
{
	int extended = acl_extended_fd(file_fd);
	if (extended < 0)
		return has_no_acls(file_fd, errno) ? 0 : -errno;
	if (extended == 0)
		return 0;
	auto_acl acl_t plain = acl_from_mode(mode);
	if (!plain)
		return -errno;
	return acl_set_fd(file_fd, plain) < 0 && !is_unsupported(errno) ? -errno : 0;
}

static int set_rights(int file_fd, int folder_fd, const struct owner *owner, unsigned *lost_out)
{
	unsigned plain = CREATE_MODE & ~process_umask();
	auto_acl acl_t acl = NULL;
	int error = build_acl(folder_fd, owner, plain, &acl);
	if (!error)
		error = acl ? set_acl(file_fd, acl, *owner->acl, lost_out)
			    : clear_acl(file_fd, plain);
	if (error)
		return error;
	if (owner->mode == RULES_UNSET && acl && !(*lost_out & OWNER_LOST_ACL))
		return 0;
	unsigned mode = owner->mode == RULES_UNSET ? plain : owner->mode;
	if (fchmod(file_fd, mode) < 0) {
		if (!is_unsupported(errno))
			return -errno;
		*lost_out |= OWNER_LOST_MODE;
	}
	return 0;
}

/* The group that a file made in the folder gets, unless one is wanted: the folder's if that is
 * setgid, else ours, which the file has. 0 or -errno. */
static int choose_group(int folder_fd, uint32_t wanted, uint32_t *group_out)
{
	struct stat folder;
	if (wanted == RULES_UNSET && fstat(folder_fd, &folder) < 0)
		return -errno;
	*group_out = wanted == RULES_UNSET && (folder.st_mode & S_ISGID) ? folder.st_gid : wanted;
	return 0;
}

static int set_owner(int fd, uint32_t owner, uint32_t group)
{
	struct stat now;
	if (fstat(fd, &now) < 0)
		return -errno;
	bool same = (owner == RULES_UNSET || owner == now.st_uid) &&
		    (group == RULES_UNSET || group == now.st_gid);
	if (same || fchown(fd, owner, group) == 0 || is_unsupported(errno))
		return 0;
	return -errno;
}

/* A file system may say yes and do nothing. */
static int read_back(int file_fd, uint32_t owner, uint32_t group, uint32_t mode, unsigned *lost_out)
{
	struct stat now;
	if (fstat(file_fd, &now) < 0)
		return -errno;
	if (owner != RULES_UNSET && now.st_uid != owner)
		*lost_out |= OWNER_LOST_OWNER;
	if (group != RULES_UNSET && now.st_gid != group)
		*lost_out |= OWNER_LOST_GROUP;
	if (mode != RULES_UNSET && (now.st_mode & 07777) != mode)
		*lost_out |= OWNER_LOST_MODE;
	return 0;
}

int owner_apply(int file_fd, int folder_fd, const struct owner *owner, unsigned *lost_out)
{
	unsigned lost = 0;
	uint32_t group = RULES_UNSET;
	int error = choose_group(folder_fd, owner->group, &group);
	if (!error)
		error = set_rights(file_fd, folder_fd, owner, &lost);
	if (!error)
		error = set_owner(file_fd, owner->owner, group);
	if (!error)
		error = read_back(file_fd, owner->owner, group, owner->mode, &lost);
	if (!error)
		*lost_out = lost;
	return error;
}

/* Our files in it have the group that was asked for all the same. */
static void warn_setgid(uint32_t mode)
{
	static bool told;
	if (!told)
		log_say(LOG_WARNING, "share",
			"folder_mode = %o: the setgid bit can't be set, is RestrictSUIDSGID= in our "
			"unit? New folders are without it, and files that users make there have a "
			"group of their own",
			mode);
	told = true;
}

/* A unit or container may forbid the setgid bit (RestrictSUIDSGID=): the rest of the mode is what
 * lets people in. */
static int set_folder_mode(int folder_fd, uint32_t mode)
{
	/* our jail ends whoever sets a setuid bit, and a plan may be of an earlier version */
	mode &= 03777;
	if (fchmod(folder_fd, mode) == 0)
		return 0;
	if (errno == EPERM && (mode & S_ISGID) && fchmod(folder_fd, mode & 01777) == 0) {
		warn_setgid(mode);
		return 0;
	}
	return is_unsupported(errno) ? 0 : -errno;
}

int owner_set_folder(int folder_fd, int parent_fd, uint32_t owner, uint32_t group, uint32_t mode)
{
	uint32_t wanted = RULES_UNSET;
	struct stat made;
	if (fstat(folder_fd, &made) < 0)
		return -errno;
	int error = choose_group(parent_fd, group, &wanted);
	if (error)
		return error;
	/* without CAP_FSETID a setgid bit is only taken from the group's own member: the mode is
	 * set while the folder is ours, and giving a folder away does not touch it */
	if (mode != RULES_UNSET && (mode & S_ISGID))
		error = set_owner(folder_fd, RULES_UNSET, getegid());
	if (!error && mode != RULES_UNSET)
		error = set_folder_mode(folder_fd, mode);
	if (error)
		return error;
	return set_owner(folder_fd, owner, wanted == RULES_UNSET ? made.st_gid : wanted);
}

int owner_make_private(int folder_fd)
{
	/* libacl would do it by a path, which no jail could hold to the share */
	if (fremovexattr(folder_fd, "system.posix_acl_default") < 0 && errno != ENODATA &&
	    !is_unsupported(errno))
		return -errno;
	int error = clear_acl(folder_fd, 0700);
	if (!error && fchmod(folder_fd, 0700) < 0 && !is_unsupported(errno))
		error = -errno;
	return error;
}
