/* config.c: lines of the configuration -> struct config, one table row per key. Never opens
 * anything but the files it is given. */
#define _GNU_SOURCE
#include "daemon/config.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <limits.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/digest.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/users.h"
#include "policy/value.h"

#define EXIT_CONFIG 78 /* EX_CONFIG of sysexits.h */

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

/* What sections there are: how they are named, and where their keys go. */
enum section_name { NAME_NEVER, NAME_MAY, NAME_MUST };
enum section_reader { READ_GATEWAY, READ_HTTP, READ_SOURCE, READ_RULES, READ_LATER };

/* An array of sources in struct config: each has a name, and the line of its section. */
struct section_items {
	size_t items, count; /* in struct config */
	size_t size, name, at;
};
#define ITEMS(items, type)                                                              \
	{                                                                               \
		offsetof(struct config, items), offsetof(struct config, items##_count), \
			sizeof(struct type), offsetof(struct type, name),               \
			offsetof(struct type, at)                                       \
	}

static const struct section_kind {
	const char *section;
	enum section_name name;
	enum section_reader reader;
	struct section_items items;
} section_kinds[] = {
	{ "gateway", NAME_NEVER, READ_GATEWAY, { 0 } },
	{ "share", NAME_MAY, READ_RULES, { 0 } },
	{ "limits", NAME_NEVER, READ_RULES, { 0 } },
	{ "smtp", NAME_MUST, READ_SOURCE, ITEMS(listeners, config_listener) },
	{ "imap", NAME_MUST, READ_SOURCE, ITEMS(accounts, config_account) },
	{ "maildir", NAME_MUST, READ_SOURCE, ITEMS(maildirs, config_maildir) },
	{ "route", NAME_MUST, READ_RULES, { 0 } },
	{ "notify", NAME_MUST, READ_LATER, { 0 } },
	{ "watch", NAME_MUST, READ_LATER, { 0 } },
	{ "http", NAME_NEVER, READ_HTTP, { 0 } },
};

static const struct section_kind *find_section(const char *section)
{
	for (size_t i = 0; i < sizeof section_kinds / sizeof section_kinds[0]; i++) {
		if (strcmp(section_kinds[i].section, section) == 0)
			return &section_kinds[i];
	}
	return NULL;
}

#define KEYS (sizeof keys / sizeof keys[0])

const struct config_key *config_keys(size_t *count_out)
{
	*count_out = KEYS;
	return keys;
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

/* Where the text of the key is kept. */
static const void *text_field(const struct config_key *key, const void *base)
{
	size_t within = key->type == CONFIG_FATE ? offsetof(struct config_fate, name) : 0;
	return (const char *)base + key->offset + within;
}

/* The state of one loading: what fails says where, once. */
struct loading {
	struct config *config;
	char *error;   /* CONFIG_ERROR_MAX */
	bool resolved; /* the boss has resolved names already: we are a role */
	const struct section_kind *section;
	void *base; /* what the keys of the section are read into; not for rules */
};

static bool fail(struct loading *loading, size_t at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static bool fail(struct loading *loading, size_t at, const char *format, ...)
{
	char text[CONFIG_ERROR_MAX / 2];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	ini_error(&loading->config->ini, at, text, loading->error);
	return false;
}

/* --- values ----------------------------------------------------------------------------------- */

static bool set_text(void *field, const char *value)
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
		return set_text(&fate->name, value + length);
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
	return set_text(field, value);
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

static bool convert(const struct config_key *key, void *field, const char *value)
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
	case CONFIG_USERS: return set_text(field, value);
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

static void describe_expectation(const struct config_key *key, char *text, size_t size)
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

static bool set_key(struct loading *loading, const struct config_key *key, void *base, size_t at)
{
	const char *value = loading->config->ini.lines[at].value;
	void *field = (char *)base + key->offset;
	if (convert(key, field, value))
		return true;
	if (key->type == CONFIG_LATER)
		return fail(loading, at,
			    "`%s = %.80s` is not available in this version, %s is expected",
			    key->key, value, *key->preset ? key->preset : "no such line");
	char expected[160];
	describe_expectation(key, expected, sizeof expected);
	return fail(loading, at, "`%s = %.80s` can't be read, %s is expected", key->key, value,
		    expected);
}

static void preset_keys(const char *section, void *base)
{
	for (size_t i = 0; i < KEYS; i++) {
		if (strcmp(keys[i].section, section) == 0 && keys[i].type != CONFIG_LATER)
			convert(&keys[i], (char *)base + keys[i].offset, keys[i].preset);
	}
}

/* --- names of users, groups and files -> what holds everywhere -------------------------------- */

static bool resolve_id(const char *name, bool group, uint32_t *id_out)
{
	uint64_t number;
	if (value_number(name, 0, UINT32_MAX - 1, &number)) {
		*id_out = (uint32_t)number;
		return true;
	}
	const struct passwd *user = group ? NULL : getpwnam(name);
	const struct group *found = group ? getgrnam(name) : NULL;
	if (!user && !found)
		return false;
	*id_out = user ? user->pw_uid : found->gr_gid;
	return true;
}

static bool replace(struct loading *loading, size_t at, const char *value)
{
	return ini_replace(&loading->config->ini, at, value) || fail(loading, at, "out of memory");
}

/* Without root's rights, or that one of them (systemd's AmbientCapabilities), a file stays its
 * maker's, and its group is one of his. */
static bool can_give(uint32_t id, bool group)
{
	gid_t groups[256];
	bool given = prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0) == 1;
	if (geteuid() == 0 || given || id == (group ? getegid() : geteuid()))
		return true;
	int count = group ? getgroups(sizeof groups / sizeof groups[0], groups) : 0;
	for (int i = 0; i < count; i++) {
		if (groups[i] == id)
			return true;
	}
	return false;
}

static bool resolve_owner(struct loading *loading, size_t at, bool group)
{
	const char *name = loading->config->ini.lines[at].value;
	char number[16];
	uint32_t id;
	if (!*name || loading->resolved)
		return true;
	if (!resolve_id(name, group, &id))
		return fail(loading, at,
			    "there is no %s `%.64s` on this system, a name or number is expected",
			    group ? "group" : "user", name);
	if (!can_give(id, group) && !loading->config->cant_give) {
		fail(loading, at,
		     "`%s = %.64s` can only be given by root or with CAP_CHOWN (systemd: "
		     "AmbientCapabilities=), %s is expected",
		     group ? "group" : "owner", name, group ? "a group of ours" : "no such line");
		loading->config->cant_give = strdup(loading->error);
	}
	snprintf(number, sizeof number, "%u", id);
	return replace(loading, at, number);
}

/* One entry of ACL text, `u:NAME:rwx`; writes it with the name as a number. */
static bool resolve_acl_entry(struct loading *loading, size_t at, char *entry, FILE *out)
{
	char *name = strchr(entry, ':');
	char *rights = name ? strchr(name + 1, ':') : NULL;
	uint32_t id;
	if (!rights || rights == name + 1) {
		fputs(entry, out);
		return true;
	}
	*name++ = *rights++ = '\0';
	bool group = entry[0] == 'g';
	if (!resolve_id(name, group, &id))
		return fail(
			loading, at,
			"there is no %s `%.64s` on this system, a name or number is expected in `acl`",
			group ? "group" : "user", name);
	fprintf(out, "%s:%u:%s", entry, id, rights);
	return true;
}

static bool resolve_acl(struct loading *loading, size_t at)
{
	const char *cursor = loading->config->ini.lines[at].value;
	char entry[160];
	bool fits, good = true;
	auto_free char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return fail(loading, at, "out of memory");
	for (int i = 0; good && value_next(&cursor, entry, sizeof entry, &fits); i++) {
		if (i > 0)
			fputc(',', out);
		good = fits ? resolve_acl_entry(loading, at, entry, out)
			    : fail(loading, at,
				   "an entry of `acl` is too long, g:GROUP:r-- is expected");
	}
	fclose(out);
	return good && replace(loading, at, text);
}

static bool resolve_users(struct loading *loading, size_t at)
{
	const char *cursor = loading->config->ini.lines[at].value;
	char name[64], list[2048] = "";
	size_t used = 0;
	bool fits;
	uint32_t id;
	while (value_next(&cursor, name, sizeof name, &fits)) {
		if (!fits || !resolve_id(name, false, &id))
			return fail(loading, at,
				    "there is no user `%.64s` on this system, %s is expected", name,
				    expectations[CONFIG_USERS]);
		used += (size_t)snprintf(list + used, sizeof list - used, "%s%u", used ? "," : "",
					 id);
		if (used >= sizeof list)
			return fail(loading, at, "too many users, at most 200 are expected");
	}
	return replace(loading, at, list);
}

/* Relative paths start at the folder of the configuration file. */
static bool resolve_path(struct loading *loading, size_t at)
{
	const struct ini *ini = &loading->config->ini;
	const char *path = ini->lines[at].value;
	const char *file = ini->files[ini->lines[at].file];
	char whole[PATH_MAX], folder[PATH_MAX], absolute[PATH_MAX];
	if (!*path)
		return fail(loading, at, "`%s` is empty, a path is expected", ini->lines[at].key);
	if (*path == '/')
		return true;
	const char *slash = strrchr(file, '/');
	snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - file + 1) : 1,
		 slash ? file : ".");
	if (!realpath(folder, absolute) ||
	    (size_t)snprintf(whole, sizeof whole, "%s/%s", absolute, path) >= sizeof whole)
		return fail(loading, at, "`%s` can't be made absolute, a path is expected",
			    ini->lines[at].key);
	return replace(loading, at, whole);
}

