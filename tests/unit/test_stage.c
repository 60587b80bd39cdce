/* test_stage.c: a staged file that was closed, and opened again. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include "daemon/courier/stage.h"
#include "tests/unit/place.h"

#define STAGED "0badcafe.1"

struct room {
	char path[64];
	int fd, staging_fd;
};

static int set_up(void **state)
{
	static struct room room;
	room.fd = place_make(room.path);
	room.staging_fd = place_folder(room.fd, "staging");
	*state = &room;
	return 0;
}

static int tear_down(void **state)
{
	struct room *room = *state;
	close(room->staging_fd);
	place_remove(room->path, room->fd);
	return 0;
}

static int reopen(const struct room *room)
{
	static struct job job;
	const struct job_copy copy = { .fd = -1, .number = 1 };
	int fd;
	strcpy(job.id, "0badcafe");
	job.shares[0].staging_fd = room->staging_fd;
	int error = stage_reopen(&job, 0, &copy, &fd);
	if (!error)
		close(fd);
	return error;
}

static void test_reopen(void **state)
{
	struct room *room = *state;
	assert_int_equal(reopen(room), -ENOENT);
	place_file(room->staging_fd, STAGED, "x");
	assert_int_equal(reopen(room), 0);
}

/* What somebody put in its place gets no owner and no mode from us. */
static void test_another_file(void **state)
{
	struct room *room = *state;
	place_file(room->fd, "secret", "x");
	assert_int_equal(linkat(room->fd, "secret", room->staging_fd, STAGED, 0), 0);
	assert_int_equal(reopen(room), -ESTALE);
	unlinkat(room->staging_fd, STAGED, 0);
	assert_int_equal(symlinkat("../secret", room->staging_fd, STAGED), 0);
	assert_int_equal(reopen(room), -ELOOP);
	unlinkat(room->staging_fd, STAGED, 0);
	assert_int_equal(mkfifoat(room->staging_fd, STAGED, 0600), 0);
	assert_int_equal(reopen(room), -ESTALE);
	unlinkat(room->staging_fd, STAGED, 0);
	place_file(room->staging_fd, STAGED, "x");
	if (geteuid() == 0) {
		assert_int_equal(fchownat(room->staging_fd, STAGED, 1234, 1234, 0), 0);
		assert_int_equal(reopen(room), -ESTALE);
	}
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_reopen),
		TEST(test_another_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
