/* gather.c: the sink of the extractor's frames. Never makes anything visible, never answers. */
#define _GNU_SOURCE
#include "daemon/courier/gather.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/courier/signer.h"
#include "daemon/courier/stage.h"
#include "daemon/keep.h"
#include "policy/filetype.h"
#include "policy/proof.h"

#define STOP 1 /* the job has failed, with its reason */

/* Every octet of a message belongs to one part at most, and becomes three at most when a text is
 * converted to UTF-8. */
#define UNPACKED_TIMES 4
#define UNPACKED_SLACK (64 << 10)

static bool dry(const struct job *job)
{
	return job->report_fd >= 0;
}

/* A courier that is told to end makes no new promise. */
static int go_on(struct job *job)
{
	if (!*job->courier->stopping)
		return 0;
	job_fail(job, REASON_SHUTDOWN, "the gateway is ending");
	return STOP;
}

/* --- the top header --------------------------------------------------------------------------- */

static int take_address(void *context, const char *address)
{
	struct job *job = context;
	if (job->addresses_count < FACTS_RECIPIENTS_MAX && checkpoint_address(address)) {
		char *copy = strdup(address);
		if (!copy)
			abort();
		job->addresses[job->addresses_count++] = copy;
	}
	return 0;
}

static int take_results(void *context, const struct frame_results *results)
{
	struct job *job = context;
	checkpoint_results(results, &job->texts, &job->facts);
	return 0;
}

/* How the job's source wants senders to be proven by Authentication-Results; NULL: it does not. */
static const struct proof_settings *proof_settings_of(const struct job *job)
{
	const struct config_account *account =
		config_find_account(&job->courier->config, job->source);
	return account ? &account->believed : NULL;
}

/* All that the header says is known, and nothing is decided yet. */
static void prove_sender(struct job *job)
{
	const struct proof_settings *settings = proof_settings_of(job);
	if (settings && proof_results(settings, &job->facts))
		job->facts.proofs |= PROOF_RESULTS;
}

/* Without an envelope, To and Cc say where it goes. */
static void choose_recipients(struct job *job)
{
	if (job->facts.recipients_count > 0)
		return;
	for (size_t i = 0; i < job->addresses_count; i++)
		job->recipients[i] = job->addresses[i];
	job->facts.recipients_count = job->addresses_count;
	job->facts.recipients_copied = true;
}

static enum reason place_routes(struct job *job, const struct decide_route *found, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct job_route *route = &job->routes[i];
		route->route = found[i].route;
		route->to = found[i].to < job->facts.recipients_count ? job->recipients[found[i].to]
								      : "";
		route->folder_fd = -1;
		job->routes_count = i + 1;
		if (!place_of(job_rules(job), route->route, &job->facts, route->to, &route->place))
			return job_fail(job, REASON_NAME, "the path of the folder is too long");
	}
	return REASON_NONE;
}

static int take_message(void *context, const struct frame_message *message)
{
	struct job *job = context;
	struct decide_route found[DECIDE_ROUTES_MAX];
	size_t count = 0;
	checkpoint_message(message, &job->texts, &job->facts);
	prove_sender(job);
	choose_recipients(job);
	if (signer_ask(job) != REASON_NONE)
		return STOP;
	struct verdict verdict = decide_routes(job_rules(job), &job->facts, found, &count);
	if (verdict.reason) {
		job_fail(job, verdict.reason, "no route takes it%s%s", *job->dkim ? ": " : "",
			 job->dkim);
		return STOP;
	}
	if (place_routes(job, found, count) != REASON_NONE)
		return STOP;
	return !dry(job) && stage_open_shares(job) != REASON_NONE ? STOP : go_on(job);
}

/* --- parts ------------------------------------------------------------------------------------ */

static struct job_part *add_part(struct job *job)
{
	if (job->parts_count == job->parts_room) {
		job->parts_room = job->parts_room ? job->parts_room * 2 : 16;
		job->parts = realloc(job->parts, job->parts_room * sizeof *job->parts);
		if (!job->parts)
			abort();
	}
	struct job_part *part =
		calloc(1, sizeof *part + job->routes_count * sizeof part->copies[0]);
	if (!part)
		abort();
	for (size_t i = 0; i < job->routes_count; i++)
		part->copies[i].fd = -1;
	job->parts[job->parts_count++] = part;
	return part;
}

