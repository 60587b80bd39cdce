/* single.c: asks about one message. Never decides what the answer means. */
#define _GNU_SOURCE
#include "daemon/cli/single.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/cli/alone.h"
#include "daemon/cli/fault.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/source.h"
#include "daemon/spill.h"
#include "daemon/spool.h"

#define DISCARD_MAX (64 << 20) /* octets beyond twice the limit that are still heard out */
#define LEAVE_MS    1000       /* for our own courier to end */

int single_start(const struct config *config, const char *mode, struct single *single_out)
{
	char path[4096], why[CONFIG_ERROR_MAX];
	auto_close int ours = -1, theirs = -1;
	*single_out = (struct single){ .ask_fd = -1 };
	if (config_can_give(config, why) != 0)
		return fault_say(EXIT_LATER, "%s", why);
	bool dry = strcmp(mode, "explain") == 0;
	int error = dry ? 0 : spool_make(config->gateway.state, config->uid, config->gid, path);
	if (error)
		return fault_say(EXIT_LATER, "%s: %s; give `state` a folder that we can write to",
				 path, strerror(-error));
	error = socket_pair(&ours, &theirs);
	if (error)
		return EXIT_LATER;
	error = alone_start_courier(config, mode, theirs, &single_out->pid);
	if (error)
		return fault_say(EXIT_LATER, "a courier can't be started: %s", strerror(-error));
	single_out->ask_fd = take_fd(&ours);
	return EXIT_OK;
}

int single_open(const struct config *config, const char *mode, struct single *single_out)
{
	*single_out = (struct single){ .ask_fd = -1 };
	if (strcmp(mode, "alone") == 0 &&
	    source_connect(config->gateway.state, &single_out->ask_fd) == 0)
		return EXIT_OK;
	return single_start(config, mode, single_out);
}

/* The courier reads our end of file, and we read its own when it has ended. */
static void await_end(const struct single *single)
{
	int64_t deadline_ms = monotonic_ms() + LEAVE_MS;
	shutdown(single->ask_fd, SHUT_WR);
	while (wait_readable(single->ask_fd, deadline_ms) == -EINTR)
		;
	waitpid(single->pid, NULL, WNOHANG);
}

void single_close(struct single *single)
{
	if (single->pid > 0)
		await_end(single);
	single->pid = 0;
	close_fd(&single->ask_fd);
}

/* The message is too long already. */
static void discard_rest(int from_fd, uint64_t max)
{
	char block[64 * 1024];
	ssize_t got = 1;
	for (uint64_t left = max + DISCARD_MAX; got > 0 && left >= sizeof block;
	     left -= (size_t)got)
		got = read_all(from_fd, block, sizeof block);
}

static int fill(struct spill *spill, int from_fd)
{
	char block[64 * 1024];
	ssize_t got = 1;
	while (got > 0 && !spill->too_big && !spill->error) {
		got = read_all(from_fd, block, sizeof block);
		if (got > 0)
			spill_add(spill, block, (size_t)got);
	}
	if (spill->too_big) {
		discard_rest(from_fd, spill->max);
		return -EFBIG;
	}
	return got < 0 ? (int)got : spill->error;
}

int single_spill(int from_fd, uint64_t max, int *fd_out, uint64_t *bytes_out)
{
	auto_close int folder = spill_open_temporary();
	struct spill spill;
	spill_init(&spill, folder, max, 0);
	int error = fill(&spill, from_fd);
	if (!error)
		error = spill_open(&spill, fd_out);
	if (!error)
		*bytes_out = spill.bytes;
	spill_done(&spill);
	return error;
}

static int send_question(const struct single *single, const struct ask_head *head,
			 const char *sender, const char *const *recipients, const int *fds,
			 size_t count)
{
	static _Alignas(8) char question[ASK_MAX];
	ssize_t size = ask_write(head, sender, recipients, question);
	if (size < 0)
		return (int)size;
	return pass_fds(single->ask_fd, question, (size_t)size, fds, count);
}

/* The next answer on the pair. */
static int take_answer(int pair_fd, int64_t deadline_ms, struct ask_answer *answer_out,
		       int *mark_out)
{
	int error = wait_readable(pair_fd, deadline_ms);
	return error ? error : ask_receive(pair_fd, answer_out, mark_out, 0);
}

int single_ask(const struct single *single, const struct ask_head *head, const char *sender,
	       const char *const *recipients, int message_fd, int report_fd,
	       struct ask_answer *answer_out, int *mark_out)
{
	auto_close int ours = -1, theirs = -1;
	int error = socket_pair(&ours, &theirs);
	if (error)
		return error;
	auto_close int mark = -1;
	const int fds[] = { message_fd, theirs, report_fd };
	error = send_question(single, head, sender, recipients, fds, report_fd < 0 ? 2 : 3);
	close_fd(&theirs);
	int64_t deadline_ms = head->deadline_ms > 0 ? head->deadline_ms : -1;
	answer_out->kind = ASK_PROMISED;
	while (!error && answer_out->kind != ASK_FINAL) {
		error = take_answer(ours, deadline_ms, answer_out, &mark);
		if (error == -EINTR)
			error = 0;
		else if (!error && answer_out->kind == ASK_PROMISED && deadline_ms > 0)
			deadline_ms += ASK_PROMISED_MS;
	}
	if (!error)
		*mark_out = take_fd(&mark);
	return error;
}

int single_settle(struct single *single, const struct ask_head *head, int mark_fd)
{
	struct ask_head settle = *head;
	struct ask_answer answer;
	/* nothing but the exit comes after the answer: these stay open */
	int ours, theirs, none = -1;
	int error = socket_pair(&ours, &theirs);
	if (error)
		return error;
	const int fds[] = { mark_fd, theirs };
	bool own = single->pid > 0;
	settle.kind = own ? ASK_FAREWELL : ASK_SETTLE;
	settle.recipients = 0;
	memset(settle.key, 0, sizeof settle.key);
	error = send_question(single, &settle, "", NULL, fds, 2);
	close_fd(&theirs);
	if (!error)
		error = take_answer(ours, monotonic_ms() + ASK_SETTLE_MS + (own ? LEAVE_MS : 0),
				    &answer, &none);
	single->pid = 0;
	return !error && answer.kind != ASK_SETTLED ? -EPIPE : error;
}
