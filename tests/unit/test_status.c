/* test_status.c: a report is read as it was written, or not at all. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/status.h"

static char folder[] = "/tmp/test_status.XXXXXX";
static int folder_fd, fd = -1;

/* By its name. */
static bool status_read(int in_fd, const char *source, struct status *status_out)
{
	int source_fd = status_open_to_read(in_fd, source);
	bool whole = status_read_at(source_fd, status_out);
	if (source_fd >= 0)
		close(source_fd);
	return whole;
}

static int set_up(void **state)
{
	(void)state;
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	if (!mkdtemp(folder))
		return 1;
	folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return status_open(folder_fd, "office", &fd);
}

static int tear_down(void **state)
{
	(void)state;
	close(fd);
	unlinkat(folder_fd, "office", 0);
	close(folder_fd);
	return rmdir(folder);
}

static void test_write(void **state)
{
	struct status status = { .waiting = 3, .in_hand = { 7, 5 }, .error = "it waits" }, found;
	(void)state;
	assert_false(status_read(folder_fd, "office", &found));
	assert_false(status_read(folder_fd, "nobody", &found));
	status_write(fd, &status, STATUS_WAITING);
	assert_true(status_read(folder_fd, "office", &found));
	assert_int_equal(found.state, STATUS_WAITING);
	assert_int_equal(found.waiting, 3);
	assert_string_equal(found.error, "it waits");
	assert_true(found.since_ms > 0);
	/* the same state is as old as it was */
	status.since_ms = 1;
	status_write(fd, &status, STATUS_WAITING);
	assert_int_equal(status.since_ms, 1);
	status_write(fd, &status, STATUS_UP);
	assert_true(status.since_ms > 1);
	status_write(-1, &status, STATUS_DOWN);
	assert_true(status_read(folder_fd, "office", &found));
	assert_int_equal(found.state, STATUS_UP);
	/* who comes next knows what was in hand, and no error of his own */
	status_load(fd, &found);
	assert_int_equal(found.in_hand[1], 5);
	assert_string_equal(found.error, "");
}

/* Cut, of another version, of no state that there is, or with an error that does not end. */
static void test_spoiled(void **state)
{
	struct status status = { 0 }, found;
	(void)state;
	status_write(fd, &status, STATUS_UP);
	assert_int_equal(ftruncate(fd, (off_t)sizeof status - 1), 0);
	assert_false(status_read(folder_fd, "office", &found));
	status.state = 99;
	assert_int_equal(pwrite(fd, &status, sizeof status, 0), sizeof status);
	assert_false(status_read(folder_fd, "office", &found));
	status = (struct status){ .version = STATUS_VERSION + 1 };
	assert_int_equal(pwrite(fd, &status, sizeof status, 0), sizeof status);
	status_load(fd, &found);
	assert_int_equal(found.version, 0);
	status = (struct status){ .version = STATUS_VERSION };
	memset(status.error, 'x', sizeof status.error);
	assert_int_equal(pwrite(fd, &status, sizeof status, 0), sizeof status);
	assert_true(status_read(folder_fd, "office", &found));
	assert_int_equal(strlen(found.error), STATUS_ERROR_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_write, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_spoiled, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
