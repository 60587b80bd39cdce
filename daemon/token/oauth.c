/* oauth.c: looks into the store, asks the provider, writes the store, answers. Never logs a token,
 * nor what a provider says with one in it. */
#define _GNU_SOURCE
#include "daemon/token/oauth.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "daemon/digest.h"
#include "daemon/fdio.h"
#include "daemon/http_out.h"
#include "daemon/keep.h"
#include "daemon/log.h"

#define LOCK_MS   20000  /* more than one exchange of somebody else's */
#define MARGIN_MS 300000 /* before its end a token is renewed */
#define WRITE_MS  10000  /* for a disk to take the tokens that nobody else has any more */
#define NAP_MS    500

/* --- what is given ---------------------------------------------------------------------------- */

void oauth_read_line(int fd, char *line_out, size_t size)
{
	ssize_t got = pread(fd, line_out, size - 1, 0);
	size_t used = got > 0 ? (size_t)got : 0;
	line_out[used] = '\0';
	size_t length = strcspn(line_out, "\r\n");
	/* without its end it may be a part of a longer one */
	if (length == size - 1)
		length = 0;
	explicit_bzero(line_out + length, size - length);
}

static void digest_texts(const char *const *texts, size_t count, char hex_out[DIGEST_HEX])
{
	struct digest digest;
	uint8_t value[DIGEST_SIZE];
	digest_init(&digest);
	for (size_t i = 0; i < count; i++)
		digest_add(&digest, texts[i], strlen(texts[i]) + 1);
	digest_end(&digest, value);
	digest_hex(value, hex_out);
}

void oauth_init(struct oauth *oauth, const struct config_account *account, int secret_fd,
		int seed_fd, int tokens_fd)
{
	const char kind[] = { (char)('0' + account->oauth), (char)('0' + account->grant), '\0' };
	const char *const whose[] = { kind, account->token_url, account->client_id, account->user };
	memset(oauth, 0, sizeof *oauth);
	oauth->account = account;
	oauth->tokens_fd = tokens_fd;
	provider_of(account, &oauth->provider);
	oauth_read_line(secret_fd, oauth->secret, sizeof oauth->secret);
	oauth_read_line(seed_fd, oauth->seed, sizeof oauth->seed);
	const char *const seed[] = { oauth->seed };
	if (*oauth->seed)
		digest_texts(seed, 1, oauth->seed_digest);
	digest_texts(whose, sizeof whose / sizeof whose[0], oauth->account_digest);
}

void oauth_wipe(struct oauth *oauth)
{
	explicit_bzero(oauth, sizeof *oauth);
}

/* --- words ------------------------------------------------------------------------------------ */

/* What a person has to do; the name of the source stands between the two. */
static const struct advice {
	const char *error, *before, *after;
} advices[] = {
	{ "invalid_grant", "sign in again: letterchute login ", "" },
	{ "interaction_required", "sign in again: letterchute login ", "" },
	{ "consent_required", "sign in again: letterchute login ", "" },
	{ "login_required", "sign in again: letterchute login ", "" },
	{ "invalid_client", "correct client_id and client_secret of [imap ", "]" },
	{ "unauthorized_client",
	  "let the registered application do this, then sign in again: letterchute login ", "" },
	{ "invalid_scope", "correct scope of [imap ",
	  "], or what the registered application may ask for" },
	{ "unsupported_grant_type", "correct grant and token_url of [imap ", "]" },
	{ "invalid_request", "correct the oauth settings of [imap ", "]" },
};

static const struct advice *find_advice(const char *error)
{
	for (size_t i = 0; i < sizeof advices / sizeof advices[0]; i++) {
		if (strcmp(advices[i].error, error) == 0)
			return &advices[i];
	}
	return NULL;
}

static bool has_text(const char *words, const char *secret)
{
	return *secret && strstr(words, secret);
}

/* A server may repeat what it was sent. */
static bool may_repeat(const struct oauth *oauth, const struct reply *reply)
{
	struct store_record record = { .had_ms = 0 };
	store_read(oauth->tokens_fd, oauth->account->name, &record);
	bool secret =
		has_text(reply->words, oauth->secret) || has_text(reply->words, oauth->seed) ||
		has_text(reply->words, record.refresh) || has_text(reply->words, record.access);
	explicit_bzero(&record, sizeof record);
	return !secret;
}

