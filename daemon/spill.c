/* spill.c: keeps the octets of a message. Never gives them a name that outlives this function's
 * caller. */
#define _GNU_SOURCE
#include "daemon/spill.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"

/* Where the file system knows no nameless files: a name that lives for two system calls. */
static int create_and_unlink(int folder_fd, int *fd_out)
{
	uint64_t number;
	char name[32];
	if (getrandom(&number, sizeof number, 0) != sizeof number)
		return -errno;
	snprintf(name, sizeof name, "%016llx", (unsigned long long)number);
	auto_close int fd =
		openat(folder_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || unlinkat(folder_fd, name, 0) < 0)
		return -errno;
	*fd_out = take_fd(&fd);
	return 0;
}

static int open_on_disk(int folder_fd, int *fd_out)
{
	int fd = openat(folder_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
		return create_and_unlink(folder_fd, fd_out);
	if (fd < 0)
		return -errno;
	*fd_out = fd;
	return 0;
}

int spill_open_temporary(void)
{
	const char *folder = getenv("TMPDIR");
	return open(folder && *folder == '/' ? folder : "/var/tmp",
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void spill_init(struct spill *spill, int folder_fd, uint64_t max, uint64_t expected)
{
	*spill = (struct spill){ .fd = -1, .folder_fd = folder_fd, .max = max };
	spill->on_disk = folder_fd >= 0 && expected > SPILL_MEMORY;
}

void spill_done(struct spill *spill)
{
	close_fd(&spill->fd);
}

static int open_fresh(struct spill *spill)
{
	return spill->on_disk ? open_on_disk(spill->folder_fd, &spill->fd)
			      : memory_file("message", &spill->fd);
}

/* It has become too big for memory. */
static int move_to_disk(struct spill *spill)
{
	char piece[16 * 1024];
	auto_close int disk = -1;
	int error = open_on_disk(spill->folder_fd, &disk);
	if (!error && lseek(spill->fd, 0, SEEK_SET) < 0)
		error = -errno;
	ssize_t got = 0;
	while (!error && (got = read_all(spill->fd, piece, sizeof piece)) > 0)
		error = write_all(disk, piece, (size_t)got);
	if (error || got < 0)
		return error ? error : (int)got;
	close_fd(&spill->fd);
	spill->fd = take_fd(&disk);
	spill->on_disk = true;
	return 0;
}

static int keep(struct spill *spill, const char *bytes, size_t size)
{
	int error = 0;
	if (spill->fd < 0)
		error = open_fresh(spill);
	if (!error && !spill->on_disk && spill->folder_fd >= 0 &&
	    spill->bytes + size > SPILL_MEMORY)
		error = move_to_disk(spill);
	return error ? error : write_all(spill->fd, bytes, size);
}

void spill_add(struct spill *spill, const char *bytes, size_t size)
{
	if (size > spill->max || spill->bytes > spill->max - size)
		spill->too_big = true;
	if (spill->too_big)
		spill_done(spill);
	else if (!spill->error)
		spill->error = keep(spill, bytes, size);
	if (spill->error)
		spill_done(spill);
	spill->bytes += size;
}

int spill_open(struct spill *spill, int *fd_out)
{
	/* an empty message is a message too */
	int error = spill->fd < 0 ? open_fresh(spill) : 0;
	return error ? error : reopen_read_only(spill->fd, fd_out);
}
