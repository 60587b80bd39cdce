/* pull.c: connect, search, fetch, ask, settle, wait: one account, read from top to bottom. Never
 * removes a message before a courier has answered for it. */
#define _GNU_SOURCE
#include "daemon/imap/pull.h"
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/errand.h"
#include "daemon/fdio.h"
#include "daemon/imap/box.h"
#include "daemon/imap/cage.h"
#include "daemon/imap/conn.h"
#include "daemon/keep.h"
#include "daemon/log.h"
#include "daemon/patience.h"
#include "daemon/secret.h"
#include "daemon/spill.h"
#include "daemon/status.h"

#define SHORT_MOST 3           /* ranges that are short of what the server has told */
#define SECRET_MS  60000       /* for a password or token to come */
#define RANGE      (16u << 20) /* octets of one FETCH */
#define ACT_AT     32          /* so many decided messages are acted on at once */
#define ANSWER_MS  20000 /* for couriers, before the server is asked whether it is still there */
#define LOOK_MS    2000  /* whether somebody has signed in meanwhile */
#define NEWS_MOST  5     /* looks in a row because the server told of mail */

enum exit { EXIT_DONE = 0, EXIT_UNREACHED = 69, EXIT_WAITS = 75, EXIT_LOGIN = 77 };

struct puller {
	const struct config_account *account;
	struct pull_settings settings;
	struct pull_fds fds;
	bool stopping;
	struct status status;
	struct errands errands;
	struct box box;
	struct ask_head probe; /* of a message that waits for the couriers' trouble to be over */
	int probe_fd;          /* owned; -1: none */

	struct conn *conn;
	uint32_t stays; /* ASK_STAYS_… of this server */
	bool idles;
	unsigned looks; /* up to NEWS_MOST */

	int64_t delay_ms; /* the last wait between failures */
	struct patience patience;
	struct timespec signed_in; /* when the tokens changed last, before the last login */
	bool careful;              /* about messages that can't be asked for together */
	bool left;                 /* something could not be done */
};

/* --- words ------------------------------------------------------------------------------------ */

static void set_error(struct puller *puller, const char *why)
{
	snprintf(puller->status.error, sizeof puller->status.error, "%.299s", why);
}

/* Nobody here has done anything wrong. */
static void set_not_ready(struct puller *puller, const char *why)
{
	char text[STATUS_ERROR_MAX];
	snprintf(text, sizeof text, "%.200s; it is tried again, ask who runs it if it lasts", why);
	set_error(puller, text);
}

static void touch(struct puller *puller)
{
	bool waits = puller->patience.until_ms > 0;
	puller->status.contact_ms = wall_ms();
	if (!waits)
		puller->status.error[0] = '\0';
	status_write(puller->fds.status, &puller->status, waits ? STATUS_WAITING : STATUS_UP);
}

static void log_connected(const struct puller *puller)
{
	struct log_line line;
	char text[1000];
	conn_describe(puller->conn, text, sizeof text);
	log_start(&line, "ready");
	log_add(&line, "source", "%s", puller->account->name);
	log_add(&line, "addr", "%s:%llu", puller->account->host,
		(unsigned long long)puller->account->port);
	log_quote(&line, "mailbox", puller->account->mailbox);
	log_add(&line, "idle", "%s", puller->idles ? "yes" : "no");
	log_quote(&line, "tls", text);
	log_send(LOG_INFO, &line);
}

static void log_failure(struct puller *puller, enum log_level level, int64_t wait_ms)
{
	patience_tell(&puller->patience, level, puller->account->name, puller->status.error,
		      wait_ms);
}

/* --- waking ----------------------------------------------------------------------------------- */

/* Was a signal sent? It stays readable: from then on only what is hushed is waited for. */
static bool is_woken(struct puller *puller)
{
	if (!puller->stopping && wait_readable(puller->fds.wake, 0) == 0)
		puller->stopping = true;
	return puller->stopping;
}

static void nap_until(struct puller *puller, int64_t until_ms)
{
	while (!is_woken(puller) && monotonic_ms() < until_ms)
		wait_readable(puller->fds.wake, until_ms);
}

/* --- what couriers answer --------------------------------------------------------------------- */

