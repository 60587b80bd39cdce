/* config_keys.c: one table row per key, and what its words, sizes and lists mean. Never looks at
 * the system. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/config_inner.h"
#include "policy/value.h"

static const char *const sandbox_words[] = { "best", "require", "off", NULL };
static const char *const tls_words[] = { "off", "starttls", "require", "implicit", NULL };
static const char *const compat_words[] = { "modern", "legacy", "ancient", NULL };
static const char *const auth_words[] = { "off", "optional", "require", "accept-any", NULL };
static const char *const yes_words[] = { "no", "yes", NULL };
static const char *const line_ends_words[] = { "strict", "lenient", NULL };
static const char *const imap_tls_words[] = { "implicit", "starttls", "off", NULL };
static const char *const oauth_words[] = { "", "google", "microsoft", "custom", NULL };
static const char *const grant_words[] = { "refresh_token", "client_credentials", NULL };
static const char *const sasl_words[] = { "auto", "xoauth2", "oauthbearer", NULL };
static const char *const dialect_words[] = { "rfc", "microsoft", NULL };
/* in the order of enum config_fate_kind; NULL is the end, "" what a kind of source does not know */
static const char *const imap_fates[] = { "expunge", "move:", "seen", "flag:", "keep", NULL };
static const char *const imap_refused_fates[] = { "expunge", "move:", "", "flag:", "keep", NULL };
static const char *const maildir_fates[] = { "delete", "move:", NULL };

#define G(field) offsetof(struct config_gateway, field)
#define L(field) offsetof(struct config_listener, field)
#define A(field) offsetof(struct config_account, field)
#define M(field) offsetof(struct config_maildir, field)
#define H(field) offsetof(struct config_http, field)

