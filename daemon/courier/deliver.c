/* deliver.c: from staged to delivered, one step after the other. Never answers the source but with
 * the promise. */
#define _GNU_SOURCE
#include "daemon/courier/deliver.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/courier/publish.h"
#include "daemon/courier/quarantine.h"
#include "daemon/courier/report.h"
#include "daemon/courier/stage.h"
#include "daemon/courier/weaken.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/log.h"

/* --- the staged copies get their final state -------------------------------------------------- */

static struct share_owner folder_owner(const struct place *place)
{
	return (struct share_owner){ place->owner, place->group, place->folder_mode };
}

static bool has_copies(const struct job *job, size_t route)
{
	for (size_t i = 0; i < job->parts_count; i++) {
		if (job->parts[i]->copies[route].number > 0)
			return true;
	}
	return false;
}

static enum reason open_folder(struct job *job, size_t index)
{
	struct job_route *route = &job->routes[index];
	const struct share_owner owner = folder_owner(&route->place);
	const struct share *share = &job->shares[route->share].share;
	int error =
		share_folder(share, route->place.folder, &owner, &route->folder_fd, &route->made);
	if (!error)
		return REASON_NONE;
	return job_fail_folder(job, share, route->place.folder, error);
}

static enum reason finish_route(struct job *job, size_t route)
{
	enum reason reason = open_folder(job, route);
	for (size_t i = 0; !reason && i < job->parts_count; i++) {
		struct job_copy *copy = &job->parts[i]->copies[route];
		if (copy->number > 0 && copy->decision.action == DECIDE_KEEP)
			reason = stage_finish(job, route, copy);
	}
	return reason;
}

static enum reason finish_copies(struct job *job)
{
	enum reason reason = REASON_NONE;
	for (size_t i = 0; !reason && i < job->routes_count; i++) {
		if (has_copies(job, i))
			reason = finish_route(job, i);
	}
	return reason ? reason : stage_sync(job);
}

/* --- parts that are put aside ----------------------------------------------------------------- */

/* An entry stays when the message comes once more: its parts are known by key, number and route. */
static enum reason put_aside(struct job *job, size_t route, struct job_part *part)
{
	const struct courier *courier = job->courier;
	struct job_copy *copy = &part->copies[route];
	auto_close int fd = -1;
	char what[PLAN_KEY_SIZE + RULES_NAME_MAX + 32], id[ASIDE_ID_SIZE];
	snprintf(what, sizeof what, "part %s %u %s", job->key, part->facts.number,
		 courier->config.rules.routes[job->routes[route].route].name);
	int error = stage_reopen(job, route, copy, &fd);
	struct json *facts = report_message(job);
	json_put_text(facts, "reason", verdict_row(copy->decision.reason)->name);
	json_put_text(facts, "text", copy->decision.why);
	json_put_text(facts, "name", part->name);
	if (!error)
		error = quarantine_keep(courier->spool.quarantine_fd,
					courier->config.gateway.quarantine_bytes, what, facts,
					ASIDE_PART, fd, id);
	json_free(facts);
	if (error)
		return job_fail(job, job_spool_reason(error), "the quarantine: %s",
				strerror(-error));
	stage_remove(job, route, copy);
	return REASON_NONE;
}

static enum reason put_parts_aside(struct job *job)
{
	enum reason reason = REASON_NONE;
	for (size_t p = 0; p < job->parts_count; p++) {
		for (size_t r = 0; !reason && r < job->routes_count; r++) {
			const struct job_copy *copy = &job->parts[p]->copies[r];
			if (copy->number > 0 && copy->decision.action == DECIDE_QUARANTINE)
				reason = put_aside(job, r, job->parts[p]);
		}
	}
	return reason;
}

/* --- the plan --------------------------------------------------------------------------------- */

static uint64_t clock_now(const struct courier *courier)
{
	return courier->clock_s + (uint64_t)(monotonic_ms() - courier->clock_ms) / 1000;
}

static void plan_copy(const struct job *job, size_t route, const struct job_part *part,
		      const struct job_copy *copy, struct plan_part *planned)
{
	const struct job_route *way = &job->routes[route];
	char name[STAGE_NAME_SIZE];
	stage_name(job, copy, name);
	planned->staged = strdup(name);
	planned->share = way->share;
	planned->folder = strdup(way->place.folder);
	planned->folder_owner = folder_owner(&way->place);
	place_name(job_rules(job), way->route, &job->facts, way->to,
		   part->attachment ? part->name : "mail",
		   part->facts.number ? part->facts.number : 1, part->extension, &planned->name);
	if (!planned->staged || !planned->folder)
		abort();
}

