/* session_auth.c: AUTH PLAIN and LOGIN, in all the shapes in which devices say them (RFC 4954).
 * Never decides whether a password is right: the keeper does. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "daemon/base64.h"
#include "daemon/fdio.h"
#include "daemon/smtp/session_inner.h"

#define LOGINS_MAX 10    /* wrong passwords */
#define LOGIN_MS   60000 /* the keeper lets who was wrong often wait */

/* Name and password as the device says them. */
struct claim {
	char name[VAULT_NAME_MAX + 1], password[VAULT_PASSWORD_MAX + 1];
};

enum claim_result { CLAIM_OK, CLAIM_CANCELLED, CLAIM_GARBLED, CLAIM_OTHER, CLAIM_BROKEN };

/* Is AUTH taken now, as far as the line and the listener are concerned? REPLY_LOGIN: it is; else
 * why not. */
static enum reply login_answer(const struct session *s)
{
	const struct session_settings *settings = s->settings;
	/* where any password will do none is worth hiding */
	bool any = settings->auth == CONFIG_AUTH_ANY;
	if (settings->auth == CONFIG_AUTH_OFF || (!any && !settings->has_logins))
		return REPLY_NO_LOGIN;
	if (settings->tls == CONFIG_TLS_REQUIRE && !s->encrypted)
		return REPLY_TLS_FIRST;
	return any || s->encrypted || settings->plaintext_auth ? REPLY_LOGIN : REPLY_LOGIN_CLEAR;
}

/* There is one login a session, if the device does not begin anew by STARTTLS (RFC 4954 section 4).
 */
static bool has_logged_in(const struct session *s)
{
	return *s->login || s->taken_on_trust;
}

bool session_offers_login(const struct session *s)
{
	return login_answer(s) == REPLY_LOGIN && !has_logged_in(s);
}

static bool decode(const char *text, size_t size, char *out, size_t room, size_t *size_out)
{
	/* an empty answer behind the mechanism (RFC 4954 section 4) */
	if (size == 1 && *text == '=')
		size = 0;
	while (size > 0 && text[size - 1] == ' ')
		size--;
	if (memchr(text, ' ', size) || !base64_read(text, size, out, room - 1, size_out))
		return false;
	out[*size_out] = '\0';
	return true;
}

/* One line of the device, for which it is asked; nobody is shown it. */
static enum claim_result read_claim(struct session *s, enum reply question, char *out, size_t room,
				    size_t *size_out)
{
	const char *text;
	size_t size;
	session_reply(s, question);
	enum wire_event event = wire_line(&s->wire, &text, &size);
	if (event == WIRE_LONG)
		return CLAIM_GARBLED;
	if (event != WIRE_OK) {
		session_end_of_input(s, event);
		return CLAIM_BROKEN;
	}
	session_show(s, true, text, size);
	if (size == 1 && *text == '*')
		return CLAIM_CANCELLED;
	return decode(text, size, out, room, size_out) ? CLAIM_OK : CLAIM_GARBLED;
}

/* A NUL is the end of it, if anything. */
static bool is_text(const char *text, size_t size)
{
	const char *end = memchr(text, '\0', size);
	return !end || end + 1 == text + size;
}

/* [identity] NUL name NUL password (RFC 4616) */
static enum claim_result split_plain(const char *text, size_t size, struct claim *claim)
{
	const char *end = text + size;
	const char *name = memchr(text, '\0', size);
	const char *password = name ? memchr(name + 1, '\0', (size_t)(end - name - 1)) : NULL;
	if (!password)
		return CLAIM_GARBLED;
	name++;
	password++;
	size_t name_size = strlen(name), password_size = (size_t)(end - password);
	if (name_size > VAULT_NAME_MAX || password_size > VAULT_PASSWORD_MAX ||
	    !is_text(password, password_size))
		return CLAIM_GARBLED;
	memcpy(claim->name, name, name_size + 1);
	memcpy(claim->password, password, password_size);
	claim->password[password_size] = '\0';
	/* to act for somebody else is nobody's business */
	return *text && strcmp(text, name) != 0 ? CLAIM_OTHER : CLAIM_OK;
}

static enum claim_result claim_plain(struct session *s, const char *first, size_t size,
				     struct claim *claim)
{
	char text[VAULT_NAME_MAX * 2 + VAULT_PASSWORD_MAX + 4];
	size_t got = 0;
	enum claim_result result =
		size > 0 ? decode(first, size, text, sizeof text, &got) ? CLAIM_OK : CLAIM_GARBLED
			 : read_claim(s, REPLY_ASK_BOTH, text, sizeof text, &got);
	if (result == CLAIM_OK)
		result = split_plain(text, got, claim);
	explicit_bzero(text, sizeof text);
	return result;
}