/* Whether it can be read is found out when it is: by then the rights may be others. */
static bool resolve_file(struct loading *loading, size_t at)
{
	const struct ini_line *line = &loading->config->ini.lines[at];
	if (!*line->value || loading->resolved)
		return true;
	if (!resolve_path(loading, at))
		return false;
	line = &loading->config->ini.lines[at];
	/* a folder that is closed to us may be open to who needs the file */
	if (access(line->value, F_OK) == 0 || (errno == EACCES && geteuid() != 0))
		return true;
	return fail(loading, at, "`%s = %.160s`: %s, a file that is there is expected", line->key,
		    line->value, strerror(errno));
}

/* Names and addresses of a file of logins, for the roles: a line each, "NAME ADDRESS,ADDRESS". The
 * hashes are not handed on. */
static bool write_logins(const struct users *users, char **text_out)
{
	auto_free char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return false;
	for (size_t i = 0; i < users->count; i++)
		fprintf(out, "%s%s %s", i ? "\n" : "", users->list[i].name,
			users->list[i].addresses);
	if (fclose(out) != 0 || size > INI_VALUE_MAX)
		return false;
	*text_out = take_pointer(&text);
	return true;
}

/* Whoever can't read the file can't start a gateway with it. */
static bool resolve_logins(struct loading *loading, size_t at)
{
	const char *path = loading->config->ini.lines[at].value;
	char why[USERS_ERROR_MAX];
	struct users users;
	unsigned line = 0;
	auto_free char *text = NULL;
	if (!*path || loading->resolved)
		return true;
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int error = fd < 0 ? -errno : users_read(fd, &users, &line, why);
	/* a local user of `drop` may read the configuration, and not this */
	if (error == -EACCES && geteuid() != 0) {
		((struct config_listener *)loading->base)->users_hidden = true;
		return replace(loading, at, "");
	}
	if (error == -EINVAL) {
		snprintf(loading->error, CONFIG_ERROR_MAX, "%.200s:%u: %s", path, line, why);
		return false;
	}
	if (error)
		return fail(loading, at, "`users = %.160s`: %s, a file of logins is expected", path,
			    strerror(-error));
	bool fits = write_logins(&users, &text), nobody = users.count == 0;
	users_done(&users);
	if (nobody)
		return fail(loading, at, "`users = %.160s` has nobody in it, a login is expected",
			    path);
	if (!fits)
		return fail(loading, at, "`users = %.160s` has too many lines, fewer are expected",
			    path);
	return replace(loading, at, text);
}

