/* box.c: acts on messages that were decided about. Never fetches one. */
#define _GNU_SOURCE
#include "daemon/imap/box.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/kept.h"
#include "daemon/log.h"

#define POSTPONE_LEAST_MS 2000
#define POSTPONE_MOST_MS  600000
#define REMOVE_AGAIN_MS   30000
#define REMOVE_DOUBLINGS  7 /* up to an hour */

void box_init(struct box *box, const struct config_account *account)
{
	*box = (struct box){ .account = account };
}

static void forget(struct box *box)
{
	for (size_t i = 0; i < box->decided_count; i++)
		close_fd(&box->decided[i].mark_fd);
	box->decided_count = 0;
	box->postponed_count = 0;
	uidset_done(&box->known);
	uidset_done(&box->leaving[0]);
	uidset_done(&box->leaving[1]);
	uidset_done(&box->foreign);
}

void box_done(struct box *box)
{
	forget(box);
	free(box->postponed);
	box->postponed = NULL;
}

static bool leaves(const struct config_fate *fate)
{
	return fate->kind == CONFIG_FATE_EXPUNGE || fate->kind == CONFIG_FATE_MOVE;
}

static const struct config_fate *fate_of(const struct box *box, bool refused)
{
	return refused ? &box->account->refused : &box->account->after;
}

/* What older rules refused is tried again. */
static void learn_record(struct box *box, const struct kept_record *record, uint64_t revision)
{
	bool refused = record->outcome == KEPT_REFUSED;
	struct uidset *set = leaves(fate_of(box, refused)) ? &box->leaving[refused] : &box->known;
	if (!refused || record->revision == revision)
		uidset_add(set, record->uid);
	else
		uidset_remove(set, record->uid);
}

static int learn(struct box *box, int kept_fd, uint64_t revision)
{
	struct kept kept;
	int error = kept_read(kept_fd, box->account->name, &kept);
	if (error)
		return error;
	uint64_t validity = config_validity(box->account, box->validity);
	for (size_t i = 0; i < kept.count; i++) {
		if (kept.records[i].validity == validity)
			learn_record(box, &kept.records[i], revision);
	}
	kept_done(&kept);
	return 0;
}

int box_enter(struct box *box, uint32_t validity, int kept_fd, uint64_t revision)
{
	if (box->validity == validity)
		return 0;
	if (box->validity != 0)
		log_say(LOG_WARNING, "mailbox",
			"source %s: the server has numbered its messages anew (UIDVALIDITY %u)",
			box->account->name, validity);
	forget(box);
	box->validity = validity;
	int error = learn(box, kept_fd, revision);
	if (error)
		box->validity = 0;
	return error;
}

size_t box_remembers(const struct box *box, uint32_t *last_out)
{
	const struct uidset *sets[] = { &box->known, &box->leaving[0], &box->leaving[1] };
	size_t count = 0;
	*last_out = 0;
	for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
		size_t size = sets[i]->count;
		if (size > 0 && sets[i]->uids[size - 1] > *last_out)
			*last_out = sets[i]->uids[size - 1];
		count += size;
	}
	return count;
}

enum conn_criterion box_criterion(const struct config_account *account)
{
	static const enum conn_criterion criteria[] = { [CONFIG_FATE_EXPUNGE] = CONN_UNDELETED,
							[CONFIG_FATE_MOVE] = CONN_UNDELETED,
							[CONFIG_FATE_SEEN] = CONN_UNSEEN,
							[CONFIG_FATE_FLAG] = CONN_UNFLAGGED,
							[CONFIG_FATE_KEEP] = CONN_UNDELETED };
	return criteria[account->after.kind];
}

const char *box_fault(const struct config_account *account, const struct conn_mailbox *mailbox)
{
	bool keeps = account->after.kind == CONFIG_FATE_KEEP &&
		     account->refused.kind == CONFIG_FATE_KEEP;
	bool flags = account->after.kind == CONFIG_FATE_FLAG ||
		     account->refused.kind == CONFIG_FATE_FLAG;
	if (mailbox->read_only && !keeps)
		return "the mailbox can only be read: set after = keep and refused = keep";
	if (flags && !mailbox->keeps_flags)
		return "the mailbox keeps no flags of ours: another `after` or `refused` is needed";
	return NULL;
}

/* --- what is known of a message --------------------------------------------------------------- */

static bool is_leaving(const struct box *box, uint32_t uid)
{
	return uidset_has(&box->leaving[0], uid) || uidset_has(&box->leaving[1], uid);
}

static struct box_postponed *find_postponed(const struct box *box, uint32_t uid)
{
	for (size_t i = 0; i < box->postponed_count; i++) {
		if (box->postponed[i].uid == uid)
			return &box->postponed[i];
	}
	return NULL;
}

