/* config.c: lines of the configuration -> struct config. Never opens anything but the files it is
 * given. */
#define _GNU_SOURCE
#include "daemon/config_inner.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/digest.h"
#include "daemon/keep.h"

#define EXIT_CONFIG 78 /* EX_CONFIG of sysexits.h */

#define ITEMS(items, type)                                                              \
	{                                                                               \
		offsetof(struct config, items), offsetof(struct config, items##_count), \
			sizeof(struct type), offsetof(struct type, name),               \
			offsetof(struct type, at)                                       \
	}

static const struct section_kind section_kinds[] = {
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

bool config_fail(struct loading *loading, size_t at, const char *format, ...)
{
	char text[CONFIG_ERROR_MAX / 2];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	ini_error(&loading->config->ini, at, text, loading->error);
	return false;
}

bool config_rules_failed(struct loading *loading, const struct rules_error *error)
{
	return config_fail(loading, error->at, "%s", error->text);
}

size_t config_line_of(const struct config *config, const char *section, const char *key)
{
	for (size_t i = 0; i < config->ini.count; i++) {
		const struct ini_line *line = &config->ini.lines[i];
		if (line->key && strcmp(line->section, section) == 0 && strcmp(line->key, key) == 0)
			return i;
	}
	return SIZE_MAX;
}

static bool set_key(struct loading *loading, const struct config_key *key, void *base, size_t at)
{
	const char *value = loading->config->ini.lines[at].value;
	void *field = (char *)base + key->offset;
	if (config_set_key(key, field, value))
		return true;
	if (key->type == CONFIG_LATER)
		return config_fail(loading, at,
				   "`%s = %.80s` is not available in this version, %s is expected",
				   key->key, value, *key->preset ? key->preset : "no such line");
	char expected[160];
	config_expect_key(key, expected, sizeof expected);
	return config_fail(loading, at, "`%s = %.80s` can't be read, %s is expected", key->key,
			   value, expected);
}

static bool read_own_key(struct loading *loading, size_t at, void *base)
{
	const struct ini_line *line = &loading->config->ini.lines[at];
	const struct config_key *key = config_find_key(line->section, line->key);
	if (!key)
		return config_fail(loading, at,
				   "[%s] has no key `%.64s`, one that the manual lists is expected",
				   line->section, line->key);
	if (key->type == CONFIG_USERS && !config_resolve_users(loading, at))
		return false;
	if (key->type == CONFIG_PATH && !config_resolve_path(loading, at))
		return false;
	if ((key->type == CONFIG_FILE || key->type == CONFIG_LOGINS) &&
	    !config_resolve_file(loading, at))
		return false;
	/* a secret stays in the struct: the lines are handed on to roles */
	return set_key(loading, key, base, at) &&
	       (key->type != CONFIG_SECRET || config_replace(loading, at, "")) &&
	       (key->type != CONFIG_LOGINS || config_resolve_logins(loading, at));
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
	if (!config_resolve_line(loading, at))
		return false;
	const struct ini_line *line = &config->ini.lines[at];
	return rules_set(&config->rules, line->key, line->value, (unsigned)at, &error) ||
	       config_rules_failed(loading, &error);
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
		return config_fail(loading, at, "out of memory");
	*items = grown;
	loading->base = memset(grown + (*count)++ * kind->size, 0, kind->size);
	*(unsigned *)(void *)((char *)loading->base + kind->at) = (unsigned)at;
	config_preset_keys(loading->section->section, loading->base);
	return config_set_text((char *)loading->base + kind->name,
			       loading->config->ini.lines[at].name) ||
	       config_fail(loading, at, "out of memory");
}

/* Names enter log lines, file names and rules. */
static bool check_section_name(struct loading *loading, size_t at)
{
	const struct ini_line *line = &loading->config->ini.lines[at];
	const char *fit = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
	enum section_name need = loading->section->name;
	if (need == NAME_MUST && !*line->name)
		return config_fail(loading, at, "[%s] has no name, [%s NAME] is expected",
				   line->section, line->section);
	if (need == NAME_NEVER && *line->name)
		return config_fail(loading, at, "[%s %.64s] has a name, [%s] is expected",
				   line->section, line->name, line->section);
	if (line->name[strspn(line->name, fit)])
		return config_fail(
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
			return config_fail(
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
		return config_fail(
			loading, at,
			"there is no section [%.64s], gateway, share, limits, smtp, imap, maildir, route or http is expected",
			line->section);
	if (!check_section_name(loading, at) || !check_section_once(loading, at))
		return false;
	if (loading->section->reader == READ_LATER)
		return config_fail(
			loading, at,
			"[%s] is not available in this version, no such section is expected",
			line->section);
	if (loading->section->reader == READ_SOURCE)
		return open_source(loading, at);
	if (loading->section->reader == READ_RULES)
		return rules_open(&config->rules, line->section, line->name, (unsigned)at,
				  &error) ||
		       config_rules_failed(loading, &error);
	return true;
}

static bool check_key_once(struct loading *loading, size_t at)
{
	const struct ini *ini = &loading->config->ini;
	for (size_t i = at; i > 0 && ini->lines[i].key; i--) {
		if (i < at && strcmp(ini->lines[i].key, ini->lines[at].key) == 0)
			return config_fail(
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

/* Takes over `ini`. */
static int load(struct ini *ini, bool resolved, struct config *config_out, char *error_out)
{
	struct config config = { .ini = *ini };
	struct loading loading = { .config = &config, .error = error_out, .resolved = resolved };
	config_preset_keys("gateway", &config.gateway);
	config_preset_keys("http", &config.http);
	rules_init(&config.rules);
	if (read_lines(&loading) && config_check_whole(&loading)) {
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

void config_done(struct config *config)
{
	for (size_t i = 0; i < config->listeners_count; i++) {
		config_free_texts("smtp", &config->listeners[i]);
		free(config->listeners[i].name);
		free(config->listeners[i].peers.networks);
	}
	for (size_t i = 0; i < config->accounts_count; i++) {
		config_free_texts("imap", &config->accounts[i]);
		free(config->accounts[i].name);
	}
	for (size_t i = 0; i < config->maildirs_count; i++) {
		config_free_texts("maildir", &config->maildirs[i]);
		free(config->maildirs[i].name);
	}
	free(config->listeners);
	free(config->accounts);
	free(config->maildirs);
	config_free_texts("gateway", &config->gateway);
	config_free_texts("http", &config->http);
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