static void plan_route(const struct job *job, size_t route, struct plan *plan)
{
	for (size_t i = 0; i < job->parts_count; i++) {
		const struct job_copy *copy = &job->parts[i]->copies[route];
		/* what is to be kept has been staged: nothing is ever left out in silence */
		assert(copy->number > 0 || !job->parts[i]->attachment ||
		       copy->decision.action != DECIDE_KEEP);
		if (copy->number > 0 && copy->decision.action == DECIDE_KEEP)
			plan_copy(job, route, job->parts[i], copy,
				  &plan->parts[plan->parts_count++]);
	}
}

static enum plan_doubt doubt_of(const struct job *job)
{
	if (job->ask->head->kind == ASK_RETRY)
		return PLAN_DOUBT_RETRY;
	/* what is pulled has a key of its own, however much it is like another */
	if (job_is_pulled(job))
		return PLAN_DOUBT_LONG;
	return job->facts.has_message_id || job->facts.has_date ? PLAN_DOUBT_LONG
								: PLAN_DOUBT_SHORT;
}

static enum reason make_plan(struct job *job, struct plan *plan)
{
	memcpy(plan->key, job->key, sizeof plan->key);
	memcpy(plan->job, job->id, sizeof plan->job);
	plan->clock_s = clock_now(job->courier);
	plan->doubt = doubt_of(job);
	plan->shares = calloc(job->shares_count, sizeof *plan->shares);
	plan->parts = calloc(job->parts_count * job->routes_count + 1, sizeof *plan->parts);
	if (!plan->shares || !plan->parts)
		abort();
	for (size_t i = 0; i < job->shares_count; i++) {
		const struct share *share = &job->shares[i].share;
		memcpy(plan->shares[i].id, share->id, sizeof plan->shares[i].id);
		plan->shares[i].path = strdup(share->rules->path);
		witness_within(job->shares[i].staging_fd, plan->shares[i].staging);
		plan->shares_count += plan->shares[i].path != NULL;
	}
	for (size_t i = 0; i < job->routes_count; i++)
		plan_route(job, i, plan);
	if (plan_fits(plan))
		return REASON_NONE;
	return job_fail(job, REASON_PARTS, "%zu files on all its routes are more than a plan holds",
			plan->parts_count);
}

/* --- the promise ------------------------------------------------------------------------------ */

/* Before the first octet of the plan is written the source gets it as its mark, locked: from now on
 * a plan that nobody holds tells that its session is gone. So we keep none ourselves: a sender that
 * tries again while we write and sync must find a plan that waits, not one that is held. A source
 * that is gone already, or does not read its answers, is owed nothing. */
static enum reason hand_over_mark(struct job *job, int taken_fd)
{
	auto_close int mark_fd = taken_fd;
	struct ask_answer promise = { .kind = ASK_PROMISED };
	memcpy(promise.job, job->id, sizeof job->id);
	if (flock(mark_fd, LOCK_EX) < 0)
		return job_fail(job, REASON_IO, "the mark can't be locked: %s", strerror(errno));
	int error = pass_fds_now(job->answer_fd, &promise, sizeof promise, &mark_fd, 1);
	if (error)
		return job_fail(job, REASON_IO, "the sender went away");
	return REASON_NONE;
}

static enum reason spool_failed(struct job *job, int error)
{
	return job_fail(job, job_spool_reason(error), "the spool: %s", strerror(-error));
}

