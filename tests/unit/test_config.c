/* test_config.c: the table of keys, and what a bad line is told. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/config.h"

#define GOOD "[smtp lan]\nlisten = 127.0.0.1:2525\n[share]\npath = /srv/scans\n[route all]\n"

#define IMAP "[imap o]\nhost = x\nuser = u\n"

/* Each fault is told with its line, and with what is expected. */
static const struct {
	const char *name, *text;
	int line;
	const char *word; /* that the message must hold */
} faults[] = {
	{ "a page for all, without a token", GOOD "[http]\nlisten = 0.0.0.0:8025\n", 7,
	  "token_file" },
	{ "one that only begins like us", GOOD "[http]\nlisten = [::2]:8025\n", 7, "token_file" },
	{ "a page without a port", GOOD "[http]\nlisten = 127.0.0.1\n", 7, "ADDRESS:PORT" },
	{ "an unknown section", GOOD "[imapp x]\n", 6, "imapp" },
	{ "an unknown key", "[gateway]\nstat = /x\n" GOOD, 2, "stat" },
	{ "an unknown key of a route", GOOD "typ = pdf\n", 6, "typ" },
	{ "a bad size", GOOD "part_max = 5 apples\n", 6, "part_max" },
	{ "a bad time", "[gateway]\nanswer_within = soon\n" GOOD, 2, "answer_within" },
	{ "a time out of bounds", "[gateway]\nanswer_within = 1d\n" GOOD, 2, "answer_within" },
	{ "a bad number", "[gateway]\ncouriers = many\n" GOOD, 2, "couriers" },
	{ "a number out of bounds", "[gateway]\ncouriers = 0\n" GOOD, 2, "couriers" },
	{ "a word that is none of those", "[gateway]\nsandbox = maybe\n" GOOD, 2,
	  "best, require, off" },
	{ "a bad network", "[smtp lan]\nlisten = 127.0.0.1:1\npeers = 10.0.0.0/40\n", 3, "peers" },
	{ "no listen", "[smtp lan]\nidle = 60s\n", 1, "listen" },
	{ "a listen without a port", "[smtp lan]\nlisten = 127.0.0.1\n", 1, "127.0.0.1" },
	{ "a listener without a name", "[smtp]\nlisten = 127.0.0.1:1\n", 1, "NAME" },
	{ "a name where none may be", "[gateway x]\n", 1, "gateway" },
	{ "a section twice", GOOD "[share]\npath = /b\n", 6, "twice" },
	{ "a key twice", "[gateway]\ncouriers = 2\ncouriers = 3\n" GOOD, 3, "twice" },
	{ "a resolver that is none", "[gateway]\ndkim_resolver = dns.example\n" GOOD, 2,
	  "ADDRESS:PORT or none" },
	{ "a file of keys that is missing", "[gateway]\ndkim_keys = /no/such\n" GOOD, 2,
	  "dkim_keys" },
	{ "a user that does not exist", "[share]\npath = /s\nowner = no-such-user\n", 3,
	  "no-such-user" },
	{ "a group that does not exist", "[share]\npath = /s\ngroup = no-such-group\n", 3,
	  "no-such-group" },
	{ "an acl with such a group", "[share]\npath = /s\nacl = g:no-such-group:r--\n", 3,
	  "no-such-group" },
	{ "a source that is not defined", GOOD "source = wan\n", 6, "wan" },
	{ "a share that is not defined", GOOD "share = other\n", 6, "other" },
	{ "a share without a path", "[share]\nmode = 0640\n", 1, "path" },
	{ "a folder that leaves the share", GOOD "folder = ../x\n", 6, "folder" },
	{ "a type that is none", GOOD "types = pdf, pfd\n", 6, "pfd" },
	{ "a bad mode", "[share]\npath = /s\nmode = rw-r--r--\n", 3, "mode" },
	{ "a template with an unknown name", GOOD "name = {nmae}\n", 6, "nmae" },
	{ "a template that is not closed", GOOD "name = {name\n", 6, "name" },
	{ "a notify, which is not built yet", GOOD "notify = phone\n", 6, "not available" },
	{ "an account without a login", GOOD "[imap o]\nhost = x\nuser = u\n", 6, "password_file" },
	{ "an account with two", GOOD IMAP "password = p\ntoken_command = t\n", 6,
	  "more than one" },
	{ "an account without a host", GOOD "[imap o]\nuser = u\npassword = p\n", 6, "host" },
	{ "an account without a user", GOOD "[imap o]\nhost = x\npassword = p\n", 6, "user" },
	{ "an account without a mailbox", GOOD IMAP "password = p\nmailbox =\n", 6, "mailbox" },
	{ "a password with a line of its own", GOOD IMAP "password = a\n  b\n", 6, "control" },
	{ "a password file that is missing", GOOD IMAP "password_file = /no/such\n", 9,
	  "/no/such" },
	{ "a CA file that is missing", GOOD IMAP "password = p\nca_file = /no/such\n", 10,
	  "ca_file" },
	{ "a pin that is none", GOOD IMAP "password = p\npin_sha256 = abc\n", 10, "64 hex digits" },
	{ "a fate that is none", GOOD IMAP "password = p\nafter = burn\n", 10,
	  "expunge, move:NAME" },
	{ "a move to nowhere", GOOD IMAP "password = p\nafter = move:\n", 10, "move:NAME" },
	{ "a flag without a name", GOOD IMAP "password = p\nrefused = flag:\n", 10, "flag:NAME" },
	{ "seen, for what was refused", GOOD IMAP "password = p\nrefused = seen\n", 10,
	  "move:NAME" },
	{ "a password in clear over the network", GOOD IMAP "password = p\ntls = off\n", 6,
	  "this machine alone" },
	{ "the same to a name that begins as an address of ours does",
	  GOOD "[imap office]\nhost = 127.0.0.1.example.org\nuser = x\npassword = p\ntls = off\n",
	  6, "this machine alone" },
	{ "a custom provider without its address", GOOD IMAP "oauth = custom\nclient_id = c\n", 6,
	  "token_url" },
	{ "a provider without a client", GOOD IMAP "oauth = google\n", 6, "client_id" },
#define CUSTOM GOOD IMAP "oauth = custom\nclient_id = c\ntoken_url = "
	{ "a provider in clear", CUSTOM "http://t.example/t\n", 6, "https" },
	{ "one that only looks like us", CUSTOM "http://127.0.0.1@t.example/t\n", 6, "https" },
	{ "one behind a query", CUSTOM "http://127.0.0.1@t.example?x\n", 6, "https" },
	{ "one whose name begins like us", CUSTOM "http://127.0.0.1.t.example/t\n", 6, "https" },
	{ "one behind our address", CUSTOM "http://[::1].t.example/\n", 6, "https" },
	{ "one that is called localhost", CUSTOM "http://localhost/t\n", 6, "https" },
	{ "one that is no server", CUSTOM "file:///etc/passwd\n", 6, "https" },
	{ "one without a name", CUSTOM "https:///t\n", 6, "https" },
	{ "one with a blank", CUSTOM "https://t.example/a b\n", 6, "https" },
	{ "a device flow in clear", CUSTOM "https://t/\ndevice_url = http://t/d\n", 6,
	  "device_url" },
	{ "a consent in clear", CUSTOM "https://t/\nauthorize_url = http://t/\n", 6,
	  "authorize_url" },
	{ "a tenant that is a path", GOOD IMAP "oauth = microsoft\nclient_id = c\ntenant = a/b\n",
	  6, "tenant" },
	{ "a grant that google has not",
	  GOOD IMAP "oauth = google\nclient_id = c\ngrant = client_credentials\n", 6,
	  "client_credentials" },
	{ "a method that microsoft has not",
	  GOOD IMAP "oauth = microsoft\nclient_id = c\nsasl = oauthbearer\n", 6, "xoauth2" },
	{ "a source twice", GOOD "[maildir lan]\npath = /m\n", 6, "lan" },
	{ "a Maildir without a path", GOOD "[maildir m]\n", 6, "path" },
	{ "a Maildir moved to itself", GOOD "[maildir m]\npath = /m/n\nafter = move:n/\n", 6,
	  "own" },
	{ "a Maildir that keeps", GOOD "[maildir m]\npath = /m\nafter = keep\n", 8, "delete" },
	{ "hold, which is not built yet", "[gateway]\nhold = yes\n" GOOD, 2, "not available" },
#define LISTENER "[smtp lan]\nlisten = 127.0.0.1:1\n"
	{ "a login that nobody has", LISTENER "auth = require\n", 1, "users" },
	{ "a private key without a certificate", LISTENER "tls_key = /dev/null\n", 1, "tls_cert" },
	{ "a certificate that is not there", LISTENER "tls_cert = /no/such\n", 3, "/no/such" },
	{ "an age of TLS that is none", LISTENER "tls_compat = old\n", 3,
	  "modern, legacy, ancient" },
	{ "a file of logins that is not there", LISTENER "users = /no/such\n", 3, "/no/such" },
	{ "a name of ours", "[smtp drop]\nlisten = 127.0.0.1:1\n", 1, "drop" },
	{ "a name with a blank", "[smtp a/b]\nlisten = 127.0.0.1:1\n", 1, "a/b" },
	{ "nonsense", GOOD "gibberish\n", 6, "expected" },
};