static bool resolve_line(struct loading *loading, size_t at)
{
	const char *key = loading->config->ini.lines[at].key;
	bool rules = loading->section->reader == READ_RULES;
	if (rules && strcmp(key, "owner") == 0)
		return resolve_owner(loading, at, false);
	if (rules && strcmp(key, "group") == 0)
		return resolve_owner(loading, at, true);
	if (rules && strcmp(key, "acl") == 0)
		return resolve_acl(loading, at);
	if (rules && strcmp(key, "path") == 0)
		return resolve_path(loading, at);
	return true;
}

/* --- sections and keys ------------------------------------------------------------------------ */

static const struct config_key *find_key(const char *section, const char *name)
{
	for (size_t i = 0; i < KEYS; i++) {
		if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].key, name) == 0)
			return &keys[i];
	}
	return NULL;
}

static bool read_own_key(struct loading *loading, size_t at, void *base)
{
	const struct ini_line *line = &loading->config->ini.lines[at];
	const struct config_key *key = find_key(line->section, line->key);
	if (!key)
		return fail(loading, at,
			    "[%s] has no key `%.64s`, one that the manual lists is expected",
			    line->section, line->key);
	if (key->type == CONFIG_USERS && !resolve_users(loading, at))
		return false;
	if (key->type == CONFIG_PATH && !resolve_path(loading, at))
		return false;
	if ((key->type == CONFIG_FILE || key->type == CONFIG_LOGINS) && !resolve_file(loading, at))
		return false;
	/* a secret stays in the struct: the lines are handed on to roles */
	return set_key(loading, key, base, at) &&
	       (key->type != CONFIG_SECRET || replace(loading, at, "")) &&
	       (key->type != CONFIG_LOGINS || resolve_logins(loading, at));
}

static bool rules_failed(struct loading *loading, const struct rules_error *error)
{
	return fail(loading, error->at, "%s", error->text);
}

static bool read_key(struct loading *loading, size_t at)
{
	struct config *config = loading->config;
	struct rules_error error;
	if (loading->section->reader == READ_GATEWAY)
		return read_own_key(loading, at, &config->gateway);
	if (loading->section->reader == READ_HTTP)
		return read_own_key(loading, at, &config->http);
	if (loading->section->reader == READ_SOURCE)
		return read_own_key(loading, at, loading->base);
	if (!resolve_line(loading, at))
		return false;
	const struct ini_line *line = &config->ini.lines[at];
	return rules_set(&config->rules, line->key, line->value, (unsigned)at, &error) ||
	       rules_failed(loading, &error);
}

/* One more source; the keys that follow are its. */
static bool open_source(struct loading *loading, size_t at)
{
	const struct section_items *kind = &loading->section->items;
	char *config = (char *)loading->config;
	char **items = (char **)(void *)(config + kind->items);
	size_t *count = (size_t *)(void *)(config + kind->count);
	char *grown = realloc(*items, (*count + 1) * kind->size);
	if (!grown)
		return fail(loading, at, "out of memory");
	*items = grown;
	loading->base = memset(grown + (*count)++ * kind->size, 0, kind->size);
	*(unsigned *)(void *)((char *)loading->base + kind->at) = (unsigned)at;
	preset_keys(loading->section->section, loading->base);
	return set_text((char *)loading->base + kind->name, loading->config->ini.lines[at].name) ||
	       fail(loading, at, "out of memory");
}

/* Names enter log lines, file names and rules. */
static bool check_section_name(struct loading *loading, size_t at)
{
	const struct ini_line *line = &loading->config->ini.lines[at];
	const char *fit = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
	enum section_name need = loading->section->name;
	if (need == NAME_MUST && !*line->name)
		return fail(loading, at, "[%s] has no name, [%s NAME] is expected", line->section,
			    line->section);
	if (need == NAME_NEVER && *line->name)
		return fail(loading, at, "[%s %.64s] has a name, [%s] is expected", line->section,
			    line->name, line->section);
	if (line->name[strspn(line->name, fit)])
		return fail(
			loading, at,
			"the name `%.64s` can't be used, letters, digits, - _ and . are expected",
			line->name);
	return true;
}

static bool check_section_once(struct loading *loading, size_t at)
{
	const struct ini *ini = &loading->config->ini;
	const struct ini_line *line = &ini->lines[at];
	for (size_t i = 0; i < at; i++) {
		const struct ini_line *other = &ini->lines[i];
		if (!other->key && strcmp(other->section, line->section) == 0 &&
		    strcmp(other->name, line->name) == 0)
			return fail(
				loading, at,
				"[%s%s%s] is given twice, the first is at %.120s:%d; one is expected",
				line->section, *line->name ? " " : "", line->name,
				ini->files[other->file], other->line);
	}
	return true;
}

