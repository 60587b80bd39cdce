/* seat.h: how many couriers work on one share at the same time. Room daemon/courier.
 *
 * A share that hangs keeps whoever works on it until its server answers. Where there are several
 * shares, the `couriers` are shared out among all but one of them as seats, and the boss starts one
 * courier more (config_couriers): however many mails come for shares that hang, one courier is left
 * for the one that does not. A seat is a lock, which ends with its courier. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "daemon/config.h"

struct seat {
	int fd;             /* locked; -1: none */
	int64_t touched_ms; /* monotonic */
};

/* Of each share; 0: there is one share, and no need for them. */
unsigned seat_count(const struct config *config);

/* Takes one of the seats of a share, `name` of it (share_name), in spool/folders. Waits while those
 * who sit there get on and has_time says yes. 0; -EBUSY: none of them has got on for 10 s;
 * -ETIMEDOUT: there is no time left; or -errno. */
int seat_take(int folders_fd, const char *name, unsigned seats,
	      bool (*has_time)(const void *context), const void *context, struct seat *seat_out);

/* Tells that work goes on; cheap enough for every block. Nothing without a seat. */
void seat_touch(struct seat *seat);

void seat_leave(struct seat *seat);
