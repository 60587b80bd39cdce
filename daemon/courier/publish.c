/* publish.c: gives staged files their names. Never opens a part's content, never replaces a file.
 */
#define _GNU_SOURCE
#include "daemon/courier/publish.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/courier/folder.h"
#include "daemon/courier/weaken.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/rename.h"
#include "policy/filename.h"

#define NUMBERS_MAX 10000000u /* of one name; beyond it something is wrong */

/* What a file system may need of a name. */
struct form {
	size_t max; /* octets */
	bool ascii;
};

static const struct form usual = { FILENAME_MAX_BYTES, false };

static void number_name(const struct place_name *name, unsigned number, const struct form *form,
			char *text)
{
	bool seq = place_name_has_seq(name);
	place_number(name, seq ? number : 0, seq ? 1 : number, form->max, text);
	if (form->ascii)
		filename_ascii(text);
}

/* Renames to the first number of the name that is free. */
static int rename_numbered(struct folder *folder, int staging_fd, const struct plan_part *part,
			   const struct form *form, char *text)
{
	for (unsigned number = folder_first(folder, &part->name); number < NUMBERS_MAX; number++) {
		int rung;
		number_name(&part->name, number, form, text);
		if (folder_has(folder, text))
			continue;
		int error = rename_new(staging_fd, part->staged, folder->fd, text, &rung);
		if (error && error != -EEXIST)
			return error;
		/* a part that has got its name by now is found to have it when the plan is tried
		 * again */
		int noted = folder_add(folder, text);
		if (noted)
			return noted;
		if (!error) {
			folder_set_first(folder, &part->name, number + 1);
			return 0;
		}
	}
	return -EEXIST;
}

static bool is_ascii(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text >= 0x80)
			return false;
	}
	return true;
}

/* What has nothing to do with the name. */
static bool is_disk_error(int error)
{
	switch (-error) {
	case ENOSPC:
	case EDQUOT:
	case EROFS:
	case ETIMEDOUT:
	case ESTALE:
	case ENOMEM:
	case EXDEV:
	case ENOTCONN: return true;
	default: return false;
	}
}

/* Any error may mean that the name is not possible here: a shorter one where it is too long (140
 * octets are all that an encrypted folder has), then one try with a plain name before giving up. */
static int rename_part(struct folder *folder, int staging_fd, const struct plan_part *part,
		       char *text)
{
	struct form form = usual;
	int error = rename_numbered(folder, staging_fd, part, &form, text);
	if (error == -ENAMETOOLONG) {
		form.max = PLACE_NAME_SHORT;
		error = rename_numbered(folder, staging_fd, part, &form, text);
	}
	if (error && !is_disk_error(error) && !is_ascii(text)) {
		form.ascii = true;
		error = rename_numbered(folder, staging_fd, part, &form, text);
	}
	return error;
}

/* A staged file with a second name, from a link whose unlink never came: is that name in the
 * folder? 0, -ENOENT or another -errno. */
static int find_link(int folder_fd, const struct stat *staged)
{
	DIR *names = open_names(folder_fd, ".");
	if (!names)
		return -errno;
	int error = -ENOENT;
	for (struct dirent *entry; error == -ENOENT && (entry = next_name(names, &error));) {
		struct stat other;
		if (fstatat(folder_fd, entry->d_name, &other, AT_SYMLINK_NOFOLLOW) < 0)
			error = errno == EACCES ? -ENOENT : -errno; /* a mount of another's own */
		else if (other.st_dev == staged->st_dev && other.st_ino == staged->st_ino)
			error = 0;
	}
	closedir(names);
	return error;
}

static int publish_part(struct folder *folder, enum publish_turn turn, int staging_fd,
			const struct plan_part *part, publish_told told, const void *context)
{
	struct stat staged;
	char text[FILENAME_MAX_BYTES + 1];
	if (fstatat(staging_fd, part->staged, &staged, AT_SYMLINK_NOFOLLOW) < 0)
		return errno != ENOENT ? -errno : turn == PUBLISH_FIRST ? -ENODATA : 0;
	int error = staged.st_nlink > 1 ? find_link(folder->fd, &staged) : -ENOENT;
	if (error != -ENOENT)
		return error ? error : unlinkat(staging_fd, part->staged, 0) < 0 ? -errno : 0;
	error = rename_part(folder, staging_fd, part, text);
	if (!error && told) {
		char path[PLACE_FOLDER_MAX + FILENAME_MAX_BYTES + 2];
		snprintf(path, sizeof path, "%s%s%s", part->folder, *part->folder ? "/" : "", text);
		told(context, part, path);
	}
	return error;
}

static bool same_folder(const struct plan_part *a, const struct plan_part *b)
{
	return a->share == b->share && strcmp(a->folder, b->folder) == 0;
}

/* The parts from `first` on that go to one folder, under its lock; *next_out: the first part behind
 * them. */
static int publish_folder(const struct plan *plan, enum publish_turn turn,
			  const struct publish_share *shares, int folders_fd, size_t first,
			  publish_told told, const void *context, size_t *next_out)
{
	const struct plan_part *part = &plan->parts[first];
	const struct publish_share *share = &shares[part->share];
	auto_close int folder_fd = -1;
	int error = share_folder(share->share, part->folder, &part->folder_owner, &folder_fd, NULL);
	if (error)
		return error;
	struct folder folder;
	error = folder_lock(folders_fd, folder_fd, &folder);
	if (error)
		return error;
	size_t next = first;
	while (!error && next < plan->parts_count && same_folder(&plan->parts[next], part))
		error = publish_part(&folder, turn, share->staging_fd, &plan->parts[next++], told,
				     context);
	folder_unlock(&folder);
	*next_out = next;
	if (error || is_weak(WEAKEN_NO_FOLDER_SYNC))
		return error;
	return sync_folder(folder_fd);
}

int publish_plan(const struct plan *plan, enum publish_turn turn,
		 const struct publish_share *shares, int folders_fd, publish_told told,
		 const void *context)
{
	int error = 0;
	for (size_t next = 0; !error && next < plan->parts_count;)
		error = publish_folder(plan, turn, shares, folders_fd, next, told, context, &next);
	return error;
}

void publish_preview(struct folder *folder, const struct place_name *name, char *text)
{
	unsigned number = folder_first(folder, name);
	number_name(name, number, &usual, text);
	while (folder_has(folder, text) && number < NUMBERS_MAX)
		number_name(name, ++number, &usual, text);
	/* without memory for it two parts are shown one name */
	if (folder_add(folder, text) == 0)
		folder_set_first(folder, name, number + 1);
}

int publish_probe(int staging_fd, int folder_fd, int *rung_out)
{
	char from[40], to[64];
	uint64_t number;
	if (getrandom(&number, sizeof number, 0) != sizeof number)
		return -EIO;
	snprintf(from, sizeof from, "probe-%016llx", (unsigned long long)number);
	snprintf(to, sizeof to, "%s-renamed", from);
	auto_close int fd = openat(staging_fd, from, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int error = rename_new(staging_fd, from, folder_fd, to, rung_out);
	if (unlinkat(error ? staging_fd : folder_fd, error ? from : to, 0) < 0 && !error)
		error = -errno;
	return error;
}