static bool open_section(struct loading *loading, size_t at)
{
	struct config *config = loading->config;
	const struct ini_line *line = &config->ini.lines[at];
	struct rules_error error;
	loading->section = find_section(line->section);
	if (!loading->section)
		return fail(
			loading, at,
			"there is no section [%.64s], gateway, share, limits, smtp, imap, maildir, route or http is expected",
			line->section);
	if (!check_section_name(loading, at) || !check_section_once(loading, at))
		return false;
	if (loading->section->reader == READ_LATER)
		return fail(loading, at,
			    "[%s] is not available in this version, no such section is expected",
			    line->section);
	if (loading->section->reader == READ_SOURCE)
		return open_source(loading, at);
	if (loading->section->reader == READ_RULES)
		return rules_open(&config->rules, line->section, line->name, (unsigned)at,
				  &error) ||
		       rules_failed(loading, &error);
	return true;
}

static bool check_key_once(struct loading *loading, size_t at)
{
	const struct ini *ini = &loading->config->ini;
	for (size_t i = at; i > 0 && ini->lines[i].key; i--) {
		if (i < at && strcmp(ini->lines[i].key, ini->lines[at].key) == 0)
			return fail(
				loading, at,
				"`%.64s` is given twice, the first is at line %d; one is expected",
				ini->lines[at].key, ini->lines[i].line);
	}
	return true;
}

static bool read_lines(struct loading *loading)
{
	for (size_t at = 0; at < loading->config->ini.count; at++) {
		bool good = loading->config->ini.lines[at].key
				    ? check_key_once(loading, at) && read_key(loading, at)
				    : open_section(loading, at);
		if (!good)
			return false;
	}
	return true;
}

/* --- the whole -------------------------------------------------------------------------------- */

#define ADDRESS_MAX 128 /* octets of ADDRESS:PORT, with its NUL */

/* ADDRESS:PORT, [ADDRESS]:PORT: only the shape; the boss finds out whether it can be bound. */
static bool is_address(const char *item)
{
	const char *colon = strrchr(item, ':');
	uint64_t port;
	return colon && colon != item && value_number(colon + 1, 0, 65535, &port) &&
	       (strchr(item, ':') == colon || (item[0] == '[' && colon[-1] == ']'));
}

static bool check_listen(struct loading *loading, const struct config_listener *listener)
{
	const char *cursor = listener->listen;
	char item[ADDRESS_MAX];
	bool fits, any = false;
	while (value_next(&cursor, item, sizeof item, &fits)) {
		if (!fits || !is_address(item))
			return fail(
				loading, listener->at,
				"[smtp %s] `listen` has `%.64s`, ADDRESS:PORT such as 0.0.0.0:2525 or [::]:2525 is expected",
				listener->name, item);
		any = true;
	}
	return any || fail(loading, listener->at,
			   "[smtp %s] has no `listen`, ADDRESS:PORT is expected", listener->name);
}

/* Names of sources are names in routes and in log lines: no two are the same. */
static bool add_source(struct loading *loading, const char *name, unsigned at)
{
	struct rules_error error;
	if (strcmp(name, "drop") == 0 || strcmp(name, "session") == 0)
		return fail(loading, at,
			    "a source is called `%s`, a name of ours; another name is expected",
			    name);
	return rules_add_source(&loading->config->rules, name, &error) ||
	       fail(loading, at, "%s", error.text);
}

static const char *logins_of(const struct loading *loading, const struct config_listener *listener)
{
	const struct ini *ini = &loading->config->ini;
	for (size_t at = listener->at + 1; at < ini->count && ini->lines[at].key; at++) {
		if (strcmp(ini->lines[at].key, "users") == 0)
			return ini->lines[at].value;
	}
	return "";
}

/* As resolve_logins left them. */
static bool add_logins(struct loading *loading, const struct config_listener *listener)
{
	struct rules_error error;
	auto_free char *text = strdup(logins_of(loading, listener));
	char *rest = text;
	for (char *line; (line = strsep(&rest, "\n"));) {
		char *addresses = strchr(line, ' ');
		if (!addresses)
			continue;
		*addresses++ = '\0';
		if (!rules_add_login(&loading->config->rules, listener->name, line, addresses,
				     &error))
			return fail(loading, listener->at, "%s", error.text);
	}
	return text || fail(loading, listener->at, "out of memory");
}

static bool check_listener(struct loading *loading, const struct config_listener *listener)
{
	if (!check_listen(loading, listener))
		return false;
	/* in a role it may be empty: the file was not for whoever resolved it to read */
	if (!loading->resolved && listener->auth == CONFIG_AUTH_REQUIRE && !*listener->users)
		return fail(
			loading, listener->at,
			"[smtp %s] has `auth = require` and nobody can log in, `users` is expected",
			listener->name);
	if (*listener->tls_key && !*listener->tls_cert)
		return fail(loading, listener->at,
			    "[smtp %s] has `tls_key`, `tls_cert` is expected", listener->name);
	return add_source(loading, listener->name, listener->at) && add_logins(loading, listener);
}

static bool check_listeners(struct loading *loading)
{
	struct config *config = loading->config;
	for (size_t i = 0; i < config->listeners_count; i++) {
		if (!check_listener(loading, &config->listeners[i]))
			return false;
	}
	return true;
}

static bool is_loopback(const char *host)
{
	return strcasecmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
	       strncmp(host, "127.", 4) == 0;
}

/* They become lines of a protocol, where a control character would end one. */
static bool check_texts(struct loading *loading, const char *section, const void *base, unsigned at)
{
	for (size_t i = 0; i < KEYS; i++) {
		if (strcmp(keys[i].section, section) != 0 || !owns_text(keys[i].type))
			continue;
		const char *text = *(char *const *)text_field(&keys[i], base);
		for (const char *s = text; *s; s++) {
			if ((unsigned char)*s < 0x20 || *s == 0x7F)
				return fail(
					loading, at,
					"`%s` of [%s] has a control character, text is expected",
					keys[i].key, section);
		}
	}
	return true;
}

