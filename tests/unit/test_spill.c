/* test_spill.c: a message in memory, over the edge to the disk, too big, and without a place to
 * lie. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "daemon/fdio.h"
#include "daemon/spill.h"

#define MEGA (1024 * 1024)

static int open_folder(char *path)
{
	strcpy(path, "/var/tmp/spill-XXXXXX");
	assert_non_null(mkdtemp(path));
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void add_octets(struct spill *spill, size_t size, size_t piece)
{
	static char bytes[MEGA];
	for (size_t at = 0; at < size; at += piece) {
		size_t now = piece < size - at ? piece : size - at;
		for (size_t i = 0; i < now; i++)
			bytes[i] = (char)((at + i) * 7 % 251);
		spill_add(spill, bytes, now);
	}
}

static void check_octets(int fd, size_t size)
{
	char *bytes = malloc(size + 1);
	assert_int_equal(read_all(fd, bytes, size + 1), size);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(bytes[i], (char)(i * 7 % 251));
	free(bytes);
}

static bool is_in_memory(int fd)
{
	char path[64], target[128] = "";
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	assert_true(readlink(path, target, sizeof target - 1) > 0);
	return strncmp(target, "/memfd:", 7) == 0;
}

static const struct row {
	size_t size, piece;
	uint64_t expected;
	bool folder, memory;
} rows[] = {
	{ 0, 1, 0, true, true },
	{ 5000, 512, 0, true, true },
	{ MEGA, 4000, 0, true, true },
	{ MEGA + 1, MEGA, 0, true, false },
	{ 3 * MEGA, 9000, 0, true, false },
	{ 5000, 512, MEGA + 1, true, false },
	{ 3 * MEGA, 9000, 0, false, true },
	{ 3 * MEGA, 9000, 3 * MEGA, false, true },
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct row *row = &rows[i];
		char path[64];
		struct spill spill;
		int folder = open_folder(path), fd = -1;
		spill_init(&spill, row->folder ? folder : -1, UINT64_MAX, row->expected);
		add_octets(&spill, row->size, row->piece);
		assert_int_equal(spill.error, 0);
		assert_int_equal(spill.bytes, row->size);
		assert_int_equal(spill_open(&spill, &fd), 0);
		assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
		assert_int_equal(is_in_memory(fd), row->memory);
		check_octets(fd, row->size);
		struct stat found;
		assert_int_equal(fstat(fd, &found), 0);
		assert_int_equal(found.st_nlink, row->memory ? found.st_nlink : 0);
		close(fd);
		spill_done(&spill);
		/* nothing was left in it */
		assert_int_equal(rmdir(path), 0);
		close(folder);
	}
}

static void test_too_big(void **state)
{
	(void)state;
	struct spill spill;
	spill_init(&spill, -1, 1000, 0);
	add_octets(&spill, 1000, 100);
	assert_false(spill.too_big);
	add_octets(&spill, 1, 1);
	assert_true(spill.too_big);
	assert_int_equal(spill.fd, -1);
	add_octets(&spill, 500, 100);
	assert_int_equal(spill.bytes, 1501);
	assert_int_equal(spill.error, 0);
	spill_done(&spill);
}

/* The folder is gone, as a full disk would be: told at the end, and the octets are still counted.
 */
static void test_no_room(void **state)
{
	(void)state;
	char path[64];
	struct spill spill;
	int folder = open_folder(path);
	rmdir(path);
	spill_init(&spill, folder, UINT64_MAX, 0);
	add_octets(&spill, 3 * MEGA, 9000);
	assert_true(spill.error < 0);
	assert_false(spill.too_big);
	assert_int_equal(spill.bytes, 3 * MEGA);
	assert_int_equal(spill.fd, -1);
	spill_done(&spill);
	close(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_too_big),
		cmocka_unit_test(test_no_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