/* clang-format off */
static const struct config_key keys[] = {
	{ "gateway", "state", CONFIG_PATH, "/var/lib/letterchute", 0, 0, NULL, G(state), "spool, ledger, quarantine; never exported" },
	{ "gateway", "user", CONFIG_TEXT, "", 0, 0, NULL, G(user), "identity of every role that touches foreign bytes, when started as root" },
	{ "gateway", "answer_within", CONFIG_SECONDS, "25s", 1, 600, NULL, G(answer_within_s), "a sender hears an answer within this time" },
	{ "gateway", "couriers", CONFIG_NUMBER, "4", 1, 64, NULL, G(couriers), "deliveries made durable side by side" },
	{ "gateway", "hold", CONFIG_LATER, "no", 0, 0, NULL, 0, "accept and hold durably while the share is unreachable" },
	{ "gateway", "hold_bytes", CONFIG_SIZE, "1G", 0, UINT64_MAX, NULL, G(hold_bytes), "bounds stop accepting; what is held is never dropped" },
	{ "gateway", "doubt_keep", CONFIG_SECONDS, "1d", 60, 366 * 86400, NULL, G(doubt_keep_s), "how long a retry of a message whose answer may have been lost is recognised" },
	{ "gateway", "quarantine_bytes", CONFIG_SIZE, "1G", 0, UINT64_MAX, NULL, G(quarantine_bytes), "room for what is kept aside" },
	{ "gateway", "sandbox", CONFIG_WORD, "best", 0, 0, sandbox_words, G(sandbox), "best, require or off" },
	{ "gateway", "local_users", CONFIG_USERS, "", 0, 0, NULL, G(local_users), "who may use `drop` and `smtp-session` through the running gateway" },
	{ "gateway", "dkim_keys", CONFIG_FILE, "", 0, 0, NULL, G(dkim_keys), "public keys of those who sign, a line each: NAME RECORD; what is not in it is asked for" },
	{ "gateway", "dkim_resolver", CONFIG_TEXT, "", 0, 0, NULL, G(dkim_resolver), "who is asked for the others: ADDRESS or ADDRESS:PORT; none; not set: the system's" },

	{ "smtp", "listen", CONFIG_TEXT, "", 0, 0, NULL, L(listen), "comma list of ADDRESS:PORT" },
	{ "smtp", "peers", CONFIG_NETWORKS, "", 0, 0, NULL, L(peers), "networks that may connect; empty: loopback only" },
	{ "smtp", "tls", CONFIG_WORD, "starttls", 0, 0, tls_words, L(tls), "off, starttls, require or implicit" },
	{ "smtp", "tls_cert", CONFIG_FILE, "", 0, 0, NULL, L(tls_cert), "certificates, PEM, our own first; not set: a self-signed pair is made in `state`" },
	{ "smtp", "tls_key", CONFIG_FILE, "", 0, 0, NULL, L(tls_key), "the private key, PEM; not set: it is in tls_cert" },
	{ "smtp", "tls_compat", CONFIG_WORD, "modern", 0, 0, compat_words, L(tls_compat), "modern (TLS 1.2 and up), legacy (1.0 and up) or ancient (legacy plus 3DES)" },
	{ "smtp", "users", CONFIG_LOGINS, "", 0, 0, NULL, L(users), "file of logins, a line each: NAME:HASH[:ADDRESS,ADDRESS]" },
	{ "smtp", "auth", CONFIG_WORD, "optional", 0, 0, auth_words, L(auth), "off, optional, require, or accept-any: any name and password will do, and prove nothing" },
	{ "smtp", "plaintext_auth", CONFIG_WORD, "no", 0, 0, yes_words, L(plaintext_auth), "yes: AUTH without TLS" },
	{ "smtp", "line_ends", CONFIG_WORD, "strict", 0, 0, line_ends_words, L(line_ends), "strict, or lenient: a bare LF is repaired" },
	{ "smtp", "sessions", CONFIG_NUMBER, "100", 1, 10000, NULL, L(sessions), "connections at a time" },
	{ "smtp", "sessions_per_peer", CONFIG_NUMBER, "", 1, 10000, NULL, L(sessions_per_peer), "of them from one address; not set: 20, and loopback as many as there are" },
	{ "smtp", "idle", CONFIG_SECONDS, "60s", 1, 3600, NULL, L(idle_s), "a silent connection is closed after this time" },

	{ "imap", "host", CONFIG_TEXT, "", 0, 0, NULL, A(host), "name or address of the server" },
	{ "imap", "tls", CONFIG_WORD, "implicit", 0, 0, imap_tls_words, A(tls), "implicit (993), starttls (143), off (loopback only)" },
	{ "imap", "port", CONFIG_NUMBER, "", 1, 65535, NULL, A(port), "not set: that of `tls`" },
	{ "imap", "ca_file", CONFIG_FILE, "", 0, 0, NULL, A(ca_file), "certificates that may sign the server's; not set: the system's" },
	{ "imap", "pin_sha256", CONFIG_PINS, "", 0, 0, NULL, A(pins), "instead of a CA: hash of the server's public key, hex or base64; a list means any of them" },
	{ "imap", "user", CONFIG_TEXT, "", 0, 0, NULL, A(user), "the name to log in with" },
	{ "imap", "password", CONFIG_SECRET, "", 0, 0, NULL, A(password), "its password" },
	{ "imap", "password_file", CONFIG_FILE, "", 0, 0, NULL, A(password_file), "file whose first line is the password" },
	{ "imap", "password_command", CONFIG_TEXT, "", 0, 0, NULL, A(password_command), "program and arguments; its first line is the password" },
	{ "imap", "token_command", CONFIG_TEXT, "", 0, 0, NULL, A(token_command), "program and arguments; its first line is an OAuth2 access token" },
	{ "imap", "oauth", CONFIG_WORD, "", 0, 0, oauth_words, A(oauth), "google, microsoft or custom: access tokens are fetched by us" },
	{ "imap", "client_id", CONFIG_TEXT, "", 0, 0, NULL, A(client_id), "OAuth2: the registered application" },
	{ "imap", "client_secret", CONFIG_SECRET, "", 0, 0, NULL, A(client_secret), "OAuth2: its secret, where it has one" },
	{ "imap", "client_secret_file", CONFIG_FILE, "", 0, 0, NULL, A(client_secret_file), "file whose first line is that" },
	{ "imap", "tenant", CONFIG_TEXT, "common", 0, 0, NULL, A(tenant), "OAuth2, microsoft: directory id, common, organizations or consumers" },
	{ "imap", "scope", CONFIG_TEXT, "", 0, 0, NULL, A(scope), "OAuth2; not set: that of the provider" },
	{ "imap", "token_url", CONFIG_TEXT, "", 0, 0, NULL, A(token_url), "OAuth2: where tokens are had; not set: the provider's" },
	{ "imap", "authorize_url", CONFIG_TEXT, "", 0, 0, NULL, A(authorize_url), "OAuth2: where a person consents in a browser; not set: the provider's" },
	{ "imap", "device_url", CONFIG_TEXT, "", 0, 0, NULL, A(device_url), "OAuth2: where a device flow starts; not set: the provider's" },
	{ "imap", "token_file", CONFIG_FILE, "", 0, 0, NULL, A(token_file), "OAuth2: a refresh token to begin with; not set: what `letterchute login` left in `state`" },
	{ "imap", "grant", CONFIG_WORD, "refresh_token", 0, 0, grant_words, A(grant), "OAuth2: refresh_token or client_credentials" },
	{ "imap", "sasl", CONFIG_WORD, "auto", 0, 0, sasl_words, A(sasl), "how a token is shown: xoauth2 or oauthbearer; auto: as the server offers" },
	{ "imap", "mailbox", CONFIG_TEXT, "INBOX", 0, 0, NULL, A(mailbox), "in UTF-8; / stands for the server's separator" },
	{ "imap", "after", CONFIG_FATE, "expunge", 0, 0, imap_fates, A(after), "what becomes of a mail that was delivered" },
	{ "imap", "refused", CONFIG_FATE, "move:Refused", 0, 0, imap_refused_fates, A(refused), "what becomes of a mail that was refused" },
	{ "imap", "refresh", CONFIG_SECONDS, "9m", 1, 29 * 60, NULL, A(refresh_s), "IDLE is begun anew after this time" },
	{ "imap", "poll", CONFIG_SECONDS, "60s", 1, 86400, NULL, A(poll_s), "where the server has no IDLE" },
	{ "imap", "authserv_ids", CONFIG_TEXT, "", 0, 0, NULL, A(authserv_ids), "who may testify about the sender: comma list, *.example.org for all below" },
	{ "imap", "ar_count", CONFIG_NUMBER, "1", 1, 16, NULL, A(ar_count), "how many Authentication-Results fields are theirs, from the top" },
	{ "imap", "ar_methods", CONFIG_TEXT, "dmarc", 0, 0, NULL, A(ar_methods), "what counts: dmarc, dkim" },
	{ "imap", "ar_dialect", CONFIG_WORD, "rfc", 0, 0, dialect_words, A(ar_dialect), "rfc, or microsoft: fields without an id" },

	{ "maildir", "path", CONFIG_PATH, "", 0, 0, NULL, M(path), "a Maildir" },
	{ "maildir", "after", CONFIG_FATE, "delete", 0, 0, maildir_fates, M(after), "what becomes of a mail that was delivered: delete or move:DIR" },
	{ "maildir", "refused", CONFIG_FATE, "move:refused", 0, 0, maildir_fates, M(refused), "what becomes of a mail that was refused; relative to the parent of `path`" },
	{ "maildir", "rescan", CONFIG_SECONDS, "60s", 1, 86400, NULL, M(rescan_s), "it is looked at so often whatever the kernel says" },

	{ "http", "listen", CONFIG_TEXT, "", 0, 0, NULL, H(listen), "comma list of ADDRESS:PORT for /healthz, /metrics and /api; not set: off" },
	{ "http", "token_file", CONFIG_FILE, "", 0, 0, NULL, H(token_file), "file whose first line is what requests must show; needed for any address but loopback" },
};
/* clang-format on */