static void pause_all(struct puller *puller, enum reason reason)
{
	char why[100];
	int64_t wait_ms = patience_pause(&puller->patience);
	snprintf(why, sizeof why, "mail waits in the mailbox: %s", verdict_row(reason)->words);
	set_error(puller, why);
	puller->status.until_ms = wall_ms() + wait_ms;
	status_write(puller->fds.status, &puller->status, STATUS_WAITING);
	log_failure(puller, LOG_WARNING, wait_ms);
}

/* Time ran out over it, and did again when it was asked for alone: others must not wait for it. */
static bool is_slow(const struct puller *puller, const struct errand_end *end)
{
	return end->reason == REASON_DEADLINE && puller->probe_fd < 0 &&
	       memcmp(end->head.place, puller->probe.place, sizeof end->head.place) == 0;
}

static void take_end(struct puller *puller, struct errand_end *end)
{
	uint32_t uid = (uint32_t)end->head.place[1];
	/* the server has numbered anew meanwhile: the mark becomes a doubt, and ages */
	if (end->head.place[0] != puller->box.validity) {
		close_fd(&end->mark_fd);
		close_fd(&end->message_fd);
		return;
	}
	enum outcome outcome = verdict_row(end->reason)->outcome;
	bool recalled = end->head.kind == ASK_RECALL;
	if (end->unknown) {
		uidset_add(&puller->box.foreign, uid);
		return;
	}
	if (outcome == OUTCOME_DELIVERED || (outcome == OUTCOME_REFUSED && !recalled)) {
		box_decide(&puller->box, uid, outcome == OUTCOME_REFUSED, recalled,
			   take_fd(&end->mark_fd));
		patience_gain(&puller->patience);
		if (outcome == OUTCOME_DELIVERED)
			puller->status.delivery_ms = wall_ms();
		return;
	}
	puller->left = true;
	if (patience_lose(&puller->patience, end->reason))
		pause_all(puller, end->reason);
	if (!patience_is_everybodys(end->reason) || is_slow(puller, end))
		box_postpone(&puller->box, uid, 0);
	else if (puller->probe_fd < 0 && !recalled) {
		puller->probe = end->head;
		puller->probe_fd = take_fd(&end->message_fd);
	}
	close_fd(&end->message_fd);
}

/* While the couriers have trouble the message that met it first is asked about again, as it was
 * fetched: nobody knows for how long, and the server is not to give it each time. */
static void probe(struct puller *puller)
{
	if (puller->probe_fd < 0 || patience_is_paused(&puller->patience) ||
	    !errands_have_room(&puller->errands, puller->probe.bytes))
		return;
	/* its UIDVALIDITY may be over */
	if (puller->probe.place[0] == puller->box.validity)
		errands_ask(&puller->errands, &puller->probe, take_fd(&puller->probe_fd));
	close_fd(&puller->probe_fd);
}

/* Those answers that are there. */
static void take_ready(struct puller *puller)
{
	struct errand_end end;
	while (errands_take(&puller->errands, 0, -1, &end))
		take_end(puller, &end);
}

/* One answer, however long it takes: meanwhile the server is kept awake. */
static enum conn_result await_one(struct puller *puller)
{
	struct errand_end end;
	for (;;) {
		if (errands_take(&puller->errands, monotonic_ms() + ANSWER_MS, puller->fds.wake,
				 &end)) {
			take_end(puller, &end);
			return CONN_OK;
		}
		if (errands_count(&puller->errands) == 0 || is_woken(puller))
			return CONN_OK;
		enum conn_result result = conn_noop(puller->conn);
		if (result == CONN_LOST || result == CONN_WOKEN)
			return result;
	}
}

static enum conn_result await_all(struct puller *puller)
{
	enum conn_result result = CONN_OK;
	while (result == CONN_OK && errands_count(&puller->errands) > 0 && !puller->stopping)
		result = await_one(puller);
	return result;
}

/* --- fetching --------------------------------------------------------------------------------- */

static void take_octets(void *context, const char *bytes, size_t size)
{
	spill_add(context, bytes, size);
}

/* The server gives less than it said. It may have been wrong, or somebody has removed the message
 * between two ranges: then what there is of it is worth nothing. */
