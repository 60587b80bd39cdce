/* test_gather.c: what an extractor says that was taken over. Nothing is staged: the runs are dry.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/courier/gather.h"
#include "load_rules.h"

/* What one run of the extractor says. */
struct story {
	uint32_t parts;
	uint64_t each;   /* octets of each part */
	uint32_t flags;  /* of each part */
	uint32_t ending; /* of the message */
};

static struct story stories[2]; /* of the first reading, and of the second */
static int runs;

static int tell_part(const struct frames_sink *sink, const struct story *story, uint32_t number)
{
	static const uint8_t block[1000];
	struct frame_part part = { .number = number, .flags = story->flags };
	struct frame_end end = { .size = story->each, .mime = "application/pdf" };
	int stop = sink->part(sink->context, &part, "");
	for (uint64_t left = story->each; !stop && left > 0;) {
		size_t size = left < sizeof block ? (size_t)left : sizeof block;
		stop = sink->bytes(sink->context, block, size);
		left -= size;
	}
	return stop ? stop : sink->end(sink->context, &end);
}

static int tell(const struct frames_sink *sink, const struct story *story)
{
	struct frame_message message = { .from_state = FRAME_FROM_ONE, .from = "a@b" };
	struct frame_results results = { .form = FRAME_RESULTS_RFC, .id = "mx" };
	struct frame_done done = { .parts = story->parts, .flags = story->ending };
	int stop = sink->results(sink->context, &results);
	if (!stop)
		stop = sink->message(sink->context, &message);
	for (uint32_t i = 1; !stop && i <= story->parts; i++)
		stop = tell_part(sink, story, i);
	return stop ? stop : sink->done(sink->context, &done);
}

/* Stands in for daemon/extractor.c, which would run a program. */
enum extractor_result extractor_run(struct extractor *extractor, const struct extractor_job *job,
				    const struct frames_sink *sink, uint32_t *cap_out,
				    int *stop_out, char why_out[EXTRACTOR_ERROR_MAX])
{
	(void)extractor;
	(void)cap_out;
	runs++;
	strcpy(why_out, "it lies");
	*stop_out = tell(sink, &stories[job->reading == FRAME_READ_LAST]);
	if (*stop_out == -EPROTO)
		return EXTRACTOR_CRASH;
	return *stop_out ? EXTRACTOR_STOPPED : EXTRACTOR_OK;
}

#define RULES                                                        \
	"[share]\npath = /nowhere\n[limits]\nparts = 5\npart = 3k\n" \
	"[route all]\ntypes = any\nbody = text\nbad_part = refuse\n"
#define TEXT FRAME_PART_TEXT_BODY
#define MOST (4 * 1000 + (64 << 10)) /* octets of the parts of a message of 1000 */

static const struct row {
	const char *name;
	struct story first, second;
	enum reason reason;
	int runs;
} rows[] = {
	{ "as many parts as may be", { 5, 10, 0, 0 }, { 0 }, REASON_NONE, 1 },
	{ "more parts than it was told", { 6, 10, 0, 0 }, { 0 }, REASON_CRASH, 2 },
	{ "a part that is too long", { 1, 3073, 0, 0 }, { 0 }, REASON_SIZE, 1 },
	{ "a text as long as may be", { 1, 3072, TEXT, 0 }, { 0 }, REASON_NONE, 1 },
	{ "a text that is too long", { 1, 3073, TEXT, 0 }, { 0 }, REASON_SIZE, 1 },
	{ "both readings",
	  { 2, 1000, 0, FRAME_DONE_AMBIGUOUS },
	  { 2, 1000, 0, 0 },
	  REASON_NONE,
	  2 },
	{ "two readings that differ",
	  { 2, 1000, 0, FRAME_DONE_AMBIGUOUS },
	  { 2, 1001, 0, 0 },
	  REASON_AMBIGUOUS,
	  2 },
	{ "a second reading that never ends",
	  { 1, 1000, 0, FRAME_DONE_AMBIGUOUS },
	  { 1, MOST + 1, 0, 0 },
	  REASON_CRASH,
	  2 },
};

static void free_job(struct job *job)
{
	for (size_t i = 0; i < job->parts_count; i++) {
		free(job->parts[i]->name);
		free(job->parts[i]);
	}
	free(job->parts);
}

static void check(const struct row *row, const char *rules)
{
	static volatile sig_atomic_t stopping;
	static struct courier courier = { .stopping = &stopping };
	struct rules_error error;
	struct ask_head head = { .kind = ASK_EXPLAIN };
	struct ask ask = { .head = &head, .sender = "" };
	struct job job = { .courier = &courier, .ask = &ask, .bytes = 1000, .message_fd = -1 };
	job.facts.source = "lan";
	job.facts.subject = "";
	assert_true(load_rules(&courier.config.rules, rules, &error));
	stories[0] = row->first;
	stories[1] = row->second;
	runs = 0;
	enum reason reason = gather(&job);
	if (reason != row->reason || runs != row->runs)
		fail_msg("%s: reason %d after %d runs", row->name, reason, runs);
	/* what an earlier run said is forgotten, and a second reading says nothing new */
	assert_int_equal(job.facts.results_count, 1);
	assert_int_equal(job.facts.proofs, 0);
	free_job(&job);
	rules_done(&courier.config.rules);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		check(&rows[i], RULES);
}

/* Where parts are not limited the whole is. */
static void test_whole(void **state)
{
	static const struct row whole[] = {
		{ "as much as can be", { 4, MOST / 4, 0, 0 }, { 0 }, REASON_NONE, 1 },
		{ "more than can be", { 5, MOST / 4, 0, 0 }, { 0 }, REASON_CRASH, 2 },
		{ "a text that never ends", { 1, MOST + 1, TEXT, 0 }, { 0 }, REASON_CRASH, 2 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
		check(&whole[i], "[share]\npath = /nowhere\n[route all]\ntypes = any\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