static bool is_decided(const struct box *box, uint32_t uid)
{
	for (size_t i = 0; i < box->decided_count; i++) {
		if (box->decided[i].uid == uid)
			return true;
	}
	return false;
}

bool box_wants(const struct box *box, uint32_t uid, const struct errands *errands)
{
	const uint64_t place[2] = { box->validity, uid };
	const struct box_postponed *postponed = find_postponed(box, uid);
	return !is_decided(box, uid) && !uidset_has(&box->known, uid) && !is_leaving(box, uid) &&
	       !errands_have(errands, place, "") &&
	       (!postponed || postponed->until_ms <= monotonic_ms());
}

bool box_owes(struct box *box, uint32_t uid)
{
	if (!is_leaving(box, uid) || is_decided(box, uid) ||
	    box->decided_count + ERRANDS_MAX >= BOX_DECIDED_MAX)
		return false;
	box_decide(box, uid, uidset_has(&box->leaving[1], uid), false, -1);
	return true;
}

void box_postpone(struct box *box, uint32_t uid, int64_t least_ms)
{
	struct box_postponed *postponed = find_postponed(box, uid);
	if (!postponed) {
		struct box_postponed *grown = realloc(
			box->postponed, (box->postponed_count + 1) * sizeof *box->postponed);
		if (!grown)
			abort();
		box->postponed = grown;
		postponed = &box->postponed[box->postponed_count++];
		*postponed = (struct box_postponed){ .uid = uid };
	}
	postponed->delay_ms = postponed->delay_ms ? postponed->delay_ms * 2 : POSTPONE_LEAST_MS;
	if (postponed->delay_ms < least_ms)
		postponed->delay_ms = least_ms;
	if (postponed->delay_ms > POSTPONE_MOST_MS)
		postponed->delay_ms = POSTPONE_MOST_MS;
	postponed->until_ms = monotonic_ms() + postponed->delay_ms;
}

bool box_waits(const struct box *box, uint32_t uid)
{
	return find_postponed(box, uid) != NULL;
}

static void forget_postponed(struct box *box, uint32_t uid)
{
	struct box_postponed *postponed = find_postponed(box, uid);
	if (postponed)
		*postponed = box->postponed[--box->postponed_count];
}

void box_see(struct box *box, const uint32_t *uids, size_t count)
{
	const struct uidset listed = { .uids = (uint32_t *)(uintptr_t)uids, .count = count };
	size_t used = 0;
	for (size_t i = 0; i < box->postponed_count; i++) {
		if (uidset_has(&listed, box->postponed[i].uid))
			box->postponed[used++] = box->postponed[i];
	}
	box->postponed_count = used;
}

void box_decide(struct box *box, uint32_t uid, bool refused, bool copied, int mark_fd)
{
	forget_postponed(box, uid);
	box->decided[box->decided_count++] = (struct box_decided){
		.uid = uid, .refused = refused, .copied = copied, .mark_fd = mark_fd
	};
}

bool box_wonders(const struct box *box, uint32_t uid, const struct errands *errands)
{
	return !uidset_has(&box->foreign, uid) && box_wants(box, uid, errands) &&
	       box->decided_count + ERRANDS_MAX < BOX_DECIDED_MAX;
}

size_t box_due(const struct box *box, int64_t now_ms)
{
	size_t due = 0;
	for (size_t i = 0; i < box->decided_count; i++)
		due += box->decided[i].again_ms <= now_ms;
	return due;
}

int64_t box_next_ms(const struct box *box)
{
	int64_t next = -1;
	for (size_t i = 0; i < box->postponed_count; i++) {
		if (next < 0 || box->postponed[i].until_ms < next)
			next = box->postponed[i].until_ms;
	}
	for (size_t i = 0; i < box->decided_count; i++) {
		if (next < 0 || box->decided[i].again_ms < next)
			next = box->decided[i].again_ms;
	}
	return next;
}

/* --- acting on a set -------------------------------------------------------------------------- */

static bool can_leave(const struct config_fate *fate, const struct conn *conn)
{
	return conn_has(conn, "UIDPLUS") ||
	       (fate->kind == CONFIG_FATE_MOVE && conn_has(conn, "MOVE"));
}

uint32_t box_stays(const struct config_account *account, const struct conn *conn)
{
	uint32_t stays = 0;
	if (!leaves(&account->after) || !can_leave(&account->after, conn))
		stays |= ASK_STAYS_DELIVERED;
	if (account->refused.kind != CONFIG_FATE_MOVE || !conn_has(conn, "MOVE"))
		stays |= ASK_STAYS_REFUSED;
	return stays;
}