static void test_faults(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		struct config config;
		char error[CONFIG_ERROR_MAX] = "", place[32];
		snprintf(place, sizeof place, "f.conf:%d: ", faults[i].line);
		int status = config_load_text(faults[i].text, "f.conf", &config, error);
		print_message("%s\n    %s\n", faults[i].name, error);
		assert_int_equal(status, 78);
		assert_int_equal(strncmp(error, place, strlen(place)), 0);
		assert_non_null(strstr(error, faults[i].word));
		assert_true(strstr(error, "expected") || strstr(error, "did you mean"));
	}
}

static void test_defaults(void **state)
{
	struct config config;
	char error[CONFIG_ERROR_MAX] = "";
	(void)state;
	assert_int_equal(config_load_text(GOOD, "f", &config, error), 0);
	assert_string_equal(config.gateway.state, "/var/lib/letterchute");
	assert_int_equal(config.gateway.answer_within_s, 25);
	assert_int_equal(config.gateway.couriers, 4);
	assert_int_equal(config.gateway.doubt_keep_s, 86400);
	assert_int_equal(config.gateway.quarantine_bytes, 1 << 30);
	assert_int_equal(config.gateway.sandbox, JAIL_BEST);
	assert_int_equal(config.listeners_count, 1);
	assert_int_equal(config.listeners[0].sessions, 100);
	assert_int_equal(config.listeners[0].sessions_per_peer, 0);
	assert_int_equal(config.listeners[0].idle_s, 60);
	assert_int_equal(config.listeners[0].peers.count, 0);
	assert_int_equal(config.rules.limits.message_bytes, 100 << 20);
	assert_int_equal(config.rules.limits.parts, 500);
	assert_int_equal(config.rules.shares[0].free_floor, 1 << 30);
	assert_int_equal(config.rules.shares[0].mode, 0640);
	assert_int_equal(config.rules.shares[0].folder_mode, 02770);
	config_done(&config);
}

