/* custody.c: speaks `ask` for a session. Never decides what the device is told. */
#define _GNU_SOURCE
#include "daemon/smtp/custody.h"
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/log.h"
#include "policy/verdict.h"

/* One process, one session, one question at a time; touched only as far as it is filled. */
static char question[ASK_MAX];

void custody_init(struct custody *custody, int ask_fd, int device_fd)
{
	*custody = (struct custody){ .ask_fd = ask_fd, .device_fd = device_fd };
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
		if (ask_receive(answer_fd, &answer, &mark, 0) != 0 || answer.kind > ASK_FINAL)
			return CUSTODY_DIED;
		if (answer.kind == ASK_PROMISED && !promised)
			*deadline_ms += ASK_PROMISED_MS;
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
	auto_close int ours = -1, theirs = -1;
	if (socket_pair(&ours, &theirs) != 0)
		return CUSTODY_DIED;
	int fds[2] = { message_fd, theirs };
	int error = send_question(custody, size, fds, 2, *deadline_ms);
	if (error)
		return error == -ETIMEDOUT ? CUSTODY_DEADLINE : CUSTODY_DIED;
	close_fd(&theirs);
	return await_answer(custody, ours, deadline_ms, answer_out, mark_out);
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
	for (int tries = 0; tries < ASK_TRIES && result == CUSTODY_DIED; tries++)
		result = ask_once(custody, (size_t)size, message_fd, &deadline_ms, answer_out,
				  mark_out);
	return result;
}

/* --- marks ------------------------------------------------------------------------------------ */

static void drop_mark(struct custody *custody, size_t index)
{
	struct custody_mark *mark = &custody->marks[index];
	close_fd(&mark->fd);
	close_fd(&mark->answer_fd);
	memmove(mark, mark + 1, sizeof *mark * (--custody->count - index));
}

void custody_keep(struct custody *custody, int mark_fd, uint64_t known_after)
{
	if (custody->count == CUSTODY_MARKS)
		drop_mark(custody, 0);
	custody->marks[custody->count++] =
		(struct custody_mark){ .fd = mark_fd, .known_after = known_after, .answer_fd = -1 };
}

/* Asks a courier to take the mark away. False: nobody is left to be asked. Then it stays a doubt,
 * which is right too. */
static bool ask_to_settle(const struct custody *custody, struct custody_mark *mark)
{
	struct ask_head head = { .kind = ASK_SETTLE, .origin = custody->origin };
	ssize_t size = ask_write(&head, "", NULL, question);
	auto_close int ours = -1, theirs = -1;
	if (mark->asked++ == ASK_TRIES || socket_pair(&ours, &theirs) != 0)
		return false;
	close_fd(&mark->answer_fd);
	mark->answer_fd = take_fd(&ours);
	const int fds[] = { mark->fd, theirs };
	mark->deadline_ms = monotonic_ms() + ASK_SETTLE_MS;
	return send_question(custody, (size_t)size, fds, 2, mark->deadline_ms) == 0;
}

/* The courier has answered or died. True: no more will come of this mark. */
static bool take_word(const struct custody *custody, struct custody_mark *mark)
{
	struct ask_answer answer;
	auto_close int none = -1;
	bool settled =
		ask_receive(mark->answer_fd, &answer, &none, 0) == 0 && answer.kind == ASK_SETTLED;
	return settled || !ask_to_settle(custody, mark);
}

static bool is_over(const struct custody *custody, struct custody_mark *mark, uint64_t taken)
{
	if (mark->answer_fd >= 0)
		return wait_readable(mark->answer_fd, 0) == 0 && take_word(custody, mark);
	return mark->known_after < taken && !ask_to_settle(custody, mark);
}

void custody_settle(struct custody *custody, uint64_t taken)
{
	for (size_t i = 0; i < custody->count;) {
		if (is_over(custody, &custody->marks[i], taken))
			drop_mark(custody, i);
		else
			i++;
	}
}

bool custody_is_open(const struct custody *custody)
{
	for (size_t i = 0; i < custody->count; i++) {
		if (custody->marks[i].answer_fd < 0)
			return true;
	}
	return false;
}

/* A doubt has to be one at once, not when the others are settled. */
static void drop_open(struct custody *custody)
{
	for (size_t i = 0; i < custody->count;) {
		if (custody->marks[i].answer_fd < 0)
			drop_mark(custody, i);
		else
			i++;
	}
}

void custody_done(struct custody *custody)
{
	int64_t end_ms = monotonic_ms() + (int64_t)ASK_SETTLE_MS * ASK_TRIES;
	drop_open(custody);
	while (custody->count > 0) {
		struct custody_mark *mark = &custody->marks[0];
		int64_t limit_ms = mark->deadline_ms < end_ms ? mark->deadline_ms : end_ms;
		int error = wait_readable(mark->answer_fd, limit_ms);
		if (error == -EINTR)
			continue;
		if (error)
			log_say(LOG_WARNING, "settle",
				"no courier had time to hear that a device knows: the next mail like that "
				"one will be taken for a second try");
		if (error || take_word(custody, mark))
			drop_mark(custody, 0);
	}
}