/* Which routes may want it: its type is not known yet. */
static bool is_wanted(const struct job *job, size_t route, const struct job_part *part)
{
	uint16_t index = job->routes[route].route;
	if (part->facts.text_body)
		return job_rules(job)->routes[index].body == RULES_BODY_TEXT;
	return decide_part_wanted(job_rules(job), index, &part->facts);
}

/* The extractor counts too; one that was taken over does not. */
static bool is_credible(const struct job *job, uint32_t parts, uint64_t unpacked)
{
	return parts <= job_rules(job)->limits.parts &&
	       unpacked <= job->bytes * UNPACKED_TIMES + UNPACKED_SLACK;
}

static int take_part(void *context, const struct frame_part *frame, const char *name)
{
	struct job *job = context;
	if (!is_credible(job, frame->number, 0))
		return -EPROTO;
	struct job_part *part = add_part(job);
	job->part = part;
	checkpoint_part(frame, part->declared, &part->facts);
	part->attachment = !part->facts.text_body;
	if (frame->flags & FRAME_PART_HAS_NAME)
		part->name = strdup(name);
	part->facts.name = part->name;
	part->facts.mime = part->mime;
	part->facts.number = part->attachment ? ++job->attachments : 0;
	digest_init(&job->digest);
	for (size_t i = 0; !dry(job) && i < job->routes_count; i++) {
		if (is_wanted(job, i, part) && stage_open(job, i, &part->copies[i]) != REASON_NONE)
			return STOP;
	}
	return go_on(job);
}

/* The text of a message counts only where it is stored. */
static bool has_limit(const struct job *job, size_t route, const struct job_part *part)
{
	return part->attachment || is_wanted(job, route, part);
}

/* A part beyond the limit is no longer stored. Where bad parts are skipped it is read on, and
 * decided at its end. */
static int give_up_part(struct job *job)
{
	for (size_t i = 0; i < job->routes_count; i++) {
		if (!has_limit(job, i, job->part))
			continue;
		if (job_rules(job)->routes[job->routes[i].route].bad_part != RULES_BAD_SKIP) {
			job_fail(job, REASON_SIZE, "a part has more than %llu octets",
				 (unsigned long long)job_rules(job)->limits.part_bytes);
			return STOP;
		}
		stage_remove(job, i, &job->part->copies[i]);
	}
	return 0;
}

static int take_bytes(void *context, const uint8_t *bytes, size_t size)
{
	struct job *job = context;
	struct job_part *part = job->part;
	part->facts.size += size;
	job->unpacked += size;
	if (!is_credible(job, 0, job->unpacked))
		return -EPROTO;
	if (part->facts.size > job_rules(job)->limits.part_bytes && give_up_part(job))
		return STOP;
	digest_add(&job->digest, bytes, size);
	for (size_t i = 0; i < job->routes_count; i++) {
		if (part->copies[i].fd >= 0 &&
		    stage_write(job, &part->copies[i], bytes, size) != REASON_NONE)
			return STOP;
	}
	return go_on(job);
}

static void fail_part(struct job *job, const struct job_part *part,
		      const struct decide_part *decision)
{
	job_fail(job, decision->reason, "part %u is %s, %llu octets: %s", part->facts.number,
		 decision->type->name, (unsigned long long)part->facts.size,
		 decision->why ? decision->why : "");
}

/* The decision for one route, and what it does to the staged copy. */
static enum reason decide_copy(struct job *job, size_t route, struct job_part *part)
{
	struct job_copy *copy = &part->copies[route];
	if (!part->attachment)
		return REASON_NONE;
	copy->decision = decide_part(job_rules(job), job->routes[route].route, &part->facts);
	if (copy->decision.action == DECIDE_REFUSE) {
		fail_part(job, part, &copy->decision);
		/* a dry run goes on: it is to say what would become of the others */
		return dry(job) ? REASON_NONE : copy->decision.reason;
	}
	if (copy->decision.action == DECIDE_SKIP)
		stage_remove(job, route, copy);
	return REASON_NONE;
}

