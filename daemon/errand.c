/* errand.c: asks couriers and hears them. Never decides what an answer means to the message. */
#define _GNU_SOURCE
#include "daemon/errand.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"

#define SILENCE_MS 60000

static char question[ASK_MAX]; /* one process, one question at a time */

void errands_init(struct errands *errands, int ask_fd)
{
	errands->ask_fd = ask_fd;
	for (size_t i = 0; i < ERRANDS_MAX; i++)
		errands->list[i] =
			(struct errand){ .answer_fd = -1, .message_fd = -1, .mark_fd = -1 };
}

static void forget(struct errand *errand)
{
	close_fd(&errand->answer_fd);
	close_fd(&errand->message_fd);
	close_fd(&errand->mark_fd);
}

void errands_done(struct errands *errands)
{
	for (size_t i = 0; i < ERRANDS_MAX; i++)
		forget(&errands->list[i]);
}

size_t errands_count(const struct errands *errands)
{
	size_t count = 0;
	for (size_t i = 0; i < ERRANDS_MAX; i++)
		count += errands->list[i].answer_fd >= 0;
	return count;
}

bool errands_have(const struct errands *errands, const uint64_t place[2], const char *item)
{
	for (size_t i = 0; i < ERRANDS_MAX; i++) {
		const struct errand *errand = &errands->list[i];
		if (errand->answer_fd >= 0 && errand->head.place[0] == place[0] &&
		    errand->head.place[1] == place[1] && strcmp(errand->head.item, item) == 0)
			return true;
	}
	return false;
}

bool errands_have_room(const struct errands *errands, uint64_t bytes)
{
	size_t count = 0;
	for (size_t i = 0; i < ERRANDS_MAX; i++) {
		if (errands->list[i].answer_fd < 0)
			continue;
		count++;
		bytes += errands->list[i].head.bytes;
	}
	return count == 0 || (count < ERRANDS_MAX && bytes <= ERRANDS_BYTES);
}

static int64_t limit_of(const struct errand *errand)
{
	return monotonic_ms() + SILENCE_MS + (int64_t)(errand->head.bytes / (1 << 20)) * 1000;
}

/* Sends the question of an errand anew. */
static int send_question(const struct errands *errands, struct errand *errand)
{
	auto_close int ours = -1, theirs = -1;
	ssize_t size = ask_write(&errand->head, "", NULL, question);
	int error = size < 0 ? (int)size : socket_pair(&ours, &theirs);
	if (error)
		return error;
	close_fd(&errand->answer_fd);
	close_fd(&errand->mark_fd);
	errand->answer_fd = take_fd(&ours);
	const int fds[] = { errand->message_fd, theirs };
	errand->tries++;
	errand->limit_ms = limit_of(errand);
	return pass_fds(errands->ask_fd, question, (size_t)size, fds, 2);
}

int errands_ask(struct errands *errands, const struct ask_head *head, int message_fd)
{
	struct errand *errand = errands->list;
	while (errand < errands->list + ERRANDS_MAX && errand->answer_fd >= 0)
		errand++;
	if (errand == errands->list + ERRANDS_MAX) {
		close(message_fd);
		return -EBUSY;
	}
	*errand = (struct errand){
		.answer_fd = -1, .message_fd = message_fd, .mark_fd = -1, .head = *head
	};
	int error = send_question(errands, errand);
	if (error)
		forget(errand);
	return error;
}

static bool end(struct errand *errand, enum reason reason, struct errand_end *end_out)
{
	*end_out = (struct errand_end){
		.head = errand->head, .reason = reason, .mark_fd = -1, .message_fd = -1
	};
	if (verdict_row(reason)->outcome == OUTCOME_LATER)
		end_out->message_fd = take_fd(&errand->message_fd);
	/* a promise that was not kept left nothing behind */
	if (reason == REASON_NONE)
		end_out->mark_fd = take_fd(&errand->mark_fd);
	forget(errand);
	return true;
}

/* Another courier may do better than one that died over it. */
static bool ask_again(const struct errands *errands, struct errand *errand,
		      struct errand_end *end_out)
{
	if (errand->tries < ASK_TRIES && send_question(errands, errand) == 0)
		return false;
	return end(errand, REASON_IO, end_out);
}

static bool hear(const struct errands *errands, struct errand *errand, struct errand_end *end_out)
{
	struct ask_answer answer;
	int error = ask_receive(errand->answer_fd, &answer, &errand->mark_fd, MSG_DONTWAIT);
	if (error == -EAGAIN || error == -EINTR)
		return false;
	if (error || answer.kind == ASK_SETTLED)
		return ask_again(errands, errand, end_out);
	if (answer.kind == ASK_PROMISED) {
		errand->limit_ms = limit_of(errand);
		return false;
	}
	end(errand, (enum reason)answer.reason, end_out);
	end_out->unknown = answer.kind == ASK_UNKNOWN;
	return true;
}

/* Until one of them, or `wake_fd`, can be read, or the time of one is up. */
static void wait_for_word(const struct errands *errands, int64_t until_ms, int wake_fd)
{
	struct pollfd waits[ERRANDS_MAX + 1] = { { .fd = wake_fd, .events = POLLIN } };
	for (size_t i = 0; i < ERRANDS_MAX; i++) {
		const struct errand *errand = &errands->list[i];
		waits[i + 1] = (struct pollfd){ .fd = errand->answer_fd, .events = POLLIN };
		if (errand->answer_fd >= 0 && errand->limit_ms < until_ms)
			until_ms = errand->limit_ms;
	}
	int64_t left = until_ms - monotonic_ms();
	poll(waits, ERRANDS_MAX + 1, left > 0 ? (int)(left < 1 << 30 ? left : 1 << 30) : 0);
}

static bool hear_any(struct errands *errands, struct errand_end *end_out)
{
	for (size_t i = 0; i < ERRANDS_MAX; i++) {
		struct errand *errand = &errands->list[i];
		if (errand->answer_fd < 0)
			continue;
		if (hear(errands, errand, end_out))
			return true;
		if (monotonic_ms() > errand->limit_ms)
			return end(errand, REASON_DEADLINE, end_out);
	}
	return false;
}

bool errands_take(struct errands *errands, int64_t until_ms, int wake_fd,
		  struct errand_end *end_out)
{
	while (errands_count(errands) > 0) {
		if (hear_any(errands, end_out))
			return true;
		if (monotonic_ms() >= until_ms || (wake_fd >= 0 && wait_readable(wake_fd, 0) == 0))
			return false;
		wait_for_word(errands, until_ms, wake_fd);
	}
	return false;
}

/* A question that nobody waits for the answer of. */
static void tell(const struct errands *errands, const struct ask_head *head, int fd)
{
	auto_close int ours = -1, theirs = -1;
	ssize_t size = ask_write(head, "", NULL, question);
	if (size < 0 || socket_pair(&ours, &theirs) != 0)
		return;
	const int fds[] = { fd, theirs };
	pass_fds_now(errands->ask_fd, question, (size_t)size, fds, 2);
}

void errand_settle(const struct errands *errands, int mark_fd)
{
	auto_close int mark = mark_fd;
	tell(errands, &(struct ask_head){ .kind = ASK_SETTLE }, mark);
}

void errands_compact(const struct errands *errands, uint32_t validity, uint32_t last,
		     const uint32_t *uids, size_t count)
{
	auto_close int fd = -1;
	const struct ask_head head = { .kind = ASK_COMPACT, .place = { validity, last } };
	if (memory_file("uids", &fd) == 0 && write_all(fd, uids, count * sizeof *uids) == 0)
		tell(errands, &head, fd);
}
