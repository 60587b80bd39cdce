/* test_quarantine.c: entries that are whole, once, and within the room they have. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/file.h>
#include "daemon/courier/quarantine.h"
#include "tests/unit/place.h"

struct room {
	char path[64];
	int fd, quarantine_fd;
};

static int set_up(void **state)
{
	static struct room room;
	room.fd = place_make(room.path);
	room.quarantine_fd = place_folder(room.fd, "quarantine");
	*state = &room;
	return 0;
}

static int tear_down(void **state)
{
	struct room *room = *state;
	close(room->quarantine_fd);
	place_remove(room->path, room->fd);
	return 0;
}

static int keep(const struct room *room, uint64_t max_bytes, const char *what, char *id)
{
	if (!place_has(room->fd, "message"))
		place_file(room->fd, "message", "0123456789");
	int fd = openat(room->fd, "message", O_RDONLY | O_CLOEXEC);
	struct json *facts = json_object_new();
	int error =
		quarantine_keep(room->quarantine_fd, max_bytes, what, facts, "message.eml", fd, id);
	json_free(facts);
	close(fd);
	return error;
}

static void test_once(void **state)
{
	struct room *room = *state;
	char one[ASIDE_ID_SIZE], again[ASIDE_ID_SIZE], other[ASIDE_ID_SIZE];
	char path[64];
	assert_int_equal(keep(room, 1000, "message 1", one), 0);
	snprintf(path, sizeof path, "%s/message.eml", one);
	assert_true(place_has(room->quarantine_fd, path));
	assert_int_equal(keep(room, 0, "message 1", again), 0);
	assert_string_equal(one, again);
	assert_int_equal(keep(room, 1000, "message 2", other), 0);
	assert_string_not_equal(one, other);
}

/* What somebody left who died at it is removed; what somebody is at counts, and stays. */
static void test_left_over(void **state)
{
	struct room *room = *state;
	char id[ASIDE_ID_SIZE];
	close(place_folder(room->quarantine_fd, ".new-dead"));
	place_file(room->quarantine_fd, ".new-dead/message.eml", "0123456789");
	int held = place_folder(room->quarantine_fd, ".new-alive");
	assert_int_equal(flock(held, LOCK_EX), 0);
	place_file(room->quarantine_fd, ".new-alive/message.eml", "0123456789");
	assert_int_equal(keep(room, 19, "message", id), -ENOSPC);
	assert_false(place_has(room->quarantine_fd, ".new-dead"));
	assert_true(place_has(room->quarantine_fd, ".new-alive/message.eml"));
	close(held);
	quarantine_tidy(room->quarantine_fd);
	assert_false(place_has(room->quarantine_fd, ".new-alive"));
	assert_int_equal(keep(room, 19, "message", id), 0);
	quarantine_tidy(room->quarantine_fd);
	assert_true(place_has(room->quarantine_fd, id));
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_once),
		TEST(test_left_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