/* Secrets are sent there: by https, or within this machine. Whoever sends them reads the address
 * once more, with care (daemon/http_out.h). */
static bool is_safe_url(const char *url)
{
	static const struct {
		const char *begin, *rest; /* of the authority; "": what is no @ */
	} kinds[] = { { "https://", "" },
		      { "http://127.", "0123456789.:" },
		      { "http://[::1]", "0123456789:" } };
	for (const char *s = url; *s; s++) {
		if (*s <= 0x20 || *s >= 0x7F || strchr("\"<>\\^`{|}#", *s))
			return false;
	}
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		size_t length = strlen(kinds[i].begin);
		if (strncasecmp(url, kinds[i].begin, length) != 0)
			continue;
		const char *rest = url + length;
		size_t size = strcspn(rest, "/?");
		return *kinds[i].rest ? strspn(rest, kinds[i].rest) == size
				      : size > 0 && !memchr(rest, '@', size);
	}
	return false;
}

static bool check_url(struct loading *loading, const struct config_account *account,
		      const char *key, const char *url)
{
	return !*url || (is_safe_url(url) && strlen(url) < CONFIG_URL_MAX) ||
	       fail(loading, account->at,
		    "`%s = %.160s` of [imap %s]: secrets go there, https://... is expected", key,
		    url, account->name);
}

/* It becomes a part of an address. */
static bool is_tenant(const char *text)
{
	return *text && text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					  "0123456789-.")] == '\0';
}

static bool check_oauth(struct loading *loading, const struct config_account *account)
{
	if (!check_url(loading, account, "token_url", account->token_url) ||
	    !check_url(loading, account, "authorize_url", account->authorize_url) ||
	    !check_url(loading, account, "device_url", account->device_url))
		return false;
	if (!is_tenant(account->tenant))
		return fail(
			loading, account->at,
			"`tenant = %.80s` of [imap %s] can't be read, a directory id, common, organizations or consumers is expected",
			account->tenant, account->name);
	if (account->oauth == CONFIG_OAUTH_GOOGLE && account->grant == CONFIG_GRANT_CLIENT)
		return fail(
			loading, account->at,
			"[imap %s] has `grant = client_credentials`, which google does not know; refresh_token is expected",
			account->name);
	if (account->oauth == CONFIG_OAUTH_MICROSOFT && account->sasl == CONFIG_SASL_OAUTHBEARER)
		return fail(
			loading, account->at,
			"[imap %s] has `sasl = oauthbearer`, which microsoft does not take; auto or xoauth2 is expected",
			account->name);
	return true;
}

/* How the login is proved: there is one way. */
static bool check_login(struct loading *loading, const struct config_account *account)
{
	unsigned ways = (*account->password != '\0') + (*account->password_file != '\0') +
			(*account->password_command != '\0') + (*account->token_command != '\0') +
			(account->oauth != CONFIG_OAUTH_NONE);
	if (loading->resolved)
		return true; /* secrets are not handed on */
	if (ways != 1)
		return fail(
			loading, account->at,
			"[imap %s] has %s login, one of password_file, password_command, token_command and oauth is expected",
			account->name, ways ? "more than one" : "no");
	if (account->oauth != CONFIG_OAUTH_NONE && !*account->client_id)
		return fail(loading, account->at, "[imap %s] has `oauth`, `client_id` is expected",
			    account->name);
	if (account->oauth == CONFIG_OAUTH_CUSTOM && !*account->token_url)
		return fail(loading, account->at,
			    "[imap %s] has `oauth = custom`, `token_url` is expected",
			    account->name);
	return check_oauth(loading, account);
}

/* Whom to believe about the sender. */
static bool read_believed(struct loading *loading, struct config_account *account)
{
	static const char *const words[] = { "", "dmarc", "dkim", NULL };
	struct proof_settings *believed = &account->believed;
	const char *cursor = account->ar_methods;
	char item[32];
	bool fits;
	size_t count = 0;
	*believed = (struct proof_settings){ .authserv_ids = account->authserv_ids,
					     .ar_count = (unsigned)account->ar_count,
					     .dialect = (enum proof_dialect)account->ar_dialect };
	while (value_next(&cursor, item, sizeof item, &fits)) {
		int method = fits ? value_word(item, words) : -1;
		if (method <= 0 || count == PROOF_METHODS_MAX)
			return fail(loading, account->at,
				    "[imap %s] `ar_methods` has `%.30s`, dmarc or dkim is expected",
				    account->name, item);
		believed->methods[count++] = (enum proof_method)method;
	}
	return true;
}

static bool check_account(struct loading *loading, struct config_account *account)
{
	if (!check_texts(loading, "imap", account, account->at) || !check_login(loading, account))
		return false;
	if (!*account->host || !*account->user || !*account->mailbox)
		return fail(loading, account->at, "[imap %s] has no %s, one is expected",
			    account->name,
			    !*account->host   ? "`host`"
			    : !*account->user ? "`user`"
					      : "`mailbox`");
	if (account->tls == CONFIG_IMAP_OFF && !is_loopback(account->host))
		return fail(
			loading, account->at,
			"[imap %s] has `tls = off`, which is for this machine alone; implicit or starttls is expected",
			account->name);
	if (account->port == 0)
		account->port = account->tls == CONFIG_IMAP_IMPLICIT ? 993 : 143;
	return read_believed(loading, account) && add_source(loading, account->name, account->at);
}

static void cut_slashes(char *path)
{
	for (size_t end = strlen(path); end > 1 && path[end - 1] == '/'; end--)
		path[end - 1] = '\0';
}