#define KEYS (sizeof keys / sizeof keys[0])

const struct config_key *config_keys(size_t *count_out)
{
	*count_out = KEYS;
	return keys;
}

const struct config_key *config_find_key(const char *section, const char *name)
{
	for (size_t i = 0; i < KEYS; i++) {
		if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].key, name) == 0)
			return &keys[i];
	}
	return NULL;
}

/* What a field of this type owns is a text. */
static bool owns_text(enum config_type type)
{
	static const enum config_type owning[] = { CONFIG_TEXT, CONFIG_PATH,   CONFIG_USERS,
						   CONFIG_FILE, CONFIG_SECRET, CONFIG_PINS,
						   CONFIG_FATE, CONFIG_LOGINS };
	for (size_t i = 0; i < sizeof owning / sizeof owning[0]; i++) {
		if (owning[i] == type)
			return true;
	}
	return false;
}

char *config_text(const struct config_key *key, const void *base)
{
	size_t within = key->type == CONFIG_FATE ? offsetof(struct config_fate, name) : 0;
	const char *field = (const char *)base + key->offset + within;
	return owns_text(key->type) ? *(char *const *)(const void *)field : NULL;
}

bool config_set_text(void *field, const char *value)
{
	char *copy = strdup(value);
	if (!copy)
		return false;
	free(*(char **)field);
	*(char **)field = copy;
	return true;
}

