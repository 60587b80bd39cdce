/* courier.c: one job, top to bottom. Never keeps anything of it afterwards but what lies in the
 * spool. */
#define _GNU_SOURCE
#include "daemon/courier/courier.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "daemon/courier/body.h"
#include "daemon/courier/deliver.h"
#include "daemon/courier/gather.h"
#include "daemon/courier/quarantine.h"
#include "daemon/courier/report.h"
#include "daemon/courier/stage.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/kept.h"
#include "daemon/log.h"

#define UIDS_MAX        (16 << 20) /* octets of a list of UIDs */
#define PENDING_WAIT_MS 20         /* between looks at a plan that another courier is working on */
#define PENDING_MOST_MS 10000      /* for it: its share may hang */
#define LAST_MS         250        /* before the end of his time who asks may give up on us */

static enum reason name_job(struct job *job)
{
	uint32_t number;
	if (getrandom(&number, sizeof number, 0) != sizeof number)
		return job_fail(job, REASON_IO, "no random numbers");
	snprintf(job->id, sizeof job->id, "%08x", number);
	return REASON_NONE;
}

/* A file, opened by somebody who may read it: to point at one (O_PATH) needs no right to it. */
static bool is_opened_file(int fd, off_t *size_out)
{
	struct stat found;
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || (flags & (O_ACCMODE | O_PATH)) != O_RDONLY || fstat(fd, &found) < 0 ||
	    !S_ISREG(found.st_mode))
		return false;
	*size_out = found.st_size;
	return true;
}

/* What its source finds too big is not fetched: it is judged by the size that is told. Of all
 * others there must be as many octets as are told: a source that knew another limit than we do,
 * before a reload, has none of it. */
static enum reason judge_size(struct job *job, uint64_t told)
{
	if (told <= job->bytes)
		return REASON_NONE;
	if (told <= job_rules(job)->limits.message_bytes)
		return job_fail(job, REASON_IO, "its source tells of %llu octets and gives %llu",
				(unsigned long long)told, (unsigned long long)job->bytes);
	job->bytes = told;
	return REASON_NONE;
}

/* The message must be a file that its source can't write through our descriptor. */
static enum reason open_message(struct job *job, int message_fd)
{
	off_t size;
	if (!is_opened_file(message_fd, &size))
		return job_fail(job, REASON_IO, "the message is not a file that can only be read");
	job->message_fd = message_fd;
	job->bytes = (uint64_t)size;
	enum reason reason =
		job_is_pulled(job) ? judge_size(job, job->ask->head->bytes) : REASON_NONE;
	job->facts.bytes = job->bytes;
	return reason;
}

static void add_text(struct digest *digest, const char *text)
{
	digest_add(digest, text, strlen(text) + 1);
}

static bool is_too_big(const struct job *job)
{
	return job->bytes > job_rules(job)->limits.message_bytes;
}

static enum reason check_size(struct job *job)
{
	return is_too_big(job) ? job_fail(job, REASON_SIZE, "it has %llu octets",
					  (unsigned long long)job->bytes)
			       : REASON_NONE;
}

/* Every octet is looked at: not before it is known that they are not too many, and not for longer
 * than somebody waits for the answer. */
static enum reason hash_message(struct job *job)
{
	struct digest digest;
	digest_init(&digest);
	int error = digest_add_file(&digest, job->message_fd, job->bytes, job_has_time, job);
	if (error == -ECANCELED)
		return job_fail(job, *job->courier->stopping ? REASON_SHUTDOWN : REASON_DEADLINE,
				"there was no time to read it");
	if (error)
		return job_fail(job, REASON_IO, "the message can't be read: %s", strerror(-error));
	digest_end(&digest, job->sha256);
	return REASON_NONE;
}

/* A mailbox: what the configuration says of it, and what its server calls the message. */
static void add_imap(const struct job *job, struct digest *key)
{
	const struct config_account *account =
		config_find_account(&job->courier->config, job->source);
	add_text(key, account->host);
	digest_add(key, &account->port, sizeof account->port);
	add_text(key, account->user);
	add_text(key, account->mailbox);
	digest_add(key, job->ask->head->place, sizeof job->ask->head->place);
}

static void add_maildir(const struct job *job, struct digest *key)
{
	digest_add(key, job->ask->head->place, sizeof job->ask->head->place);
	add_text(key, job->ask->head->item);
}