static enum conn_result check_end(struct puller *puller, uint32_t uid, struct spill *spill)
{
	auto_free uint32_t *listed = NULL;
	size_t count = 0;
	enum conn_result result = conn_search_set(puller->conn, &uid, 1, &listed, &count);
	if (result == CONN_OK && count == 0) {
		spill_done(spill);
		spill->bytes = 0;
	}
	return result;
}

/* The whole message, range by range. `told`: what the server says its size is; it is asked for more
 * as long as it gives full ranges, and a few times if that was less. */
static enum conn_result fetch(struct puller *puller, uint32_t uid, uint64_t told,
			      struct spill *spill)
{
	for (unsigned asked_again = 0;;) {
		uint64_t got = 0, from = spill->bytes;
		enum conn_result result =
			conn_fetch(puller->conn, uid, from, RANGE, take_octets, spill, &got);
		if (result != CONN_OK)
			return result;
		bool ends = got < RANGE && (spill->bytes >= told || asked_again++ == SHORT_MOST);
		if (got == 0 && spill->bytes > 0 && spill->bytes < told)
			return check_end(puller, uid, spill);
		if (got == 0 || ends || spill->too_big || spill->error)
			return CONN_OK;
	}
}

static void fill_head(const struct puller *puller, enum ask_kind kind,
		      const struct conn_message *message, uint64_t bytes, struct ask_head *head)
{
	*head = (struct ask_head){ .kind = kind };
	head->bytes = bytes;
	head->received_ms = message->received_ms ? message->received_ms : wall_ms();
	head->place[0] = puller->box.validity;
	head->place[1] = message->uid;
	head->stays = puller->stays;
}

static void tell_scratch(struct puller *puller, int error)
{
	log_say(LOG_ERROR, "spool", "source %s: a message can't be kept meanwhile: %s",
		puller->account->name, strerror(-error));
	puller->left = true;
	pause_all(puller, error == -ENOSPC || error == -EDQUOT ? REASON_SPOOL : REASON_IO);
}

/* Hands over what was fetched; of a message that is too big no octet goes to a courier: it is
 * refused by its size. */
static void ask(struct puller *puller, enum ask_kind kind, const struct conn_message *message,
		struct spill *spill)
{
	struct ask_head head;
	int fd = -1;
	uint64_t bytes = spill->bytes > message->bytes ? spill->bytes : message->bytes;
	fill_head(puller, kind, message, spill->too_big ? bytes : spill->bytes, &head);
	int error = spill->error;
	if (!error && spill->too_big) {
		spill_done(spill);
		spill_init(spill, -1, 0, 0);
	}
	if (!error)
		error = spill_open(spill, &fd);
	if (!error)
		error = errands_ask(&puller->errands, &head, fd);
	if (error)
		tell_scratch(puller, error);
}

/* Should we die over it, the next of us knows on which. */
static void take_in_hand(struct puller *puller, uint32_t uid)
{
	struct status *status = &puller->status;
	if (uid && (status->in_hand[0] != puller->box.validity || status->in_hand[1] != uid))
		status->deaths = 0;
	if (uid) {
		status->in_hand[0] = puller->box.validity;
		status->in_hand[1] = uid;
		status->deaths++;
	} else
		status->deaths = 0;
	status_write(puller->fds.status, status, (enum status_state)status->state);
}

static enum conn_result fetch_and_ask(struct puller *puller, const struct conn_message *message)
{
	uint64_t most = puller->settings.message_bytes;
	struct spill spill;
	spill_init(&spill, puller->fds.receiving, most, message->bytes);
	enum conn_result result = CONN_OK;
	if (message->bytes > most) {
		spill.too_big = true;
		spill.bytes = message->bytes;
	} else {
		take_in_hand(puller, message->uid);
		result = fetch(puller, message->uid, message->bytes, &spill);
		take_in_hand(puller, 0);
	}
	/* none at all: somebody else has removed it. A connection that broke over it, or a no: the
	 * others come first */
	if (result == CONN_OK && spill.bytes > 0)
		ask(puller, ASK_DELIVER, message, &spill);
	else
		box_postpone(&puller->box, message->uid, 0);
	puller->left |= result != CONN_OK;
	spill_done(&spill);
	return result == CONN_NO ? CONN_OK : result;
}