static bool set_in_bounds(const struct config_key *key, void *field, uint64_t number)
{
	if (number < key->minimum || number > key->maximum)
		return false;
	*(uint64_t *)field = number;
	return true;
}

static bool set_word(const struct config_key *key, void *field, const char *value)
{
	int word = value_word(value, key->words);
	if (word < 0)
		return false;
	*(int *)field = word;
	return true;
}

#define NETWORKS_MAX 256

static bool set_networks(void *field, const char *value)
{
	struct network_list *list = field;
	struct network found[NETWORKS_MAX];
	size_t count = 0;
	char item[64];
	bool fits;
	while (value_next(&value, item, sizeof item, &fits)) {
		size_t more = fits ? network_parse(item, found + count, NETWORKS_MAX - count) : 0;
		if (more == 0)
			return false;
		count += more;
	}
	struct network *networks = malloc((count + 1) * sizeof *networks);
	if (!networks)
		return false;
	memcpy(networks, found, count * sizeof *networks);
	free(list->networks);
	*list = (struct network_list){ .networks = networks, .count = count };
	return true;
}

/* `optional|off`: the words of which any is as good as the preset. */
static bool is_preset(const char *presets, const char *value)
{
	size_t length = strlen(value);
	for (const char *word = presets;; word++) {
		size_t size = strcspn(word, "|");
		if (size == length && strncasecmp(word, value, size) == 0)
			return true;
		word += size;
		if (!*word)
			return false;
	}
}

/* "flag:Stored" -> kind and name. */
static bool set_fate(const struct config_key *key, void *field, const char *value)
{
	struct config_fate *fate = field;
	for (int i = 0; key->words[i]; i++) {
		const char *word = key->words[i];
		size_t length = strlen(word);
		bool named = length > 0 && word[length - 1] == ':';
		if (length == 0 || strncasecmp(value, word, length) != 0 ||
		    named != (value[length] != '\0'))
			continue;
		fate->kind = (enum config_fate_kind)i;
		return config_set_text(&fate->name, value + length);
	}
	return false;
}