/* Without UIDPLUS an EXPUNGE removes what anybody has flagged: only if all of that is ours. Else
 * ours stay flagged, are not listed to us any more, and are swept later. `now`: those that were
 * flagged just now. */
static enum conn_result expunge_ours(const struct box *box, struct conn *conn,
				     const struct uidset *flagged, const struct uidset *now)
{
	bool ours = flagged->count > 0;
	for (size_t i = 0; ours && i < flagged->count; i++)
		ours = uidset_has(now, flagged->uids[i]) || is_leaving(box, flagged->uids[i]);
	return ours ? conn_expunge(conn, NULL, 0) : CONN_OK;
}

static enum conn_result search_flagged(struct conn *conn, struct uidset *flagged_out)
{
	*flagged_out = (struct uidset){ 0 };
	return conn_search(conn, CONN_DELETED, NULL, &flagged_out->uids, &flagged_out->count);
}

static enum conn_result expunge_known(const struct box *box, struct conn *conn,
				      const struct uidset *flagged)
{
	enum conn_result result = CONN_OK;
	uint32_t ours[CONN_SET_MAX];
	size_t count = 0;
	for (size_t i = 0; result == CONN_OK && i < flagged->count; i++) {
		if (is_leaving(box, flagged->uids[i]))
			ours[count++] = flagged->uids[i];
		if (count < CONN_SET_MAX && (i + 1 < flagged->count || count == 0))
			continue;
		result = conn_expunge(conn, ours, count);
		count = 0;
	}
	return result;
}

enum conn_result box_sweep(const struct box *box, struct conn *conn)
{
	const struct uidset none = { 0 };
	struct uidset flagged;
	if (box->leaving[0].count + box->leaving[1].count == 0)
		return CONN_OK;
	enum conn_result result = search_flagged(conn, &flagged);
	if (result == CONN_OK)
		result = conn_has(conn, "UIDPLUS") ? expunge_known(box, conn, &flagged)
						   : expunge_ours(box, conn, &flagged, &none);
	uidset_done(&flagged);
	return result == CONN_NO ? CONN_OK : result;
}

/* The second step, when they are flagged. */
static enum conn_result expunge_flagged(const struct box *box, struct conn *conn,
					const uint32_t *uids, size_t count)
{
	const struct uidset now = { .uids = (uint32_t *)(uintptr_t)uids, .count = count };
	struct uidset flagged;
	if (conn_has(conn, "UIDPLUS"))
		return conn_expunge(conn, uids, count);
	enum conn_result result = search_flagged(conn, &flagged);
	if (result == CONN_OK)
		result = expunge_ours(box, conn, &flagged, &now);
	uidset_done(&flagged);
	return result;
}

static enum conn_result expunge(const struct box *box, struct conn *conn, const uint32_t *uids,
				size_t count)
{
	enum conn_result result = conn_flag(conn, uids, count, "\\Deleted");
	return result == CONN_OK ? expunge_flagged(box, conn, uids, count) : result;
}

/* What was copied once is not copied again, whatever becomes of the steps after it. */
static void note_copied(struct box *box, const uint32_t *uids, size_t count)
{
	const struct uidset set = { .uids = (uint32_t *)(uintptr_t)uids, .count = count };
	for (size_t i = 0; i < box->decided_count; i++)
		box->decided[i].copied |= uidset_has(&set, box->decided[i].uid);
}

static enum conn_result move(struct box *box, struct conn *conn, const uint32_t *uids, size_t count,
			     const char *mailbox)
{
	if (conn_has(conn, "MOVE"))
		return conn_move(conn, uids, count, mailbox);
	enum conn_result result = conn_copy(conn, uids, count, mailbox);
	if (result != CONN_OK)
		return result;
	note_copied(box, uids, count);
	return expunge(box, conn, uids, count);
}

static enum conn_result apply(struct box *box, struct conn *conn, const struct config_fate *fate,
			      const uint32_t *uids, size_t count)
{
	switch (fate->kind) {
	case CONFIG_FATE_EXPUNGE: return expunge(box, conn, uids, count);
	case CONFIG_FATE_MOVE: return move(box, conn, uids, count, fate->name);
	case CONFIG_FATE_SEEN: return conn_flag(conn, uids, count, "\\Seen");
	case CONFIG_FATE_FLAG: return conn_flag(conn, uids, count, fate->name);
	case CONFIG_FATE_KEEP: return CONN_OK;
	}
	return CONN_OK;
}

/* --- those that are due ----------------------------------------------------------------------- */

struct group {
	uint32_t uids[CONN_SET_MAX];
	size_t count;
};

static int compare_uids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