/* Who brings it, to whom, and every octet of it. */
static void add_message(const struct job *job, struct digest *key)
{
	const struct ask_head *head = job->ask->head;
	digest_add(key, head->origin.peer, sizeof head->origin.peer);
	add_text(key, head->login);
	add_text(key, job->ask->sender);
	for (uint32_t i = 0; i < head->recipients; i++)
		add_text(key, job->ask->recipients[i]);
	digest_add(key, job->sha256, sizeof job->sha256);
}

/* "The same message": kind and name of the source, and what it is there. */
static void make_key(struct job *job)
{
	static void (*const adds[])(const struct job *job, struct digest *key) = {
		[ASK_SOURCE_SMTP] = add_message,
		[ASK_SOURCE_DROP] = add_message,
		[ASK_SOURCE_IMAP] = add_imap,
		[ASK_SOURCE_MAILDIR] = add_maildir,
	};
	uint32_t kind = job->ask->head->origin.kind;
	struct digest key;
	uint8_t value[DIGEST_SIZE];
	digest_init(&key);
	digest_add(&key, &kind, sizeof kind);
	add_text(&key, job->source);
	adds[kind](job, &key);
	digest_end(&key, value);
	digest_hex(value, job->key);
}

/* The key of a message that was put aside is that of the first time: what is known under it, a
 * delivery that nobody heard of or its entry, is known for this try too. What was counted against
 * it is forgotten. */
static enum reason take_key(struct job *job)
{
	snprintf(job->key, sizeof job->key, "%.*s", PLAN_KEY_SIZE - 1, job->ask->head->key);
	life_forget_tries(&job->courier->spool, job->key);
	enum reason reason = check_size(job);
	return reason || !job->ask->head->stays ? reason : hash_message(job);
}

/* What is pulled is known by its place; its octets count only where it stays there. */
static enum reason know_message(struct job *job)
{
	enum reason reason = REASON_NONE;
	bool by_place = job_is_pulled(job);
	if (job->ask->head->kind == ASK_RETRY)
		return take_key(job);
	if (!by_place)
		reason = check_size(job);
	bool counts = job->ask->head->stays && job->ask->head->kind != ASK_RECALL;
	if (!reason && (!by_place || (counts && !is_too_big(job))))
		reason = hash_message(job);
	if (!reason)
		make_key(job);
	return reason;
}

static void take_facts(struct job *job)
{
	const struct ask_head *head = job->ask->head;
	struct facts *facts = &job->facts;
	time_t received = (time_t)(head->received_ms / 1000);
	snprintf(job->source, sizeof job->source, "%s", head->origin.source);
	facts->source = job->source;
	facts->peer.known = head->origin.peer_known;
	memcpy(facts->peer.address, head->origin.peer, sizeof facts->peer.address);
	facts->peer_allowed = head->origin.peer_allowed;
	facts->login = *head->login ? head->login : NULL;
	facts->proofs = *head->login ? PROOF_LOGIN : 0;
	facts->has_envelope = head->has_envelope;
	facts->sender = head->has_envelope ? job->ask->sender : NULL;
	for (uint32_t i = 0; i < head->recipients; i++)
		job->recipients[i] = job->ask->recipients[i];
	facts->recipients = job->recipients;
	facts->recipients_count = head->recipients;
	facts->subject = "";
	if (!localtime_r(&received, &facts->received))
		memset(&facts->received, 0, sizeof facts->received);
	facts->date = facts->received;
}

/* --- what was delivered before ---------------------------------------------------------------- */

/* The doubt is this session's now: it holds the mark and will settle it. */
static enum reason answer_doubt(struct job *job, int mark_fd)
{
	struct ask_answer promise = { .kind = ASK_PROMISED };
	memcpy(promise.job, job->id, sizeof job->id);
	if (pass_fds_now(job->answer_fd, &promise, sizeof promise, &mark_fd, 1) != 0)
		return job_fail(job, REASON_IO, "the sender went away");
	job->doubt = true;
	return REASON_NONE;
}

/* A plan that no session holds: its courier is dead, then we finish its work; or at it, then we
 * wait. */
