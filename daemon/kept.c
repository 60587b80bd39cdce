/* kept.c: reads, appends to and compacts the ledger of a source. Never decides what a record means.
 */
#define _GNU_SOURCE
#include "daemon/kept.h"
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"

#define RECORD      sizeof(struct kept_record)
#define LEDGER_MAX  (64 << 20) /* octets; a million messages */
#define LOCK_TRIES  100
#define LOCK_NAP_MS 20

/* FNV-1a: it is to find what a crash tore, not what somebody forged. */
static uint64_t sum_of(const struct kept_record *record)
{
	const uint8_t *bytes = (const uint8_t *)record;
	uint64_t sum = 0xCBF29CE484222325;
	for (size_t i = 0; i < offsetof(struct kept_record, sum); i++)
		sum = (sum ^ bytes[i]) * 0x100000001B3;
	return sum;
}

static int read_records(int fd, struct kept *kept_out)
{
	struct stat found;
	if (fstat(fd, &found) < 0)
		return -errno;
	if (found.st_size > LEDGER_MAX)
		return -EFBIG;
	size_t size = (size_t)found.st_size - (size_t)found.st_size % RECORD, count = 0;
	auto_free struct kept_record *records = malloc(size + 1);
	if (!records)
		return -ENOMEM;
	ssize_t got = lseek(fd, 0, SEEK_SET) < 0 ? -errno : read_all(fd, records, size);
	if (got < 0)
		return (int)got;
	for (size_t i = 0; i < (size_t)got / RECORD; i++) {
		if (sum_of(&records[i]) == records[i].sum)
			records[count++] = records[i];
	}
	*kept_out = (struct kept){ .records = take_pointer(&records), .count = count };
	return 0;
}