/* "refused" -> a folder beside `path`. */
static bool resolve_fate(struct loading *loading, const struct config_maildir *maildir,
			 struct config_fate *fate)
{
	const char *slash = strrchr(maildir->path, '/');
	char *path;
	if (fate->kind != CONFIG_FATE_MOVE)
		return true;
	cut_slashes(fate->name);
	if (fate->name[0] == '/')
		return true;
	if (asprintf(&path, "%.*s/%s", (int)(slash - maildir->path), maildir->path, fate->name) < 0)
		return fail(loading, maildir->at, "out of memory");
	free(fate->name);
	fate->name = path;
	return true;
}

/* What is moved to where it came from would come again for ever. */
static bool check_leaves(struct loading *loading, const struct config_maildir *maildir,
			 const struct config_fate *fate)
{
	if (fate->kind != CONFIG_FATE_MOVE || strcmp(fate->name, maildir->path) != 0)
		return true;
	return fail(loading, maildir->at,
		    "[maildir %s] moves mails to its own `path`, another folder is expected",
		    maildir->name);
}

static bool check_maildir(struct loading *loading, struct config_maildir *maildir)
{
	if (!*maildir->path)
		return fail(loading, maildir->at, "[maildir %s] has no `path`, one is expected",
			    maildir->name);
	cut_slashes(maildir->path);
	return check_texts(loading, "maildir", maildir, maildir->at) &&
	       resolve_fate(loading, maildir, &maildir->after) &&
	       resolve_fate(loading, maildir, &maildir->refused) &&
	       check_leaves(loading, maildir, &maildir->after) &&
	       check_leaves(loading, maildir, &maildir->refused) &&
	       add_source(loading, maildir->name, maildir->at);
}

static bool check_pulled(struct loading *loading)
{
	struct config *config = loading->config;
	for (size_t i = 0; i < config->accounts_count; i++) {
		if (!check_account(loading, &config->accounts[i]))
			return false;
	}
	for (size_t i = 0; i < config->maildirs_count; i++) {
		if (!check_maildir(loading, &config->maildirs[i]))
			return false;
	}
	return true;
}

static bool finish_rules(struct loading *loading)
{
	struct rules *rules = &loading->config->rules;
	struct rules_error error;
	if (!rules_add_source(rules, "drop", &error) || !rules_add_source(rules, "session", &error))
		return rules_failed(loading, &error);
	return rules_finish(rules, &error) || rules_failed(loading, &error);
}

static size_t line_of_key(const struct config *config, const char *section, const char *key)
{
	for (size_t i = 0; i < config->ini.count; i++) {
		const struct ini_line *line = &config->ini.lines[i];
		if (line->key && strcmp(line->section, section) == 0 && strcmp(line->key, key) == 0)
			return i;
	}
	return SIZE_MAX;
}

#define DNS_PORT 53

/* ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT. */
static bool read_address(const char *text, struct sockaddr_storage *address_out)
{
	struct sockaddr_in four = { .sin_family = AF_INET };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	char host[INET6_ADDRSTRLEN + 2];
	uint64_t port = DNS_PORT;
	const char *colon = strrchr(text, ':');
	bool bracketed = *text == '[', alone = !colon || (!bracketed && strchr(text, ':') != colon);
	size_t size = alone ? strlen(text) : (size_t)(colon - text);
	if (bracketed && !(size > 2 && text[size - 1] == ']'))
		return false;
	if (size >= sizeof host || (!alone && !value_number(colon + 1, 1, UINT16_MAX, &port)))
		return false;
	snprintf(host, sizeof host, "%.*s", (int)(bracketed ? size - 2 : size), text + bracketed);
	*address_out = (struct sockaddr_storage){ 0 };
	four.sin_port = six.sin6_port = htons((uint16_t)port);
	if (!bracketed && inet_pton(AF_INET, host, &four.sin_addr) == 1)
		memcpy(address_out, &four, sizeof four);
	else if (inet_pton(AF_INET6, host, &six.sin6_addr) == 1)
		memcpy(address_out, &six, sizeof six);
	else
		return false;
	return true;
}

static bool read_resolver(struct loading *loading)
{
	struct config *config = loading->config;
	struct config_resolver *resolver = &config->gateway.resolver;
	const char *text = config->gateway.dkim_resolver;
	resolver->kind = !*text                          ? CONFIG_RESOLVER_SYSTEM
			 : strcasecmp(text, "none") == 0 ? CONFIG_RESOLVER_NONE
							 : CONFIG_RESOLVER_ADDRESS;
	return resolver->kind != CONFIG_RESOLVER_ADDRESS ||
	       read_address(text, &resolver->address) ||
	       fail(loading, line_of_key(config, "gateway", "dkim_resolver"),
		    "`dkim_resolver = %.80s` can't be read, ADDRESS:PORT or none is expected",
		    text);
}

/* --- [http] ----------------------------------------------------------------------------------- */

