/* test_prove.c: what of questions and answers is taken, and what becomes of a question whose prover
 * answers, dies or is silent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/prove.h"

static void validity(void **state)
{
	(void)state;
	struct prove_question question = { .kind = PROVE_MESSAGE };
	struct prove_answer answer = { .verdict = PROVE_SIGNED, .text = "signed by example.org" };
	assert_true(prove_question_valid(&question, sizeof question));
	assert_false(prove_question_valid(&question, sizeof question - 1));
	memset(question.domain, 'x', sizeof question.domain);
	assert_false(prove_question_valid(&question, sizeof question));
	question = (struct prove_question){ .kind = PROVE_LOOK + 1 };
	assert_false(prove_question_valid(&question, sizeof question));
	assert_true(prove_answer_valid(&answer, sizeof answer));
	assert_false(prove_answer_valid(&answer, sizeof answer + 1));
	answer.unsure = 2;
	assert_false(prove_answer_valid(&answer, sizeof answer));
	answer = (struct prove_answer){ .verdict = PROVE_DIED + 1 };
	assert_false(prove_answer_valid(&answer, sizeof answer));
	answer = (struct prove_answer){ .verdict = PROVE_NOTHING, .text = "a\nb" };
	assert_false(prove_answer_valid(&answer, sizeof answer));
	memset(answer.text, 'x', sizeof answer.text);
	assert_false(prove_answer_valid(&answer, sizeof answer));
}

/* What a prover does with one question after the other. */
enum act { ANSWER, LEAVE, RAVE, HANG };

static pid_t start_prover(const enum act *acts, size_t count, const struct prove_answer *answer,
			  int fd)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	for (size_t i = 0; i < count; i++) {
		struct prove_question question;
		int fds[2];
		size_t came = 2;
		receive_fds(fd, &question, sizeof question, fds, &came, 0);
		if (acts[i] == ANSWER)
			pass_fds(fds[0], answer, sizeof *answer, NULL, 0);
		else if (acts[i] == RAVE)
			pass_fds(fds[0], "x", 1, NULL, 0);
		else if (acts[i] == HANG)
			pause();
		close(fds[0]);
	}
	_exit(0);
}

static const struct {
	enum act acts[2];
	size_t count;
	struct prove_answer answer;
	enum prove_result result;
	const char *text;
	bool stopping;
} rows[] = {
	{ { ANSWER }, 1, { PROVE_SIGNED, 0, 0, "signed" }, PROVE_ANSWERED, "signed", false },
	{ { LEAVE, ANSWER }, 2, { PROVE_RELATED, 1, 0, "x" }, PROVE_ANSWERED, "x", false },
	{ { LEAVE, LEAVE }, 2, { 0 }, PROVE_KILLED, "the prover is gone", false },
	{ { LEAVE }, 0, { 0 }, PROVE_KILLED, "the prover can't be asked", false },
	{ { RAVE }, 1, { 0 }, PROVE_CRASHED, "the prover spoke nonsense", false },
	{ { HANG }, 1, { 0 }, PROVE_LATE, "the prover gave no answer in time", false },
	{ { HANG }, 1, { 0 }, PROVE_KILLED, "we are ending", true },
	{ { ANSWER },
	  1,
	  { PROVE_DIED, 0, SIGSYS, "" },
	  PROVE_CRASHED,
	  "the prover died of signal 31",
	  false },
	{ { ANSWER },
	  1,
	  { PROVE_DIED, 0, SIGABRT, "" },
	  PROVE_CRASHED,
	  "the prover died of signal 6",
	  false },
	{ { ANSWER },
	  1,
	  { PROVE_DIED, 0, SIGXCPU, "" },
	  PROVE_CRASHED,
	  "the prover died of signal 24",
	  false },
	{ { ANSWER },
	  1,
	  { PROVE_DIED, 0, SIGKILL, "" },
	  PROVE_KILLED,
	  "the prover died of signal 9",
	  false },
	{ { ANSWER },
	  1,
	  { PROVE_DIED, 0, SIGALRM, "" },
	  PROVE_KILLED,
	  "the prover died of signal 14",
	  false },
	{ { ANSWER },
	  1,
	  { PROVE_DIED, 0, 74 << 8, "" },
	  PROVE_KILLED,
	  "the prover ended with status 74",
	  false },
};

static void answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int pair[2];
		struct prove_answer answer;
		const struct prove_question question = { .kind = PROVE_LOOK,
							 .deadline_ms = monotonic_ms() + 300 };
		assert_int_equal(socket_pair(&pair[0], &pair[1]), 0);
		pid_t pid = start_prover(rows[i].acts, rows[i].count, &rows[i].answer, pair[1]);
		close(pair[1]);
		if (rows[i].count == 0)
			waitpid(pid, NULL, 0);
		const volatile sig_atomic_t stopping = rows[i].stopping;
		enum prove_result result = prove_ask(pair[0], &question, -1, &stopping, &answer);
		kill(pid, SIGKILL);
		close(pair[0]);
		if (result != rows[i].result || strcmp(answer.text, rows[i].text) != 0)
			fail_msg("row %zu: %d, %s", i, result, answer.text);
		assert_int_equal(answer.unsure, rows[i].answer.unsure);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(validity), cmocka_unit_test(answers) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
