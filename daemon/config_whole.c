/* config_whole.c: what can only be judged once all lines are read. Never changes what a line says.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/config_inner.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "policy/value.h"

#define ADDRESS_MAX 128 /* octets of ADDRESS:PORT, with its NUL */

/* ADDRESS:PORT, [ADDRESS]:PORT: only the shape; the boss finds out whether it can be bound. */
static bool is_address(const char *item)
{
	const char *colon = strrchr(item, ':');
	uint64_t port;
	return colon && colon != item && value_number(colon + 1, 0, 65535, &port) &&
	       (strchr(item, ':') == colon || (item[0] == '[' && colon[-1] == ']'));
}

/* Any other name is one whose address others decide about. */
static bool is_loopback(const char *host)
{
	struct in_addr four;
	if (strcasecmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
	    strcmp(host, "[::1]") == 0)
		return true;
	return inet_pton(AF_INET, host, &four) == 1 && ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET;
}

static bool check_listen(struct loading *loading, const struct config_listener *listener)
{
	const char *cursor = listener->listen;
	char item[ADDRESS_MAX];
	bool fits, any = false;
	while (value_next(&cursor, item, sizeof item, &fits)) {
		if (!fits || !is_address(item))
			return config_fail(
				loading, listener->at,
				"[smtp %s] `listen` has `%.64s`, ADDRESS:PORT such as 0.0.0.0:2525 or [::]:2525 is expected",
				listener->name, item);
		any = true;
	}
	return any ||
	       config_fail(loading, listener->at,
			   "[smtp %s] has no `listen`, ADDRESS:PORT is expected", listener->name);
}

/* Names of sources are names in routes and in log lines: no two are the same. */
static bool add_source(struct loading *loading, const char *name, unsigned at)
{
	struct rules_error error;
	if (strcmp(name, "drop") == 0 || strcmp(name, "session") == 0)
		return config_fail(
			loading, at,
			"a source is called `%s`, a name of ours; another name is expected", name);
	return rules_add_source(&loading->config->rules, name, &error) ||
	       config_fail(loading, at, "%s", error.text);
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

/* As config_resolve_logins left them. */
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
			return config_fail(loading, listener->at, "%s", error.text);
	}
	return text || config_fail(loading, listener->at, "out of memory");
}