static enum reason settle_pending(struct job *job, const char *life, int64_t since_ms)
{
	struct courier *courier = job->courier;
	int error = life_adopt(&courier->spool, &courier->config, courier->run, life);
	if (error && error != -EWOULDBLOCK)
		return job_fail(job, job_share_reason(error), "an earlier delivery of it waits: %s",
				strerror(-error));
	if (!job_has_time(job) || monotonic_ms() - since_ms > PENDING_MOST_MS)
		return job_fail(job, REASON_DEADLINE, "an earlier delivery of it is under way");
	nap_ms(PENDING_WAIT_MS);
	return REASON_NONE;
}

/* Whoever asked has gone: a doubt, or what is written, would be for nobody. */
static bool is_asker_gone(const struct job *job)
{
	struct pollfd asker = { .fd = job->answer_fd };
	return poll(&asker, 1, 0) > 0 && (asker.revents & (POLLHUP | POLLERR));
}

static enum reason look_back(struct job *job)
{
	const struct spool *spool = &job->courier->spool;
	const struct marks marks = { spool->publishing_fd, spool->done_fd };
	char life[PLAN_LIFE_SIZE];
	int64_t since_ms = monotonic_ms();
	for (;;) {
		enum marks_found found;
		auto_close int mark_fd = -1;
		if (is_asker_gone(job))
			return job_fail(job, REASON_IO, "the sender went away");
		int error = marks_find(&marks, job->key, &found, &mark_fd, life);
		if (error)
			return job_fail(job, job_spool_reason(error), "the spool: %s",
					strerror(-error));
		if (found == MARKS_NONE)
			return REASON_NONE;
		if (found == MARKS_DOUBT)
			return answer_doubt(job, mark_fd);
		enum reason reason = settle_pending(job, life, since_ms);
		if (reason)
			return reason;
	}
}

/* --- what stays at its source ----------------------------------------------------------------- */

static uint64_t validity_of(const struct courier *courier, const struct ask_head *head)
{
	const struct config_account *account =
		config_find_account(&courier->config, head->origin.source);
	uint32_t validity = (uint32_t)head->place[0];
	return account ? config_validity(account, validity) : validity;
}

static struct kept_record record_of(const struct job *job)
{
	const struct ask_head *head = job->ask->head;
	struct kept_record record = { .validity = validity_of(job->courier, head),
				      .uid = (uint32_t)head->place[1],
				      .revision = job->courier->revision };
	memcpy(record.sha256, job->sha256, sizeof record.sha256);
	return record;
}

static void ledger_failed(struct job *job, int error)
{
	job_fail(job, job_spool_reason(error), "the ledger of what stays: %s", strerror(-error));
}

/* It may have been remembered and its answer lost. The same octets under an older UIDVALIDITY were
 * the same message. One that was refused is tried again if the rules are others now, or if somebody
 * wants it. */
static void recall(struct job *job)
{
	struct kept_record record = record_of(job);
	if (!job->ask->head->stays || is_too_big(job) || job->ask->head->kind == ASK_RETRY)
		return;
	int error = kept_claim(job->courier->spool.kept_fd, job->source, &record, &job->known);
	if (error)
		ledger_failed(job, error);
	else if (job->known && record.outcome == KEPT_REFUSED)
		job_fail(job,
			 record.reason < REASON_COUNT ? (enum reason)record.reason : REASON_ROUTE,
			 "it was refused before");
}

/* Durable before it is answered: who keeps a message asks once. */
static void remember(struct job *job)
{
	const struct ask_head *head = job->ask->head;
	enum outcome outcome = verdict_row(job->reason)->outcome;
	struct kept_record record = record_of(job);
	unsigned wanted = outcome == OUTCOME_DELIVERED ? ASK_STAYS_DELIVERED
			  : outcome == OUTCOME_REFUSED ? ASK_STAYS_REFUSED
						       : 0;
	if (!(head->stays & wanted))
		return;
	record.reason = job->reason;
	record.outcome = outcome == OUTCOME_DELIVERED ? KEPT_DELIVERED : KEPT_REFUSED;
	int error = kept_append(job->courier->spool.kept_fd, job->source, &record);
	if (!error)
		return;
	job->reason = REASON_NONE;
	ledger_failed(job, error);
}