/* ADDRESS:PORT: of this machine alone? A name is one whose address others decide about. */
static bool is_of_loopback(const char *item)
{
	struct in_addr four;
	const char *colon = strrchr(item, ':');
	char host[ADDRESS_MAX];
	snprintf(host, sizeof host, "%.*s", (int)(colon - item), item);
	if (strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
		return true;
	return inet_pton(AF_INET, host, &four) == 1 && ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET;
}

const char *config_judge_token(const char *text, size_t *size_out)
{
	size_t size = strcspn(text, "\r\n");
	for (size_t i = 0; i < size; i++) {
		if (text[i] <= ' ' || text[i] > '~')
			return "its first line has a blank or what is no ASCII, a token is expected";
	}
	if (size < CONFIG_TOKEN_LEAST || size > CONFIG_TOKEN_MOST)
		return "its first line has to be a token of 16 to 255 characters, such as `openssl rand -hex 24` makes";
	*size_out = size;
	return NULL;
}

/* Whoever may not read the file can't start a gateway with it. */
static bool check_token(struct loading *loading, size_t at)
{
	const char *path = loading->config->http.token_file, *why;
	char text[CONFIG_TOKEN_MOST + 3];
	size_t size;
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == EACCES && geteuid() != 0)
		return true;
	ssize_t got = fd < 0 ? -errno : read_all(fd, text, sizeof text - 1);
	if (got < 0)
		return fail(loading, at,
			    "`token_file = %.160s`: %s, a file with a token is expected", path,
			    strerror((int)-got));
	text[got] = '\0';
	why = config_judge_token(text, &size);
	return !why || fail(loading, at, "`token_file = %.160s`: %s", path, why);
}

static bool check_http(struct loading *loading)
{
	const struct config_http *http = &loading->config->http;
	size_t at = line_of_key(loading->config, "http", "listen");
	const char *cursor = http->listen;
	char item[ADDRESS_MAX];
	bool fits;
	while (value_next(&cursor, item, sizeof item, &fits)) {
		if (!fits || !is_address(item))
			return fail(
				loading, at,
				"[http] `listen` has `%.64s`, ADDRESS:PORT such as 127.0.0.1:8025 is expected",
				item);
		if (!*http->token_file && !is_of_loopback(item))
			return fail(
				loading, at,
				"[http] `listen` has `%.64s`, which is for more than this machine; `token_file` is expected",
				item);
	}
	return loading->resolved || !*http->token_file ||
	       check_token(loading, line_of_key(loading->config, "http", "token_file"));
}

/* Where no line is at fault the file as a whole is. */
static bool fail_whole(struct loading *loading, const char *text)
{
	const struct ini *ini = &loading->config->ini;
	snprintf(loading->error, CONFIG_ERROR_MAX, "%.250s:1: %s",
		 ini->files_count ? ini->files[0] : "-", text);
	return false;
}

/* As root: `user`, else the account letterchute, else nobody. As anybody else: ourselves. */
static bool resolve_identity(struct loading *loading)
{
	struct config *config = loading->config;
	config->uid = getuid();
	config->gid = getgid();
	if (config->uid != 0)
		return true;
	const char *name = config->gateway.user;
	uint64_t number;
	const struct passwd *user = getpwnam(*name ? name : "letterchute");
	if (!user && value_number(name, 0, UINT32_MAX - 1, &number)) {
		config->uid = (uint32_t)number;
		user = getpwuid(config->uid);
		config->gid = user ? user->pw_gid : (uint32_t)number;
		return true;
	}
	if (!user && !*name)
		user = getpwnam("nobody");
	if (!user)
		return fail(loading, line_of_key(config, "gateway", "user"),
			    "there is no user `%.64s` on this system, a name or number is expected",
			    name);
	config->uid = user->pw_uid;
	config->gid = user->pw_gid;
	return true;
}

static bool check_whole(struct loading *loading)
{
	if (loading->config->rules.shares_count == 0 && loading->config->ini.count == 0)
		return fail_whole(
			loading,
			"the configuration is empty, [share] and [route NAME] are expected");
	return read_resolver(loading) && check_listeners(loading) && check_pulled(loading) &&
	       check_http(loading) && finish_rules(loading) && resolve_identity(loading);
}

/* Takes over `ini`. */
static int load(struct ini *ini, bool resolved, struct config *config_out, char *error_out)
{
	struct config config = { .ini = *ini };
	struct loading loading = { .config = &config, .error = error_out, .resolved = resolved };
	preset_keys("gateway", &config.gateway);
	preset_keys("http", &config.http);
	rules_init(&config.rules);
	if (read_lines(&loading) && check_whole(&loading)) {
		*config_out = config;
		return 0;
	}
	config_done(&config);
	return EXIT_CONFIG;
}

int config_load(const char *path, struct config *config_out, char error_out[CONFIG_ERROR_MAX])
{
	struct ini ini;
	return ini_load(path, &ini, error_out) ? load(&ini, false, config_out, error_out)
					       : EXIT_CONFIG;
}

int config_can_give(const struct config *config, char error_out[CONFIG_ERROR_MAX])
{
	if (!config->cant_give)
		return 0;
	snprintf(error_out, CONFIG_ERROR_MAX, "%s", config->cant_give);
	return EXIT_CONFIG;
}

static int load_text(const char *text, const char *name, bool expand, struct config *config_out,
		     char *error_out)
{
	struct ini ini;
	return ini_load_text(text, name, expand, &ini, error_out)
		       ? load(&ini, false, config_out, error_out)
		       : EXIT_CONFIG;
}

int config_load_text(const char *text, const char *name, struct config *config_out,
		     char error_out[CONFIG_ERROR_MAX])
{
	return load_text(text, name, true, config_out, error_out);
}

int config_load_plain(const char *text, const char *name, struct config *config_out,
		      char error_out[CONFIG_ERROR_MAX])
{
	return load_text(text, name, false, config_out, error_out);
}