bool oauth_explain(const struct oauth *oauth, const struct reply *reply,
		   char why_out[OAUTH_WHY_MAX])
{
	const struct advice *advice = find_advice(reply->error);
	bool words = *reply->words && may_repeat(oauth, reply);
	snprintf(why_out, OAUTH_WHY_MAX, "%s%s%s%sthe provider says %s%s%s",
		 advice ? advice->before : "", advice ? oauth->account->name : "",
		 advice ? advice->after : "", advice ? "; " : "", reply->error, words ? ": " : "",
		 words ? reply->words : "");
	return advice;
}

static void answer_why(struct secret_answer *answer, enum secret_kind kind, const char *why,
		       const char *more)
{
	answer->kind = kind;
	snprintf(answer->text, sizeof answer->text, "%s%s%s", why, *more ? ": " : "", more);
}

/* --- the provider ----------------------------------------------------------------------------- */

void oauth_begin(const struct oauth *oauth, const char *grant_type, struct form *form)
{
	form_init(form);
	form_add(form, "grant_type", grant_type);
	form_add(form, "client_id", oauth->account->client_id);
	form_add(form, "client_secret", oauth->secret);
}

/* Google and Microsoft have certificates that everybody knows. */
static const char *signers(const struct oauth *oauth)
{
	return oauth->account->oauth == CONFIG_OAUTH_CUSTOM ? oauth->account->ca_file : "";
}

bool oauth_post(const struct oauth *oauth, const char *url, struct form *form,
		struct http_reply *reply_out, char why_out[HTTP_WHY_MAX])
{
	snprintf(why_out, HTTP_WHY_MAX, "too much is to be sent");
	bool heard = !form->too_big &&
		     http_post_form(url, form->text, signers(oauth), reply_out, why_out);
	form_wipe(form);
	return heard;
}

enum reply_kind oauth_exchange(const struct oauth *oauth, struct form *form,
			       struct reply *reply_out, char why_out[OAUTH_WHY_MAX])
{
	static struct http_reply answer;
	char why[HTTP_WHY_MAX];
	reply_out->kind = REPLY_TROUBLE;
	if (oauth_post(oauth, oauth->provider.token_url, form, &answer, why)) {
		reply_read(answer.status, answer.body, answer.size, reply_out);
		snprintf(why, sizeof why, "it answers with status %d, and no token", answer.status);
		explicit_bzero(&answer, sizeof answer);
	}
	if (reply_out->kind == REPLY_TROUBLE)
		snprintf(why_out, OAUTH_WHY_MAX, "the provider of tokens: %s", why);
	return reply_out->kind;
}

/* --- the store -------------------------------------------------------------------------------- */

static void fill_record(const struct oauth *oauth, const struct reply *reply,
			struct store_record *record)
{
	memcpy(record->access, reply->access, sizeof record->access);
	if (*reply->refresh)
		memcpy(record->refresh, reply->refresh, sizeof record->refresh);
	record->had_ms = wall_ms();
	record->until_ms = record->had_ms + reply->lasts_s * 1000;
	memcpy(record->account, oauth->account_digest, sizeof record->account);
	/* a token_file that is away for a moment is none that is new when it is back */
	if (*oauth->seed_digest)
		memcpy(record->seed, oauth->seed_digest, sizeof record->seed);
}

/* Nobody else has these tokens: a disk that is full for a moment is waited for. */
static int keep_record(const struct oauth *oauth, const struct store_record *record)
{
	int64_t until_ms = monotonic_ms() + WRITE_MS;
	for (;;) {
		int error = store_write(oauth->tokens_fd, oauth->account->name, record);
		if (!error || monotonic_ms() >= until_ms)
			return error;
		nap_ms(NAP_MS);
	}
}

/* What is there of this account; of another one nothing. A token_file that was not heeded yet comes
 * before what is stored. */
static void load_record(const struct oauth *oauth, struct store_record *record)
{
	const char *name = oauth->account->name;
	int error = store_read(oauth->tokens_fd, name, record);
	if (error && error != -ENOENT)
		log_say(LOG_WARNING, "tokens", "source %s: its stored tokens can't be read: %s",
			name, strerror(-error));
	if (error || strcmp(record->account, oauth->account_digest) != 0)
		*record = (struct store_record){ .had_ms = 0 };
	if (!*oauth->seed || strcmp(record->seed, oauth->seed_digest) == 0)
		return;
	*record = (struct store_record){ .had_ms = 0 };
	memcpy(record->refresh, oauth->seed, sizeof record->refresh);
}

