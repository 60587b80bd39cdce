/* test_errand.c: each question is answered once, whatever happens to the couriers. */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/errand.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"

static struct errands errands;
static int couriers_fd;

/* What a courier has in hand. */
static struct taken {
	union {
		struct ask_head head;
		char room[ASK_MAX];
	} question;
	int fds[2]; /* the message or mark, and where the answer goes */
} taken;

static int set_up(void **state)
{
	int pair[2];
	(void)state;
	if (socket_pair(&pair[0], &pair[1]) != 0)
		return 1;
	errands_init(&errands, pair[0]);
	couriers_fd = pair[1];
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	errands_done(&errands);
	close(errands.ask_fd);
	close(couriers_fd);
	return 0;
}

static int file_of(const char *text)
{
	int fd = -1;
	assert_int_equal(memory_file("message", &fd), 0);
	assert_int_equal(write_all(fd, text, strlen(text)), 0);
	return fd;
}

static void ask(uint64_t uid)
{
	const struct ask_head head = { .kind = ASK_DELIVER, .place = { 7, uid }, .bytes = 3 };
	assert_int_equal(errands_ask(&errands, &head, file_of("one")), 0);
}

static bool take(void)
{
	size_t count = 2;
	struct ask ask;
	ssize_t size = receive_fds(couriers_fd, &taken.question, sizeof taken.question, taken.fds,
				   &count, MSG_DONTWAIT);
	if (size < 0)
		return false;
	assert_int_equal(count, 2);
	assert_true(ask_read(&taken.question, (size_t)size, &ask));
	return true;
}

static void drop(void)
{
	close_fd(&taken.fds[0]);
	close_fd(&taken.fds[1]);
}

static void say(enum ask_answer_kind kind, enum reason reason, const int *mark)
{
	const struct ask_answer answer = { .kind = kind, .reason = reason };
	assert_int_equal(pass_fds_now(taken.fds[1], &answer, sizeof answer, mark, mark ? 1 : 0), 0);
}

