/* test_marks.c: plans and marks that are held, free, settled and old. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include "daemon/courier/marks.h"
#include "daemon/courier/quarantine.h"
#include "daemon/keep.h"
#include "tests/unit/place.h"

#define KEY  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LIFE "00000000deadbeef"

struct room {
	char path[64];
	int fd, quarantine_fd;
	struct marks marks;
};

static int set_up(void **state)
{
	static struct room room;
	room.fd = place_make(room.path);
	room.marks.publishing_fd = place_folder(room.fd, "publishing");
	room.marks.done_fd = place_folder(room.fd, "done");
	room.quarantine_fd = place_folder(room.fd, "quarantine");
	*state = &room;
	return 0;
}

static int tear_down(void **state)
{
	struct room *room = *state;
	close(room->marks.publishing_fd);
	close(room->marks.done_fd);
	close(room->quarantine_fd);
	place_remove(room->path, room->fd);
	return 0;
}

static struct plan plan_of(uint64_t clock_s, enum plan_doubt doubt)
{
	struct plan plan = { .job = "0badcafe", .clock_s = clock_s, .doubt = doubt };
	memcpy(plan.key, KEY, sizeof plan.key);
	return plan;
}

/* A plan in publishing, held by the descriptor that is returned. */
static int add_plan(const struct room *room, const char *job)
{
	char name[PLAN_NAME_SIZE];
	plan_name(KEY, job, LIFE, name);
	place_file(room->marks.publishing_fd, name, "plan");
	int fd = openat(room->marks.publishing_fd, name, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	return fd;
}

static int make_mark(const struct room *room, uint64_t clock_s, enum plan_doubt doubt)
{
	struct plan plan = plan_of(clock_s, doubt);
	char name[PLAN_NAME_SIZE];
	int fd = add_plan(room, plan.job);
	plan_name(KEY, plan.job, LIFE, name);
	assert_int_equal(marks_make(&room->marks, name, &plan), 0);
	return fd;
}

static enum marks_found find(const struct room *room, int *fd_out, char *life)
{
	enum marks_found found;
	*fd_out = -1;
	assert_int_equal(marks_find(&room->marks, KEY, &found, fd_out, life), 0);
	return found;
}

static void test_nothing(void **state)
{
	char life[PLAN_LIFE_SIZE];
	int fd;
	assert_int_equal(find(*state, &fd, life), MARKS_NONE);
}

/* While the session lives, an equal message is another one. */
static void test_held_plan_and_mark(void **state)
{
	char life[PLAN_LIFE_SIZE];
	int fd, held = add_plan(*state, "00000001");
	assert_int_equal(find(*state, &fd, life), MARKS_NONE);
	close(held);
	assert_int_equal(find(*state, &fd, life), MARKS_PENDING);
	assert_string_equal(life, LIFE);
}

static void test_doubt_is_answered_once(void **state)
{
	char life[PLAN_LIFE_SIZE];
	int fd, second, held = make_mark(*state, 5, PLAN_DOUBT_LONG);
	assert_int_equal(find(*state, &fd, life), MARKS_NONE);
	close(held);
	assert_int_equal(find(*state, &fd, life), MARKS_DOUBT);
	assert_true(fd >= 0);
	/* the first retry holds it now: a second equal message is a new one */
	assert_int_equal(find(*state, &second, life), MARKS_NONE);
	close(fd);
	assert_int_equal(find(*state, &second, life), MARKS_DOUBT);
	close(second);
}

static void test_settle(void **state)
{
	struct room *room = *state;
	char life[PLAN_LIFE_SIZE];
	int fd, held = make_mark(room, 5, PLAN_DOUBT_LONG);
	assert_int_equal(marks_settle(&room->marks, held), 0);
	close(held);
	assert_int_equal(find(room, &fd, life), MARKS_NONE);
	assert_false(place_has(room->marks.done_fd, "01/" KEY ".0badcafe.5.l"));
}

/* What is no mark of ours settles nothing. */
static void test_settle_forged(void **state)
{
	struct room *room = *state;
	int held = make_mark(room, 5, PLAN_DOUBT_LONG);
	place_file(room->fd, KEY ".0badcafe.5.l", "forged");
	int forged = openat(room->fd, KEY ".0badcafe.5.l", O_RDONLY | O_CLOEXEC);
	assert_int_equal(marks_settle(&room->marks, forged), 0);
	assert_int_equal(marks_settle(&room->marks, room->fd), 0);
	assert_true(place_has(room->marks.done_fd, "01/" KEY ".0badcafe.5.l"));
	close(forged);
	close(held);
}

static const struct {
	const char *name;
	uint64_t made, now, keep;
	enum plan_doubt doubt;
	bool held, gone;
} ages[] = {
	{ "young", 100, 200, 1000, PLAN_DOUBT_LONG, false, false },
	{ "old", 100, 1101, 1000, PLAN_DOUBT_LONG, false, true },
	{ "old but held", 100, 5000, 1000, PLAN_DOUBT_LONG, true, false },
	{ "short, young", 100, 700, 86400, PLAN_DOUBT_SHORT, false, false },
	{ "short, old", 100, 701, 86400, PLAN_DOUBT_SHORT, false, true },
	{ "short, and the configuration is shorter", 100, 170, 60, PLAN_DOUBT_SHORT, false, true },
	{ "from a clock that was lost", 5000, 10, 1000, PLAN_DOUBT_LONG, false, false },
	{ "of a retry whose entry is gone, young", 100, 200, 1000, PLAN_DOUBT_RETRY, false, false },
	{ "of a retry whose entry is gone, old", 100, 1101, 1000, PLAN_DOUBT_RETRY, false, true },
};

static int age(const struct room *room, uint64_t clock_s, uint64_t keep_s)
{
	return marks_age(&room->marks, clock_s, keep_s, room->quarantine_fd);
}

static void test_age(void **state)
{
	struct room *room = *state;
	for (size_t i = 0; i < sizeof ages / sizeof ages[0]; i++) {
		int held = make_mark(room, ages[i].made, ages[i].doubt);
		print_message("%s\n", ages[i].name);
		if (!ages[i].held)
			close(held);
		assert_int_equal(age(room, ages[i].now, ages[i].keep), ages[i].gone);
		if (ages[i].held)
			close(held);
		age(room, UINT64_MAX, 0);
	}
}

/* Its entry stands for it: a retry that was killed is not forgotten before the next one. */
static void test_age_of_a_retry(void **state)
{
	struct room *room = *state;
	char id[ASIDE_ID_SIZE];
	place_file(room->fd, "message", "0123456789");
	auto_close int message_fd = openat(room->fd, "message", O_RDONLY | O_CLOEXEC);
	struct json *facts = json_object_new();
	assert_int_equal(
		quarantine_keep_message(room->quarantine_fd, 1000, KEY, facts, message_fd, id), 0);
	json_free(facts);
	close(make_mark(room, 100, PLAN_DOUBT_RETRY));
	assert_int_equal(age(room, UINT64_MAX, 1000), 0);
	auto_close int entry_fd = -1;
	assert_int_equal(aside_hold(room->quarantine_fd, id, &entry_fd), 0);
	assert_int_equal(aside_remove(room->quarantine_fd, id, entry_fd), 0);
	assert_int_equal(age(room, UINT64_MAX, 1000), 1);
	close(make_mark(room, 100, PLAN_DOUBT_LONG));
	assert_int_equal(age(room, UINT64_MAX, 1000), 1);
}

/* A clock that was lost: it starts from the newest of what there is, and all of it ages. */
static void test_newest(void **state)
{
	struct room *room = *state;
	assert_int_equal(marks_newest(&room->marks), 0);
	close(make_mark(room, 5000, PLAN_DOUBT_LONG));
	close(make_mark(room, 40, PLAN_DOUBT_SHORT));
	place_file(room->marks.done_fd, "01/nonsense", "");
	close(add_plan(room, "00000007")); /* torn */
	uint64_t clock_s = marks_newest(&room->marks);
	assert_int_equal(clock_s, 5000);
	assert_int_equal(age(room, clock_s, 1000), 1);
	assert_int_equal(age(room, clock_s + 1001, 1000), 1);
	/* a plan that is still to be rolled forward */
	struct plan plan = plan_of(7000, PLAN_DOUBT_LONG);
	char name[PLAN_NAME_SIZE];
	plan_name(KEY, plan.job, LIFE, name);
	int fd = openat(room->marks.publishing_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(plan_write(&plan, fd), 0);
	close(fd);
	assert_int_equal(marks_newest(&room->marks), 7000);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_nothing),
		TEST(test_held_plan_and_mark),
		TEST(test_doubt_is_answered_once),
		TEST(test_settle),
		TEST(test_settle_forged),
		TEST(test_age),
		TEST(test_age_of_a_retry),
		TEST(test_newest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