int oauth_keep(const struct oauth *oauth, const struct reply *reply)
{
	static struct store_record record;
	auto_close int lock_fd = -1;
	int error = store_lock(oauth->tokens_fd, oauth->account->name, monotonic_ms() + LOCK_MS,
			       &lock_fd);
	if (error)
		return error;
	/* of what there was before only the token_file that was heeded counts on */
	if (store_read(oauth->tokens_fd, oauth->account->name, &record) == 0)
		explicit_bzero(record.refresh, sizeof record.refresh);
	fill_record(oauth, reply, &record);
	error = keep_record(oauth, &record);
	explicit_bzero(&record, sizeof record);
	return error;
}

/* --- an answer -------------------------------------------------------------------------------- */

/* A token that was had in the future was had by another clock. */
static bool is_fresh(const struct store_record *record)
{
	int64_t now_ms = wall_ms();
	return *record->access && record->had_ms <= now_ms && now_ms < record->until_ms - MARGIN_MS;
}

static enum reply_kind ask_provider(const struct oauth *oauth, const struct store_record *record,
				    struct reply *reply_out, char why_out[OAUTH_WHY_MAX])
{
	static struct form form;
	bool client = oauth->account->grant == CONFIG_GRANT_CLIENT;
	oauth_begin(oauth, client ? "client_credentials" : "refresh_token", &form);
	if (!client)
		form_add(&form, "refresh_token", record->refresh);
	form_add(&form, "scope", client ? oauth->provider.scope : oauth->provider.refresh_scope);
	return oauth_exchange(oauth, &form, reply_out, why_out);
}

/* Fills *record with new tokens, which are durable then. False: *answer says why not. */
static bool renew(const struct oauth *oauth, struct store_record *record,
		  struct secret_answer *answer)
{
	static struct reply reply;
	char why[OAUTH_WHY_MAX];
	int error = store_reserve(oauth->tokens_fd, oauth->account->name);
	if (error) {
		answer_why(answer, SECRET_LATER, "new tokens could not be stored",
			   strerror(-error));
		return false;
	}
	enum reply_kind kind = ask_provider(oauth, record, &reply, why);
	store_release(oauth->tokens_fd, oauth->account->name);
	if (kind == REPLY_TOKEN) {
		fill_record(oauth, &reply, record);
		error = keep_record(oauth, record);
	}
	bool person = kind == REPLY_ERROR && oauth_explain(oauth, &reply, why);
	if (kind != REPLY_TOKEN)
		answer_why(answer, person ? SECRET_NEVER : SECRET_LATER, why, "");
	else if (error)
		answer_why(answer, SECRET_LATER, "the new tokens can't be stored",
			   strerror(-error));
	explicit_bzero(&reply, sizeof reply);
	return kind == REPLY_TOKEN && !error;
}

static void find_token(const struct oauth *oauth, bool refused, struct store_record *record,
		       struct secret_answer *answer)
{
	char why[OAUTH_WHY_MAX];
	load_record(oauth, record);
	if (oauth->account->grant != CONFIG_GRANT_CLIENT && !*record->refresh) {
		snprintf(why, sizeof why, "nobody has signed in yet: letterchute login %s",
			 oauth->account->name);
		answer_why(answer, SECRET_NEVER, why, "");
		return;
	}
	if ((refused || !is_fresh(record)) && !renew(oauth, record, answer))
		return;
	answer->kind = SECRET_TOKEN;
	memcpy(answer->text, record->access, sizeof answer->text);
}

void oauth_answer(struct oauth *oauth, bool refused, struct secret_answer *answer_out)
{
	static struct store_record record;
	auto_close int lock_fd = -1;
	int error = store_lock(oauth->tokens_fd, oauth->account->name, monotonic_ms() + LOCK_MS,
			       &lock_fd);
	if (error == -EWOULDBLOCK)
		answer_why(answer_out, SECRET_LATER, "somebody else is renewing the token", "");
	else if (error)
		answer_why(answer_out, SECRET_LATER, "its tokens can't be locked",
			   strerror(-error));
	else
		find_token(oauth, refused, &record, answer_out);
	explicit_bzero(&record, sizeof record);
}
