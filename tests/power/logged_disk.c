/* logged_disk.c: an nbdkit plugin: disks that write down what reaches them, and in which order.
 *
 *   nbdkit ./logged_disk.so log=LOG image=DISK0 image=DISK1 ...
 *
 * The disks are the exports "0", "1" ...; one log holds the writes and flushes of all of them. A record is a head and,
 * for a write, its octets behind it; its time is the first moment at which it may have happened. What a power cut leaves
 * of a disk is then any disk that has all its writes up to its last flush before the cut, and of the later ones whatever
 * happened to be written. Trim is not offered, so that nothing changes a disk but a write. */
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* One request at a time: a flush in the log covers exactly the writes in front of it. */
#define THREAD_MODEL NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS

#define DISKS_MAX 8

enum kind { KIND_WRITE = 1, KIND_FLUSH = 2 };

struct head {
	uint32_t kind, disk;
	uint64_t offset, length; /* octets */
	uint64_t time_ns;        /* of the monotonic clock */
};

struct disk {
	int fd;
	uint32_t number;
	int64_t size;
};

static struct disk disks[DISKS_MAX];
static uint32_t disks_count;
static int log_fd = -1;

static int open_disk(const char *path)
{
	if (disks_count == DISKS_MAX)
		return -1;
	struct disk *disk = &disks[disks_count];
	disk->fd = open(path, O_RDWR | O_CLOEXEC);
	disk->number = disks_count++;
	disk->size = disk->fd < 0 ? -1 : lseek(disk->fd, 0, SEEK_END);
	return disk->size < 0 ? -1 : 0;
}

static int configure(const char *key, const char *value)
{
	if (key[0] == 'i')
		return open_disk(value);
	log_fd = open(value, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	return log_fd < 0 ? -1 : 0;
}

static int is_complete(void)
{
	return log_fd < 0 || disks_count == 0 ? -1 : 0;
}

static void *open_export(int read_only)
{
	const char *name = nbdkit_export_name();
	(void)read_only;
	uint32_t number = name && *name ? (uint32_t)atoi(name) : 0;
	return number < disks_count ? &disks[number] : NULL;
}

/* A log that can't be written proves nothing. */
static void put_record(const struct disk *disk, enum kind kind, const void *octets, uint64_t offset, uint64_t length)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	uint64_t time_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	struct head head = { kind, disk->number, offset, length, time_ns };
	struct iovec parts[] = { { &head, sizeof head }, { (void *)(uintptr_t)octets, octets ? length : 0 } };
	if (writev(log_fd, parts, 2) != (ssize_t)(sizeof head + parts[1].iov_len))
		abort();
}

static int64_t get_size(void *handle)
{
	return ((const struct disk *)handle)->size;
}

static int read_disk(void *handle, void *octets, uint32_t length, uint64_t offset, uint32_t flags)
{
	const struct disk *disk = handle;
	(void)flags;
	return pread(disk->fd, octets, length, (off_t)offset) == (ssize_t)length ? 0 : -1;
}

static int write_disk(void *handle, const void *octets, uint32_t length, uint64_t offset, uint32_t flags)
{
	const struct disk *disk = handle;
	(void)flags;
	put_record(disk, KIND_WRITE, octets, offset, length);
	return pwrite(disk->fd, octets, length, (off_t)offset) == (ssize_t)length ? 0 : -1;
}

/* Without a can_fua nbdkit makes of a write that must be durable a write and a flush. */
static int flush_disk(void *handle, uint32_t flags)
{
	(void)flags;
	put_record(handle, KIND_FLUSH, NULL, 0, 0);
	return 0;
}

static struct nbdkit_plugin plugin = {
	.name = "logged-disk",
	.config = configure,
	.config_complete = is_complete,
	.open = open_export,
	.get_size = get_size,
	.pread = read_disk,
	.pwrite = write_disk,
	.flush = flush_disk,
};

NBDKIT_REGISTER_PLUGIN(plugin)
