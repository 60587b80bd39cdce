/* share.c: opens shares and the folders below them. Never writes outside .letterchute, and never
 * follows a link. */
#define _GNU_SOURCE
#include "daemon/courier/share.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>
#include "daemon/courier/owner.h"
#include "daemon/courier/weaken.h"
#include "daemon/digest.h"
#include "daemon/courier/witness.h"
#include "daemon/denied.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/rename.h"
#include "policy/place.h"

#define MEMORY_MAX    (SHARE_ID_SIZE + WITNESS_SIZE)
#define LOCK_WAIT_MS  5000
#define LOCK_NAP_MS   20
#define TRIALS        8
#define ACL_BYTES_MAX 4096 /* of an ACL that folders inherit; those of ext4 fit */

/* Where a container's profile knows no openat2: one component after the other, none of them a link.
 */
static int open_by_components(int folder_fd, const char *path, int flags, mode_t mode, int *fd_out)
{
	auto_close int at = fcntl(folder_fd, F_DUPFD_CLOEXEC, 0);
	while (at >= 0) {
		size_t length = strcspn(path, "/");
		char name[256];
		bool last = path[length] == '\0';
		if (length == 0 || length >= sizeof name ||
		    (length == 2 && memcmp(path, "..", 2) == 0))
			return -EINVAL;
		memcpy(name, path, length);
		name[length] = '\0';
		int next = openat(at, name,
				  O_CLOEXEC | O_NOFOLLOW | (last ? flags : O_RDONLY | O_DIRECTORY),
				  mode);
		if (next < 0)
			return -errno;
		if (last) {
			*fd_out = next;
			return 0;
		}
		close(at);
		at = next;
		path += length + 1;
	}
	return -errno;
}

int share_openat(int folder_fd, const char *path, int flags, mode_t mode, int *fd_out)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.mode = flags & O_CREAT ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_NO_XDEV,
	};
	long fd = syscall(SYS_openat2, folder_fd, path, &how, sizeof how);
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		return open_by_components(folder_fd, path, flags, mode, fd_out);
	if (fd < 0)
		return -errno;
	*fd_out = (int)fd;
	return 0;
}

void share_name(const struct rules_share *rules, char name[SHARE_ID_SIZE])
{
	char hex[DIGEST_HEX];
	digest_octets(rules->path, strlen(rules->path), hex);
	snprintf(name, SHARE_ID_SIZE, "%.32s", hex);
}

/* An identity from a file: 32 hex digits. -ENOENT: none; -EINVAL: something else is there. */
static int read_id(int folder_fd, const char *name, char id_out[SHARE_ID_SIZE])
{
	char *text;
	size_t size;
	int error = read_file_at(folder_fd, name, MEMORY_MAX, &text, &size);
	if (error)
		return error;
	bool good =
		size >= SHARE_ID_SIZE - 1 && strspn(text, "0123456789abcdef") == SHARE_ID_SIZE - 1;
	if (good) {
		memcpy(id_out, text, SHARE_ID_SIZE - 1);
		id_out[SHARE_ID_SIZE - 1] = '\0';
	}
	free(text);
	return good ? 0 : -EINVAL;
}

static int write_id(int folder_fd, const char *name, const char id[SHARE_ID_SIZE])
{
	char line[SHARE_ID_SIZE + 1];
	int size = snprintf(line, sizeof line, "%s\n", id);
	return write_file_at(folder_fd, name, line, (size_t)size, 0600);
}

/* What is remembered of a share: its identity, and a line with the witness of its root. */
static int read_memory(int shares_fd, const char *name, char id_out[SHARE_ID_SIZE],
		       char witness_out[WITNESS_SIZE])
{
	char *text;
	size_t size;
	int error = read_id(shares_fd, name, id_out);
	witness_out[0] = '\0';
	if (error || read_file_at(shares_fd, name, MEMORY_MAX, &text, &size) != 0)
		return error;
	if (size > SHARE_ID_SIZE)
		snprintf(witness_out, WITNESS_SIZE, "%.*s",
			 (int)strcspn(text + SHARE_ID_SIZE, "\n"), text + SHARE_ID_SIZE);
	free(text);
	return 0;
}