/* `uids_fd`: what its source still lists. */
static void compact(const struct courier *courier, const struct ask_head *head, int uids_fd)
{
	struct stat found;
	if (fstat(uids_fd, &found) < 0 || !S_ISREG(found.st_mode) || found.st_size > UIDS_MAX ||
	    found.st_size % (off_t)sizeof(uint32_t) != 0)
		return;
	size_t size = (size_t)found.st_size;
	auto_free uint32_t *uids = malloc(size + 1);
	if (!uids || pread(uids_fd, uids, size, 0) != (ssize_t)size)
		return;
	int error = kept_compact(courier->spool.kept_fd, head->origin.source,
				 validity_of(courier, head), (uint32_t)head->place[1], uids,
				 size / sizeof *uids);
	if (error)
		log_say(LOG_WARNING, "spool", "the ledger of %s can't be compacted: %s",
			head->origin.source, strerror(-error));
}

/* --- what is put aside ------------------------------------------------------------------------ */

/* What could not be put aside is still the sender's: nobody may tell him that it is kept. */
static void put_message_aside(struct job *job)
{
	const struct courier *courier = job->courier;
	char id[ASIDE_ID_SIZE];
	struct json *facts = report_message(job);
	json_put_text(facts, "reason", verdict_row(job->reason)->name);
	json_put_text(facts, "text", job->why);
	aside_put_question(facts, job->ask);
	int error = quarantine_keep_message(courier->spool.quarantine_fd,
					    courier->config.gateway.quarantine_bytes, job->key,
					    facts, job->message_fd, id);
	json_free(facts);
	if (error) {
		job->reason = REASON_NONE;
		job_fail(job, job_spool_reason(error), "it can't be put aside: %s",
			 error == -ENOSPC ? "the disk is full, or quarantine_bytes is used up"
					  : strerror(-error));
		return;
	}
	log_say(LOG_WARNING, "quarantine", "job %s was put aside as %s", job->id, id);
}

/* The mail itself is the trouble, not what the rules make of it. */
static bool belongs_aside(enum reason reason)
{
	return reason == REASON_CRASH || reason == REASON_SUSPICIOUS;
}

/* --- the steps -------------------------------------------------------------------------------- */

static enum reason check_tries(struct job *job, unsigned *tries_out)
{
	*tries_out = life_tries(&job->courier->spool, job->key);
	if (*tries_out < LIFE_TRIES_MAX)
		return REASON_NONE;
	return job_fail(
		job, REASON_CRASH,
		"%u tries failed: it brought its courier down, or its files can't have their names",
		*tries_out);
}

static enum reason judge_routes(struct job *job)
{
	const struct rules *rules = job_rules(job);
	for (size_t r = 0; r < job->routes_count; r++) {
		struct job_route *route = &job->routes[r];
		for (size_t p = 0; p < job->parts_count; p++) {
			if (!job->parts[p]->attachment)
				continue;
			enum decide_action action = job->parts[p]->copies[r].decision.action;
			route->kept += action == DECIDE_KEEP;
			route->quarantined += action == DECIDE_QUARANTINE;
		}
		struct verdict verdict =
			decide_end(rules, route->route, route->kept, route->quarantined,
				   job->attachments, job->done.flags & FRAME_DONE_ENCODED);
		if (verdict.reason)
			return job_fail(job, verdict.reason, "%u attachments, none to store",
					job->attachments);
	}
	return REASON_NONE;
}

static enum reason deliver_message(struct job *job)
{
	enum reason reason = gather(job);
	if (!reason)
		reason = judge_routes(job);
	if (!reason)
		reason = body_stage(job);
	if (!reason)
		reason = deliver(job);
	/* a plan that is durable still needs what is staged */
	stage_done(job, reason != REASON_NONE && !job->courier->life_spoilt);
	return reason;
}

/* Counted before the try: it may bring us down. */
static void try_message(struct job *job)
{
	struct courier *courier = job->courier;
	unsigned tries = 0;
	if (!check_size(job) && !check_tries(job, &tries)) {
		life_set_current(&courier->life, job->key);
		deliver_message(job);
		life_set_current(&courier->life, "");
	}
	if (belongs_aside(job->reason))
		put_message_aside(job);
	if (tries > 0 && verdict_row(job->reason)->outcome != OUTCOME_LATER)
		life_forget_tries(&courier->spool, job->key);
}