/* Makes room for one more, in the window and among those that are decided. */
static enum conn_result make_room(struct puller *puller, uint64_t bytes)
{
	enum conn_result result = CONN_OK;
	take_ready(puller);
	while (result == CONN_OK && !errands_have_room(&puller->errands, bytes) &&
	       !is_woken(puller))
		result = await_one(puller);
	if (result == CONN_OK && box_due(&puller->box, monotonic_ms()) >= ACT_AT)
		result = box_act(&puller->box, puller->conn, &puller->errands);
	return result;
}

static bool is_stuck(const struct puller *puller)
{
	return puller->box.decided_count + ERRANDS_MAX >= BOX_DECIDED_MAX;
}

/* Nothing more is to be asked now. */
static bool must_rest(struct puller *puller)
{
	return patience_is_paused(&puller->patience) || is_stuck(puller) || is_woken(puller);
}

/* Those of which the server says nothing wait by themselves. */
static void postpone_untold(struct puller *puller, const uint32_t *uids, size_t count,
			    const struct conn_message *messages, size_t told)
{
	for (size_t i = 0; i < count; i++) {
		bool found = false;
		for (size_t m = 0; m < told; m++)
			found |= messages[m].uid == uids[i];
		if (!found)
			box_postpone(&puller->box, uids[i], 0);
	}
}

/* A handful of messages: their sizes, then one after the other. */
static enum conn_result take_batch(struct puller *puller, const uint32_t *uids, size_t count)
{
	struct conn_message messages[CONN_SET_MAX];
	size_t told = 0;
	enum conn_result result = conn_look(puller->conn, uids, count, messages, &told);
	/* the server, or libetpan, stumbles over one of them: which one is found out by asking for
	 * each alone */
	puller->careful |= result != CONN_OK && count > 1;
	if (result == CONN_OK || count == 1)
		postpone_untold(puller, uids, count, messages, told);
	puller->left |= told < count;
	for (size_t i = 0; result == CONN_OK && i < told; i++) {
		result = make_room(puller, messages[i].bytes);
		/* while the couriers have trouble one message at a time finds out whether they
		 * still have */
		if (puller->patience.pause_ms && result == CONN_OK)
			result = await_all(puller);
		if (must_rest(puller))
			break;
		if (result == CONN_OK)
			result = fetch_and_ask(puller, &messages[i]);
		touch(puller);
	}
	return result == CONN_NO ? CONN_OK : result;
}

/* --- one pass over the mailbox ---------------------------------------------------------------- */

/* Those that are to be fetched now, to the front; how many. */
static size_t choose(struct puller *puller, uint32_t *uids, size_t count)
{
	size_t chosen = 0;
	for (size_t i = 0; i < count; i++) {
		if (box_owes(&puller->box, uids[i]))
			continue;
		if (box_wants(&puller->box, uids[i], &puller->errands))
			uids[chosen++] = uids[i];
		else
			puller->left |= box_waits(&puller->box, uids[i]);
	}
	return chosen;
}

/* *more_out: there was something, so there may be more. */
static enum conn_result pass(struct puller *puller, bool *more_out)
{
	auto_free uint32_t *uids = NULL;
	size_t count = 0;
	conn_take_news(puller->conn);
	enum conn_result result = conn_search(puller->conn, box_criterion(puller->account),
					      puller->account->after.name, &uids, &count);
	if (result != CONN_OK)
		return result;
	probe(puller);
	box_see(&puller->box, uids, count);
	count = choose(puller, uids, count);
	puller->status.waiting = (uint32_t)count;
	touch(puller);
	*more_out = count > 0;
	if (result == CONN_OK && errands_count(&puller->errands) > 0 && puller->patience.pause_ms)
		result = await_all(puller);
	for (size_t i = 0, taken; i < count && result == CONN_OK; i += taken) {
		size_t most = puller->careful ? 1 : CONN_SET_MAX;
		taken = count - i < most ? count - i : most;
		if (must_rest(puller))
			break;
		result = take_batch(puller, uids + i, taken);
		puller->status.waiting = (uint32_t)(count - i - taken);
	}
	if (result == CONN_OK)
		result = await_all(puller);
	if (result == CONN_OK && !puller->stopping)
		result = box_act(&puller->box, puller->conn, &puller->errands);
	if (result == CONN_OK && !puller->stopping && count == 0)
		result = box_sweep(&puller->box, puller->conn);
	return result;
}

