/* test_folder.c: what is remembered of a destination folder, and when it is not believed. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <time.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "daemon/courier/folder.h"
#include "tests/unit/place.h"

struct room {
	char path[64];
	int fd, folders_fd, share_fd;
};

static int set_up(void **state)
{
	static struct room room;
	room.fd = place_make(room.path);
	room.folders_fd = place_folder(room.fd, "folders");
	room.share_fd = place_folder(room.fd, "share");
	*state = &room;
	return 0;
}

static int tear_down(void **state)
{
	struct room *room = *state;
	close(room->folders_fd);
	close(room->share_fd);
	place_remove(room->path, room->fd);
	return 0;
}

static struct folder lock(const struct room *room)
{
	struct folder folder;
	assert_int_equal(folder_lock(room->folders_fd, room->share_fd, &folder), 0);
	return folder;
}

static void test_names(void **state)
{
	struct room *room = *state;
	place_file(room->share_fd, "Scan.pdf", "");
	place_file(room->share_fd, "M\xC3\xA4rz.pdf", "");
	struct folder folder = lock(room);
	assert_true(folder_has(&folder, "Scan.pdf"));
	assert_true(folder_has(&folder, "SCAN.PDF"));
	assert_true(folder_has(&folder, "ma\xCC\x88rz.pdf"));
	assert_false(folder_has(&folder, "other.pdf"));
	folder_unlock(&folder);
}

/* What we add ourselves is remembered without reading the folder again; what others do is seen. */
static void test_changes(void **state)
{
	struct room *room = *state;
	struct folder folder = lock(room);
	place_file(room->share_fd, "ours.pdf", "");
	assert_int_equal(folder_add(&folder, "ours.pdf"), 0);
	folder_unlock(&folder);
	folder = lock(room);
	assert_true(folder_has(&folder, "ours.pdf"));
	folder_unlock(&folder);
	usleep(20000); /* a tick of the clock that the file system takes its times from */
	place_file(room->share_fd, "theirs.pdf", "");
	unlinkat(room->share_fd, "ours.pdf", 0);
	folder = lock(room);
	assert_true(folder_has(&folder, "theirs.pdf"));
	assert_false(folder_has(&folder, "ours.pdf"));
	folder_unlock(&folder);
}

static void test_counters(void **state)
{
	struct room *room = *state;
	struct place_name one = { "scan", "pdf" }, two = { "scan", "png" };
	struct folder folder = lock(room);
	assert_int_equal(folder_first(&folder, &one), 1);
	folder_set_first(&folder, &one, 7);
	folder_unlock(&folder);
	folder = lock(room);
	assert_int_equal(folder_first(&folder, &one), 7);
	assert_int_equal(folder_first(&folder, &two), 1);
	folder_unlock(&folder);
	/* somebody else was there: any number may be free again */
	usleep(20000);
	place_file(room->share_fd, "x", "");
	folder = lock(room);
	assert_int_equal(folder_first(&folder, &one), 1);
	folder_unlock(&folder);
}

static void test_growth(void **state)
{
	struct room *room = *state;
	struct folder folder = lock(room);
	char name[32];
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof name, "scan %d.pdf", i);
		place_file(room->share_fd, name, "");
		assert_int_equal(folder_add(&folder, name), 0);
	}
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof name, "SCAN %d.pdf", i);
		assert_true(folder_has(&folder, name));
	}
	assert_false(folder_has(&folder, "scan 3000.pdf"));
	folder_unlock(&folder);
}

