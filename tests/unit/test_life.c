/* test_life.c: lives that begin, end, die, and are adopted. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include "daemon/courier/life.h"
#include "tests/unit/place.h"

#define KEY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

struct room {
	char path[64];
	int fd;
	struct spool spool;
	struct config config;
	struct share share;
};

static int set_up(void **state)
{
	static struct room room;
	char text[600], error[CONFIG_ERROR_MAX], why[SHARE_WHY_MAX];
	room.fd = place_make(room.path);
	static const char *const names[] = { "lives",   "publishing", "done",      "tries",
					     "folders", "shares",     "quarantine" };
	int *const fds[] = { &room.spool.lives_fd,     &room.spool.publishing_fd,
			     &room.spool.done_fd,      &room.spool.tries_fd,
			     &room.spool.folders_fd,   &room.spool.shares_fd,
			     &room.spool.quarantine_fd };
	for (size_t i = 0; i < 7; i++)
		*fds[i] = place_folder(room.fd, names[i]);
	close(place_folder(room.fd, "share"));
	snprintf(text, sizeof text, "[share]\npath = %s/share\n[route all]\n", room.path);
	if (config_load_text(text, "f", &room.config, error) != 0 ||
	    share_open(&room.config.rules.shares[0], room.spool.shares_fd, true, &room.share,
		       why) != 0)
		abort();
	*state = &room;
	return 0;
}

static int tear_down(void **state)
{
	struct room *room = *state;
	const int fds[] = { room->spool.lives_fd,     room->spool.publishing_fd,
			    room->spool.done_fd,      room->spool.tries_fd,
			    room->spool.folders_fd,   room->spool.shares_fd,
			    room->spool.quarantine_fd };
	for (size_t i = 0; i < 7; i++)
		close(fds[i]);
	share_close(&room->share);
	config_done(&room->config);
	place_remove(room->path, room->fd);
	return 0;
}

/* A life with a staged file and a plan for it, as a courier leaves it that dies before the rename.
 */
static struct life promise(const struct room *room, const char *job)
{
	struct plan_share share = { .path = (char *)(uintptr_t)room->config.rules.shares[0].path };
	char staged[32], name[PLAN_NAME_SIZE];
	struct plan_part part = { .staged = staged,
				  .folder = (char *)(uintptr_t) "",
				  .name = { "scan", "pdf" },
				  .folder_owner = { RULES_UNSET, RULES_UNSET, 0750 } };
	struct plan plan = {
		.shares = &share, .shares_count = 1, .parts = &part, .parts_count = 1
	};
	struct life life;
	int staging_fd, fd;
	assert_int_equal(life_begin(&room->spool, "run", &life), 0);
	assert_int_equal(life_open_staging(&room->share, life.name, true, &staging_fd), 0);
	snprintf(staged, sizeof staged, "%s.1", job);
	place_file(staging_fd, staged, "content");
	close(staging_fd);
	strcpy(share.id, room->share.id);
	strcpy(plan.key, KEY);
	strcpy(plan.job, job);
	plan_name(KEY, job, life.name, name);
	fd = openat(room->spool.publishing_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(plan_write(&plan, fd), 0);
	close(fd);
	return life;
}

static void test_begin_and_end(void **state)
{
	struct room *room = *state;
	struct life life;
	int fd;
	assert_int_equal(life_begin(&room->spool, "run", &life), 0);
	assert_true(place_has(room->spool.lives_fd, life.name));
	assert_int_equal(life_open_staging(&room->share, life.name, false, &fd), -ENOENT);
	assert_int_equal(life_open_staging(&room->share, life.name, true, &fd), 0);
	close(fd);
	assert_int_equal(life_adopt(&room->spool, &room->config, "run", life.name), -EWOULDBLOCK);
	life_end(&room->spool, &room->config, &life);
	assert_false(place_has(room->spool.lives_fd, life.name));
	assert_false(place_has(room->share.base_fd, life.name));
}

static void test_adopt(void **state)
{
	struct room *room = *state;
	struct life life = promise(room, "00000001");
	assert_int_equal(life_adopt_all(&room->spool, &room->config, "run"), 0);
	assert_false(place_has(room->share.root_fd, "scan.pdf"));
	life_abandon(&life);
	assert_int_equal(life_adopt_all(&room->spool, &room->config, "run"), 0);
	assert_true(place_has(room->share.root_fd, "scan.pdf"));
	assert_false(place_has(room->spool.lives_fd, life.name));
	assert_false(place_has(room->share.base_fd, life.name));
	assert_true(place_has(room->spool.done_fd, "01/" KEY ".00000001.0.l"));
}

/* What no plan promises is dropped; a torn plan promises nothing. */
static void test_torn(void **state)
{
	struct room *room = *state;
	char name[PLAN_NAME_SIZE];
	struct life life = promise(room, "00000001");
	plan_name(KEY, "00000001", life.name, name);
	int fd = openat(room->spool.publishing_fd, name, O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, 50), 0);
	close(fd);
	life_abandon(&life);
	assert_int_equal(life_adopt_all(&room->spool, &room->config, "run"), 0);
	assert_false(place_has(room->share.root_fd, "scan.pdf"));
	assert_false(place_has(room->spool.publishing_fd, name));
	assert_false(place_has(room->share.base_fd, life.name));
}