static bool is_pin(const char *text)
{
	static const char hex[] = "0123456789abcdefABCDEF:";
	static const char base64[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
	size_t digits = 0;
	for (const char *s = text; *s; s++)
		digits += *s != ':';
	return (digits == 64 && text[strspn(text, hex)] == '\0') ||
	       (digits == 44 && text[strspn(text, base64)] == '\0');
}

static bool set_pins(void *field, const char *value)
{
	const char *cursor = value;
	char item[128];
	bool fits;
	while (value_next(&cursor, item, sizeof item, &fits)) {
		if (!fits || !is_pin(item))
			return false;
	}
	return config_set_text(field, value);
}

static const char *const expectations[] = {
	[CONFIG_TEXT] = "text",
	[CONFIG_PATH] = "a path",
	[CONFIG_SIZE] = "a size such as 100M",
	[CONFIG_SECONDS] = "a time such as 30s, 10m or 1d",
	[CONFIG_NUMBER] = "a whole number",
	[CONFIG_WORD] = "one of the words",
	[CONFIG_NETWORKS] = "networks such as 192.168.0.0/16, fd00::/8 or private",
	[CONFIG_USERS] = "names or numbers of users of this system",
	[CONFIG_FILE] = "a file that is there",
	[CONFIG_SECRET] = "text",
	[CONFIG_LOGINS] = "a file that is there",
	[CONFIG_PINS] = "SHA-256 sums of public keys, each 64 hex digits or 44 of base64,",
	[CONFIG_FATE] = "one of",
};

bool config_set_key(const struct config_key *key, void *field, const char *value)
{
	uint64_t number;
	/* "port =" is as good as no such line */
	if (!*value && !*key->preset && !owns_text(key->type))
		return true;
	switch (key->type) {
	case CONFIG_TEXT:
	case CONFIG_PATH:
	case CONFIG_FILE:
	case CONFIG_SECRET:
	case CONFIG_LOGINS:
	case CONFIG_USERS: return config_set_text(field, value);
	case CONFIG_FATE: return set_fate(key, field, value);
	case CONFIG_PINS: return set_pins(field, value);
	case CONFIG_SIZE: return value_size(value, &number) && set_in_bounds(key, field, number);
	case CONFIG_SECONDS:
		return value_seconds(value, &number) && set_in_bounds(key, field, number);
	case CONFIG_NUMBER:
		return value_number(value, key->minimum, key->maximum, &number) &&
		       set_in_bounds(key, field, number);
	case CONFIG_WORD: return set_word(key, field, value);
	case CONFIG_NETWORKS: return set_networks(field, value);
	case CONFIG_LATER: return is_preset(key->preset, value);
	}
	return false;
}

void config_expect_key(const struct config_key *key, char *text, size_t size)
{
	size_t used = (size_t)snprintf(text, size, "%s", expectations[key->type]);
	if (key->type == CONFIG_WORD || key->type == CONFIG_FATE) {
		bool first = true;
		for (int i = 0; key->words[i] && used < size; i++) {
			size_t length = strlen(key->words[i]);
			if (length == 0)
				continue;
			used += (size_t)snprintf(text + used, size - used, "%s %s%s",
						 first ? "" : ",", key->words[i],
						 key->words[i][length - 1] == ':' ? "NAME" : "");
			first = false;
		}
	} else if (key->type == CONFIG_NUMBER && used < size) {
		snprintf(text + used, size - used, " from %llu to %llu",
			 (unsigned long long)key->minimum, (unsigned long long)key->maximum);
	} else if (key->type == CONFIG_SECONDS && used < size) {
		snprintf(text + used, size - used, " (%llus to %llus)",
			 (unsigned long long)key->minimum, (unsigned long long)key->maximum);
	}
}

void config_preset_keys(const char *section, void *base)
{
	for (size_t i = 0; i < KEYS; i++) {
		if (strcmp(keys[i].section, section) == 0 && keys[i].type != CONFIG_LATER)
			config_set_key(&keys[i], (char *)base + keys[i].offset, keys[i].preset);
	}
}

void config_free_texts(const char *section, const void *base)
{
	for (size_t i = 0; i < KEYS; i++) {
		if (strcmp(keys[i].section, section) == 0)
			free(config_text(&keys[i], base));
	}
}