static enum claim_result claim_login(struct session *s, const char *first, size_t size,
				     struct claim *claim)
{
	size_t got = 0;
	enum claim_result result =
		size > 0 ? decode(first, size, claim->name, sizeof claim->name, &got)
				   ? CLAIM_OK
				   : CLAIM_GARBLED
			 : read_claim(s, REPLY_ASK_NAME, claim->name, sizeof claim->name, &got);
	if (result != CLAIM_OK)
		return result;
	bool good = is_text(claim->name, got);
	result = read_claim(s, REPLY_ASK_PASSWORD, claim->password, sizeof claim->password, &got);
	return result == CLAIM_OK && !(good && is_text(claim->password, got)) ? CLAIM_GARBLED
									      : result;
}

static void log_login(struct session *s, const char *event, const char *name, enum log_level level)
{
	struct record record = session_record(s);
	record_peer(&record, level, event, "login", name);
}

static void refuse_login(struct session *s, const char *name)
{
	log_login(s, "wrong-password", name, LOG_WARNING);
	s->told = true;
	if (++s->wrong_passwords >= LOGINS_MAX)
		session_close(s, REPLY_LOGIN_MANY);
	else
		session_reply(s, REPLY_LOGIN_WRONG);
}

static void judge_claim(struct session *s, const struct claim *claim)
{
	/* a name that is taken on trust proves nothing: it is none for the rules */
	if (s->settings->auth == CONFIG_AUTH_ANY) {
		log_login(s, "any-password", claim->name, LOG_INFO);
		s->taken_on_trust = true;
		session_reply(s, REPLY_LOGIN);
		return;
	}
	s->vault.deadline_ms = monotonic_ms() + LOGIN_MS;
	switch (vault_login(&s->vault, claim->name, claim->password)) {
	case VAULT_YES:
		/* no known name is longer */
		snprintf(s->login, sizeof s->login, "%.63s", claim->name);
		session_reply(s, REPLY_LOGIN);
		break;
	case VAULT_NO: refuse_login(s, claim->name); break;
	case VAULT_LATER: session_reply(s, REPLY_LOGIN_LATER); break;
	case VAULT_NEVER: session_reply(s, REPLY_NO_LOGIN); break;
	}
}

static const struct mechanism {
	const char *name;
	enum claim_result (*run)(struct session *s, const char *first, size_t size,
				 struct claim *claim);
} mechanisms[] = { { "PLAIN", claim_plain }, { "LOGIN", claim_login } };

static const struct mechanism *find_mechanism(const char *name, size_t size)
{
	for (size_t i = 0; i < sizeof mechanisms / sizeof mechanisms[0]; i++) {
		if (strlen(mechanisms[i].name) == size &&
		    strncasecmp(mechanisms[i].name, name, size) == 0)
			return &mechanisms[i];
	}
	return NULL;
}

static size_t word_length(const char *text, size_t size)
{
	size_t length = 0;
	while (length < size && text[length] != ' ' && text[length] != '\t')
		length++;
	return length;
}

void session_auth(struct session *s, const struct line_command *command)
{
	const char *text = command->argument, *end = text + command->argument_size;
	size_t name = word_length(text, command->argument_size);
	const struct mechanism *mechanism = find_mechanism(text, name);
	enum reply answer = has_logged_in(s) ? REPLY_LOGIN_ON : login_answer(s);
	if (answer == REPLY_LOGIN && !mechanism)
		answer = REPLY_MECHANISM;
	if (answer != REPLY_LOGIN) {
		session_reply(s, answer);
		return;
	}
	const char *first = text + name;
	while (first < end && (*first == ' ' || *first == '\t'))
		first++;
	struct claim claim = { .name = "" };
	switch (mechanism->run(s, first, (size_t)(end - first), &claim)) {
	case CLAIM_OK: judge_claim(s, &claim); break;
	case CLAIM_OTHER: refuse_login(s, claim.name); break;
	case CLAIM_CANCELLED: session_reply(s, REPLY_LOGIN_CANCELLED); break;
	case CLAIM_GARBLED: session_reply(s, REPLY_LOGIN_GARBLED); break;
	case CLAIM_BROKEN: break;
	}
	explicit_bzero(&claim, sizeof claim);
}