/* The share is away: the plan waits, and is rolled forward when it is back. */
static void test_away(void **state)
{
	struct room *room = *state;
	struct life life = promise(room, "00000001");
	life_abandon(&life);
	assert_int_equal(renameat(room->fd, "share", room->fd, "away"), 0);
	close(place_folder(room->fd, "share"));
	assert_int_equal(life_adopt_all(&room->spool, &room->config, "run"), 1);
	assert_true(place_has(room->spool.lives_fd, life.name));
	assert_int_equal(unlinkat(room->fd, "share", AT_REMOVEDIR), 0);
	assert_int_equal(renameat(room->fd, "away", room->fd, "share"), 0);
	assert_int_equal(life_adopt_all(&room->spool, &room->config, "run"), 0);
	assert_true(place_has(room->share.root_fd, "scan.pdf"));
}

/* Somebody removed our staging: the promise can't be kept, and no mark says that it was. */
static void test_staging_gone(void **state)
{
	struct room *room = *state;
	struct life life = promise(room, "00000001");
	char staged[64];
	snprintf(staged, sizeof staged, "%s/00000001.1", life.name);
	unlinkat(room->share.base_fd, staged, 0);
	unlinkat(room->share.base_fd, life.name, AT_REMOVEDIR);
	life_abandon(&life);
	assert_int_equal(life_adopt_all(&room->spool, &room->config, "run"), 0);
	assert_false(place_has(room->spool.done_fd, "01/" KEY ".00000001.0.l"));
}

/* The path of the share is no folder for a while: that is away, too. */
static void test_share_is_a_file(void **state)
{
	struct room *room = *state;
	struct life life = promise(room, "00000001");
	life_abandon(&life);
	assert_int_equal(renameat(room->fd, "share", room->fd, "away"), 0);
	place_file(room->fd, "share", "no folder");
	assert_int_equal(life_adopt_all(&room->spool, &room->config, "run"), 1);
	assert_int_equal(unlinkat(room->fd, "share", 0), 0);
	assert_int_equal(renameat(room->fd, "away", room->fd, "share"), 0);
	assert_int_equal(life_adopt_all(&room->spool, &room->config, "run"), 0);
	assert_true(place_has(room->share.root_fd, "scan.pdf"));
}

/* A plan whose life has lost its file is still a promise. */
static void test_plan_without_life(void **state)
{
	struct room *room = *state;
	struct life life = promise(room, "00000001");
	assert_int_equal(unlinkat(room->spool.lives_fd, life.name, 0), 0);
	life_abandon(&life);
	assert_int_equal(life_adopt_all(&room->spool, &room->config, "run"), 0);
	assert_true(place_has(room->share.root_fd, "scan.pdf"));
	assert_true(place_has(room->spool.done_fd, "01/" KEY ".00000001.0.l"));
	assert_false(place_has(room->spool.lives_fd, life.name));
}

/* After no other life could be begun the one that was left is nobody's to end. */
static void test_abandoned_is_not_ended(void **state)
{
	struct room *room = *state;
	struct life life = promise(room, "00000001");
	life_abandon(&life);
	life_end(&room->spool, &room->config, &life);
	assert_true(place_has(room->spool.lives_fd, life.name));
	assert_true(place_has(room->share.base_fd, life.name));
	assert_int_equal(life_adopt_all(&room->spool, &room->config, "run"), 0);
	assert_true(place_has(room->share.root_fd, "scan.pdf"));
}

