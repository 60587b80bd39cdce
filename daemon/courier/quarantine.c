/* quarantine.c: puts things aside, durably, under one name each. Never decides what belongs there.
 */
#define _GNU_SOURCE
#include "daemon/courier/quarantine.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/courier/life.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"

#define FRESH_TRIES 8

static uint64_t folder_bytes(int parent_fd, const char *name)
{
	uint64_t bytes = 0;
	struct stat found;
	DIR *names = open_names(parent_fd, name);
	for (struct dirent *entry; names && (entry = readdir(names));) {
		if (fstatat(dirfd(names), entry->d_name, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(found.st_mode))
			bytes += (uint64_t)found.st_size;
	}
	if (names)
		closedir(names);
	return bytes;
}

static uint64_t used_bytes(int quarantine_fd)
{
	uint64_t bytes = 0;
	DIR *names = open_names(quarantine_fd, ".");
	for (struct dirent *entry; names && (entry = readdir(names));) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			bytes += folder_bytes(quarantine_fd, entry->d_name);
	}
	if (names)
		closedir(names);
	return bytes;
}

/* Its sender may still be able to write to it: what grows while we read is bounded here. */
static int copy_file(int folder_fd, const char *name, int from_fd, uint64_t max_bytes)
{
	auto_close int fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	static char block[64 * 1024];
	off_t at = 0;
	for (;;) {
		ssize_t got = pread(from_fd, block, sizeof block, at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		at += got;
		int error = (uint64_t)at > max_bytes ? -ENOSPC : write_all(fd, block, (size_t)got);
		if (error)
			return error;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static int fill_entry(int entry_fd, const struct json *facts, const char *name, int fd,
		      uint64_t max_bytes)
{
	auto_free char *line = json_line(facts);
	int error = copy_file(entry_fd, name, fd, max_bytes);
	/* syncs the folder too: the entry is whole after this */
	return error ? error : write_file_at(entry_fd, ASIDE_FACTS, line, strlen(line), 0600);
}

/* A new entry, locked. -EAGAIN: it was tidied away before it had its lock. */
static int open_fresh(int quarantine_fd, char fresh[ASIDE_NAME_SIZE], int *fd_out)
{
	int error = aside_name_unfinished(fresh);
	if (error)
		return error;
	if (mkdirat(quarantine_fd, fresh, 0700) < 0)
		return -errno;
	auto_close int fd = openat(quarantine_fd, fresh, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	if (!aside_is_at(quarantine_fd, fresh, fd))
		return -EAGAIN;
	*fd_out = take_fd(&fd);
	return 0;
}

static void tidy_entry(int quarantine_fd, const char *name)
{
	auto_close int fd =
		openat(quarantine_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		aside_clear(quarantine_fd, name);
}

void quarantine_tidy(int quarantine_fd)
{
	DIR *names = open_names(quarantine_fd, ".");
	for (struct dirent *entry; names && (entry = readdir(names));) {
		if (strncmp(entry->d_name, ASIDE_UNFINISHED, strlen(ASIDE_UNFINISHED)) == 0)
			tidy_entry(quarantine_fd, entry->d_name);
	}
	if (names)
		closedir(names);
}

static int make_entry(int quarantine_fd, const char *id, const struct json *facts, const char *name,
		      int fd, uint64_t max_bytes)
{
	char fresh[ASIDE_NAME_SIZE];
	auto_close int entry_fd = -1;
	int error = -EAGAIN;
	for (int tries = 0; error == -EAGAIN && tries < FRESH_TRIES; tries++)
		error = open_fresh(quarantine_fd, fresh, &entry_fd);
	if (error)
		return error;
	error = fill_entry(entry_fd, facts, name, fd, max_bytes);
	if (!error && renameat(quarantine_fd, fresh, quarantine_fd, id) < 0)
		error = -errno;
	if (error)
		aside_clear(quarantine_fd, fresh);
	/* an equal message at the same time was faster */
	if (error == -EEXIST || error == -ENOTEMPTY)
		error = 0;
	return error ? error : sync_folder(quarantine_fd);
}

static void make_id(const char *what, char id[ASIDE_ID_SIZE])
{
	char hex[DIGEST_HEX];
	digest_octets(what, strlen(what), hex);
	memcpy(id, hex, ASIDE_ID_SIZE - 1);
	id[ASIDE_ID_SIZE - 1] = '\0';
}

static int find_room(int quarantine_fd, uint64_t max_bytes, int fd, uint64_t *room_out)
{
	struct stat found;
	if (fstat(fd, &found) < 0)
		return -errno;
	uint64_t used = used_bytes(quarantine_fd);
	if (used > max_bytes || (uint64_t)found.st_size > max_bytes - used)
		return -ENOSPC;
	*room_out = max_bytes - used;
	return 0;
}

int quarantine_keep(int quarantine_fd, uint64_t max_bytes, const char *what,
		    const struct json *facts, const char *name, int fd, char id_out[ASIDE_ID_SIZE])
{
	make_id(what, id_out);
	quarantine_tidy(quarantine_fd);
	/* whoever made it may have died before its name was durable */
	if (faccessat(quarantine_fd, id_out, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return sync_folder(quarantine_fd);
	uint64_t room = 0;
	int error = find_room(quarantine_fd, max_bytes, fd, &room);
	return error ? error : make_entry(quarantine_fd, id_out, facts, name, fd, room);
}

#define WHAT_SIZE (PLAN_KEY_SIZE + 16)

static void name_message(const char *key, char what[WHAT_SIZE])
{
	snprintf(what, WHAT_SIZE, "message %s", key);
}

int quarantine_keep_message(int quarantine_fd, uint64_t max_bytes, const char *key,
			    const struct json *facts, int fd, char id_out[ASIDE_ID_SIZE])
{
	char what[WHAT_SIZE];
	name_message(key, what);
	return quarantine_keep(quarantine_fd, max_bytes, what, facts, ASIDE_MESSAGE, fd, id_out);
}

bool quarantine_has_message(int quarantine_fd, const char *key)
{
	char what[WHAT_SIZE], id[ASIDE_ID_SIZE];
	name_message(key, what);
	make_id(what, id);
	return faccessat(quarantine_fd, id, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int keep_part(int quarantine_fd, uint64_t max_bytes, const struct plan *plan,
		     const struct plan_part *part, int staging_fd, int reason)
{
	auto_close int fd = openat(staging_fd, part->staged, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char id[ASIDE_ID_SIZE], what[NAME_MAX + 8];
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	struct json *facts = json_object_new();
	json_put_text(facts, "job", plan->job);
	json_put_text(facts, "key", plan->key);
	json_put_text(facts, "reason", "io");
	json_put_text(facts, "text", strerror(-reason));
	json_put_text(facts, "folder", part->folder);
	json_put_text(facts, "name", part->name.stem);
	json_put_text(facts, "extension", part->name.extension);
	snprintf(what, sizeof what, "plan %s", part->staged);
	int error = quarantine_keep(quarantine_fd, max_bytes, what, facts, ASIDE_PART, fd, id);
	json_free(facts);
	return error;
}

int quarantine_keep_plan(int quarantine_fd, const struct config *config, int shares_fd,
			 const struct plan *plan, const char *life, int error)
{
	for (size_t i = 0; i < config->rules.shares_count; i++) {
		struct share share;
		char why[SHARE_WHY_MAX];
		auto_close int staging_fd = -1;
		if (share_open(&config->rules.shares[i], shares_fd, false, &share, why) != 0)
			continue;
		int kept = share.base_fd < 0 ? -ENOENT
					     : life_open_staging(&share, life, false, &staging_fd);
		for (size_t p = 0; !kept && p < plan->parts_count; p++) {
			if (strcmp(plan->shares[plan->parts[p].share].path,
				   config->rules.shares[i].path) == 0)
				kept = keep_part(quarantine_fd, config->gateway.quarantine_bytes,
						 plan, &plan->parts[p], staging_fd, error);
		}
		share_close(&share);
		if (kept && kept != -ENOENT)
			return kept;
	}
	return 0;
}
