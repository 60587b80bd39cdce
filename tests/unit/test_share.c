/* test_share.c: identity, and folders that can't be left. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include "daemon/courier/share.h"
#include "policy/rules.h"
#include "tests/unit/place.h"

struct room {
	char path[64], share_path[80];
	int fd, shares_fd;
	struct rules_share rules;
};

static int set_up(void **state)
{
	static struct room room;
	memset(&room, 0, sizeof room);
	room.fd = place_make(room.path);
	room.shares_fd = place_folder(room.fd, "shares");
	close(place_folder(room.fd, "share"));
	snprintf(room.share_path, sizeof room.share_path, "%s/share", room.path);
	room.rules.path = room.share_path;
	*state = &room;
	return 0;
}

static int tear_down(void **state)
{
	struct room *room = *state;
	close(room->shares_fd);
	place_remove(room->path, room->fd);
	return 0;
}

static int open_share(const struct room *room, bool make, struct share *share)
{
	char why[SHARE_WHY_MAX] = "";
	int error = share_open(&room->rules, room->shares_fd, make, share, why);
	assert_true(error == 0 || strlen(why) > 0);
	return error;
}

static void test_identity(void **state)
{
	struct room *room = *state;
	struct share share;
	char id[SHARE_ID_SIZE];
	assert_int_equal(open_share(room, false, &share), 0);
	assert_int_equal(share.base_fd, -1);
	share_close(&share);
	assert_false(place_has(room->fd, "share/.letterchute"));
	assert_int_equal(open_share(room, true, &share), 0);
	strcpy(id, share.id);
	share_close(&share);
	assert_int_equal(open_share(room, false, &share), 0);
	assert_string_equal(share.id, id);
	share_close(&share);
}

/* Gone; an empty folder in its place; another share in its place; and the old one back again. */
static void test_away(void **state)
{
	struct room *room = *state;
	struct share share;
	char why[SHARE_WHY_MAX];
	assert_int_equal(open_share(room, true, &share), 0);
	share_close(&share);
	assert_int_equal(renameat(room->fd, "share", room->fd, "away"), 0);
	assert_int_equal(open_share(room, true, &share), -ENOENT);
	close(place_folder(room->fd, "share"));
	assert_int_equal(open_share(room, true, &share), -ESTALE);
	assert_false(place_has(room->fd, "share/.letterchute"));
	close(place_folder(room->fd, "share/.letterchute"));
	place_file(room->fd, "share/.letterchute/id", "00112233445566778899aabbccddeeff\n");
	assert_int_equal(share_open(&room->rules, room->shares_fd, true, &share, why), -ESTALE);
	assert_non_null(strstr(why, "another share"));
	assert_non_null(strstr(share_remedy(-ESTALE), "--adopt"));
	assert_int_equal(share_forget(&room->rules, room->shares_fd), 0);
	assert_int_equal(open_share(room, true, &share), 0);
	assert_string_equal(share.id, "00112233445566778899aabbccddeeff");
	share_close(&share);
}

static void test_folders(void **state)
{
	struct room *room = *state;
	const struct share_owner owner = { RULES_UNSET, RULES_UNSET, 02750 };
	struct share share;
	struct stat found;
	unsigned made = 0;
	int fd;
	assert_int_equal(open_share(room, true, &share), 0);
	assert_int_equal(share_folder(&share, "a/b c", NULL, &fd, NULL), -ENOENT);
	assert_int_equal(share_folder(&share, "a/b c", &owner, &fd, &made), 0);
	assert_int_equal(made, 2);
	assert_int_equal(fstat(fd, &found), 0);
	assert_int_equal(found.st_mode & 07777, 02750);
	close(fd);
	made = 0;
	assert_int_equal(share_folder(&share, "a/b c/d", &owner, &fd, &made), 0);
	assert_int_equal(made, 1);
	close(fd);
	share_unmake_folder(&share, "a/b c/d", 1);
	assert_false(place_has(room->fd, "share/a/b c/d"));
	assert_true(place_has(room->fd, "share/a/b c"));
	/* what somebody has put something into stays */
	place_file(room->fd, "share/a/b c/file", "");
	share_unmake_folder(&share, "a/b c", 2);
	assert_true(place_has(room->fd, "share/a/b c"));
	assert_int_equal(share_folder(&share, "", NULL, &fd, NULL), 0);
	close(fd);
	share_close(&share);
}

/* A user of the share was there before us, or opened our folder to himself. */
static void test_not_ours_alone(void **state)
{
	struct room *room = *state;
	struct share share;
	char why[SHARE_WHY_MAX];
	close(place_folder(room->fd, "share/.letterchute"));
	assert_int_equal(fchmodat(room->fd, "share/.letterchute", 0777, 0), 0);
	assert_int_equal(share_open(&room->rules, room->shares_fd, true, &share, why),
			 -EKEYREJECTED);
	assert_non_null(strstr(why, "/share/.letterchute is not ours alone"));
	assert_false(place_has(room->fd, "share/.letterchute/id"));
	assert_int_equal(fchmodat(room->fd, "share/.letterchute", 0700, 0), 0);
	assert_int_equal(open_share(room, true, &share), 0);
	share_close(&share);
	assert_int_equal(fchmodat(room->fd, "share/.letterchute", 0710, 0), 0);
	assert_int_equal(open_share(room, true, &share), -EKEYREJECTED);
	assert_int_equal(fchmodat(room->fd, "share/.letterchute", 0700, 0), 0);
	if (geteuid() != 0)
		return;
	assert_int_equal(fchownat(room->fd, "share/.letterchute", 1234, 1234, 0), 0);
	assert_int_equal(open_share(room, true, &share), -EKEYREJECTED);
	assert_false(place_has(room->fd, "share/.letterchute/.trial"));
}

/* Another courier meets a share whose file system hangs. */
static void test_busy(void **state)
{
	struct room *room = *state;
	struct share share;
	int busy = openat(room->fd, "shares", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(busy, LOCK_EX), 0);
	alarm(60); /* it waited for ever */
	assert_int_equal(open_share(room, true, &share), -ETIMEDOUT);
	alarm(0);
	close(busy);
	assert_int_equal(open_share(room, true, &share), 0);
	/* who knows his share needs no lock */
	busy = openat(room->fd, "shares", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(busy, LOCK_EX), 0);
	share_close(&share);
	assert_int_equal(open_share(room, true, &share), 0);
	share_close(&share);
	close(busy);
}

static const char *const leaving[] = { "..",     "a/..", "a/../..", "link",
				       "link/x", "/etc", "a//b",    "file" };

static void test_leaving(void **state)
{
	struct room *room = *state;
	const struct share_owner owner = { RULES_UNSET, RULES_UNSET, 0750 };
	struct share share;
	int fd;
	assert_int_equal(open_share(room, true, &share), 0);
	close(place_folder(room->fd, "share/a"));
	place_file(room->fd, "share/file", "");
	assert_int_equal(symlinkat("/tmp", room->fd, "share/link"), 0);
	for (size_t i = 0; i < sizeof leaving / sizeof leaving[0]; i++) {
		print_message("%s\n", leaving[i]);
		assert_true(share_folder(&share, leaving[i], &owner, &fd, NULL) < 0);
	}
	assert_true(share_openat(share.root_fd, "../shares", O_RDONLY, 0, &fd) < 0);
	assert_true(share_openat(share.root_fd, "link", O_RDONLY, 0, &fd) < 0);
	share_close(&share);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_identity),       TEST(test_away), TEST(test_folders),
		TEST(test_not_ours_alone), TEST(test_busy), TEST(test_leaving),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
