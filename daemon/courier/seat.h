/* seat.h: how many couriers work on one share at the same time. Room daemon/courier.
 *
 * A share that hangs keeps whoever works on it until its server answers. Where there are several
 * shares, each has as many seats as there are `couriers`, and the boss starts one courier more:
 * however many mails come for a share that hangs, one courier is left for the others. A seat is a
 * lock, which ends with its courier. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct seat {
	int fd;             /* locked; -1: none */
	int64_t touched_ms; /* monotonic */
};

/* Takes one of the seats of a share, `name` of it (share_name), in spool/folders. Waits while those
 * who sit there get on and has_time says yes. 0; -EBUSY: none of them has got on for 5 s;
 * -ETIMEDOUT: there is no time left; or -errno. */
int seat_take(int folders_fd, const char *name, unsigned seats,
	      bool (*has_time)(const void *context), const void *context, struct seat *seat_out);

/* Tells that work goes on; cheap enough for every block. Nothing without a seat. */
void seat_touch(struct seat *seat);

void seat_leave(struct seat *seat);