/* What is lost is nobody's to deliver without: the mail is kept aside. */
static int heed_damage(struct job *job, const char *what)
{
	job_fail(job, REASON_SUSPICIOUS, "%s", what);
	return dry(job) ? 0 : STOP;
}

static int take_end(void *context, const struct frame_end *end)
{
	struct job *job = context;
	struct job_part *part = job->part;
	checkpoint_type(end->mime, part->mime);
	part->extension = filetype_of_mime(part->mime)->extension;
	digest_end(&job->digest, part->sha256);
	for (size_t i = 0; i < job->routes_count; i++) {
		struct job_copy *copy = &part->copies[i];
		if (decide_copy(job, i, part) != REASON_NONE)
			return STOP;
		if (copy->fd >= 0 && stage_close(job, i, copy) != REASON_NONE)
			return STOP;
	}
	return end->flags & FRAME_END_DAMAGED ? heed_damage(job, "a part is damaged") : 0;
}

static int take_shown(void *context, uint32_t number)
{
	struct job *job = context;
	job->parts[number - 1]->facts.shown = true;
	return 0;
}

static int take_done(void *context, const struct frame_done *done)
{
	struct job *job = context;
	job->done = *done;
	for (size_t p = 0; p < job->parts_count; p++) {
		job->parts[p]->facts.shown_known = true;
		for (size_t r = 0; r < job->routes_count; r++) {
			if (decide_copy(job, r, job->parts[p]) != REASON_NONE)
				return STOP;
		}
	}
	return done->flags & FRAME_DONE_DAMAGED ? heed_damage(job, "a delimiter is damaged") : 0;
}

/* --- an ambiguous message, read the other way ------------------------------------------------- */

/* What the second reading gives is compared, part by part, with what the first gave. */
struct reread {
	struct job *job;
	size_t part; /* the one being compared, from 0 */
	uint64_t unpacked;
	struct digest digest;
};

#define DIFFERS 1

static int reread_address(void *context, const char *address)
{
	(void)context;
	(void)address;
	return 0;
}

static int reread_results(void *context, const struct frame_results *results)
{
	(void)context;
	(void)results;
	return 0;
}

static int reread_message(void *context, const struct frame_message *message)
{
	(void)context;
	(void)message;
	return 0;
}

static int reread_part(void *context, const struct frame_part *frame, const char *name)
{
	struct reread *reread = context;
	struct job *job = reread->job;
	if (frame->number > job->parts_count)
		return DIFFERS;
	reread->part = frame->number - 1;
	const struct job_part *part = job->parts[reread->part];
	bool named = frame->flags & FRAME_PART_HAS_NAME;
	bool text = frame->flags & FRAME_PART_TEXT_BODY;
	digest_init(&reread->digest);
	return named != (part->name != NULL) || (named && strcmp(name, part->name) != 0) ||
			       text != part->facts.text_body
		       ? DIFFERS
		       : 0;
}

static int reread_bytes(void *context, const uint8_t *bytes, size_t size)
{
	struct reread *reread = context;
	reread->unpacked += size;
	digest_add(&reread->digest, bytes, size);
	return is_credible(reread->job, 0, reread->unpacked) ? 0 : -EPROTO;
}

static int reread_end(void *context, const struct frame_end *end)
{
	struct reread *reread = context;
	uint8_t value[DIGEST_SIZE];
	(void)end;
	digest_end(&reread->digest, value);
	return memcmp(value, reread->job->parts[reread->part]->sha256, DIGEST_SIZE) == 0 ? 0
											 : DIFFERS;
}

static int reread_shown(void *context, uint32_t number)
{
	(void)context;
	(void)number;
	return 0;
}

static int reread_done(void *context, const struct frame_done *done)
{
	struct reread *reread = context;
	return done->parts == reread->job->parts_count ? 0 : DIFFERS;
}

/* --- running ---------------------------------------------------------------------------------- */

