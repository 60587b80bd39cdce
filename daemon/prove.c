/* prove.c: asks the prover. Never judges what it says. */
#include "daemon/prove.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/role.h"
#include "policy/value.h"

#define TRIES   2   /* a prover may be killed over the question */
#define LOOK_MS 200 /* between looks whether we are to end */

static bool ends_inside(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

bool prove_question_valid(const void *message, size_t size)
{
	const struct prove_question *question = message;
	return size == sizeof *question && question->kind >= PROVE_MESSAGE &&
	       question->kind <= PROVE_LOOK &&
	       ends_inside(question->domain, sizeof question->domain);
}

bool prove_answer_valid(const void *message, size_t size)
{
	const struct prove_answer *answer = message;
	return size == sizeof *answer && answer->verdict >= PROVE_NOTHING &&
	       answer->verdict <= PROVE_DIED && answer->unsure <= 1 &&
	       ends_inside(answer->text, sizeof answer->text) && value_is_printable(answer->text);
}

static int send_question(int prover_fd, const struct prove_question *question, int message_fd,
			 int *ours_out)
{
	auto_close int ours = -1, theirs = -1;
	int error = socket_pair(&ours, &theirs);
	if (error)
		return error;
	const int fds[] = { theirs, message_fd };
	/* where so many wait already that it can't be said, nobody waits for longer than this */
	error = pass_fds_now(prover_fd, question, sizeof *question, fds, message_fd < 0 ? 1 : 2);
	if (!error)
		*ours_out = take_fd(&ours);
	return error;
}

/* 0, -ETIMEDOUT or -ECANCELED. */
static int await_answer(int fd, int64_t deadline_ms, const volatile sig_atomic_t *stopping)
{
	while (!*stopping) {
		int64_t now_ms = monotonic_ms(), look_ms = now_ms + LOOK_MS;
		int error = wait_readable(fd, look_ms < deadline_ms ? look_ms : deadline_ms);
		if (error != -EINTR && (error != -ETIMEDOUT || now_ms > deadline_ms))
			return error;
	}
	return -ECANCELED;
}

/* The same; or -EPIPE: the prover is gone; -EPROTO: it spoke nonsense. */
static int take_answer(int fd, int64_t deadline_ms, const volatile sig_atomic_t *stopping,
		       struct prove_answer *answer_out)
{
	struct prove_answer answer;
	size_t none = 0;
	int error = await_answer(fd, deadline_ms, stopping);
	if (error)
		return error;
	ssize_t got = receive_fds(fd, &answer, sizeof answer, NULL, &none, 0);
	if (got <= 0)
		return -EPIPE;
	if (!prove_answer_valid(&answer, (size_t)got))
		return -EPROTO;
	*answer_out = answer;
	return 0;
}

static enum prove_result fail(struct prove_answer *answer_out, enum prove_result result,
			      const char *why)
{
	*answer_out = (struct prove_answer){ .verdict = PROVE_NOTHING };
	snprintf(answer_out->text, sizeof answer_out->text, "%s", why);
	return result;
}

/* What the end of who looked at the message says about it. */
static enum prove_result judge_death(struct prove_answer *answer)
{
	bool signalled = WIFSIGNALED(answer->status);
	int number = signalled ? WTERMSIG(answer->status) : WEXITSTATUS(answer->status);
	snprintf(answer->text, sizeof answer->text, "the prover %s %d",
		 signalled ? "died of signal" : "ended with status", number);
	return signalled && role_is_fault(number) ? PROVE_CRASHED : PROVE_KILLED;
}

enum prove_result prove_ask(int prover_fd, const struct prove_question *question, int message_fd,
			    const volatile sig_atomic_t *stopping, struct prove_answer *answer_out)
{
	int error = -EPIPE;
	for (int i = 0; error == -EPIPE && i < TRIES; i++) {
		auto_close int fd = -1;
		error = send_question(prover_fd, question, message_fd, &fd);
		if (error)
			return fail(answer_out, PROVE_KILLED, "the prover can't be asked");
		error = take_answer(fd, question->deadline_ms, stopping, answer_out);
	}
	if (error == -ETIMEDOUT)
		return fail(answer_out, PROVE_LATE, "the prover gave no answer in time");
	if (error == -EPROTO)
		return fail(answer_out, PROVE_CRASHED, "the prover spoke nonsense");
	if (error)
		return fail(answer_out, PROVE_KILLED,
			    error == -ECANCELED ? "we are ending" : "the prover is gone");
	return answer_out->verdict == PROVE_DIED ? judge_death(answer_out) : PROVE_ANSWERED;
}