static void run_job(struct job *job, int message_fd)
{
	struct courier *courier = job->courier;
	enum reason reason = name_job(job);
	if (*courier->stopping)
		reason = job_fail(job, REASON_SHUTDOWN, "the gateway is ending");
	/* also of what is not taken the log says from where it came */
	take_facts(job);
	if (!reason)
		reason = open_message(job, message_fd);
	if (!reason)
		reason = know_message(job);
	if (!reason)
		reason = look_back(job);
	if (reason)
		return;
	job->unknown = job->ask->head->kind == ASK_RECALL && !job->doubt;
	if (job->unknown)
		return;
	if (job->doubt)
		life_forget_tries(&courier->spool, job->key);
	else
		recall(job);
	/* what was known has its record */
	if (job->known)
		return;
	if (!job->doubt && !job->reason)
		try_message(job);
	remember(job);
}

static void explain_job(struct job *job, int message_fd)
{
	enum reason reason = name_job(job);
	take_facts(job);
	if (!reason)
		reason = open_message(job, message_fd);
	if (!reason)
		reason = gather(job);
	if (!reason)
		reason = judge_routes(job);
	if (!reason)
		body_stage(job);
	report_explain(job);
}

static void free_job(struct job *job)
{
	for (size_t i = 0; i < job->parts_count; i++) {
		free(job->parts[i]->name);
		free(job->parts[i]);
	}
	for (size_t i = 0; i < job->addresses_count; i++)
		free(job->addresses[i]);
	free(job->parts);
	free(job);
}

/* Silence says that the mark is still there. */
static void settle(struct courier *courier, int mark_fd, int answer_fd)
{
	const struct marks marks = { courier->spool.publishing_fd, courier->spool.done_fd };
	int error = marks_settle(&marks, mark_fd);
	if (error)
		log_say(LOG_ERROR, "spool", "a mark can't be removed: %s", strerror(-error));
	const struct ask_answer settled = { .kind = ASK_SETTLED };
	if (!error)
		pass_fds_now(answer_fd, &settled, sizeof settled, NULL, 0);
}

/* The last question of all. Whoever asks it exits at the word that it is settled, and we die with
 * him: what else there is to do comes first. */
static void take_leave(struct courier *courier, int mark_fd, int answer_fd)
{
	extractor_stop(&courier->extractor);
	life_end(&courier->spool, &courier->config, &courier->life);
	settle(courier, mark_fd, answer_fd);
	exit(0);
}

/* Who may have no time left to wait for us, and then tells the device, and the log, himself. What
 * was delivered is for us to tell in any case. */
static bool may_be_too_late(const struct job *job)
{
	const struct ask_head *head = job->ask->head;
	return job->reason && head->kind == ASK_DELIVER && head->origin.kind == ASK_SOURCE_SMTP &&
	       head->deadline_ms > 0 && monotonic_ms() + LAST_MS > head->deadline_ms;
}

/* Each message has one line. It is there before the sender knows, but where only he knows whether
 * it is ours to write. */
static void tell(const struct job *job)
{
	bool counts = job->ask->head->kind != ASK_RECALL || job->doubt;
	bool late = may_be_too_late(job);
	if (counts && !late)
		report_log(job);
	bool heard = report_answer(job);
	if (late && heard)
		report_log(job);
}

void courier_answer(struct courier *courier, const struct ask *ask, const int *fds,
		    size_t fds_count)
{
	if (ask->head->kind == ASK_SETTLE || ask->head->kind == ASK_FAREWELL) {
		if (fds_count == 2 && ask->head->kind == ASK_FAREWELL)
			take_leave(courier, fds[0], fds[1]);
		if (fds_count == 2)
			settle(courier, fds[0], fds[1]);
		return;
	}
	if (ask->head->kind == ASK_COMPACT) {
		if (fds_count == 2)
			compact(courier, ask->head, fds[0]);
		return;
	}
	bool dry = ask->head->kind == ASK_EXPLAIN;
	if (fds_count != (dry ? 3u : 2u))
		return;
	struct job *job = calloc(1, sizeof *job);
	if (!job)
		abort();
	job->courier = courier;
	job->ask = ask;
	job->started_ms = monotonic_ms();
	job->message_fd = -1;
	job->answer_fd = fds[1];
	job->report_fd = dry ? fds[2] : -1;
	if (dry) {
		explain_job(job, fds[0]);
		report_answer(job);
	} else {
		run_job(job, fds[0]);
		tell(job);
	}
	free_job(job);
}
