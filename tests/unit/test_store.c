/* test_store.c: tokens are read as they were written, and a record that is not whole is none. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/token/store.h"

static char folder[] = "/tmp/test_store.XXXXXX";
static int folder_fd;
static struct store_record written, found;

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	assert_non_null(mkdtemp(folder));
	folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	memset(&written, 0, sizeof written);
	memset(&found, 0, sizeof found);
	strcpy(written.refresh, "1//r\"\\ ");
	strcpy(written.access, "a");
	strcpy(written.account, "0123");
	written.had_ms = 1;
	written.until_ms = INT64_C(1) << 50;
	return folder_fd < 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlinkat(folder_fd, "office", 0);
	unlinkat(folder_fd, "office~lock", 0);
	close(folder_fd);
	return rmdir(folder);
}

static void test_write(void **state)
{
	struct stat status;
	(void)state;
	assert_int_equal(store_read(folder_fd, "office", &found), -ENOENT);
	assert_int_equal(store_write(folder_fd, "office", &written), 0);
	assert_int_equal(store_read(folder_fd, "office", &found), 0);
	assert_memory_equal(&found, &written, sizeof found);
	assert_int_equal(fstatat(folder_fd, "office", &status, 0), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
}

/* Each octet of a token may have to be written as two. */
static void test_longest(void **state)
{
	(void)state;
	memset(written.refresh, '"', sizeof written.refresh - 1);
	memset(written.access, '\\', sizeof written.access - 1);
	assert_int_equal(store_write(folder_fd, "office", &written), 0);
	assert_int_equal(store_read(folder_fd, "office", &found), 0);
	assert_memory_equal(&found, &written, sizeof found);
}

static void put(const char *text, size_t size)
{
	assert_int_equal(write_file_at(folder_fd, "office", text, size, 0600), 0);
}

static void test_torn(void **state)
{
	char *text = NULL;
	size_t size = 0;
	(void)state;
	assert_int_equal(store_write(folder_fd, "office", &written), 0);
	assert_int_equal(read_file_at(folder_fd, "office", 4096, &text, &size), 0);
	for (size_t length = 0; length < size; length++) {
		put(text, length);
		assert_int_equal(store_read(folder_fd, "office", &found), -EBADMSG);
	}
	/* as some file systems leave it */
	memset(text, 0, size);
	put(text, size);
	assert_int_equal(store_read(folder_fd, "office", &found), -EBADMSG);
	assert_int_equal(found.until_ms, 0);
	free(text);
}

static void test_foreign(void **state)
{
	static const char *const texts[] = {
		"[]", "{}", "{\"version\":2}", "1",
		"{\"version\":1,\"refresh\":\"r\",\"access\":1,\"account\":\"\",\"seed\":\"\"}"
	};
	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		put(texts[i], strlen(texts[i]));
		assert_int_equal(store_read(folder_fd, "office", &found), -EBADMSG);
	}
}

static void test_link(void **state)
{
	(void)state;
	assert_int_equal(symlinkat("/etc/hostname", folder_fd, "office"), 0);
	assert_int_equal(store_read(folder_fd, "office", &found), -ELOOP);
	assert_int_equal(store_write(folder_fd, "office", &written), 0);
	assert_int_equal(store_read(folder_fd, "office", &found), 0);
}

static void test_lock(void **state)
{
	int one = -1, other = -1;
	(void)state;
	assert_int_equal(store_lock(folder_fd, "office", 0, &one), 0);
	assert_int_equal(store_lock(folder_fd, "office", monotonic_ms() + 100, &other),
			 -EWOULDBLOCK);
	close(one);
	assert_int_equal(store_lock(folder_fd, "office", 0, &other), 0);
	close(other);
}

static void test_reserve(void **state)
{
	(void)state;
	assert_int_equal(store_reserve(folder_fd, "office"), 0);
	assert_int_equal(store_reserve(folder_fd, "office"), 0);
	store_release(folder_fd, "office");
	store_release(folder_fd, "office");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
	const struct CMUnitTest tests[] = {
		TEST(test_write), TEST(test_longest), TEST(test_torn),    TEST(test_foreign),
		TEST(test_link),  TEST(test_lock),    TEST(test_reserve),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