int config_write(const struct config *config, int *fd_out)
{
	auto_close int fd = memfd_create("configuration", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	int error = ini_write(&config->ini, fd);
	if (error)
		return error;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return -errno;
	*fd_out = take_fd(&fd);
	return 0;
}

int config_read(int fd, struct config *config_out, char error_out[CONFIG_ERROR_MAX])
{
	struct stat found;
	struct ini ini;
	/* pread: the descriptor, and so its offset, is shared with every other role */
	auto_free char *text = fstat(fd, &found) == 0 ? calloc(1, (size_t)found.st_size + 1) : NULL;
	if (!text || pread(fd, text, (size_t)found.st_size, 0) != found.st_size) {
		snprintf(error_out, CONFIG_ERROR_MAX,
			 "the configuration can't be read from descriptor %d", fd);
		return EXIT_CONFIG;
	}
	return ini_load_text(text, "configuration", false, &ini, error_out)
		       ? load(&ini, true, config_out, error_out)
		       : EXIT_CONFIG;
}

static void free_texts(const char *section, void *base)
{
	for (size_t i = 0; i < KEYS; i++) {
		if (strcmp(keys[i].section, section) == 0 && owns_text(keys[i].type))
			free(*(char *const *)text_field(&keys[i], base));
	}
}

void config_done(struct config *config)
{
	for (size_t i = 0; i < config->listeners_count; i++) {
		free_texts("smtp", &config->listeners[i]);
		free(config->listeners[i].name);
		free(config->listeners[i].peers.networks);
	}
	for (size_t i = 0; i < config->accounts_count; i++) {
		free_texts("imap", &config->accounts[i]);
		free(config->accounts[i].name);
	}
	for (size_t i = 0; i < config->maildirs_count; i++) {
		free_texts("maildir", &config->maildirs[i]);
		free(config->maildirs[i].name);
	}
	free(config->listeners);
	free(config->accounts);
	free(config->maildirs);
	free_texts("gateway", &config->gateway);
	free_texts("http", &config->http);
	rules_done(&config->rules);
	ini_done(&config->ini);
	free(config->cant_give);
	*config = (struct config){ 0 };
}

struct config_account *config_take_account(struct config *config, const char *name)
{
	for (size_t i = 0; i < config->accounts_count; i++) {
		struct config_account *account = &config->accounts[i];
		if (strcmp(account->name, name) != 0)
			continue;
		struct config_account *taken = malloc(sizeof *taken);
		if (!taken)
			return NULL;
		*taken = *account;
		*account = config->accounts[--config->accounts_count];
		return taken;
	}
	return NULL;
}

#define FIND(items)                                           \
	for (size_t i = 0; i < config->items##_count; i++) {  \
		if (strcmp(config->items[i].name, name) == 0) \
			return &config->items[i];             \
	}                                                     \
	return NULL

const struct config_listener *config_find_listener(const struct config *config, const char *name)
{
	FIND(listeners);
}

const struct config_account *config_find_account(const struct config *config, const char *name)
{
	FIND(accounts);
}

const struct config_maildir *config_find_maildir(const struct config *config, const char *name)
{
	FIND(maildirs);
}

uint64_t config_validity(const struct config_account *account, uint32_t validity)
{
	const char *texts[] = { account->host, account->user, account->mailbox };
	struct digest digest;
	uint8_t value[DIGEST_SIZE];
	uint32_t mailbox;
	digest_init(&digest);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		digest_add(&digest, texts[i], strlen(texts[i]) + 1);
	digest_add(&digest, &account->port, sizeof account->port);
	digest_end(&digest, value);
	memcpy(&mailbox, value, sizeof mailbox);
	return (uint64_t)mailbox << 32 | validity;
}

/* What decides about messages, also where it stands with their source. */
static bool is_policy(const struct section_kind *kind, const char *key)
{
	static const char *const names[] = { "authserv_ids", "ar_count",  "ar_methods",
					     "ar_dialect",   "dkim_keys", "dkim_resolver" };
	if (kind->reader == READ_RULES)
		return true;
	for (size_t i = 0; key && i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(key, names[i]) == 0)
			return true;
	}
	return false;
}

uint64_t config_revision(const struct config *config)
{
	struct digest digest;
	uint8_t value[DIGEST_SIZE];
	uint64_t revision;
	digest_init(&digest);
	for (size_t i = 0; i < config->ini.count; i++) {
		const struct ini_line *line = &config->ini.lines[i];
		const struct section_kind *kind = find_section(line->section);
		if (!kind || !is_policy(kind, line->key))
			continue;
		const char *texts[] = { line->section, line->name, line->key, line->value };
		for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
			const char *text = texts[t] ? texts[t] : "";
			digest_add(&digest, text, strlen(text) + 1);
		}
	}
	digest_end(&digest, value);
	memcpy(&revision, value, sizeof revision);
	return revision;
}

void config_error(const struct config *config, const struct config_listener *listener,
		  const char *text, char error_out[CONFIG_ERROR_MAX])
{
	const struct ini *ini = &config->ini;
	size_t found = listener->at;
	for (size_t at = listener->at + 1; at < ini->count && ini->lines[at].key; at++) {
		size_t length = strlen(ini->lines[at].key);
		if (strncmp(text, ini->lines[at].key, length) == 0 && strchr(": ", text[length]))
			found = at;
	}
	ini_error(ini, found, text, error_out);
}

bool config_has_logins(const struct config_listener *listener)
{
	return *listener->users && listener->auth != CONFIG_AUTH_OFF &&
	       listener->auth != CONFIG_AUTH_ANY;
}

bool config_needs_keeper(const struct config_listener *listener)
{
	return listener->tls != CONFIG_TLS_OFF || config_has_logins(listener);
}

bool config_wants_dkim(const struct config *config)
{
	for (size_t i = 0; i < config->rules.routes_count; i++) {
		if (config->rules.routes[i].auth & PROOF_DKIM)
			return true;
	}
	return false;
}

uint64_t config_couriers(const struct config *config)
{
	uint64_t couriers = config->gateway.couriers, shares = config->rules.shares_count;
	if (shares < 2)
		return couriers;
	return (couriers > shares - 1 ? couriers : shares - 1) + 1;
}
