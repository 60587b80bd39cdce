/* retry.c: asks about a message that was put aside. Never removes one that is not on the share. */
#define _GNU_SOURCE
#include "daemon/cli/retry.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/aside.h"
#include "daemon/cli/single.h"
#include "daemon/cli/telling.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/spool.h"
#include "policy/verdict.h"

/* What a retry is about. */
struct trial {
	const struct config *config;
	int quarantine_fd, entry_fd; /* held */
	const char *id;
	bool as_json;
	struct ask_head head;
	struct ask ask;
};

static int stays(const char *id, const char *what)
{
	fprintf(stderr, "letterchute: %s; %s stays where it is, try again later\n", what, id);
	return EXIT_LATER;
}

static void print_outcome(const struct trial *trial, const struct ask_answer *answer)
{
	const struct verdict_row *row = verdict_row(answer->reason);
	if (!trial->as_json) {
		printf("%s: %s, %s%s%s\n", trial->id, verdict_outcome_name(row->outcome),
		       answer->reason ? row->name : "", answer->reason ? ": " : "", answer->text);
		return;
	}
	struct json *json = json_object_new();
	json_put_text(json, "id", trial->id);
	json_put_text(json, "outcome", verdict_outcome_name(row->outcome));
	json_put_text(json, "reason", answer->reason ? row->name : NULL);
	json_put_text(json, "text", answer->text);
	json_put_number(json, "parts", answer->parts);
	telling_json(json);
}

/* The entry is gone for good, so nobody will ask again: the mark is not needed. One that stays is a
 * doubt, which is right too. */
static void settle(const struct trial *trial, struct single *single, int mark_fd)
{
	int error = single_settle(single, &trial->head, mark_fd);
	if (!error || error == -ETIMEDOUT)
		return;
	single_close(single);
	if (single_start(trial->config, "alone", single) == EXIT_OK)
		single_settle(single, &trial->head, mark_fd);
}

/* The files are on the share, and durable. Until the entry is removed the mark stays: without it
 * the next retry would write them again. */
static int finish(const struct trial *trial, struct single *single, int mark_fd)
{
	int error = aside_remove(trial->quarantine_fd, trial->id, trial->entry_fd);
	if (error) {
		fprintf(stderr,
			"letterchute: %s is delivered, but can't be removed here: %s; retry it once more "
			"and it will be, without being delivered again\n",
			trial->id, strerror(-error));
		return EXIT_LATER;
	}
	if (mark_fd >= 0)
		settle(trial, single, mark_fd);
	return EXIT_OK;
}

static int judge(const struct trial *trial, struct single *single, struct ask_answer *answer,
		 int mark_fd)
{
	if (answer->reason >= REASON_COUNT)
		answer->reason = REASON_IO;
	enum outcome outcome = verdict_row(answer->reason)->outcome;
	int status = EXIT_LATER;
	if (outcome == OUTCOME_DELIVERED)
		status = finish(trial, single, mark_fd);
	else if (outcome == OUTCOME_REFUSED)
		status = EXIT_REFUSED;
	print_outcome(trial, answer);
	return status;
}

static int ask(const struct trial *trial, int message_fd)
{
	struct ask_answer answer;
	struct single single;
	/* a courier that died is asked about once more: another will answer */
	for (int tries = 0; tries < ASK_TRIES; tries++) {
		auto_close int mark_fd = -1;
		int status = single_start(trial->config, "alone", &single);
		if (status)
			return status;
		int error = single_ask(&single, &trial->head, trial->ask.sender,
				       trial->ask.recipients, message_fd, -1, &answer, &mark_fd);
		status = error ? EXIT_LATER : judge(trial, &single, &answer, mark_fd);
		single_close(&single);
		if (!error)
			return status;
		if (error != -EPIPE)
			return stays(trial->id, error == -ETIMEDOUT ? "there was no answer in time"
								    : strerror(-error));
	}
	return stays(trial->id, "the courier died on it");
}

/* Only a message that we know all about goes through the rules. */
static int refuse(const struct trial *trial, const struct aside *aside)
{
	char path[PATH_MAX];
	spool_path(trial->config->gateway.state, SPOOL_QUARANTINE, path);
	fprintf(stderr, "letterchute: %s %s, which no rule can be tried on: look at %s/%s/%s\n",
		trial->id,
		!aside->file                           ? "is empty"
		: strcmp(aside->file, ASIDE_PART) == 0 ? "is one part of a message"
						       : "is a message that too little is known of",
		path, trial->id, aside->file ? aside->file : "");
	return EXIT_USAGE;
}

static int open_message(int entry_fd, uint64_t *bytes_out, int *fd_out)
{
	auto_close int fd =
		openat(entry_fd, ASIDE_MESSAGE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat found;
	if (fd < 0 || fstat(fd, &found) < 0)
		return -errno;
	if (!S_ISREG(found.st_mode))
		return -EINVAL;
	*bytes_out = (uint64_t)found.st_size;
	*fd_out = take_fd(&fd);
	return 0;
}

static int try_entry(struct trial *trial, const struct aside *aside)
{
	struct ask_head *head = &trial->head;
	if (!aside->file || strcmp(aside->file, ASIDE_MESSAGE) != 0 ||
	    !aside_take_question(aside->facts, head, &trial->ask))
		return refuse(trial, aside);
	auto_close int message_fd = -1;
	int error = open_message(trial->entry_fd, &head->bytes, &message_fd);
	if (error)
		return stays(trial->id, strerror(-error));
	head->deadline_ms = ask_deadline_ms(monotonic_ms(), trial->config->gateway.answer_within_s,
					    head->bytes);
	return ask(trial, message_fd);
}

static int fail(const char *id, int error)
{
	if (error == -EWOULDBLOCK)
		return stays(id, "somebody else is at it");
	if (error != -ENOENT)
		return stays(id, strerror(-error));
	fprintf(stderr, "letterchute: %s was removed meanwhile\n", id);
	return EXIT_USAGE;
}

int retry(const struct config *config, int quarantine_fd, const char *id, bool as_json)
{
	auto_close int entry_fd = -1;
	struct aside aside;
	int error = aside_hold(quarantine_fd, id, &entry_fd);
	if (!error)
		error = aside_read(quarantine_fd, id, &aside);
	if (error)
		return fail(id, error);
	struct trial trial = { .config = config,
			       .quarantine_fd = quarantine_fd,
			       .entry_fd = entry_fd,
			       .id = id,
			       .as_json = as_json };
	int status = try_entry(&trial, &aside);
	aside_done(&aside);
	return status;
}
