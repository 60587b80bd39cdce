/* single.c: asks about one message. Never decides what the answer means. */
#define _GNU_SOURCE
#include "daemon/cli/single.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "daemon/boss.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/source.h"
#include "daemon/spool.h"

#define IN_MEMORY_MAX (1 << 20)  /* octets; a longer message goes to a disk */
#define DISCARD_MAX   (64 << 20) /* octets beyond twice the limit that are still heard out */
#define LEAVE_MS      1000       /* for our own courier to end */

int single_start(const struct config *config, const char *mode, struct single *single_out)
{
	char path[4096];
	int pair[2];
	*single_out = (struct single){ .ask_fd = -1 };
	bool dry = strcmp(mode, "explain") == 0;
	int error = dry ? 0 : spool_make(config->gateway.state, config->uid, config->gid, path);
	if (error) {
		fprintf(stderr, "letterchute: %s: %s; give `state` a folder that we can write to\n",
			path, strerror(-error));
		return EXIT_LATER;
	}
	error = socket_pair(pair);
	if (error)
		return EXIT_LATER;
	error = boss_start_courier(config, mode, pair[1], &single_out->pid);
	close(pair[1]);
	if (error) {
		close(pair[0]);
		fprintf(stderr, "letterchute: a courier can't be started: %s\n", strerror(-error));
		return EXIT_LATER;
	}
	single_out->ask_fd = pair[0];
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

/* On a disk, without a name: where temporary files go. */
static int open_scratch(int *fd_out)
{
	const char *folder = getenv("TMPDIR");
	int fd = open(folder && *folder == '/' ? folder : "/var/tmp",
		      O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	*fd_out = fd;
	return 0;
}

/* The message is too long already. */
static int discard_rest(int from_fd, uint64_t max)
{
	char block[64 * 1024];
	ssize_t got = 1;
	for (uint64_t left = max + DISCARD_MAX; got > 0 && left >= sizeof block;
	     left -= (size_t)got)
		got = read_all(from_fd, block, sizeof block);
	return -EFBIG;
}

static int copy_rest(int from_fd, uint64_t max, int *fd, uint64_t *bytes)
{
	char block[64 * 1024];
	for (;;) {
		ssize_t got = read_all(from_fd, block, sizeof block);
		if (got <= 0)
			return (int)got;
		if (*bytes + (uint64_t)got > max)
			return discard_rest(from_fd, max);
		if (*bytes <= IN_MEMORY_MAX && *bytes + (uint64_t)got > IN_MEMORY_MAX) {
			int disk = -1;
			int error = open_scratch(&disk);
			char *text = malloc(*bytes + 1);
			if (!error && (!text || pread(*fd, text, *bytes, 0) != (ssize_t)*bytes))
				error = -EIO;
			if (!error)
				error = write_all(disk, text, *bytes);
			free(text);
			if (error)
				return error;
			close(*fd);
			*fd = disk;
		}
		int error = write_all(*fd, block, (size_t)got);
		if (error)
			return error;
		*bytes += (uint64_t)got;
	}
}

int single_spill(int from_fd, uint64_t max, int *fd_out, uint64_t *bytes_out)
{
	auto_close int fd = -1;
	uint64_t bytes = 0;
	int error = memory_file("message", &fd);
	if (!error)
		error = copy_rest(from_fd, max, &fd, &bytes);
	if (!error)
		error = reopen_read_only(fd, fd_out);
	if (!error)
		*bytes_out = bytes;
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
	int fds[1] = { -1 };
	size_t count = 1;
	int error = wait_readable(pair_fd, deadline_ms);
	if (error)
		return error;
	ssize_t size = receive_fds(pair_fd, answer_out, sizeof *answer_out, fds, &count, 0);
	if (size <= 0 || !ask_answer_valid(answer_out, (size_t)size))
		return -EPIPE;
	if (count == 1) {
		close_fd(mark_out);
		*mark_out = fds[0];
	}
	return 0;
}

int single_ask(const struct single *single, const struct ask_head *head, const char *sender,
	       const char *const *recipients, int message_fd, int report_fd,
	       struct ask_answer *answer_out, int *mark_out)
{
	int pair[2];
	int error = socket_pair(pair);
	if (error)
		return error;
	auto_close int ours = pair[0];
	auto_close int theirs = pair[1];
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
	int pair[2];
	int error = socket_pair(pair);
	if (error)
		return error;
	/* nothing but the exit comes after the answer: these stay open */
	int ours = pair[0], theirs = pair[1], none = -1;
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