static void test_values(void **state)
{
	const char *text =
		"[gateway]\nstate = relative/state\ncouriers = 8\nsandbox = require\nlocal_users = root, 42\n"
		"[smtp a]\nlisten = 0.0.0.0:25, [::]:25\npeers = private, 192.0.2.0/24\nline_ends = lenient\n"
		"[smtp b]\nlisten = localhost:0\n[share]\npath = /s\nowner = root\nacl = g:root:r--,u:root:rw-\n";
	struct config config;
	char error[CONFIG_ERROR_MAX] = "";
	(void)state;
	assert_int_equal(config_load_text(text, "/etc/passwd", &config, error), 0);
	assert_string_equal(config.gateway.state, "/etc/relative/state");
	assert_int_equal(config.gateway.couriers, 8);
	assert_int_equal(config.gateway.sandbox, JAIL_REQUIRE);
	assert_string_equal(config.gateway.local_users, "0,42");
	assert_int_equal(config.listeners_count, 2);
	assert_true(config.listeners[0].peers.count > 3);
	assert_int_equal(config.listeners[0].line_ends, CONFIG_LINES_LENIENT);
	assert_int_equal(config.rules.shares[0].owner, 0);
	assert_string_equal(config.rules.shares[0].acl, "g:0:r--,u:0:rw-");
	assert_non_null(config_find_listener(&config, "b"));
	assert_null(config_find_listener(&config, "c"));
	config_done(&config);
}

