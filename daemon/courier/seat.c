/* seat.c: locks for those who work on a share. Never touches the share. */
#define _GNU_SOURCE
#include "daemon/courier/seat.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"

#define STUCK_MS 10000 /* who has not got on for so long is taken to hang */
#define SURE_MS  200   /* a seat that was just taken still bears an old time */
#define TOUCH_MS 1000
#define NAP_MS   5

unsigned seat_count(const struct config *config)
{
	size_t shares = config->rules.shares_count;
	if (shares < 2)
		return 0;
	return (unsigned)((config_couriers(config) - 1) / (shares - 1));
}

static void write_time(struct seat *seat)
{
	seat->touched_ms = monotonic_ms();
	/* what can't be written makes somebody else wait too little, not too long */
	if (pwrite(seat->fd, &seat->touched_ms, sizeof seat->touched_ms, 0) < 0)
		return;
}

/* One seat. -EWOULDBLOCK: it is taken, and its time is in `newest` if that is later. */
static int try_seat(int folders_fd, const char *name, unsigned number, struct seat *seat_out,
		    int64_t *newest)
{
	char path[80];
	struct stat found;
	int64_t touched_ms = 0;
	snprintf(path, sizeof path, "seat-%.40s.%u", name, number);
	auto_close int fd =
		openat(folders_fd, path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int error = -errno;
		if (pread(fd, &touched_ms, sizeof touched_ms, 0) == sizeof touched_ms &&
		    touched_ms > *newest)
			*newest = touched_ms;
		return error;
	}
	/* it may have been tidied away between the two */
	if (fstat(fd, &found) < 0 || found.st_nlink == 0)
		return -EINTR;
	seat_out->fd = take_fd(&fd);
	write_time(seat_out);
	return 0;
}

static int try_seats(int folders_fd, const char *name, unsigned seats, struct seat *seat_out,
		     int64_t *newest)
{
	int error = -EWOULDBLOCK;
	for (unsigned i = 0; error == -EWOULDBLOCK && i < seats; i++)
		error = try_seat(folders_fd, name, i, seat_out, newest);
	return error;
}

int seat_take(int folders_fd, const char *name, unsigned seats,
	      bool (*has_time)(const void *context), const void *context, struct seat *seat_out)
{
	int64_t since_ms = monotonic_ms();
	for (;;) {
		int64_t newest = 0, now_ms = monotonic_ms();
		int error = try_seats(folders_fd, name, seats, seat_out, &newest);
		if (error != -EWOULDBLOCK && error != -EINTR)
			return error;
		if (error == -EWOULDBLOCK && now_ms - newest > STUCK_MS &&
		    now_ms - since_ms > SURE_MS)
			return -EBUSY;
		if (!has_time(context))
			return -ETIMEDOUT;
		nap_ms(NAP_MS);
	}
}

void seat_touch(struct seat *seat)
{
	if (seat->fd >= 0 && monotonic_ms() - seat->touched_ms > TOUCH_MS)
		write_time(seat);
}

void seat_leave(struct seat *seat)
{
	close_fd(&seat->fd);
}