int kept_read(int folder_fd, const char *source, struct kept *kept_out)
{
	auto_close int fd = openat(folder_fd, source, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	*kept_out = (struct kept){ 0 };
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	return read_records(fd, kept_out);
}

void kept_done(struct kept *kept)
{
	free(kept->records);
	*kept = (struct kept){ 0 };
}

static bool is_current(int folder_fd, const char *source, int fd)
{
	struct stat named, held;
	return fstatat(folder_fd, source, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstat(fd, &held) == 0 && named.st_ino == held.st_ino;
}

/* The file, locked; made if it is not there. It may be replaced while we wait for the lock. */
static int open_locked(int folder_fd, const char *source, int *fd_out)
{
	for (int tries = 0; tries < LOCK_TRIES; tries++) {
		auto_close int fd =
			openat(folder_fd, source, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			if (errno != EWOULDBLOCK)
				return -errno;
			nap_ms(LOCK_NAP_MS);
		} else if (is_current(folder_fd, source, fd)) {
			*fd_out = take_fd(&fd);
			return 0;
		}
	}
	return -EWOULDBLOCK;
}

static int append(int folder_fd, int fd, const struct kept_record *record)
{
	struct kept_record summed = *record;
	struct stat found;
	if (fstat(fd, &found) < 0)
		return -errno;
	summed.sum = sum_of(&summed);
	if (lseek(fd, found.st_size - found.st_size % (off_t)RECORD, SEEK_SET) < 0)
		return -errno;
	int error = write_all(fd, &summed, RECORD);
	if (!error && fsync(fd) < 0)
		error = -errno;
	/* whoever made the file may have died before its name was durable */
	return error ? error : sync_folder(folder_fd);
}

int kept_append(int folder_fd, const char *source, const struct kept_record *record)
{
	auto_close int fd = -1;
	int error = open_locked(folder_fd, source, &fd);
	return error ? error : append(folder_fd, fd, record);
}

/* Locked as long as the descriptor is open. */
static int open_records(int folder_fd, const char *source, int *fd_out, struct kept *kept_out)
{
	int error = open_locked(folder_fd, source, fd_out);
	return error ? error : read_records(*fd_out, kept_out);
}

int kept_claim(int folder_fd, const char *source, struct kept_record *record_io, bool *known_out)
{
	auto_close int fd = -1;
	struct kept kept;
	int error = open_records(folder_fd, source, &fd, &kept);
	if (error)
		return error;
	const struct kept_record *found = kept_find(&kept, record_io->validity, record_io->uid);
	bool by_octets = !found;
	if (by_octets)
		found = kept_find_bytes(&kept, record_io->validity, record_io->sha256);
	bool known = found &&
		     (found->outcome == KEPT_DELIVERED || found->revision == record_io->revision);
	if (known) {
		record_io->outcome = found->outcome;
		record_io->reason = found->reason;
	}
	kept_done(&kept);
	if (known && by_octets)
		error = append(folder_fd, fd, record_io);
	if (!error)
		*known_out = known;
	return error;
}

const struct kept_record *kept_find(const struct kept *kept, uint64_t validity, uint32_t uid)
{
	for (size_t i = kept->count; i-- > 0;) {
		if (kept->records[i].validity == validity && kept->records[i].uid == uid)
			return &kept->records[i];
	}
	return NULL;
}

static bool is_same(const struct kept_record *x, const struct kept_record *y)
{
	return x->validity == y->validity && x->uid == y->uid;
}

static bool has_later_word(const struct kept *kept, size_t index)
{
	for (size_t i = index + 1; i < kept->count; i++) {
		if (is_same(&kept->records[i], &kept->records[index]))
			return true;
	}
	return false;
}

const struct kept_record *kept_find_bytes(const struct kept *kept, uint64_t validity,
					  const uint8_t sha256[KEPT_DIGEST])
{
	const struct kept_record *last = NULL;
	size_t before = 0, now = 0;
	for (size_t i = 0; i < kept->count; i++) {
		const struct kept_record *record = &kept->records[i];
		if (memcmp(record->sha256, sha256, KEPT_DIGEST) != 0 || has_later_word(kept, i))
			continue;
		if (record->validity == validity) {
			now++;
			continue;
		}
		/* of several older ones the youngest says how many there were */
		before = last && last->validity == record->validity ? before + 1 : 1;
		last = record;
	}
	return before > now ? last : NULL;
}

/* --- compaction ------------------------------------------------------------------------------- */

static int compare_uids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

/* By UIDVALIDITY and UID; of several words the last comes last. */
static int compare_records(const void *a, const void *b)
{
	const struct kept_record *x = *(const struct kept_record *const *)a,
				 *y = *(const struct kept_record *const *)b;
	if (x->validity != y->validity)
		return x->validity < y->validity ? -1 : 1;
	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* Keeps the order in which they came. */
static void drop_stale(struct kept *kept, uint64_t validity, uint32_t last, const uint32_t *uids,
		       size_t count)
{
	size_t used = 0, old = 0;
	for (size_t i = 0; i < kept->count; i++)
		old += kept->records[i].validity != validity;
	for (size_t i = 0; i < kept->count; i++) {
		const struct kept_record *record = &kept->records[i];
		if (record->validity == validity) {
			if (record->uid <= last &&
			    !bsearch(&record->uid, uids, count, sizeof *uids, compare_uids))
				continue;
		} else if (old > KEPT_OLD_MAX) {
			old--;
			continue;
		}
		kept->records[used++] = *record;
	}
	kept->count = used;
}

/* Of several words about one message the last stays. */
static int drop_repeated(struct kept *kept)
{
	auto_free struct kept_record *records = malloc(kept->count * RECORD + 1);
	auto_free const struct kept_record **sorted = malloc(kept->count * sizeof *sorted + 1);
	size_t used = 0;
	if (!records || !sorted)
		return -ENOMEM;
	for (size_t i = 0; i < kept->count; i++)
		sorted[i] = &kept->records[i];
	qsort(sorted, kept->count, sizeof *sorted, compare_records);
	for (size_t i = 0; i < kept->count; i++) {
		if (i + 1 == kept->count || !is_same(sorted[i], sorted[i + 1]))
			records[used++] = *sorted[i];
	}
	free(kept->records);
	*kept = (struct kept){ .records = take_pointer(&records), .count = used };
	return 0;
}

int kept_compact(int folder_fd, const char *source, uint64_t validity, uint32_t last,
		 const uint32_t *uids, size_t count)
{
	auto_close int fd = -1;
	struct kept kept;
	int error = open_records(folder_fd, source, &fd, &kept);
	if (error)
		return error;
	drop_stale(&kept, validity, last, uids, count);
	error = drop_repeated(&kept);
	if (!error)
		error = write_file_at(folder_fd, source, kept.records, kept.count * RECORD, 0600);
	kept_done(&kept);
	return error;
}