/* Until nothing is left that can be done now. */
static enum conn_result drain(struct puller *puller)
{
	enum conn_result result = CONN_OK;
	bool more = true;
	puller->left = false;
	while (result == CONN_OK && more && !must_rest(puller))
		result = pass(puller, &more);
	/* also those that could not be got rid of before: they may be why nothing is fetched */
	if (result == CONN_OK && !puller->stopping)
		result = box_act(&puller->box, puller->conn, &puller->errands);
	return result;
}

/* --- between passes --------------------------------------------------------------------------- */

/* How long at most nobody has to look. */
static int64_t rest_until(const struct puller *puller)
{
	const struct config_account *account = puller->account;
	uint64_t safety_s = account->poll_s * 10;
	uint64_t within_s = !puller->idles                  ? account->poll_s
			    : account->refresh_s < safety_s ? account->refresh_s
							    : safety_s;
	return patience_rest_until(&puller->patience, monotonic_ms() + (int64_t)within_s * 1000,
				   box_next_ms(&puller->box));
}

static enum conn_result rest(struct puller *puller)
{
	/* told with the answer to the last SEARCH, or behind it */
	if (conn_take_news(puller->conn) && puller->looks++ < NEWS_MOST)
		return CONN_OK;
	puller->looks = 0;
	int64_t until_ms = rest_until(puller);
	touch(puller);
	if (puller->idles) {
		enum conn_result result = conn_idle(puller->conn, until_ms);
		if (result != CONN_NO)
			return result;
		log_say(LOG_WARNING, "source", "%s: %s; its mailbox is looked at every %llu s",
			puller->account->name, conn_why(puller->conn),
			(unsigned long long)puller->account->poll_s);
		puller->idles = false;
		until_ms = rest_until(puller);
	}
	nap_until(puller, until_ms);
	if (puller->stopping)
		return CONN_OK;
	enum conn_result result = conn_noop(puller->conn);
	return result == CONN_NO ? CONN_OK : result;
}

/* We are to end: what couriers have promised is heard, and acted on. */
static void finish(struct puller *puller)
{
	int64_t within_ms = (int64_t)puller->settings.answer_within_s * 1000;
	int64_t until_ms = monotonic_ms() + within_ms / 2;
	struct errand_end end;
	while (errands_take(&puller->errands, until_ms, -1, &end))
		take_end(puller, &end);
	conn_hush(puller->conn);
	box_act(&puller->box, puller->conn, &puller->errands);
}

/* --- a visit ---------------------------------------------------------------------------------- */

/* How a visit ended, and so how long until the next. */
enum visit {
	VISIT_OVER,
	VISIT_BROKEN,
	VISIT_REFUSED,
	VISIT_LOGIN,
	VISIT_PERSON /* nothing will help but a person */
};

/* The wait grows from the first to the most, doubled each time. */
static const struct {
	int64_t first_ms, most_ms;
	int64_t quiet_ms; /* daemon/patience.h */
	enum log_level level;
} waits[] = {
	[VISIT_BROKEN] = { PATIENCE_FIRST_MS, 5000, 0, LOG_WARNING },
	[VISIT_REFUSED] = { PATIENCE_FIRST_MS, 60000, 0, LOG_ERROR },
	[VISIT_LOGIN] = { PATIENCE_FIRST_MS, 300000, 0, LOG_ERROR },
	/* said once; whoever missed it hears it a day later. Who knocks more often with what was
	 * refused may be locked out */
	[VISIT_PERSON] = { 60000, 4 * 3600000, 24 * 3600000, LOG_ERROR },
};

static enum visit broken(struct puller *puller, enum conn_result result)
{
	set_error(puller, conn_why(puller->conn));
	if (result == CONN_WOKEN)
		puller->stopping = true;
	return puller->stopping ? VISIT_OVER : VISIT_BROKEN;
}

