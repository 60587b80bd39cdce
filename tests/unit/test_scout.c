/* test_scout.c: a child goes first, and nobody waits longer than he said. */
#include "daemon/scout.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "daemon/fdio.h"

#define LIMIT_MS 300

static uint8_t say(const void *context)
{
	return *(const uint8_t *)context;
}

static uint8_t die(const void *context)
{
	(void)context;
	raise(SIGKILL);
	return 1;
}

static uint8_t hang(const void *context)
{
	(void)context;
	while (pause() < 0)
		;
	return 0;
}

static uint8_t has(const void *context)
{
	return fcntl(*(const int *)context, F_GETFD) >= 0;
}

static void test_says_what_it_saw(void **state)
{
	(void)state;
	static const uint8_t words[] = { 0, 1, 7, 255 };
	for (size_t i = 0; i < sizeof words; i++) {
		struct scout scout = { 0 };
		assert_int_equal(scout_send(&scout, say, &words[i]), 0);
		assert_int_equal(scout_hear(&scout, monotonic_ms() + 10000), words[i]);
		assert_int_equal(scout.pid, 0);
	}
}

static void test_dies(void **state)
{
	(void)state;
	struct scout scout = { 0 };
	assert_int_equal(scout_send(&scout, die, NULL), 0);
	assert_int_equal(scout_hear(&scout, monotonic_ms() + 10000), -EIO);
	assert_int_equal(scout_hear(&scout, -1), -EIO);
}

static void test_is_given_up(void **state)
{
	(void)state;
	struct scout scout = { 0 };
	int64_t before_ms = monotonic_ms();
	assert_int_equal(scout_send(&scout, hang, NULL), 0);
	pid_t pid = scout.pid;
	assert_int_equal(scout_hear(&scout, monotonic_ms() + LIMIT_MS), -ETIMEDOUT);
	assert_true(monotonic_ms() - before_ms < 10 * LIMIT_MS);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WTERMSIG(status), SIGKILL);
	/* it is back: another may go */
	const uint8_t word = 3;
	assert_int_equal(scout_send(&scout, say, &word), 0);
	assert_int_equal(scout_hear(&scout, monotonic_ms() + 10000), word);
}

static void test_that_is_stuck_stays_alone(void **state)
{
	(void)state;
	struct scout scout = { 0 };
	assert_int_equal(scout_send(&scout, hang, NULL), 0);
	pid_t pid = scout.pid;
	scout.lost = true; /* and SIGKILL could not end it */
	assert_int_equal(scout_send(&scout, hang, NULL), 0);
	assert_int_equal(scout.pid, pid);
	int64_t before_ms = monotonic_ms();
	assert_int_equal(scout_hear(&scout, monotonic_ms() + 60000), -ETIMEDOUT);
	assert_true(monotonic_ms() - before_ms < 30000);
	kill(pid, SIGKILL);
	scout_forget(&scout);
}

static void test_carries_nothing(void **state)
{
	(void)state;
	struct scout scout = { 0 };
	int fds[] = { 1, 2, open("/dev/null", O_RDONLY) };
	for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
		assert_int_equal(scout_send(&scout, has, &fds[i]), 0);
		assert_int_equal(scout_hear(&scout, monotonic_ms() + 10000), 0);
	}
	close(fds[2]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_says_what_it_saw),
		cmocka_unit_test(test_dies),
		cmocka_unit_test(test_is_given_up),
		cmocka_unit_test(test_that_is_stuck_stays_alone),
		cmocka_unit_test(test_carries_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