/* One that failed before goes alone: it must not hold up the others. */
static void collect(const struct box *box, bool refused, bool copied, int64_t now_ms,
		    struct group *group)
{
	bool alone = false;
	group->count = 0;
	for (size_t i = 0; i < box->decided_count && group->count < CONN_SET_MAX && !alone; i++) {
		const struct box_decided *one = &box->decided[i];
		if (one->refused != refused || one->copied != copied || one->again_ms > now_ms ||
		    (one->tries > 0 && group->count > 0))
			continue;
		group->uids[group->count++] = one->uid;
		alone = one->tries > 0;
	}
	qsort(group->uids, group->count, sizeof group->uids[0], compare_uids);
}

static void put_off(struct box *box, const struct group *group)
{
	const struct uidset set = { .uids = (uint32_t *)(uintptr_t)group->uids,
				    .count = group->count };
	for (size_t i = 0; i < box->decided_count; i++) {
		struct box_decided *one = &box->decided[i];
		if (!uidset_has(&set, one->uid))
			continue;
		one->again_ms = monotonic_ms() + ((int64_t)REMOVE_AGAIN_MS << one->tries);
		one->tries += one->tries < REMOVE_DOUBLINGS;
	}
}

/* The source has it no more, or knows about it. `stays`: it is still listed. */
static void settle(struct box *box, uint32_t uid, bool stays, const struct errands *errands)
{
	for (size_t i = 0; i < box->decided_count; i++) {
		struct box_decided *one = &box->decided[i];
		if (one->uid != uid)
			continue;
		if (one->mark_fd >= 0)
			errand_settle(errands, take_fd(&one->mark_fd));
		bool refused = one->refused;
		*one = box->decided[--box->decided_count];
		if (!stays)
			uidset_remove(&box->leaving[refused], uid);
		else if (leaves(fate_of(box, refused)))
			uidset_add(&box->leaving[refused], uid);
		else
			uidset_add(&box->known, uid);
		return;
	}
}

static void tell_stuck(struct box *box, const struct conn *conn, const char *what)
{
	if (!box->told)
		log_say(LOG_ERROR, "mailbox", "source %s: %s%s%s", box->account->name, what,
			conn ? ": " : "", conn ? conn_why(conn) : "");
	box->told = true;
}

/* An OK to EXPUNGE is no proof: what is still listed is tried again later. Where it can only be
 * flagged it stays, and is in the ledger. */
static enum conn_result verify(struct box *box, struct conn *conn, const struct group *group,
			       bool single, const struct errands *errands)
{
	auto_free uint32_t *left = NULL;
	size_t left_count = 0;
	struct group stuck = { .count = 0 };
	enum conn_result result =
		conn_search_set(conn, group->uids, group->count, &left, &left_count);
	if (result != CONN_OK)
		return result;
	const struct uidset listed = { .uids = left, .count = left_count };
	for (size_t i = 0; i < group->count; i++) {
		uint32_t uid = group->uids[i];
		if (!uidset_has(&listed, uid))
			settle(box, uid, false, errands);
		else if (!single)
			settle(box, uid, true, errands);
		else
			stuck.uids[stuck.count++] = uid;
	}
	put_off(box, &stuck);
	if (stuck.count > 0)
		tell_stuck(box, NULL,
			   "the server says that it removed messages, but still lists them");
	return CONN_OK;
}

static enum conn_result act_on(struct box *box, struct conn *conn, bool refused, bool copied,
			       const struct errands *errands)
{
	const struct config_fate *fate = fate_of(box, refused);
	struct group group;
	collect(box, refused, copied, monotonic_ms(), &group);
	if (group.count == 0)
		return CONN_OK;
	enum conn_result result = copied ? expunge(box, conn, group.uids, group.count)
					 : apply(box, conn, fate, group.uids, group.count);
	bool refuses = result == CONN_NO;
	if (refuses)
		tell_stuck(box, conn, "what was decided about its messages can't be done");
	else if (result != CONN_OK)
		return result;
	/* it may refuse since somebody else has removed one of them */
	if (leaves(fate))
		return verify(box, conn, &group, refuses || can_leave(fate, conn), errands);
	if (refuses)
		put_off(box, &group);
	for (size_t i = 0; i < group.count && !refuses; i++)
		settle(box, group.uids[i], true, errands);
	return CONN_OK;
}

enum conn_result box_act(struct box *box, struct conn *conn, const struct errands *errands)
{
	enum conn_result result = CONN_OK;
	while (result == CONN_OK && box_due(box, monotonic_ms()) > 0) {
		for (unsigned i = 0; result == CONN_OK && i < 4; i++)
			result = act_on(box, conn, i & 1, i & 2, errands);
	}
	return result;
}