/* When the tokens of the account changed last. Seen from outside, since a sign-in may happen while
 * no gateway runs, or in another container: whoever tells would have to find us first. */
static struct timespec look_at_tokens(const struct puller *puller)
{
	struct stat found;
	return fstatat(puller->fds.tokens, puller->account->name, &found, AT_SYMLINK_NOFOLLOW) == 0
		       ? found.st_ctim
		       : (struct timespec){ 0 };
}

static bool has_signed_in(const struct puller *puller)
{
	struct timespec now = look_at_tokens(puller);
	return now.tv_sec != puller->signed_in.tv_sec || now.tv_nsec != puller->signed_in.tv_nsec;
}

/* Asks once, and tries what comes. */
static enum pull_login try_login(struct conn *conn, const struct pull_fds *fds, bool again,
				 struct secret_answer *answer, char *why_out)
{
	static const enum pull_login logins[] = { [CONN_OK] = PULL_LOGIN_DONE,
						  [CONN_NO] = PULL_LOGIN_REFUSED,
						  [CONN_LOST] = PULL_LOGIN_BROKEN,
						  [CONN_WOKEN] = PULL_LOGIN_WOKEN };
	enum pull_login login;
	const char *why = answer->text;
	int error = secret_ask(fds->secret, again, monotonic_ms() + SECRET_MS, fds->wake, answer);
	if (error) {
		login = error == -EINTR ? PULL_LOGIN_WOKEN : PULL_LOGIN_LATER;
		why = error == -ETIMEDOUT ? "the password or token did not come in time"
					  : "the password or token could not be had";
	} else if (answer->kind > SECRET_TOKEN) {
		login = answer->kind == SECRET_NEVER ? PULL_LOGIN_NEVER : PULL_LOGIN_LATER;
	} else {
		login = logins[answer->kind == SECRET_TOKEN
				       ? conn_login_token(conn, answer->text)
				       : conn_login_password(conn, answer->text)];
		if (login == PULL_LOGIN_REFUSED && conn_is_not_ready(conn))
			login = PULL_LOGIN_BUSY;
		why = conn_why(conn);
	}
	if (login != PULL_LOGIN_DONE)
		snprintf(why_out, PULL_WHY_MAX, "%.*s", PULL_WHY_MAX - 1, why);
	return login;
}

enum pull_login pull_log_in(struct conn *conn, const struct pull_fds *fds,
			    char why_out[PULL_WHY_MAX])
{
	static struct secret_answer answer;
	enum pull_login login = try_login(conn, fds, false, &answer, why_out);
	if (login == PULL_LOGIN_REFUSED && answer.kind == SECRET_TOKEN)
		login = try_login(conn, fds, true, &answer, why_out);
	explicit_bzero(&answer, sizeof answer);
	return login;
}

static enum visit log_in(struct puller *puller)
{
	static const enum visit visits[] = {
		[PULL_LOGIN_DONE] = VISIT_OVER,    [PULL_LOGIN_REFUSED] = VISIT_LOGIN,
		[PULL_LOGIN_BUSY] = VISIT_BROKEN,  [PULL_LOGIN_BROKEN] = VISIT_BROKEN,
		[PULL_LOGIN_WOKEN] = VISIT_OVER,   [PULL_LOGIN_LATER] = VISIT_REFUSED,
		[PULL_LOGIN_NEVER] = VISIT_PERSON,
	};
	char why[PULL_WHY_MAX];
	puller->signed_in = look_at_tokens(puller);
	enum pull_login login = pull_log_in(puller->conn, &puller->fds, why);
	if (login == PULL_LOGIN_BUSY)
		set_not_ready(puller, why);
	else if (login != PULL_LOGIN_DONE)
		set_error(puller, why);
	puller->stopping |= login == PULL_LOGIN_WOKEN;
	return visits[login];
}

static enum visit refused(struct puller *puller, const char *why)
{
	set_error(puller, why);
	return VISIT_REFUSED;
}

/* Who was us before may have died between flagging a message as deleted and expunging it. Then its
 * delivery is in doubt, and a courier knows; it does not know of those that others flagged. */