static enum extractor_result run(struct job *job, enum frame_reading reading,
				 const struct frames_sink *sink, uint32_t *cap_out, char *why_out)
{
	const struct rules_limits *limits = &job_rules(job)->limits;
	struct extractor_job work = {
		.message_fd = job->message_fd,
		.bytes = job->bytes,
		.reading = reading,
		.limits = { .parts = limits->parts,
			    .depth = limits->depth,
			    .header_bytes = limits->header_bytes },
		.deadline_ms = job->ask->head->deadline_ms > 0 ? job->ask->head->deadline_ms : -1,
	};
	int stop = 0;
	return extractor_run(&job->courier->extractor, &work, sink, cap_out, &stop, why_out);
}

static enum reason read_again(struct job *job)
{
	struct reread reread = { .job = job };
	struct frames_sink sink = { &reread,        reread_address, reread_results,
				    reread_message, reread_part,    reread_bytes,
				    reread_end,     reread_shown,   reread_done };
	char why[EXTRACTOR_ERROR_MAX] = "";
	uint32_t cap = 0;
	switch (run(job, FRAME_READ_LAST, &sink, &cap, why)) {
	case EXTRACTOR_OK: return REASON_NONE;
	case EXTRACTOR_STOPPED:
	case EXTRACTOR_CAP:
		return job_fail(job, REASON_AMBIGUOUS,
				"one thing has two values, and they give different files");
	case EXTRACTOR_DEADLINE: return job_fail(job, REASON_DEADLINE, "not read in time");
	case EXTRACTOR_CRASH: return job_fail(job, REASON_CRASH, "%s", why);
	case EXTRACTOR_KILLED: return job_fail(job, REASON_IO, "%s", why);
	}
	return REASON_IO;
}

static const enum reason cap_reasons[] = {
	[FRAME_CAP_PARTS] = REASON_PARTS,
	[FRAME_CAP_DEPTH] = REASON_DEPTH,
	[FRAME_CAP_HEADER] = REASON_HEADER,
};

/* Everything of a run that did not come to its end is forgotten, so that another can follow. */
static void forget(struct job *job)
{
	stage_done(job, true);
	for (size_t i = 0; i < job->parts_count; i++) {
		free(job->parts[i]->name);
		free(job->parts[i]);
	}
	for (size_t i = 0; i < job->addresses_count; i++)
		free(job->addresses[i]);
	if (job->facts.recipients_count == job->addresses_count && job->ask->head->recipients == 0)
		job->facts.recipients_count = 0;
	job->facts.results_count = 0;
	job->facts.proofs &= ~(unsigned)(PROOF_RESULTS | PROOF_DKIM | PROOF_DKIM_RELATED);
	job->parts_count = 0;
	job->addresses_count = 0;
	job->routes_count = 0;
	job->attachments = 0;
	job->unpacked = 0;
	job->part = NULL;
}

static enum extractor_result read_first(struct job *job, uint32_t *cap_out, char *why_out)
{
	struct frames_sink sink = { job,        take_address, take_results, take_message, take_part,
				    take_bytes, take_end,     take_shown,   take_done };
	return run(job, FRAME_READ_FIRST, &sink, cap_out, why_out);
}

enum reason gather(struct job *job)
{
	char why[EXTRACTOR_ERROR_MAX] = "";
	uint32_t cap = 0;
	enum extractor_result result = read_first(job, &cap, why);
	if (result == EXTRACTOR_CRASH) {
		/* once more, in a newly executed extractor: other addresses, another chance */
		forget(job);
		result = read_first(job, &cap, why);
	}
	switch (result) {
	case EXTRACTOR_OK: break;
	case EXTRACTOR_STOPPED: return job->reason;
	case EXTRACTOR_CAP:
		return job_fail(job, cap_reasons[cap], "a limit of the configuration is exceeded");
	case EXTRACTOR_DEADLINE: return job_fail(job, REASON_DEADLINE, "not read in time");
	case EXTRACTOR_CRASH: return job_fail(job, REASON_CRASH, "%s", why);
	case EXTRACTOR_KILLED: return job_fail(job, REASON_IO, "%s", why);
	}
	if (job->reason == REASON_NONE && (job->done.flags & FRAME_DONE_AMBIGUOUS))
		return read_again(job);
	return job->reason;
}
