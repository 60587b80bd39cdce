/* custody.c: speaks `ask` for a session. Never decides what the device is told. */
#define _GNU_SOURCE
#include "daemon/smtp/custody.h"
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "policy/verdict.h"

#define PROMISE_MS 60000 /* how much longer a durable plan may take */

/* One process, one session, one question at a time; touched only as far as it is filled. */
static char question[ASK_MAX];

void custody_init(struct custody *custody, int ask_fd, int device_fd)
{
	*custody = (struct custody){ .ask_fd = ask_fd, .device_fd = device_fd };
}

void custody_done(struct custody *custody)
{
	while (custody->count > 0)
		close_fd(&custody->marks[--custody->count].fd);
}

/* The queue may be full; it is waited for, but not longer than the device waits for us. */
static int send_question(const struct custody *custody, size_t size, const int *fds, size_t count,
			 int64_t deadline_ms)
{
	struct pollfd room = { .fd = custody->ask_fd, .events = POLLOUT };
	int64_t left = deadline_ms - monotonic_ms();
	if (left <= 0 || poll(&room, 1, left > 1 << 30 ? 1 << 30 : (int)left) <= 0)
		return -ETIMEDOUT;
	return pass_fds(custody->ask_fd, question, size, fds, count);
}

/* One answer that makes sense; a mark that comes with it replaces *mark. False: the courier is
 * gone, or lost its mind. */
static bool receive_answer(int answer_fd, struct ask_answer *answer_out, int *mark)
{
	struct ask_answer answer;
	auto_close int came = -1;
	size_t count = 1;
	ssize_t got = receive_fds(answer_fd, &answer, sizeof answer, &came, &count, 0);
	if (got <= 0 || !ask_answer_valid(&answer, (size_t)got) || answer.reason >= REASON_COUNT)
		return false;
	if (count == 1) {
		close_fd(mark);
		*mark = take_fd(&came);
	}
	*answer_out = answer;
	return true;
}

/* Waits for the next answer. Of the device only its hanging up is looked at, so what it sends
 * waits. */
static enum custody_result wait_answer(const struct custody *custody, int answer_fd,
				       int64_t deadline_ms)
{
	struct pollfd waits[2] = { { .fd = answer_fd, .events = POLLIN },
				   { .fd = custody->device_fd } };
	int64_t left = deadline_ms - monotonic_ms();
	if (left <= 0 || poll(waits, 2, left > 1 << 30 ? 1 << 30 : (int)left) <= 0)
		return CUSTODY_DEADLINE;
	return waits[0].revents ? CUSTODY_ANSWERED : CUSTODY_GONE;
}

static enum custody_result await_answer(const struct custody *custody, int answer_fd,
					int64_t *deadline_ms, struct ask_answer *answer_out,
					int *mark_out)
{
	auto_close int mark = -1;
	struct ask_answer answer = { .kind = ASK_PROMISED };
	for (bool promised = false; answer.kind == ASK_PROMISED; promised = true) {
		enum custody_result result = wait_answer(custody, answer_fd, *deadline_ms);
		if (result != CUSTODY_ANSWERED)
			return result;
		if (!receive_answer(answer_fd, &answer, &mark))
			return CUSTODY_DIED;
		if (answer.kind == ASK_PROMISED && !promised)
			*deadline_ms += PROMISE_MS;
	}
	*answer_out = answer;
	/* a promise that was not kept left nothing behind */
	*mark_out = answer.reason == REASON_NONE ? take_fd(&mark) : -1;
	return CUSTODY_ANSWERED;
}

static enum custody_result ask_once(const struct custody *custody, size_t size, int message_fd,
				    int64_t *deadline_ms, struct ask_answer *answer_out,
				    int *mark_out)
{
	int pair[2];
	if (socket_pair(pair) != 0)
		return CUSTODY_DIED;
	auto_close int answer_fd = pair[0];
	auto_close int theirs = pair[1];
	int fds[2] = { message_fd, theirs };
	int error = send_question(custody, size, fds, 2, *deadline_ms);
	if (error)
		return error == -ETIMEDOUT ? CUSTODY_DEADLINE : CUSTODY_DIED;
	close_fd(&theirs);
	return await_answer(custody, answer_fd, deadline_ms, answer_out, mark_out);
}

enum custody_result custody_ask(struct custody *custody, const struct ask_head *head,
				const char *sender, const char *const *recipients, int message_fd,
				struct ask_answer *answer_out, int *mark_out)
{
	ssize_t size = ask_write(head, sender, recipients, question);
	if (size < 0)
		return CUSTODY_DIED;
	custody->origin = head->origin;
	int64_t deadline_ms = head->deadline_ms;
	enum custody_result result = CUSTODY_DIED;
	for (int tries = 0; tries < 2 && result == CUSTODY_DIED; tries++)
		result = ask_once(custody, (size_t)size, message_fd, &deadline_ms, answer_out,
				  mark_out);
	return result;
}

void custody_keep(struct custody *custody, int mark_fd, uint64_t known_after)
{
	if (custody->count == CUSTODY_MARKS) {
		close_fd(&custody->marks[0].fd);
		memmove(&custody->marks[0], &custody->marks[1],
			sizeof custody->marks[0] * --custody->count);
	}
	custody->marks[custody->count++] =
		(struct custody_mark){ .fd = mark_fd, .known_after = known_after };
}

/* Nobody may be listening any more: then it stays a doubt, which is right too. */
static void settle(const struct custody *custody, int mark_fd)
{
	struct ask_head head = { .kind = ASK_SETTLE, .origin = custody->origin };
	ssize_t size = ask_write(&head, "", NULL, question);
	send_question(custody, (size_t)size, &mark_fd, 1, monotonic_ms() + 1000);
}

void custody_settle(struct custody *custody, uint64_t taken)
{
	while (custody->count > 0 && custody->marks[0].known_after < taken) {
		settle(custody, custody->marks[0].fd);
		close_fd(&custody->marks[0].fd);
		memmove(&custody->marks[0], &custody->marks[1],
			sizeof custody->marks[0] * --custody->count);
	}
}