static enum conn_result recall(struct puller *puller)
{
	auto_free uint32_t *uids = NULL;
	size_t count = 0;
	enum conn_result result = CONN_OK;
	if (puller->account->after.kind == CONFIG_FATE_EXPUNGE ||
	    puller->account->after.kind == CONFIG_FATE_MOVE)
		result = conn_search(puller->conn, CONN_DELETED, NULL, &uids, &count);
	for (size_t i = 0; result == CONN_OK && i < count && !is_woken(puller); i++) {
		const struct conn_message message = { .uid = uids[i] };
		struct spill nothing;
		if (!box_wonders(&puller->box, uids[i], &puller->errands))
			continue;
		result = make_room(puller, 0);
		if (result != CONN_OK || is_woken(puller))
			break;
		spill_init(&nothing, -1, 0, 0);
		ask(puller, ASK_RECALL, &message, &nothing);
		spill_done(&nothing);
	}
	return result == CONN_OK ? await_all(puller) : result;
}

#define COMPACT_AT 1000 /* messages that the ledger knows, and as many more than there are */

/* The ledger of what stays may know of many that are long gone. */
static enum conn_result compact(struct puller *puller)
{
	auto_free uint32_t *uids = NULL;
	uint32_t last;
	size_t count = 0, known = box_remembers(&puller->box, &last);
	if (known < COMPACT_AT)
		return CONN_OK;
	enum conn_result result = conn_search(puller->conn, CONN_ALL, NULL, &uids, &count);
	if (result == CONN_OK && known > count + COMPACT_AT)
		errands_compact(&puller->errands, puller->box.validity, last, uids, count);
	return result;
}

#define DEATH_MS 60000

/* We, or who was us before, died twice or more over one message: the others come first. */
static void heed_deaths(struct puller *puller)
{
	const struct status *status = &puller->status;
	if (status->deaths < 2 || status->in_hand[0] != puller->box.validity)
		return;
	log_say(LOG_ERROR, "mailbox",
		"source %s: message %llu brought its puller down %u times, it is tried again later",
		puller->account->name, (unsigned long long)status->in_hand[1], status->deaths);
	box_postpone(&puller->box, (uint32_t)status->in_hand[1],
		     (int64_t)DEATH_MS * status->deaths);
}

static enum visit enter(struct puller *puller)
{
	struct conn_mailbox mailbox;
	enum conn_result result = conn_select(puller->conn, puller->account->mailbox, &mailbox);
	if (result == CONN_NO) {
		char why[STATUS_ERROR_MAX];
		snprintf(why, sizeof why, "mailbox %.60s: %.200s", puller->account->mailbox,
			 conn_why(puller->conn));
		if (!conn_is_not_ready(puller->conn))
			return refused(puller, why);
		set_not_ready(puller, why);
		return VISIT_BROKEN;
	}
	if (result != CONN_OK)
		return broken(puller, result);
	const char *fault = box_fault(puller->account, &mailbox);
	if (fault)
		return refused(puller, fault);
	int error = box_enter(&puller->box, mailbox.validity, puller->fds.kept,
			      puller->settings.revision);
	if (error)
		return refused(puller, "the ledger of what stays can't be read");
	heed_deaths(puller);
	puller->idles = conn_has(puller->conn, "IDLE");
	puller->stays = box_stays(puller->account, puller->conn);
	result = compact(puller);
	if (result == CONN_OK)
		result = box_sweep(&puller->box, puller->conn);
	if (result == CONN_OK)
		result = recall(puller);
	return result == CONN_OK ? VISIT_OVER : broken(puller, result);
}

static enum visit serve(struct puller *puller)
{
	enum conn_result result = CONN_OK;
	while (result == CONN_OK && !is_woken(puller)) {
		result = drain(puller);
		/* a server that breaks off at the first command is not one that is well again */
		if (result == CONN_OK)
			puller->delay_ms = 0;
		if (result == CONN_OK && puller->settings.once &&
		    errands_count(&puller->errands) == 0)
			return VISIT_OVER;
		if (result == CONN_OK && !is_woken(puller))
			result = rest(puller);
	}
	if (result != CONN_OK)
		return broken(puller, result);
	finish(puller);
	return VISIT_OVER;
}

