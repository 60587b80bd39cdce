/* test_kept.c: what stays at its source is remembered once, whatever a crash tears. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/kept.h"

static char folder[] = "/tmp/test_kept.XXXXXX";
static int folder_fd;

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	assert_non_null(mkdtemp(folder));
	folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return folder_fd < 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlinkat(folder_fd, "office", 0);
	close(folder_fd);
	return rmdir(folder);
}

static struct kept_record record_of(uint64_t validity, uint32_t uid, const char *bytes)
{
	struct kept_record record = { .validity = validity, .uid = uid, .outcome = KEPT_DELIVERED };
	memcpy(record.sha256, bytes, strlen(bytes));
	return record;
}

static void append(uint64_t validity, uint32_t uid, const char *bytes)
{
	struct kept_record record = record_of(validity, uid, bytes);
	assert_int_equal(kept_append(folder_fd, "office", &record), 0);
}

static size_t count_records(void)
{
	struct kept kept;
	assert_int_equal(kept_read(folder_fd, "office", &kept), 0);
	size_t count = kept.count;
	kept_done(&kept);
	return count;
}

static void test_append(void **state)
{
	struct kept kept;
	(void)state;
	assert_int_equal(count_records(), 0);
	append(7, 1, "one");
	append(7, 2, "two");
	append(8, 1, "other");
	assert_int_equal(kept_read(folder_fd, "office", &kept), 0);
	assert_int_equal(kept.count, 3);
	assert_non_null(kept_find(&kept, 7, 2));
	assert_null(kept_find(&kept, 8, 2));
	assert_string_equal((const char *)kept_find(&kept, 8, 1)->sha256, "other");
	kept_done(&kept);
}

/* Cut at each octet of the last record, the others are there, and the next is whole. */
static void test_torn(void **state)
{
	(void)state;
	for (off_t cut = 1; cut < (off_t)sizeof(struct kept_record); cut++) {
		append(7, 1, "one");
		append(7, 2, "two");
		int fd = openat(folder_fd, "office", O_RDWR | O_CLOEXEC);
		assert_int_equal(ftruncate(fd, 2 * (off_t)sizeof(struct kept_record) - cut), 0);
		close(fd);
		assert_int_equal(count_records(), 1);
		append(7, 3, "three");
		assert_int_equal(count_records(), 2);
		unlinkat(folder_fd, "office", 0);
	}
}

/* A record that a disk has spoiled is passed over. */
static void test_spoiled(void **state)
{
	(void)state;
	for (size_t octet = 0; octet < sizeof(struct kept_record); octet++) {
		append(7, 1, "one");
		append(7, 2, "two");
		int fd = openat(folder_fd, "office", O_RDWR | O_CLOEXEC);
		char was;
		assert_int_equal(pread(fd, &was, 1, (off_t)octet), 1);
		was ^= 0x40;
		assert_int_equal(pwrite(fd, &was, 1, (off_t)octet), 1);
		close(fd);
		assert_int_equal(count_records(), 1);
		unlinkat(folder_fd, "office", 0);
	}
}

/* Under a new UIDVALIDITY each message of the old one is known once. */
static void test_bytes(void **state)
{
	struct kept kept;
	(void)state;
	append(7, 1, "alarm");
	append(7, 2, "alarm");
	append(7, 3, "scan");
	append(8, 1, "alarm");
	assert_int_equal(kept_read(folder_fd, "office", &kept), 0);
	assert_non_null(kept_find_bytes(&kept, 8, record_of(0, 0, "alarm").sha256));
	assert_non_null(kept_find_bytes(&kept, 8, record_of(0, 0, "scan").sha256));
	assert_null(kept_find_bytes(&kept, 8, record_of(0, 0, "new").sha256));
	assert_null(kept_find_bytes(&kept, 7, record_of(0, 0, "scan").sha256));
	kept_done(&kept);
	append(8, 2, "alarm");
	assert_int_equal(kept_read(folder_fd, "office", &kept), 0);
	assert_null(kept_find_bytes(&kept, 8, record_of(0, 0, "alarm").sha256));
	kept_done(&kept);
	/* a third UIDVALIDITY: the second says how many there are */
	assert_int_equal(kept_read(folder_fd, "office", &kept), 0);
	assert_non_null(kept_find_bytes(&kept, 9, record_of(0, 0, "alarm").sha256));
	kept_done(&kept);
}

static void test_compact(void **state)
{
	static const uint32_t listed[] = { 2, 5 };
	struct kept kept;
	(void)state;
	append(6, 1, "old");
	append(7, 1, "gone");
	append(7, 2, "stays");
	append(7, 2, "stays, decided again");
	append(7, 5, "stays too");
	assert_int_equal(kept_compact(folder_fd, "office", 7, 5, listed, 2), 0);
	assert_int_equal(kept_read(folder_fd, "office", &kept), 0);
	assert_int_equal(kept.count, 3);
	assert_non_null(kept_find(&kept, 6, 1));
	assert_null(kept_find(&kept, 7, 1));
	assert_string_equal((const char *)kept_find(&kept, 7, 2)->sha256, "stays, decided again");
	kept_done(&kept);
	append(7, 6, "new");
	assert_int_equal(count_records(), 4);
	/* who compacts may be slower than who delivers */
	assert_int_equal(kept_compact(folder_fd, "office", 7, 5, listed, 1), 0);
	assert_int_equal(kept_read(folder_fd, "office", &kept), 0);
	assert_null(kept_find(&kept, 7, 5));
	assert_non_null(kept_find(&kept, 7, 6));
	kept_done(&kept);
}

/* Two equal messages at once can't both be the one that there was; each place is known for ever. */
static void test_claim(void **state)
{
	struct kept_record first = record_of(8, 1, "alarm"), second = record_of(8, 2, "alarm");
	bool known = false;
	(void)state;
	append(7, 1, "alarm");
	first.outcome = second.outcome = 0;
	assert_int_equal(kept_claim(folder_fd, "office", &first, &known), 0);
	assert_true(known);
	assert_int_equal(first.outcome, KEPT_DELIVERED);
	assert_int_equal(kept_claim(folder_fd, "office", &second, &known), 0);
	assert_false(known);
	assert_int_equal(count_records(), 2);
	assert_int_equal(kept_claim(folder_fd, "office", &first, &known), 0);
	assert_true(known);
	assert_int_equal(count_records(), 2);
}

/* What was refused is known as long as the rules are the same. */
static void test_claim_refused(void **state)
{
	struct kept_record record = record_of(7, 1, "bad");
	bool known = false;
	(void)state;
	record.outcome = KEPT_REFUSED;
	record.revision = 1;
	assert_int_equal(kept_append(folder_fd, "office", &record), 0);
	assert_int_equal(kept_claim(folder_fd, "office", &record, &known), 0);
	assert_true(known);
	record.revision = 2;
	assert_int_equal(kept_claim(folder_fd, "office", &record, &known), 0);
	assert_false(known);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_append, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_torn, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_spoiled, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_bytes, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_compact, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_claim, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_claim_refused, make_folder, remove_folder),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
