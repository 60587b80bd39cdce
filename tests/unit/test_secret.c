/* test_secret.c: a secret comes to who asked for it, in time, and once. */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/secret.h"

static struct secret_answer said, heard;
static int pair[2];

static int set_up(void **state)
{
	(void)state;
	said = (struct secret_answer){ .kind = SECRET_PASSWORD, .text = "word" };
	return socket_pair(&pair[0], &pair[1]);
}

static int tear_down(void **state)
{
	(void)state;
	close(pair[0]);
	close(pair[1]);
	return 0;
}

/* Asks while a child answers what is in `said`, so many octets of it. */
static int ask(size_t size)
{
	pid_t pid = fork();
	struct secret_question question;
	if (pid == 0) {
		wait_readable(pair[1], -1);
		if (secret_take(pair[1], &question) != 0 || question.refused != 1)
			_exit(1);
		_exit(pass_fds_now(pair[1], &said, size, NULL, 0) != 0);
	}
	int status, error = secret_ask(pair[0], true, monotonic_ms() + 5000, -1, &heard);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return error;
}

static void test_answers(void **state)
{
	(void)state;
	/* a late answer to somebody before is not ours */
	snprintf(said.text, sizeof said.text, "stale");
	assert_int_equal(secret_give(pair[1], &said), 0);
	snprintf(said.text, sizeof said.text, "word");
	assert_int_equal(ask(sizeof said), 0);
	assert_int_equal(heard.kind, SECRET_PASSWORD);
	assert_string_equal(heard.text, "word");
}

static void test_nonsense(void **state)
{
	(void)state;
	assert_int_equal(ask(sizeof said - 1), -EPIPE);
	said.kind = 0;
	assert_int_equal(ask(sizeof said), -EPIPE);
	said.kind = SECRET_NEVER + 1;
	assert_int_equal(ask(sizeof said), -EPIPE);
	said.kind = SECRET_NEVER;
	memset(said.text, 'x', sizeof said.text);
	assert_int_equal(ask(sizeof said), -EPIPE);
}

static void test_nobody(void **state)
{
	int wake[2];
	struct secret_question question;
	(void)state;
	assert_int_equal(pipe2(wake, O_CLOEXEC), 0);
	assert_int_equal(secret_take(pair[1], &question), -EPIPE);
	assert_int_equal(secret_ask(pair[0], false, monotonic_ms() + 50, wake[0], &heard),
			 -ETIMEDOUT);
	assert_int_equal(write(wake[1], "x", 1), 1);
	assert_int_equal(secret_ask(pair[0], false, monotonic_ms() + 5000, wake[0], &heard),
			 -EINTR);
	close(pair[1]);
	pair[1] = -1;
	assert_int_equal(secret_ask(pair[0], false, monotonic_ms() + 5000, -1, &heard), -EPIPE);
	close(wake[0]);
	close(wake[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_answers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nonsense, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nobody, set_up, tear_down),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