static enum visit visit(struct puller *puller)
{
	puller->conn = conn_new(puller->account, puller->fds.wake);
	if (!puller->conn)
		return refused(puller, "out of memory");
	enum conn_result result = conn_open(puller->conn);
	enum visit visit = result == CONN_OK ? log_in(puller) : broken(puller, result);
	if (visit == VISIT_OVER && result == CONN_OK)
		visit = enter(puller);
	if (visit == VISIT_OVER && result == CONN_OK && !puller->stopping) {
		touch(puller);
		malloc_trim(0);
		log_connected(puller);
		puller->patience.quiet_ms = 0;
		visit = serve(puller);
	}
	/* what couriers still have is theirs: their answers are heard in the next visit */
	conn_free(puller->conn);
	puller->conn = NULL;
	return visit;
}

/* Until then, or until somebody has signed in. */
static void nap_until_signed_in(struct puller *puller, int64_t until_ms)
{
	while (!is_woken(puller) && monotonic_ms() < until_ms) {
		int64_t look_ms = monotonic_ms() + LOOK_MS;
		nap_until(puller, look_ms < until_ms ? look_ms : until_ms);
		if (!has_signed_in(puller))
			continue;
		puller->delay_ms = 0;
		patience_forget(&puller->patience);
		return;
	}
}

static void wait_after(struct puller *puller, enum visit visit)
{
	int64_t delay_ms = patience_next(puller->delay_ms, waits[visit].most_ms);
	puller->delay_ms = delay_ms < waits[visit].first_ms ? waits[visit].first_ms : delay_ms;
	puller->patience.quiet_ms = waits[visit].quiet_ms;
	int64_t wait_ms = patience_jitter(puller->delay_ms);
	puller->status.until_ms = wall_ms() + wait_ms;
	status_write(puller->fds.status, &puller->status, STATUS_DOWN);
	log_failure(puller, waits[visit].level, wait_ms);
	if (visit == VISIT_PERSON)
		nap_until_signed_in(puller, monotonic_ms() + wait_ms);
	else
		nap_until(puller, monotonic_ms() + wait_ms);
}

static int end_once(struct puller *puller, enum visit visit)
{
	if (visit == VISIT_LOGIN || visit == VISIT_PERSON)
		return EXIT_LOGIN;
	if (visit != VISIT_OVER)
		return EXIT_UNREACHED;
	return puller->left || puller->box.decided_count > 0 ? EXIT_WAITS : EXIT_DONE;
}

/* Who is started after us finds names and signers by what is there now. */
static bool is_outdated(const struct puller *puller)
{
	if (!cage_is_outdated(puller->account))
		return false;
	log_say(LOG_INFO, "restart",
		"source %s: what names or certificates are found by has changed",
		puller->account->name);
	return true;
}

int pull_run(const struct config_account *account, const struct pull_settings *settings,
	     const struct pull_fds *fds)
{
	bool once = settings->once;
	static struct puller puller;
	int status = EXIT_DONE;
	puller = (struct puller){
		.account = account, .settings = *settings, .fds = *fds, .probe_fd = -1
	};
	status_load(fds->status, &puller.status);
	/* what was left by who died: nobody has been there yet */
	if (puller.status.state == STATUS_UP) {
		set_error(&puller, "not reached yet");
		status_write(fds->status, &puller.status, STATUS_DOWN);
	}
	errands_init(&puller.errands, fds->ask);
	box_init(&puller.box, account);
	while (!puller.stopping) {
		enum visit how = visit(&puller);
		if (how != VISIT_OVER && once)
			log_failure(&puller, LOG_ERROR, 0);
		status = once ? end_once(&puller, how) : EXIT_DONE;
		if (once || puller.stopping)
			break;
		wait_after(&puller, how == VISIT_OVER ? VISIT_BROKEN : how);
		if (is_outdated(&puller))
			break;
	}
	/* nothing is wrong where somebody takes our place */
	status_write(fds->status, &puller.status, puller.stopping ? STATUS_WAITING : STATUS_DOWN);
	close_fd(&puller.probe_fd);
	errands_done(&puller.errands);
	box_done(&puller.box);
	return status;
}