/* Whoever dies with the lock in hand leaves a memory that nobody trusts. */
static void test_died_in_between(void **state)
{
	struct room *room = *state;
	struct folder folder = lock(room);
	folder_unlock(&folder);
	pid_t pid = fork();
	if (pid == 0) {
		folder_lock(room->folders_fd, room->share_fd, &folder);
		folder_add(&folder, "never.pdf");
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	folder = lock(room);
	assert_false(folder_has(&folder, "never.pdf"));
	folder_unlock(&folder);
}

/* A file of ours that somebody cut or filled with something else. */
static void test_damaged_memory(void **state)
{
	struct room *room = *state;
	char name[64];
	struct stat found;
	place_file(room->share_fd, "a.pdf", "");
	struct folder folder = lock(room);
	folder_unlock(&folder);
	assert_int_equal(fstat(room->share_fd, &found), 0);
	snprintf(name, sizeof name, "%llx-%llx", (unsigned long long)found.st_dev,
		 (unsigned long long)found.st_ino);
	for (off_t size = 0; size < 9000; size += 1000) {
		int fd = openat(room->folders_fd, name, O_RDWR | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(ftruncate(fd, size), 0);
		assert_int_equal(pwrite(fd, "garbage!garbage!", 16, 0), 16);
		close(fd);
		folder = lock(room);
		assert_true(folder_has(&folder, "A.PDF"));
		folder_unlock(&folder);
	}
}

static void name_of(const struct room *room, char name[64])
{
	struct stat found;
	assert_int_equal(fstat(room->share_fd, &found), 0);
	snprintf(name, 64, "%llx-%llx", (unsigned long long)found.st_dev,
		 (unsigned long long)found.st_ino);
}

static void make_old(const struct room *room, time_t seconds)
{
	struct timespec times[2] = { { .tv_sec = time(NULL) - seconds },
				     { .tv_sec = time(NULL) - seconds } };
	char name[64];
	name_of(room, name);
	assert_int_equal(utimensat(room->folders_fd, name, times, 0), 0);
}

/* Nobody uses it any more: it is forgotten, but not while somebody holds it. */
static void test_tidy(void **state)
{
	struct room *room = *state;
	char name[64];
	name_of(room, name);
	struct folder folder = lock(room);
	make_old(room, 90000);
	assert_int_equal(folder_tidy(room->folders_fd), 0);
	/* it is used again now */
	folder_unlock(&folder);
	assert_int_equal(folder_tidy(room->folders_fd), 0);
	make_old(room, 86000);
	assert_int_equal(folder_tidy(room->folders_fd), 0);
	assert_true(place_has(room->folders_fd, name));
	make_old(room, 90000);
	assert_int_equal(folder_tidy(room->folders_fd), 1);
	assert_false(place_has(room->folders_fd, name));
	folder = lock(room);
	folder_unlock(&folder);
}

/* Who waits for the lock of a memory that is forgotten takes the lock of the new one. */
static void test_tidy_while_one_waits(void **state)
{
	struct room *room = *state;
	char name[64];
	name_of(room, name);
	struct folder folder = lock(room);
	pid_t pid = fork();
	if (pid == 0) {
		struct folder other = FOLDER_INIT;
		munmap(folder.memory, folder.mapped);
		close(folder.memory_fd);
		int error = folder_lock(room->folders_fd, room->share_fd, &other);
		_exit(error || !place_has(room->folders_fd, name) ? 1 : 0);
	}
	usleep(200000);
	unlinkat(room->folders_fd, name, 0);
	folder_unlock(&folder);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void on_signal(int signal)
{
	(void)signal;
}

/* SIGTERM and SIGHUP come at any time, and end no wait for a lock. */
static void test_signal_while_one_waits(void **state)
{
	struct room *room = *state;
	struct folder folder = lock(room);
	pid_t pid = fork();
	if (pid == 0) {
		struct sigaction action = { .sa_handler = on_signal };
		struct folder other = FOLDER_INIT;
		sigaction(SIGTERM, &action, NULL);
		munmap(folder.memory, folder.mapped);
		close(folder.memory_fd);
		_exit(folder_lock(room->folders_fd, room->share_fd, &other) ? 1 : 0);
	}
	usleep(200000);
	kill(pid, SIGTERM);
	usleep(200000);
	folder_unlock(&folder);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_names),
		TEST(test_changes),
		TEST(test_counters),
		TEST(test_growth),
		TEST(test_died_in_between),
		TEST(test_damaged_memory),
		TEST(test_tidy),
		TEST(test_tidy_while_one_waits),
		TEST(test_signal_while_one_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