static bool hear(struct errand_end *end_out)
{
	return errands_take(&errands, monotonic_ms() + 20, -1, end_out);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* How an errand ends, by what its courier says. */
static void test_ends(void **state)
{
	static const struct {
		bool promises;
		enum ask_answer_kind kind;
		enum reason reason;
		bool mark, message, unknown;
	} rows[] = {
		{ true, ASK_FINAL, REASON_NONE, true, false, false },
		{ false, ASK_FINAL, REASON_NONE, false, false, false },
		{ false, ASK_FINAL, REASON_TYPE, false, false, false },
		{ true, ASK_FINAL, REASON_TYPE, false, false, false },
		{ true, ASK_FINAL, REASON_SHARE, false, true, false },
		{ false, ASK_FINAL, REASON_SHARE, false, true, false },
		{ false, ASK_UNKNOWN, REASON_NONE, false, false, true },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct errand_end end;
		int mark = file_of("mark");
		const uint64_t place[2] = { 7, 5 };
		ask(5);
		assert_true(errands_have(&errands, place, ""));
		assert_true(take());
		assert_false(hear(&end));
		if (rows[i].promises) {
			say(ASK_PROMISED, REASON_NONE, &mark);
			assert_false(hear(&end));
		}
		say(rows[i].kind, rows[i].reason, NULL);
		assert_true(hear(&end));
		assert_int_equal(end.head.place[1], 5);
		assert_int_equal(end.reason, rows[i].reason);
		assert_int_equal(end.mark_fd >= 0, rows[i].mark);
		assert_int_equal(end.message_fd >= 0, rows[i].message);
		assert_int_equal(end.unknown, rows[i].unknown);
		assert_int_equal(errands_count(&errands), 0);
		assert_false(errands_have(&errands, place, ""));
		close_fd(&end.mark_fd);
		close_fd(&end.message_fd);
		close(mark);
		drop();
	}
}

/* Nonsense is as good as death. The mark of one that died is let go before the next is asked. */
static void test_deaths(void **state)
{
	struct errand_end end;
	(void)state;
	for (int nonsense = 0; nonsense < 2; nonsense++) {
		int mark = file_of("mark");
		ask(5);
		assert_true(take());
		say(ASK_PROMISED, REASON_NONE, &mark);
		assert_false(hear(&end));
		int held = errands.list[0].mark_fd;
		assert_true(is_open(held));
		if (nonsense)
			say(ASK_SETTLED, REASON_NONE, NULL);
		drop();
		assert_false(hear(&end));
		assert_int_equal(errands.list[0].mark_fd, -1);
		assert_true(take());
		assert_int_equal(taken.question.head.place[1], 5);
		drop();
		assert_true(hear(&end));
		assert_int_equal(end.reason, REASON_IO);
		assert_true(end.message_fd >= 0);
		assert_int_equal(end.mark_fd, -1);
		assert_int_equal(errands_count(&errands), 0);
		assert_false(take());
		close(end.message_fd);
		close(mark);
	}
}

/* A promise gives more time; without a word it runs out. */
static void test_silence(void **state)
{
	struct errand_end end;
	int64_t soon_ms = monotonic_ms() + 10;
	(void)state;
	ask(5);
	assert_true(take());
	errands.list[0].limit_ms = soon_ms;
	say(ASK_PROMISED, REASON_NONE, NULL);
	assert_false(hear(&end));
	assert_true(errands.list[0].limit_ms > soon_ms + 1000);
	errands.list[0].limit_ms = soon_ms;
	assert_true(errands_take(&errands, monotonic_ms() + 5000, -1, &end));
	assert_int_equal(end.reason, REASON_DEADLINE);
	assert_true(monotonic_ms() < soon_ms + 4000);
	close(end.message_fd);
	drop();
}

/* So many at a time, or so many octets; one alone always. None is lost for one too many. */
static void test_window(void **state)
{
	const struct ask_head head = { .kind = ASK_DELIVER, .place = { 7, 9 } };
	struct errand_end end;
	(void)state;
	assert_true(errands_have_room(&errands, (uint64_t)1 << 40));
	for (uint64_t uid = 1; uid <= ERRANDS_MAX; uid++) {
		assert_true(errands_have_room(&errands, 1));
		assert_false(errands_have_room(&errands, ERRANDS_BYTES) && uid > 1);
		ask(uid);
	}
	assert_false(errands_have_room(&errands, 1));
	int fd = file_of("late");
	assert_int_equal(errands_ask(&errands, &head, fd), -EBUSY);
	assert_false(is_open(fd));
	for (uint64_t uid = 1; uid <= ERRANDS_MAX; uid++) {
		assert_true(take());
		assert_int_equal(taken.question.head.place[1], uid);
		say(ASK_FINAL, REASON_NONE, NULL);
		assert_true(hear(&end));
		assert_int_equal(end.head.place[1], uid);
		drop();
	}
}

/* Who is wanted does not wait; what is there already is heard all the same. */
static void test_wake(void **state)
{
	struct errand_end end;
	int wake[2];
	(void)state;
	assert_int_equal(pipe2(wake, O_CLOEXEC), 0);
	assert_int_equal(write(wake[1], "x", 1), 1);
	ask(5);
	int64_t before_ms = monotonic_ms();
	assert_false(errands_take(&errands, before_ms + 5000, wake[0], &end));
	assert_true(monotonic_ms() < before_ms + 4000);
	assert_true(take());
	say(ASK_FINAL, REASON_NONE, NULL);
	assert_true(errands_take(&errands, 0, wake[0], &end));
	assert_false(errands_take(&errands, before_ms + 5000, -1, &end));
	drop();
	close(wake[0]);
	close(wake[1]);
}

static void test_settle(void **state)
{
	char text[8] = "";
	(void)state;
	int mark = file_of("mark");
	errand_settle(&errands, mark);
	assert_false(is_open(mark));
	assert_true(take());
	assert_int_equal(taken.question.head.kind, ASK_SETTLE);
	assert_int_equal(pread(taken.fds[0], text, sizeof text, 0), 4);
	assert_string_equal(text, "mark");
	drop();
}

static void test_compact(void **state)
{
	const uint32_t uids[] = { 3, 5 };
	uint32_t came[3];
	(void)state;
	errands_compact(&errands, 7, 9, uids, 2);
	assert_true(take());
	assert_int_equal(taken.question.head.kind, ASK_COMPACT);
	assert_int_equal(taken.question.head.place[0], 7);
	assert_int_equal(taken.question.head.place[1], 9);
	assert_int_equal(pread(taken.fds[0], came, sizeof came, 0), sizeof uids);
	assert_memory_equal(came, uids, sizeof uids);
	drop();
}

/* Nobody takes anything: neither is waited for. */
static void test_nobody_hears(void **state)
{
	(void)state;
	for (int i = 0; i < 2000; i++)
		errand_settle(&errands, file_of("mark"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_deaths, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_silence, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_window, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_wake, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_settle, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_compact, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nobody_hears, set_up, tear_down),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