static bool check_listener(struct loading *loading, const struct config_listener *listener)
{
	if (!check_listen(loading, listener))
		return false;
	/* in a role it may be empty: the file was not for whoever resolved it to read */
	if (!loading->resolved && listener->auth == CONFIG_AUTH_REQUIRE && !*listener->users)
		return config_fail(
			loading, listener->at,
			"[smtp %s] has `auth = require` and nobody can log in, `users` is expected",
			listener->name);
	if (*listener->tls_key && !*listener->tls_cert)
		return config_fail(loading, listener->at,
				   "[smtp %s] has `tls_key`, `tls_cert` is expected",
				   listener->name);
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

/* They become lines of a protocol, where a control character would end one. */
static bool check_texts(struct loading *loading, const char *section, const void *base, unsigned at)
{
	size_t count;
	const struct config_key *keys = config_keys(&count);
	for (size_t i = 0; i < count; i++) {
		bool is_its = strcmp(keys[i].section, section) == 0;
		for (const char *s = is_its ? config_text(&keys[i], base) : NULL; s && *s; s++) {
			if ((unsigned char)*s < 0x20 || *s == 0x7F)
				return config_fail(
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
	       config_fail(loading, account->at,
			   "`%s = %.160s` of [imap %s]: secrets go there, https://... is expected",
			   key, url, account->name);
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
		return config_fail(
			loading, account->at,
			"`tenant = %.80s` of [imap %s] can't be read, a directory id, common, organizations or consumers is expected",
			account->tenant, account->name);
	if (account->oauth == CONFIG_OAUTH_GOOGLE && account->grant == CONFIG_GRANT_CLIENT)
		return config_fail(
			loading, account->at,
			"[imap %s] has `grant = client_credentials`, which google does not know; refresh_token is expected",
			account->name);
	if (account->oauth == CONFIG_OAUTH_MICROSOFT && account->sasl == CONFIG_SASL_OAUTHBEARER)
		return config_fail(
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
		return config_fail(
			loading, account->at,
			"[imap %s] has %s login, one of password_file, password_command, token_command and oauth is expected",
			account->name, ways ? "more than one" : "no");
	if (account->oauth != CONFIG_OAUTH_NONE && !*account->client_id)
		return config_fail(loading, account->at,
				   "[imap %s] has `oauth`, `client_id` is expected", account->name);
	if (account->oauth == CONFIG_OAUTH_CUSTOM && !*account->token_url)
		return config_fail(loading, account->at,
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
			return config_fail(
				loading, account->at,
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
		return config_fail(loading, account->at, "[imap %s] has no %s, one is expected",
				   account->name,
				   !*account->host   ? "`host`"
				   : !*account->user ? "`user`"
						     : "`mailbox`");
	if (account->tls == CONFIG_IMAP_OFF && !is_loopback(account->host))
		return config_fail(
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
		return config_fail(loading, maildir->at, "out of memory");
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
	return config_fail(loading, maildir->at,
			   "[maildir %s] moves mails to its own `path`, another folder is expected",
			   maildir->name);
}

static bool check_maildir(struct loading *loading, struct config_maildir *maildir)
{
	if (!*maildir->path)
		return config_fail(loading, maildir->at,
				   "[maildir %s] has no `path`, one is expected", maildir->name);
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
		return config_rules_failed(loading, &error);
	return rules_finish(rules, &error) || config_rules_failed(loading, &error);
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
	       config_fail(
		       loading, config_line_of(config, "gateway", "dkim_resolver"),
		       "`dkim_resolver = %.80s` can't be read, ADDRESS:PORT or none is expected",
		       text);
}

/* --- [http] ----------------------------------------------------------------------------------- */

/* ADDRESS:PORT: of this machine alone? */
static bool is_of_loopback(const char *item)
{
	const char *colon = strrchr(item, ':');
	char host[ADDRESS_MAX];
	snprintf(host, sizeof host, "%.*s", (int)(colon - item), item);
	return is_loopback(host);
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
		return config_fail(loading, at,
				   "`token_file = %.160s`: %s, a file with a token is expected",
				   path, strerror((int)-got));
	text[got] = '\0';
	why = config_judge_token(text, &size);
	return !why || config_fail(loading, at, "`token_file = %.160s`: %s", path, why);
}

static bool check_http(struct loading *loading)
{
	const struct config_http *http = &loading->config->http;
	size_t at = config_line_of(loading->config, "http", "listen");
	const char *cursor = http->listen;
	char item[ADDRESS_MAX];
	bool fits;
	while (value_next(&cursor, item, sizeof item, &fits)) {
		if (!fits || !is_address(item))
			return config_fail(
				loading, at,
				"[http] `listen` has `%.64s`, ADDRESS:PORT such as 127.0.0.1:8025 is expected",
				item);
		if (!*http->token_file && !is_of_loopback(item))
			return config_fail(
				loading, at,
				"[http] `listen` has `%.64s`, which is for more than this machine; `token_file` is expected",
				item);
	}
	return loading->resolved || !*http->token_file ||
	       check_token(loading, config_line_of(loading->config, "http", "token_file"));
}

/* Where no line is at fault the file as a whole is. */
static bool fail_whole(struct loading *loading, const char *text)
{
	const struct ini *ini = &loading->config->ini;
	snprintf(loading->error, CONFIG_ERROR_MAX, "%.250s:1: %s",
		 ini->files_count ? ini->files[0] : "-", text);
	return false;
}

bool config_check_whole(struct loading *loading)
{
	if (loading->config->rules.shares_count == 0 && loading->config->ini.count == 0)
		return fail_whole(
			loading,
			"the configuration is empty, [share] and [route NAME] are expected");
	return read_resolver(loading) && check_listeners(loading) && check_pulled(loading) &&
	       check_http(loading) && finish_rules(loading) && config_resolve_identity(loading);
}