/* A cut that ended the boss too is no message's fault. */
static void test_tries_of_another_run(void **state)
{
	struct room *room = *state;
	struct life life;
	const struct {
		const char *run;
		unsigned tries;
	} rows[] = { { "run", 0 }, { "other", 1 }, { LIFE_RUN_NONE, 2 } };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_int_equal(life_begin(&room->spool, rows[i].run, &life), 0);
		life_set_current(&life, KEY);
		life_abandon(&life);
		assert_int_equal(life_adopt_all(&room->spool, &room->config, "other"), 0);
		assert_int_equal(life_tries(&room->spool, KEY), rows[i].tries);
	}
}

/* What a thrown-away state left is removed after a day of the share's clock; nothing younger. */
static void test_sweep(void **state)
{
	struct room *room = *state;
	static const char old[] = "00000000000000aa", young[] = "00000000000000bb";
	const struct timespec times[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	int fd = place_folder(room->share.base_fd, old);
	place_file(fd, "00000001.1", "content");
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
	close(place_folder(room->share.base_fd, young));
	life_sweep(&room->spool, &room->config);
	assert_false(place_has(room->share.base_fd, old));
	assert_false(place_has(room->share.base_fd, "gone-00000000000000aa"));
	assert_false(place_has(room->share.base_fd, "gone-clock"));
	assert_true(place_has(room->share.base_fd, young));
}

static void test_tries(void **state)
{
	struct room *room = *state;
	struct life life;
	assert_int_equal(life_tries(&room->spool, KEY), 0);
	for (unsigned turn = 1; turn <= 3; turn++) {
		assert_int_equal(life_begin(&room->spool, "run", &life), 0);
		life_set_current(&life, KEY);
		life_abandon(&life);
		assert_int_equal(life_adopt_all(&room->spool, &room->config, "run"), 0);
		assert_int_equal(life_tries(&room->spool, KEY), turn);
	}
	assert_int_equal(life_begin(&room->spool, "run", &life), 0);
	life_set_current(&life, KEY);
	life_set_current(&life, "");
	life_abandon(&life);
	assert_int_equal(life_adopt_all(&room->spool, &room->config, "run"), 0);
	assert_int_equal(life_tries(&room->spool, KEY), 3);
	life_forget_tries(&room->spool, KEY);
	assert_int_equal(life_tries(&room->spool, KEY), 0);
}

/* Its courier died while it made a folder, out of sight. */
static void test_half_made_folder(void **state)
{
	struct room *room = *state;
	struct life life = promise(room, "00000001");
	char made[64];
	snprintf(made, sizeof made, "%s/0123456789abcdef", life.name);
	close(place_folder(room->share.base_fd, made));
	life_abandon(&life);
	assert_int_equal(life_adopt_all(&room->spool, &room->config, "run"), 0);
	assert_false(place_has(room->share.base_fd, life.name));
	assert_false(place_has(room->spool.lives_fd, life.name));
	assert_true(place_has(room->share.root_fd, "scan.pdf"));
}

static pid_t adopt_all_the_time(const struct room *room)
{
	pid_t pid = fork();
	while (pid == 0)
		life_adopt_all(&room->spool, &room->config, "run");
	return pid;
}

/* Another courier adopts in the moment between a life's file and its lock. */
static void test_begin_while_one_adopts(void **state)
{
	struct room *room = *state;
	pid_t pid = adopt_all_the_time(room);
	unsigned lost = 0;
	for (int i = 0; i < 3000; i++) {
		struct life life;
		assert_int_equal(life_begin(&room->spool, "run", &life), 0);
		lost += !place_has(room->spool.lives_fd, life.name);
		life_abandon(&life);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(lost, 0);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_begin_and_end),
		TEST(test_adopt),
		TEST(test_torn),
		TEST(test_away),
		TEST(test_staging_gone),
		TEST(test_tries),
		TEST(test_share_is_a_file),
		TEST(test_plan_without_life),
		TEST(test_abandoned_is_not_ended),
		TEST(test_tries_of_another_run),
		TEST(test_sweep),
		TEST(test_half_made_folder),
		TEST(test_begin_while_one_adopts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