static enum reason write_plan(struct job *job, const char *name, const struct plan *plan)
{
	int publishing_fd = job->courier->spool.publishing_fd;
	auto_close int fd = openat(publishing_fd, name,
				   O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	/* the descriptor that travels can't write */
	auto_close int mark_fd =
		fd < 0 ? -1 : openat(publishing_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (mark_fd < 0)
		return spool_failed(job, -errno);
	enum reason reason = hand_over_mark(job, take_fd(&mark_fd));
	if (reason)
		return reason;
	int error = plan_write(plan, fd);
	if (!error && fsync(fd) < 0)
		error = -errno;
	if (error)
		return spool_failed(job, error);
	error = sync_folder(publishing_fd);
	/* it may be durable, and another sync would not tell: it stays, with what it names */
	job->courier->life_spoilt |= error != 0;
	return error ? spool_failed(job, error) : REASON_NONE;
}

static enum reason check_deadline(struct job *job)
{
	if (*job->courier->stopping)
		return job_fail(job, REASON_SHUTDOWN, "the gateway is ending");
	return job_has_time(job) ? REASON_NONE
				 : job_fail(job, REASON_DEADLINE, "not durable in time");
}

static void tell_published(const void *context, const struct plan_part *part, const char *path)
{
	const struct job *job = context;
	if (!log_is_debug())
		return;
	struct log_line line;
	log_start(&line, "published");
	log_add(&line, "job", "%s", job->id);
	log_quote(&line, "share", job->shares[part->share].share.rules->path);
	log_quote(&line, "path", path);
	log_send(LOG_DEBUG, &line);
}

/* It must not become a promise later, not even by a power cut: what it names is about to go. */
static void drop_plan(struct job *job, const char *name)
{
	int publishing_fd = job->courier->spool.publishing_fd;
	if ((unlinkat(publishing_fd, name, 0) < 0 && errno != ENOENT) ||
	    sync_folder(publishing_fd) != 0)
		job->courier->life_spoilt = true;
}

/* In which of its folders? */
static enum reason say_unpublished(struct job *job, const struct plan *plan,
				   const struct publish_share *shares, int error)
{
	char why[SHARE_WHY_MAX];
	const struct plan_part *part = plan->parts, *last = part + plan->parts_count - 1;
	while (part < last && share_reach(shares[part->share].share, part->folder, why) == 0)
		part++;
	return job_fail_folder(job, shares[part->share].share, part->folder, error);
}

/* The plan is durable: what fails now is rolled forward later. */
static enum reason publish(struct job *job, const char *name, const struct plan *plan)
{
	const struct spool *spool = &job->courier->spool;
	struct publish_share shares[DECIDE_ROUTES_MAX];
	for (size_t i = 0; i < job->shares_count; i++)
		shares[i] =
			(struct publish_share){ &job->shares[i].share, job->shares[i].staging_fd };
	int error =
		publish_plan(plan, PUBLISH_FIRST, shares, spool->folders_fd, tell_published, job);
	if (error == -ENODATA) {
		drop_plan(job, name);
		return job_fail(job, REASON_SHARE, "somebody removed what was staged");
	}
	if (error) {
		job->courier->life_spoilt = true;
		return say_unpublished(job, plan, shares, error);
	}
	const struct marks marks = { spool->publishing_fd, spool->done_fd };
	error = marks_make(&marks, name, plan);
	if (error) {
		job->courier->life_spoilt = true;
		return spool_failed(job, error);
	}
	job->stored = (unsigned)plan->parts_count;
	return REASON_NONE;
}

static enum reason promise_and_publish(struct job *job, const struct plan *plan)
{
	char name[PLAN_NAME_SIZE];
	plan_name(job->key, job->id, job->courier->life.name, name);
	enum reason reason = check_deadline(job);
	if (reason)
		return reason;
	reason = write_plan(job, name, plan);
	if (!reason && is_weak(WEAKEN_PLAN_FIRST))
		reason = finish_copies(job);
	if (!reason)
		return publish(job, name, plan);
	if (!job->courier->life_spoilt)
		drop_plan(job, name);
	return reason;
}

/* --- the whole -------------------------------------------------------------------------------- */

static void clean_up(struct job *job, bool failed)
{
	bool promised = job->courier->life_spoilt;
	for (size_t i = 0; i < job->routes_count; i++) {
		struct job_route *route = &job->routes[i];
		close_fd(&route->folder_fd);
		if (failed && !promised)
			share_unmake_folder(&job->shares[route->share].share, route->place.folder,
					    route->made);
	}
}

enum reason deliver(struct job *job)
{
	struct plan plan = { 0 };
	enum reason reason = is_weak(WEAKEN_PLAN_FIRST) ? REASON_NONE : finish_copies(job);
	if (!reason)
		reason = put_parts_aside(job);
	if (!reason)
		reason = make_plan(job, &plan);
	if (!reason && plan.parts_count > 0)
		reason = promise_and_publish(job, &plan);
	clean_up(job, reason != REASON_NONE);
	plan_done(&plan);
	return reason;
}
