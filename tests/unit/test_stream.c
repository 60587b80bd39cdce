/* test_stream.c: nobody makes us wait for ever. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/stream.h"

static struct stream stream;
static int server_fd, wake[2];

static int set_up(void **state)
{
	int pair[2];
	(void)state;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
	    pipe2(wake, O_CLOEXEC) < 0 || fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0)
		return 1;
	stream_init(&stream, wake[0]);
	stream.fd = pair[0];
	server_fd = pair[1];
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	stream_done(&stream);
	close_fd(&server_fd);
	close(wake[0]);
	close(wake[1]);
	return 0;
}

static void say(const char *text)
{
	assert_int_equal(write(server_fd, text, strlen(text)), strlen(text));
}

static void test_read(void **state)
{
	char buffer[8];
	(void)state;
	stream_allow(&stream, 1000, 100);
	say("abcdefghij");
	assert_int_equal(stream_read(&stream, buffer, 8), 8);
	assert_memory_equal(buffer, "abcdefgh", 8);
	assert_int_equal(stream_read(&stream, buffer, 8), 2);
	assert_int_equal(stream.budget, 90);
	assert_int_equal(stream.end, STREAM_OPEN);
	assert_int_equal(stream_write(&stream, "hello", 5), 5);
	assert_int_equal(read(server_fd, buffer, 8), 5);
}

/* More than is allowed is not even taken. */
static void test_budget(void **state)
{
	char buffer[8];
	(void)state;
	stream_allow(&stream, 1000, 3);
	say("abcdef");
	assert_int_equal(stream_read(&stream, buffer, 8), 3);
	assert_int_equal(stream_read(&stream, buffer, 8), -1);
	assert_int_equal(stream.end, STREAM_TOO_MUCH);
	stream_allow(&stream, 1000, 100);
	assert_int_equal(stream_read(&stream, buffer, 8), -1);
}

static void test_late(void **state)
{
	char octet;
	(void)state;
	int64_t before_ms = monotonic_ms();
	stream_allow(&stream, 100, 100);
	assert_int_equal(stream_read(&stream, &octet, 1), -1);
	assert_int_equal(stream.end, STREAM_LATE);
	assert_in_range(monotonic_ms() - before_ms, 90, 2000);
}

/* An octet now and then is no reason to wait longer. */
static void test_drip(void **state)
{
	char octet;
	int count = 0;
	(void)state;
	pid_t pid = fork();
	while (pid == 0) {
		nap_ms(20);
		if (write(server_fd, "x", 1) != 1)
			_exit(0);
	}
	int64_t before_ms = monotonic_ms();
	stream_allow(&stream, 300, 1000);
	while (stream_read(&stream, &octet, 1) == 1)
		count++;
	assert_int_equal(stream.end, STREAM_LATE);
	assert_in_range(monotonic_ms() - before_ms, 290, 3000);
	assert_true(count > 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Who takes nothing is not waited for either. */
static void test_not_taken(void **state)
{
	static char much[4 << 20];
	(void)state;
	stream_allow(&stream, 100, 100);
	assert_int_equal(stream_write(&stream, much, sizeof much), -1);
	assert_int_equal(stream.end, STREAM_LATE);
}

/* An end, and a reset: the other side goes with something unread. */
static void test_closed(void **state)
{
	char octet;
	(void)state;
	for (int reset = 0; reset < 2; reset++) {
		if (reset)
			assert_int_equal(set_up(NULL), 0);
		stream_allow(&stream, 1000, 100);
		if (reset)
			assert_int_equal(stream_write(&stream, "x", 1), 1);
		close_fd(&server_fd);
		assert_true(stream_wait(&stream, monotonic_ms() + 1000));
		assert_int_equal(stream_read(&stream, &octet, 1), -1);
		assert_int_equal(stream.end, STREAM_CLOSED);
		assert_int_equal(stream_write(&stream, "x", 1), -1);
		if (!reset)
			tear_down(NULL);
	}
}

static void test_write_closed(void **state)
{
	(void)state;
	stream_allow(&stream, 1000, 100);
	close_fd(&server_fd);
	assert_int_equal(stream_write(&stream, "x", 1), -1);
	assert_int_equal(stream.end, STREAM_CLOSED);
}

/* Who was woken may go on with a command of his own. */
static void test_wake(void **state)
{
	char octet;
	(void)state;
	assert_int_equal(write(wake[1], "x", 1), 1);
	stream_allow(&stream, 5000, 100);
	assert_int_equal(stream_read(&stream, &octet, 1), -1);
	assert_int_equal(stream.end, STREAM_WOKEN);
	stream_allow(&stream, 5000, 100);
	stream.wake_fd = -1;
	say("y");
	assert_int_equal(stream_read(&stream, &octet, 1), 1);
}

static void test_wait(void **state)
{
	(void)state;
	stream_allow(&stream, 1000, 100);
	int64_t before_ms = monotonic_ms();
	assert_false(stream_wait(&stream, before_ms + 50));
	assert_int_equal(stream.end, STREAM_OPEN);
	assert_in_range(monotonic_ms() - before_ms, 45, 2000);
	/* a time that is over is one look */
	assert_false(stream_wait(&stream, before_ms));
	say("x");
	assert_true(stream_wait(&stream, before_ms));
	assert_int_equal(write(wake[1], "x", 1), 1);
	assert_false(stream_wait(&stream, before_ms + 5000));
	assert_int_equal(stream.end, STREAM_WOKEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_budget, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_late, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_drip, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_taken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_closed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_write_closed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_wake, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_wait, set_up, tear_down),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
