/* test_seat.c: as many as there are seats work on a share, and who hangs there is found out. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include "daemon/courier/seat.h"
#include "daemon/fdio.h"
#include "tests/unit/place.h"

#define SEATS 3

static bool never(const void *context)
{
	(void)context;
	return false;
}

static bool always(const void *context)
{
	(void)context;
	return true;
}

static void take_all(const struct place_room *room, struct seat seats[SEATS])
{
	for (size_t i = 0; i < SEATS; i++)
		assert_int_equal(seat_take(room->fd, "one", SEATS, never, NULL, &seats[i]), 0);
}

static void leave_all(struct seat seats[SEATS])
{
	for (size_t i = 0; i < SEATS; i++)
		seat_leave(&seats[i]);
}

static void test_as_many_as_there_are(void **state)
{
	struct seat seats[SEATS], other = { .fd = -1 };
	take_all(*state, seats);
	const struct place_room *room = *state;
	assert_int_equal(seat_take(room->fd, "one", SEATS, never, NULL, &other), -ETIMEDOUT);
	assert_int_equal(other.fd, -1);
	/* of another share there are others */
	assert_int_equal(seat_take(room->fd, "two", SEATS, never, NULL, &other), 0);
	seat_leave(&other);
	seat_leave(&seats[1]);
	assert_int_equal(seat_take(room->fd, "one", SEATS, never, NULL, &other), 0);
	seat_leave(&other);
	leave_all(seats);
}

/* Nobody has got on for long: there is no use in waiting. One who does is waited for. */
static void test_who_hangs(void **state)
{
	const struct place_room *room = *state;
	struct seat seats[SEATS], other = { .fd = -1 };
	take_all(room, seats);
	int64_t long_ago = monotonic_ms() - 60000;
	for (size_t i = 0; i < SEATS; i++)
		assert_int_equal(pwrite(seats[i].fd, &long_ago, sizeof long_ago, 0),
				 sizeof long_ago);
	assert_int_equal(seat_take(room->fd, "one", SEATS, always, NULL, &other), -EBUSY);
	seats[0].touched_ms = long_ago;
	seat_touch(&seats[0]);
	assert_int_equal(seat_take(room->fd, "one", SEATS, never, NULL, &other), -ETIMEDOUT);
	leave_all(seats);
}

static void test_seat_of_the_dead(void **state)
{
	const struct place_room *room = *state;
	struct seat seat = { .fd = -1 };
	pid_t pid = fork();
	if (pid == 0) {
		int error = seat_take(room->fd, "one", 1, never, NULL, &seat);
		raise(error ? SIGABRT : SIGKILL);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WTERMSIG(status), SIGKILL);
	assert_int_equal(seat_take(room->fd, "one", 1, never, NULL, &seat), 0);
	seat_leave(&seat);
}

static void test_no_seat(void **state)
{
	(void)state;
	struct seat none = { .fd = -1 };
	seat_touch(&none);
	seat_leave(&none);
	assert_int_equal(none.fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_as_many_as_there_are, place_set_up,
						place_tear_down),
		cmocka_unit_test_setup_teardown(test_who_hangs, place_set_up, place_tear_down),
		cmocka_unit_test_setup_teardown(test_seat_of_the_dead, place_set_up,
						place_tear_down),
		cmocka_unit_test(test_no_seat),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