static void test_accounts(void **state)
{
	const char *text = GOOD
		"[imap office]\nhost = imap.example.org\nport =\nca_file =\nuser = scans@example.org\n"
		"password = \"p #1\"\nafter = move:Archive/Done\nrefused = flag:Bad\nrefresh = 5m\n"
		"[imap home]\nhost = 127.0.0.1\ntls = off\nuser = u\noauth = microsoft\nclient_id = c\n"
		"[maildir m]\npath = /srv/mail/\n";
	struct config config, role;
	char error[CONFIG_ERROR_MAX] = "";
	int fd = -1;
	(void)state;
	assert_int_equal(config_load_text(text, "f", &config, error), 0);
	const struct config_account *office = config_find_account(&config, "office");
	assert_int_equal(office->port, 993);
	assert_string_equal(office->password, "p #1");
	assert_string_equal(office->mailbox, "INBOX");
	assert_int_equal(office->after.kind, CONFIG_FATE_MOVE);
	assert_string_equal(office->after.name, "Archive/Done");
	assert_int_equal(office->refused.kind, CONFIG_FATE_FLAG);
	assert_string_equal(office->refused.name, "Bad");
	assert_int_equal(office->refresh_s, 300);
	assert_int_equal(office->poll_s, 60);
	assert_int_equal(config_find_account(&config, "home")->port, 143);
	assert_int_equal(config_find_account(&config, "home")->refused.kind, CONFIG_FATE_MOVE);
	const struct config_maildir *maildir = config_find_maildir(&config, "m");
	assert_string_equal(maildir->path, "/srv/mail");
	assert_int_equal(maildir->after.kind, CONFIG_FATE_EXPUNGE);
	assert_string_equal(maildir->refused.name, "/srv/refused");
	/* no role reads a secret in its configuration */
	assert_int_equal(config_write(&config, &fd), 0);
	char handed[8192] = "";
	assert_true(pread(fd, handed, sizeof handed - 1, 0) > 0);
	assert_null(strstr(handed, "p #1"));
	assert_int_equal(config_read(fd, &role, error), 0);
	assert_string_equal(config_find_account(&role, "office")->password, "");
	assert_string_equal(config_find_account(&role, "office")->user, "scans@example.org");
	close(fd);
	config_done(&config);
	config_done(&role);
}

/* A role reads what the boss resolved. */
/* Who is asked for keys; and whether anybody has to be. */
static void test_resolver(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		enum config_resolver_kind kind;
		int family;
		uint16_t port;
	} rows[] = {
		{ "", CONFIG_RESOLVER_SYSTEM, AF_UNSPEC, 0 },
		{ "none", CONFIG_RESOLVER_NONE, AF_UNSPEC, 0 },
		{ "127.0.0.1", CONFIG_RESOLVER_ADDRESS, AF_INET, 53 },
		{ "127.0.0.1:5353", CONFIG_RESOLVER_ADDRESS, AF_INET, 5353 },
		{ "::1", CONFIG_RESOLVER_ADDRESS, AF_INET6, 53 },
		{ "[::1]:65535", CONFIG_RESOLVER_ADDRESS, AF_INET6, 65535 },
		{ "fd00::53", CONFIG_RESOLVER_ADDRESS, AF_INET6, 53 },
	};
	static const char *const bad[] = {
		"127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", ":53",     "[::1]",
		"[::1",       "[]:53",       "[::1]53",         "::1]:53", "[127.0.0.1]:53",
		"localhost",  "1.2.3:53",    "127.0.0.1 53"
	};
	char error[CONFIG_ERROR_MAX], text[300];
	struct config config;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		snprintf(text, sizeof text, "[gateway]\ndkim_resolver = %s\n" GOOD, rows[i].value);
		assert_int_equal(config_load_text(text, "x", &config, error), 0);
		const struct config_resolver *found = &config.gateway.resolver;
		const void *address = &found->address;
		assert_int_equal(found->kind, rows[i].kind);
		assert_int_equal(found->address.ss_family, rows[i].family);
		/* both kinds have it in the same place */
		assert_int_equal(ntohs(((const struct sockaddr_in *)address)->sin_port),
				 rows[i].port);
		assert_false(config_wants_dkim(&config));
		config_done(&config);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(text, sizeof text, "[gateway]\ndkim_resolver = %s\n" GOOD, bad[i]);
		if (config_load_text(text, "x", &config, error) != 78)
			fail_msg("%s is taken", bad[i]);
	}
	assert_int_equal(config_load_text(GOOD "auth = login, dkim\n", "x", &config, error), 0);
	assert_true(config_wants_dkim(&config));
	config_done(&config);
}