static int write_memory(const struct share *share, int shares_fd, const char *name)
{
	char text[MEMORY_MAX], witness[WITNESS_SIZE];
	bool known = witness_of(share->root_fd, witness);
	int size = snprintf(text, sizeof text, "%s\n%s%s", share->id, known ? witness : "",
			    known ? "\n" : "");
	return write_file_at(shares_fd, name, text, (size_t)size, 0600);
}

/* A file without a name: what the file system makes of its owner and mode, and nobody can put
 * another in its place. */
static int try_nameless(int folder_fd, struct stat *shown_out)
{
	auto_close int fd = openat(folder_fd, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
	return fd < 0 || fstat(fd, shown_out) < 0 ? -errno : 0;
}

/* A folder that did not exist before. No file, since FUSE hides one that was open a moment ago. Its
 * name is swept if we die at it. */
static int try_folder(int folder_fd, struct stat *shown_out)
{
	char name[40];
	uint64_t number;
	if (getrandom(&number, sizeof number, 0) != sizeof number)
		return -EIO;
	snprintf(name, sizeof name, SHARE_GONE "trial-%016llx", (unsigned long long)number);
	if (mkdirat(folder_fd, name, 0700) < 0)
		return -errno;
	int error = fstatat(folder_fd, name, shown_out, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
	unlinkat(folder_fd, name, AT_REMOVEDIR);
	return error;
}

static bool is_closed_and_of(const struct stat *found, uid_t owner)
{
	return found->st_uid == owner && !(found->st_mode & 077);
}

/* Where a file needs a name, whoever may write to the folder can put one of his own in its place: a
 * single answer that is as it should be tells that the mount hides nothing. */
static int try_mount(int folder_fd, struct stat *shown_out)
{
	int error = try_nameless(folder_fd, shown_out);
	if (!error)
		return 0;
	error = try_folder(folder_fd, shown_out);
	for (int i = 1; !error && i < TRIALS && !is_closed_and_of(shown_out, geteuid()); i++)
		error = try_folder(folder_fd, shown_out);
	return error;
}

/* A mount shows the same as long as it is there: one look a process is enough. */
static int look_at_mount(int folder_fd, dev_t device, struct stat *shown_out)
{
	static struct stat shown;
	static dev_t known; /* device of `shown`; 0: none */
	if (known != device) {
		int error = try_mount(folder_fd, &shown);
		known = error ? 0 : device;
		if (error)
			return error;
	}
	*shown_out = shown;
	return 0;
}

static int check_owner(const struct share *share, int folder_fd, const char *name, bool roots_too,
		       char why_out[SHARE_WHY_MAX])
{
	struct stat folder, trial;
	if (fstat(folder_fd, &folder) < 0)
		return -errno;
	bool owner = folder.st_uid == geteuid() || (roots_too && folder.st_uid == 0);
	bool mode = !(folder.st_mode & 077);
	if (owner && mode)
		return 0;
	int error = look_at_mount(folder_fd, folder.st_dev, &trial);
	if (error && error != -EACCES && error != -EPERM)
		return error;
	/* where we may not even try it is certainly not ours */
	if (!error && (owner || trial.st_uid == folder.st_uid) && (mode || trial.st_mode & 077))
		return 0;
	snprintf(why_out, SHARE_WHY_MAX, "%.200s/%s is not ours alone: owner %u, mode %o",
		 share->rules->path, name, folder.st_uid, folder.st_mode & 07777);
	return -EKEYREJECTED;
}

int share_check_own(const struct share *share, int folder_fd, const char *name,
		    char why_out[SHARE_WHY_MAX])
{
	return check_owner(share, folder_fd, name, true, why_out);
}

/* A folder that is ours by nothing but its owner: that we have made a moment ago, or one without
 * our identity. Root has folders of his own, and whoever may write to the share can give one of
 * them the name of ours. */
static int check_made(const struct share *share, int folder_fd, const char *name,
		      char why_out[SHARE_WHY_MAX])
{
	return check_owner(share, folder_fd, name, false, why_out);
}

_Static_assert(SHARE_WHY_MAX >= DENIED_MAX, "a sentence fits");

/* Nothing can be made in a folder below the share; "": in the share itself. */
static int say_unwritable(const struct share *share, const char *path, int folder_fd, int error,
			  char *why_out)
{
	struct stat found;
	char whole[PATH_MAX];
	bool known = fstat(folder_fd, &found) == 0;
	snprintf(whole, sizeof whole, "%.172s%s%.3000s", share->rules->path, *path ? "/" : "",
		 path);
	denied_say(whole, "written to", error, known ? &found : NULL, why_out);
	return error;
}

/* What the share has at `path`, `name` in `parent_fd`, is no folder that we could open. */
static void say_of_folder(const struct share *share, const char *path, int parent_fd,
			  const char *name, int error, char *why_out)
{
	static const struct {
		int error;
		const char *words;
	} rows[] = {
		{ EXDEV, "is a mount of its own: files can't be renamed there, or from there, "
			 "within the share" },
		{ ELOOP, "is a symbolic link: all has to lie in the share itself" },
		{ ENOTDIR, "is no folder" },
	};
	struct stat found;
	char whole[PATH_MAX];
	snprintf(whole, sizeof whole, "%.172s/%.3000s", share->rules->path, path);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (error == -rows[i].error) {
			snprintf(why_out, SHARE_WHY_MAX, "%.200s %s", whole, rows[i].words);
			return;
		}
	}
	bool known = fstatat(parent_fd, name, &found, AT_SYMLINK_NOFOLLOW) == 0;
	denied_say(whole, "opened", error, known ? &found : NULL, why_out);
}

/* Something else has the name of our folder, or it is closed to us. */
static int say_of_base(const struct share *share, int error, char *why_out)
{
	if (!error || error == -ENOENT)
		return error;
	say_of_folder(share, SHARE_BASE, share->root_fd, SHARE_BASE, error, why_out);
	/* not the share is closed to us: another process would see no more */
	return error == -EACCES ? -EKEYREJECTED : error;
}

static int open_base(struct share *share, bool make, char *why_out)
{
	int error = share_openat(share->root_fd, SHARE_BASE, O_RDONLY | O_DIRECTORY, 0,
				 &share->base_fd);
	if (error != -ENOENT || !make)
		return say_of_base(share, error, why_out);
	if (mkdirat(share->root_fd, SHARE_BASE, 0700) < 0 && errno != EEXIST)
		return say_unwritable(share, "", share->root_fd, -errno, why_out);
	error = share_openat(share->root_fd, SHARE_BASE, O_RDONLY | O_DIRECTORY, 0,
			     &share->base_fd);
	/* somebody may have put another one there meanwhile */
	if (!error)
		error = check_made(share, share->base_fd, SHARE_BASE, why_out);
	if (!error)
		error = owner_make_private(share->base_fd);
	return error ? error : sync_folder(share->root_fd);
}

/* Who may write to the share can have given somebody's folder the name of ours at any moment. */
static int give_id(const struct share *share, char *why_out)
{
	int error = check_made(share, share->base_fd, SHARE_BASE, why_out);
	return error ? error : write_id(share->base_fd, "id", share->id);
}

static int make_id(struct share *share, char *why_out)
{
	uint8_t random[DIGEST_SIZE] = { 0 };
	char hex[DIGEST_HEX];
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return -EIO;
	digest_hex(random, hex);
	memcpy(share->id, hex, SHARE_ID_SIZE - 1);
	return give_id(share, why_out);
}

/* First contact: takes the identity that the share has, or gives it one; then remembers it. */
static int meet(struct share *share, int shares_fd, const char *memory, bool make, char *why_out)
{
	int error = open_base(share, make, why_out);
	if (error == -ENOENT && !make)
		return 0;
	bool works = shares_fd >= 0; /* without a state nobody works in it */
	if (!error && works)
		error = share_check_own(share, share->base_fd, SHARE_BASE, why_out);
	if (!error) {
		error = read_id(share->base_fd, "id", share->id);
		if (error == -ENOENT && make)
			error = make_id(share, why_out);
		else if (error == -ENOENT)
			error = works ? check_made(share, share->base_fd, SHARE_BASE, why_out) : 0;
	}
	if (!error && make)
		error = write_memory(share, shares_fd, memory);
	if (error && !why_out[0])
		snprintf(why_out, SHARE_WHY_MAX,
			 "%.200s can't be used: its folder " SHARE_BASE " gives: %s",
			 share->rules->path, strerror(-error));
	return error;
}

/* Only one courier meets a share. It may hang on a file system that does not answer: the others
 * wait for a while only. */
static int lock_shares(int shares_fd, char *why_out)
{
	int64_t deadline_ms = monotonic_ms() + LOCK_WAIT_MS;
	while (flock(shares_fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (monotonic_ms() > deadline_ms) {
			snprintf(why_out, SHARE_WHY_MAX,
				 "another courier has been busy with a new share for too long");
			return -ETIMEDOUT;
		}
		nap_ms(LOCK_NAP_MS);
	}
	return 0;
}

/* Who tidies the folder that we write to may take our identity with it. The folder is the same one
 * all the same: it gets its identity back. */
static int restore_id(struct share *share, int shares_fd, const char *remembered, bool make,
		      char *why_out)
{
	strcpy(share->id, remembered);
	if (!make)
		return share->base_fd < 0 ? 0
					  : check_made(share, share->base_fd, SHARE_BASE, why_out);
	int error = lock_shares(shares_fd, why_out);
	if (!error && share->base_fd < 0)
		error = open_base(share, true, why_out);
	if (!error)
		error = give_id(share, why_out);
	flock(shares_fd, LOCK_UN);
	return error;
}

static int compare(struct share *share, int shares_fd, const char *memory, bool make, char *why_out)
{
	char remembered[SHARE_ID_SIZE], noted[WITNESS_SIZE], witness[WITNESS_SIZE];
	int error = read_memory(shares_fd, memory, remembered, noted);
	if (error)
		return error;
	bool same = witness_of(share->root_fd, witness) && strcmp(witness, noted) == 0;
	error = open_base(share, false, why_out);
	if (!error)
		error = read_id(share->base_fd, "id", share->id);
	if (error == -ENOENT && same)
		error = restore_id(share, shares_fd, remembered, make, why_out);
	if (!error && strcmp(share->id, remembered) == 0) {
		error = share->base_fd < 0
				? 0
				: share_check_own(share, share->base_fd, SHARE_BASE, why_out);
		if (!error && !same && make)
			write_memory(share, shares_fd,
				     memory); /* for the next time, or never mind */
		return error;
	}
	if (error && why_out[0])
		return error;
	snprintf(why_out, SHARE_WHY_MAX,
		 error ? "%.160s is not the share we know: %s"
		       : "%.160s is another share than the one we know%.0s",
		 share->rules->path, error == -ENOENT ? "it has no identity" : strerror(-error));
	return -ESTALE;
}

static int identify(struct share *share, int shares_fd, bool make, char *why_out)
{
	char memory[SHARE_ID_SIZE], remembered[SHARE_ID_SIZE];
	share_name(share->rules, memory);
	/* a dry run beside no state at all meets every share for the first time */
	int error = shares_fd < 0 ? -ENOENT : read_id(shares_fd, memory, remembered);
	if (error != -ENOENT)
		return error ? error : compare(share, shares_fd, memory, make, why_out);
	int locked = make ? lock_shares(shares_fd, why_out) : 0;
	if (locked)
		return locked;
	error = shares_fd < 0 ? -ENOENT : read_id(shares_fd, memory, remembered);
	error = error == -ENOENT
			? meet(share, shares_fd, memory, make, why_out)
			: (error ? error : compare(share, shares_fd, memory, make, why_out));
	if (make)
		flock(shares_fd, LOCK_UN);
	return error;
}

static int say_of_path(const char *path, int error, char *why_out)
{
	struct stat found;
	/* its mode lets us: then it is our jail that does not, which knows another folder there */
	if (error == -EACCES && faccessat(AT_FDCWD, path, R_OK | X_OK, AT_EACCESS) == 0) {
		snprintf(why_out, SHARE_WHY_MAX, "%.200s is another folder than a moment ago",
			 path);
		return -EREMCHG;
	}
	bool known = stat(path, &found) == 0;
	denied_say(path, "opened", error, known ? &found : NULL, why_out);
	return error;
}

int share_open(const struct rules_share *rules, int shares_fd, bool make, struct share *share_out,
	       char why_out[SHARE_WHY_MAX])
{
	struct share share = SHARE_INIT;
	share.rules = rules;
	share.root_fd = open(rules->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (share.root_fd < 0)
		return say_of_path(rules->path, -errno, why_out);
	why_out[0] = '\0';
	int error = identify(&share, shares_fd, make, why_out);
	if (error) {
		if (!why_out[0])
			snprintf(why_out, SHARE_WHY_MAX, "%.200s can't be identified: %s",
				 rules->path, strerror(-error));
		share_close(&share);
		return error;
	}
	*share_out = share;
	return 0;
}

const char *share_remedy(int error)
{
	static const struct {
		int error;
		const char *remedy;
	} rows[] = {
		{ ENOTDIR, "a folder is expected: remove it, or give it another name" },
		{ ESTALE,
		  "mount its disk; if it is meant to be a new one: letterchute check --adopt" },
		{ EREMCHG, "mount its disk; if that was done just now it is looked at anew" },
		{ ETIMEDOUT, "its server may hang: see to it that it runs" },
		{ EKEYREJECTED,
		  "remove it, or give it to the gateway's user (in a container PUID and PGID) with "
		  "chown, and chmod 700" },
		{ ELOOP,
		  "remove the symbolic link; what lies elsewhere wants a [share] of its own" },
		{ EXDEV, "unmount it; a disk of its own wants a [share] of its own" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (rows[i].error == -error)
			return rows[i].remedy;
	}
	return denied_remedy(error);
}

void share_close(struct share *share)
{
	close_fd(&share->root_fd);
	close_fd(&share->base_fd);
}

int share_forget(const struct rules_share *rules, int shares_fd)
{
	char memory[SHARE_ID_SIZE];
	share_name(rules, memory);
	if (unlinkat(shares_fd, memory, 0) < 0 && errno != ENOENT)
		return -errno;
	return sync_folder(shares_fd);
}

/* --- folders ---------------------------------------------------------------------------------- */

/* What mkdir in the parent would have given it. The mode that is set afterwards limits it. */
static int inherit_acl(int folder_fd, int parent_fd)
{
	static const char *const names[] = { "system.posix_acl_default",
					     "system.posix_acl_access" };
	char acl[ACL_BYTES_MAX];
	ssize_t size = fgetxattr(parent_fd, names[0], acl, sizeof acl);
	if (size < 0)
		return errno == ENODATA || errno == EOPNOTSUPP || errno == ENOSYS ? 0 : -errno;
	for (size_t i = 0; size > 0 && i < sizeof names / sizeof names[0]; i++) {
		if (fsetxattr(folder_fd, names[i], acl, (size_t)size, 0) < 0)
			return -errno;
	}
	return 0;
}

static int finish_folder(int fd, int parent_fd, const struct share_owner *owner)
{
	int error = owner_set_folder(fd, parent_fd, owner->owner, owner->group, owner->folder_mode);
	return error ? error : sync_folder(fd);
}

static int prepare_folder(int at, const char *aside, int parent_fd, const struct share_owner *owner)
{
	auto_close int fd = -1;
	int error = share_openat(at, aside, O_RDONLY | O_DIRECTORY, 0, &fd);
	if (!error)
		error = owner_make_private(fd);
	if (!error)
		error = inherit_acl(fd, parent_fd);
	return error ? error : finish_folder(fd, parent_fd, owner);
}

/* Makes a folder in our own one, and renames it to its place when nothing is missing: who dies in
 * between leaves nothing that the next one would take for finished. Its name is that of a life, so
 * that it is swept where no life removes it. */
static int make_aside(const struct share *share, int parent_fd, const char *name,
		      const struct share_owner *owner)
{
	int at = share->staging_fd >= 0 ? share->staging_fd : share->base_fd;
	char aside[24];
	uint64_t number;
	int rung;
	if (owner->folder_mode == RULES_UNSET)
		return -ENOTSUP; /* what the parent gives is known to the file system alone */
	if (getrandom(&number, sizeof number, 0) != sizeof number)
		return -EIO;
	snprintf(aside, sizeof aside, "%016llx", (unsigned long long)number);
	if (mkdirat(at, aside, 0700) < 0)
		return -errno;
	int error = prepare_folder(at, aside, parent_fd, owner);
	if (!error)
		error = rename_new(at, aside, parent_fd, name, &rung);
	if (error)
		unlinkat(at, aside, AT_REMOVEDIR);
	return error == -ENOTEMPTY ? -EEXIST : error;
}

static bool is_empty(int folder_fd)
{
	DIR *names = open_names(folder_fd, ".");
	bool empty = names != NULL;
	for (struct dirent *entry; empty && (entry = readdir(names));)
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	if (names)
		closedir(names);
	return empty;
}

/* Opens the folder that we have just made. Whoever may write to the parent can have put another one
 * there, whose owner and mode are none of our business: -ESTALE. */
static int open_made(const struct share *share, int parent_fd, const char *name, int *fd_out)
{
	char why[SHARE_WHY_MAX];
	auto_close int fd = -1;
	int error = share_openat(parent_fd, name, O_RDONLY | O_DIRECTORY, 0, &fd);
	if (!error)
		error = check_made(share, fd, name, why);
	if (error == -EKEYREJECTED || (!error && !is_empty(fd)))
		return -ESTALE;
	if (!error)
		*fd_out = take_fd(&fd);
	return error;
}

/* Where a folder can't be moved: between the branches of a mergerfs, without the right to write to
 * it. */
static int make_in_place(const struct share *share, int parent_fd, const char *name,
			 const struct share_owner *owner)
{
	if (mkdirat(parent_fd, name, 0700) < 0)
		return -errno;
	auto_close int fd = -1;
	int error = open_made(share, parent_fd, name, &fd);
	if (error)
		return error;
	error = finish_folder(fd, parent_fd, owner);
	if (error)
		unlinkat(parent_fd, name, AT_REMOVEDIR);
	return error;
}

/* Makes one folder with its final owner and mode, durable. -EEXIST: another courier was first. */
static int make_folder(const struct share *share, int parent_fd, const char *name,
		       const struct share_owner *owner)
{
	int error = make_aside(share, parent_fd, name, owner);
	if (error && error != -EEXIST)
		error = make_in_place(share, parent_fd, name, owner);
	if (error || is_weak(WEAKEN_NO_FOLDER_SYNC))
		return error;
	return sync_folder(parent_fd);
}

/* Opens one component, and makes it where it is missing. *made_io counts it then. */
static int open_or_make(const struct share *share, int parent_fd, const char *name,
			const struct share_owner *owner, int *fd_out, unsigned *made_io)
{
	int error = share_openat(parent_fd, name, O_RDONLY | O_DIRECTORY, 0, fd_out);
	if (error != -ENOENT || !owner)
		return error;
	error = make_folder(share, parent_fd, name, owner);
	*made_io += !error;
	if (error && error != -EEXIST)
		return error;
	return share_openat(parent_fd, name, O_RDONLY | O_DIRECTORY, 0, fd_out);
}

int share_folder(const struct share *share, const char *path, const struct share_owner *owner,
		 int *fd_out, unsigned *made_out)
{
	unsigned made = 0;
	auto_close int at = fcntl(share->root_fd, F_DUPFD_CLOEXEC, 0);
	if (at < 0)
		return -errno;
	while (*path) {
		size_t length = strcspn(path, "/");
		char name[256];
		auto_close int next = -1;
		if (length == 0 || length >= sizeof name)
			return -EINVAL;
		memcpy(name, path, length);
		name[length] = '\0';
		int error = open_or_make(share, at, name, owner, &next, &made);
		if (made_out && made > 0)
			*made_out = made;
		if (error)
			return error;
		close(at);
		at = take_fd(&next);
		path += length + (path[length] == '/');
	}
	*fd_out = take_fd(&at);
	return 0;
}

int share_reach(const struct share *share, const char *path, char why_out[SHARE_WHY_MAX])
{
	char way[PLACE_FOLDER_MAX + 1] = "", rest[PLACE_FOLDER_MAX + 1];
	auto_close int at = fcntl(share->root_fd, F_DUPFD_CLOEXEC, 0);
	snprintf(rest, sizeof rest, "%s", path);
	size_t used = 0;
	for (char *next = rest, *name; at >= 0 && (name = strsep(&next, "/")) && *name;) {
		auto_close int found = -1;
		int size = snprintf(way + used, sizeof way - used, "%s%s", used ? "/" : "", name);
		int error = share_openat(at, name, O_RDONLY | O_DIRECTORY, 0, &found);
		if (error == -ENOENT) {
			way[used] = '\0';
			break;
		}
		if (error) {
			say_of_folder(share, way, at, name, error, why_out);
			return error;
		}
		used += (size_t)size;
		close(at);
		at = take_fd(&found);
	}
	if (at < 0)
		return -errno;
	if (faccessat(at, ".", W_OK | X_OK, AT_EACCESS) < 0)
		return say_unwritable(share, way, at, -errno, why_out);
	return 0;
}

void share_unmake_folder(const struct share *share, const char *path, unsigned made)
{
	char rest[PLACE_FOLDER_MAX + 1];
	snprintf(rest, sizeof rest, "%s", path);
	while (made-- > 0 && *rest) {
		auto_close int parent_fd = -1;
		char *slash = strrchr(rest, '/');
		const char *name = slash ? slash + 1 : rest;
		char parent[sizeof rest];
		snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - rest) : 0, rest);
		if (share_folder(share, parent, NULL, &parent_fd, NULL) != 0 ||
		    unlinkat(parent_fd, name, AT_REMOVEDIR) < 0)
			return;
		rest[slash ? slash - rest : 0] = '\0';
	}
}

enum share_room share_room(int folder_fd, uint64_t least, uint64_t *free_out)
{
	struct statvfs space;
	*free_out = UINT64_MAX;
	if (fstatvfs(folder_fd, &space) < 0 || space.f_blocks == 0)
		return SHARE_ROOM;
	/* root and its capabilities may use what is reserved; we don't count on it */
	*free_out = (uint64_t)space.f_bavail * space.f_frsize;
	if (space.f_files > 0 && space.f_favail == 0)
		return SHARE_NO_FILES;
	return *free_out < least ? SHARE_FEW_OCTETS : SHARE_ROOM;
}
