/* drop.c: the verb `drop`: one message from standard input. Never keeps a copy of it: whoever calls
 * us does, until we end with 0. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "daemon/cli/single.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "policy/verdict.h"

static int later(const char *what)
{
	fprintf(stderr, "letterchute: %s, try again later\n", what);
	return EXIT_LATER;
}

/* Too long to be handed on: what the courier would say. */
static int refuse_size(void)
{
	const struct verdict_row *row = verdict_row(REASON_SIZE);
	fprintf(stderr, "letterchute: %s %s\n", row->enhanced, row->words);
	return EXIT_REFUSED;
}

static void fill_head(const struct options *options, const struct config *config, uint64_t bytes,
		      struct ask_head *head)
{
	*head = (struct ask_head){ .kind = ASK_DELIVER };
	strcpy(head->origin.source, "drop");
	head->origin.kind = ASK_SOURCE_DROP;
	head->origin.peer_allowed = 1;
	head->bytes = bytes;
	head->received_ms = wall_ms();
	head->deadline_ms = ask_deadline_ms(monotonic_ms(), config->gateway.answer_within_s, bytes);
	head->has_envelope = options->from != NULL;
	head->recipients = (uint32_t)options->to_count;
}

/* Whoever called us knows by our exit status: nothing may come between the word that the mark is
 * gone and the exit, no signal and not the freeing of a long message. A mark that stays is a doubt,
 * which is right too. */
static _Noreturn void settle(const struct config *config, struct single *single,
			     const struct ask_head *head, int mark_fd)
{
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	int error = single_settle(single, head, mark_fd);
	if (error && error != -ETIMEDOUT) {
		single_close(single);
		if (single_open(config, "alone", single) == EXIT_OK)
			single_settle(single, head, mark_fd);
	}
	_exit(EXIT_OK);
}

static int judge(const struct config *config, struct single *single, const struct ask_head *head,
		 const struct ask_answer *answer, int mark_fd)
{
	const struct verdict_row *row =
		verdict_row(answer->reason < REASON_COUNT ? answer->reason : REASON_IO);
	if (row->outcome == OUTCOME_REFUSED || row->outcome == OUTCOME_LATER)
		fprintf(stderr, "letterchute: %s %s\n", row->enhanced, answer->text);
	if (row->outcome == OUTCOME_REFUSED)
		return EXIT_REFUSED;
	if (row->outcome == OUTCOME_LATER)
		return EXIT_LATER;
	if (mark_fd >= 0)
		settle(config, single, head, mark_fd);
	return EXIT_OK; /* nothing was to be stored */
}

static int ask(const struct options *options, const struct config *config, struct single *single,
	       int message_fd, uint64_t bytes)
{
	struct ask_head head;
	struct ask_answer answer;
	fill_head(options, config, bytes, &head);
	/* a courier that died is asked about once more: another will answer */
	for (int tries = 1;; tries++) {
		auto_close int mark_fd = -1;
		int error = single_ask(single, &head, options->from ? options->from : "",
				       options->to, message_fd, -1, &answer, &mark_fd);
		if (!error)
			return judge(config, single, &head, &answer, mark_fd);
		if (error == -ETIMEDOUT)
			return later("no answer in time");
		if (error != -EPIPE)
			return later(strerror(-error));
		single_close(single);
		if (tries == ASK_TRIES || single_open(config, "alone", single) != EXIT_OK)
			return later("the gateway does not answer");
	}
}

int verb_drop(const struct options *options)
{
	struct config config;
	struct single single;
	auto_close int message_fd = -1;
	uint64_t bytes = 0;
	/* a mail server takes 78 for a final refusal: what is wrong here is no fault of the mail */
	if (options_load_to_ask(options, &config) != EXIT_OK)
		return EXIT_LATER;
	int error = single_spill(0, config.rules.limits.message_bytes, &message_fd, &bytes);
	if (error) {
		config_done(&config);
		return error == -EFBIG ? refuse_size() : later(strerror(-error));
	}
	int status = single_open(&config, "alone", &single);
	if (!status)
		status = ask(options, &config, &single, message_fd, bytes);
	single_close(&single);
	config_done(&config);
	return status;
}