static void test_hand_over(void **state)
{
	const char *text =
		"[gateway]\nstate = /x\n" GOOD "name = {received:%Y}_{name}\nfolder = \"a # b\"\n";
	struct config config, role;
	char error[CONFIG_ERROR_MAX] = "";
	int fd = -1;
	(void)state;
	assert_int_equal(config_load_text(text, "f", &config, error), 0);
	assert_int_equal(config_write(&config, &fd), 0);
	assert_int_equal(config_read(fd, &role, error), 0);
	assert_string_equal(role.gateway.state, "/x");
	assert_int_equal(role.rules.routes_count, 1);
	assert_int_equal(role.listeners_count, 1);
	assert_true(write(fd, "x", 1) < 0);
	close(fd);
	config_done(&config);
	config_done(&role);
}

/* Every row of the table has a preset that it takes itself, and help. */
static void test_table(void **state)
{
	size_t count;
	const struct config_key *keys = config_keys(&count);
	(void)state;
	for (size_t i = 0; i < count; i++) {
		assert_non_null(keys[i].preset);
		assert_true(strlen(keys[i].help) > 5);
	}
}

#define ROUTE   "[share]\npath = /tmp\n[route a]\n"
#define ACCOUNT "[imap m]\nhost = a\nuser = u\npassword = p\nmailbox = INBOX\n"

static uint64_t revision_of(const char *text)
{
	struct config config;
	char error[CONFIG_ERROR_MAX] = "";
	int status = config_load_text(text, "f", &config, error);
	assert_string_equal(error, "");
	assert_int_equal(status, 0);
	uint64_t revision = config_revision(&config);
	config_done(&config);
	return revision;
}

/* What was refused is tried again if what decides about it has changed, and only then. */
static void test_revision(void **state)
{
	static const struct {
		const char *text;
		bool changes;
	} rows[] = {
		{ ROUTE ACCOUNT, false },
		{ ROUTE ACCOUNT "poll = 30s\n", false },
		{ ROUTE ACCOUNT "[gateway]\ncouriers = 2\n", false },
		{ ROUTE ACCOUNT "authserv_ids = mx.example.org\n", true },
		{ ROUTE ACCOUNT "ar_count = 2\n", true },
		{ ROUTE "types = pdf\n" ACCOUNT, true },
		{ ROUTE ACCOUNT "[limits]\nparts = 3\n", true },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(revision_of(rows[i].text) != revision_of(ROUTE ACCOUNT),
				 rows[i].changes);
}

/* Another mailbox with the same UIDVALIDITY is another one; the name of its section, and how it is
 * logged in to, is nothing to it. */
static void test_validity(void **state)
{
	static char one[] = "one", two[] = "two";
	const struct config_account base = { .host = one, .user = one, .mailbox = one, .port = 1 };
	const struct {
		struct config_account account;
		uint32_t validity;
		bool same;
	} rows[] = {
		{ { .host = one, .user = one, .mailbox = one, .port = 1 }, 1, true },
		{ { .host = one, .user = one, .mailbox = one, .port = 1, .name = two }, 1, true },
		{ { .host = one, .user = one, .mailbox = one, .port = 1 }, 2, false },
		{ { .host = two, .user = one, .mailbox = one, .port = 1 }, 1, false },
		{ { .host = one, .user = two, .mailbox = one, .port = 1 }, 1, false },
		{ { .host = one, .user = one, .mailbox = two, .port = 1 }, 1, false },
		{ { .host = one, .user = one, .mailbox = one, .port = 2 }, 1, false },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(config_validity(&rows[i].account, rows[i].validity) ==
					 config_validity(&base, 1),
				 rows[i].same);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults),    cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_values),    cmocka_unit_test(test_resolver),
		cmocka_unit_test(test_hand_over), cmocka_unit_test(test_table),
		cmocka_unit_test(test_accounts),  cmocka_unit_test(test_revision),
		cmocka_unit_test(test_validity),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
