/* check.c: the verb `check`: what would fail, and what to do. Never delivers anything. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/boss.h"
#include "daemon/cli/alone.h"
#include "daemon/cli/environment.h"
#include "daemon/cli/folder.h"
#include "daemon/cli/telling.h"
#include "daemon/cli/variables.h"
#include "daemon/cli/verbs.h"
#include "daemon/denied.h"
#include "daemon/fdio.h"
#include "daemon/json.h"
#include "daemon/keep.h"
#include "daemon/proxied.h"
#include "daemon/prove.h"
#include "daemon/spool.h"
#include "daemon/strangers.h"
#include "daemon/tls_server.h"
#include "policy/reach.h"

struct findings {
	bool as_json, failed, of_variables;
};

#define NAMED_MAX 2000 /* octets of a text in which keys became variables */

/* What the log or a server says in the same words stays as it is. */
static bool stays(const char *section, const char *text)
{
	static const char *const files[] = { "password_file = ", "client_secret_file = " };
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		if (strncmp(text, files[i], strlen(files[i])) == 0)
			return false;
	}
	return strncmp(section, "smtp ", 5) != 0;
}

static void name_variables(const char *what, const char *text, bool helps, char out[NAMED_MAX])
{
	const char *section = strcmp(what, "listeners") == 0 ? "smtp" : what;
	if (!helps && stays(section, text))
		snprintf(out, NAMED_MAX, "%s", text);
	else
		variables_name_keys(section, text, out, NAMED_MAX);
}

static void print_finding(struct findings *findings, const char *what, bool ok, const char *text,
			  const char *remedy)
{
	char named[NAMED_MAX], helps[NAMED_MAX];
	findings->failed |= !ok;
	if (findings->of_variables) {
		name_variables(what, text, false, named);
		name_variables(what, remedy, true, helps);
		text = named;
		remedy = helps;
	}
	if (!findings->as_json) {
		printf("%-4s %s: %s\n", !ok ? "FAIL" : *remedy ? "warn" : "ok", what, text);
		if (*remedy)
			printf("     -> %s\n", remedy);
		return;
	}
	struct json *json = json_object_new();
	json_put_text(json, "what", what);
	json_put_bool(json, "ok", ok);
	json_put_text(json, "text", text);
	json_put_text(json, "remedy", remedy);
	telling_json(json);
}

/* One line of the courier's: what, 0 or 1, text, remedy. */
static void take_line(struct findings *findings, char *line)
{
	char *rest = line;
	const char *what = strsep(&rest, "\t"), *ok = strsep(&rest, "\t"),
		   *text = strsep(&rest, "\t"), *remedy = strsep(&rest, "\n");
	if (remedy)
		print_finding(findings, what, *ok == '1', text, remedy);
}

static int run_courier(const struct config *config, bool adopt, struct findings *findings)
{
	int ends[2];
	pid_t pid;
	if (pipe(ends) < 0)
		return -errno;
	int error = alone_start_courier(config, adopt ? "adopt" : "check", ends[1], &pid);
	close(ends[1]);
	FILE *in = fdopen(ends[0], "r");
	auto_free char *line = NULL;
	size_t room = 0;
	while (!error && in && getline(&line, &room, in) > 0)
		take_line(findings, line);
	if (in)
		fclose(in);
	int status = 0;
	if (!error &&
	    (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0))
		error = -EIO;
	return error;
}

static void check_shares(const struct config *config, bool adopt, struct findings *findings)
{
	char path[4096], text[DENIED_MAX];
	int error = spool_make(config->gateway.state, config->uid, config->gid, path);
	if (error) {
		denied_text(path, error, text);
		print_finding(findings, "state", false, text, denied_remedy(error));
		return;
	}
	print_finding(findings, "state", true, config->gateway.state, "");
	error = run_courier(config, adopt, findings);
	if (error)
		print_finding(findings, "courier", false, strerror(-error),
			      "look at the messages above");
}

/* They speak while they look, and nobody but us reads: in a child, so that no pipe can fill up. */
static void check_accounts(const struct config *config, struct findings *findings)
{
	int ends[2];
	auto_free char *line = NULL;
	size_t room = 0;
	if (pipe(ends) < 0)
		return;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[0]);
		_exit(boss_check_accounts(config, ends[1]) == 0 ? 0 : 70);
	}
	close(ends[1]);
	FILE *in = fdopen(ends[0], "r");
	while (pid > 0 && in && getline(&line, &room, in) > 0)
		take_line(findings, line);
	if (in)
		fclose(in);
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static size_t count_mails(const char *maildir, const char *folder)
{
	char path[PATH_MAX];
	size_t count = 0;
	snprintf(path, sizeof path, "%s/%s", maildir, folder);
	DIR *names = opendir(path);
	for (struct dirent *entry; names && (entry = readdir(names));)
		count += entry->d_name[0] != '.';
	if (names)
		closedir(names);
	return count;
}

static bool is_folder(const char *maildir, const char *folder)
{
	char path[PATH_MAX];
	struct stat found;
	snprintf(path, sizeof path, "%s/%s", maildir, folder);
	return stat(path, &found) == 0 && S_ISDIR(found.st_mode);
}

static void check_maildir(const struct config_maildir *maildir, struct findings *findings)
{
	char what[RULES_NAME_MAX + 16], text[3 * PATH_MAX];
	bool moves = maildir->after.kind == CONFIG_FATE_MOVE,
	     refused_moves = maildir->refused.kind == CONFIG_FATE_MOVE;
	snprintf(what, sizeof what, "maildir %s", maildir->name);
	if (!is_folder(maildir->path, "new") || !is_folder(maildir->path, "cur")) {
		snprintf(text, sizeof text, "%s has no new/ and cur/ that we can see",
			 maildir->path);
		print_finding(findings, what, false, text,
			      "name a Maildir: the mail server makes it with the first mail");
		return;
	}
	snprintf(
		text, sizeof text,
		"%zu mail(s) wait in %s; one that is delivered is %s%s, one that is refused is %s%s",
		count_mails(maildir->path, "new") + count_mails(maildir->path, "cur"),
		maildir->path, moves ? "moved to " : "removed", moves ? maildir->after.name : "",
		refused_moves ? "moved to " : "removed",
		refused_moves ? maildir->refused.name : "");
	print_finding(findings, what, true, text, "");
}

static bool takes_source(const struct rules_route *route, const char *name)
{
	return route->sources.count == 0 || glob_list_match(&route->sources, name);
}

/* What a route says of senders, and what this mailbox can show of them. */
static void check_proof(const struct rules_route *route, const struct config_account *account,
			struct findings *findings)
{
	char what[RULES_NAME_MAX + 16], text[300];
	snprintf(what, sizeof what, "route %s", route->name);
	if (route->auth == PROOF_RESULTS && !*account->authserv_ids &&
	    account->believed.dialect == PROOF_DIALECT_RFC) {
		snprintf(text, sizeof text,
			 "auth = results can't hold for %s: nobody may testify there",
			 account->name);
		print_finding(
			findings, what, false, text,
			"set authserv_ids in its [imap] to the id that the mail server writes");
	}
}

/* It works, and it may be meant: a finding, and no failure. */
static void check_strangers(const struct config *config, size_t route, struct findings *findings)
{
	char what[RULES_NAME_MAX + 16], text[STRANGERS_MAX], remedy[STRANGERS_MAX];
	if (!strangers_reach(config, route, text, remedy))
		return;
	snprintf(what, sizeof what, "route %s", config->rules.routes[route].name);
	print_finding(findings, what, true, text, remedy);
}

static void check_routes(const struct config *config, struct findings *findings)
{
	char text[200];
	for (size_t r = 0; r < config->rules.routes_count; r++) {
		check_strangers(config, r, findings);
		for (size_t a = 0; a < config->accounts_count; a++) {
			if (takes_source(&config->rules.routes[r], config->accounts[a].name))
				check_proof(&config->rules.routes[r], &config->accounts[a],
					    findings);
		}
	}
	snprintf(text, sizeof text,
		 "%zu routes, %zu shares, %zu listeners, %zu accounts, %zu Maildirs",
		 config->rules.routes_count, config->rules.shares_count, config->listeners_count,
		 config->accounts_count, config->maildirs_count);
	print_finding(findings, "configuration", true, text, "");
}

/* May all devices have one address there? Only who watches them knows: the log says it. */
static void check_proxied(const struct config_listener *listener, const struct proxied *proxied,
			  struct findings *findings)
{
	char what[RULES_NAME_MAX + 8], text[400], router[46];
	const struct network_list *peers = &listener->peers;
	bool only = proxied_admits_only(proxied, peers);
	size_t i = 0;
	while (i < proxied->count && !network_match(peers, &proxied->routers[i]))
		i++;
	if (i == proxied->count || (!only && !proxied_in_container()))
		return;
	network_print(&proxied->routers[i], router);
	snprintf(what, sizeof what, "smtp %s", listener->name);
	snprintf(text, sizeof text, "%s %s, which is the router of this network: %s",
		 only ? "`peers` admits nobody but"
		      : "if in this container all devices have the address",
		 router, proxied_fault);
	print_finding(findings, what, true, text, proxied_remedy);
}

static const char *describe_tls(const struct config_listener *listener)
{
	static const char *const words[] = {
		[CONFIG_TLS_OFF] = "without TLS",
		[CONFIG_TLS_STARTTLS] = "TLS for who wants it",
		[CONFIG_TLS_REQUIRE] = "nothing without TLS",
		[CONFIG_TLS_IMPLICIT] = "TLS at once",
	};
	return words[listener->tls];
}

static const char *describe_logins(const struct config_listener *listener)
{
	if (listener->auth == CONFIG_AUTH_ANY)
		return "any name and password will do, and prove nothing";
	if (!config_has_logins(listener))
		return "no logins";
	return listener->auth == CONFIG_AUTH_REQUIRE ? "a login is required"
						     : "a login is possible";
}

/* What can be written and makes no sense, or is a risk. */
static void warn_of_listener(const struct config_listener *listener, const char *what,
			     struct findings *findings)
{
	if (config_has_logins(listener) && listener->tls == CONFIG_TLS_OFF &&
	    !listener->plaintext_auth)
		print_finding(
			findings, what, false,
			"nobody can log in: there is no TLS, and without it no login is taken",
			"tls = starttls, or plaintext_auth = yes if the network is yours");
	if (!reach_is_wide(&listener->peers))
		return;
	if (listener->tls_compat != TLS_MODERN)
		print_finding(findings, what, true,
			      "an old TLS is taken from more than your own network",
			      "name the old devices in `peers` of a listener of their own");
	if (listener->plaintext_auth)
		print_finding(findings, what, true,
			      "passwords come in clear from more than your own network",
			      "name the devices in `peers`");
}

#define LOOK_MS 20000 /* for those who know names */

/* Only who looks at signatures asks for names as it is done then. */
static void check_dkim(const struct config *config, struct findings *findings)
{
	const struct prove_question question = { .kind = PROVE_LOOK,
						 .deadline_ms = monotonic_ms() + LOOK_MS };
	const volatile sig_atomic_t never = 0;
	struct prove_answer answer;
	auto_close int asks_fd = -1;
	int error = alone_start_prover(config, &asks_fd);
	if (error) {
		print_finding(findings, "dkim", false, strerror(-error),
			      "look at the messages above");
		return;
	}
	bool answered = prove_ask(asks_fd, &question, -1, &never, &answer) == PROVE_ANSWERED;
	if (!answered)
		print_finding(findings, "dkim", false, answer.text, "look at the messages above");
	else if (answer.unsure)
		print_finding(
			findings, "dkim", false,
			"whoever should know names does not answer: no signature can be checked",
			"set dkim_resolver to one that does, or dkim_keys to a file");
	else
		print_finding(findings, "dkim", true, "keys of signatures can be looked up", "");
}

static void check_listeners(const struct config *config, struct findings *findings)
{
	char error[CONFIG_ERROR_MAX];
	struct proxied proxied;
	proxied_init(&proxied);
	for (size_t i = 0; i < config->listeners_count; i++) {
		const struct config_listener *listener = &config->listeners[i];
		char what[RULES_NAME_MAX + 8], text[300];
		check_proxied(listener, &proxied, findings);
		snprintf(what, sizeof what, "smtp %s", listener->name);
		snprintf(text, sizeof text, "%s%s; %s", describe_tls(listener),
			 listener->tls == CONFIG_TLS_OFF ? ""
			 : *listener->tls_cert           ? ""
							 : ", with a certificate of our own",
			 describe_logins(listener));
		print_finding(findings, what, true, text, "");
		warn_of_listener(listener, what, findings);
	}
	if (alone_check_keys(config, error) != 0)
		print_finding(
			findings, "listeners", false, error,
			"give tls_cert and tls_key the files of one pair, in PEM, and users one "
			"that we can read");
}

static void print_surprise(void *context, const char *what, const char *text, const char *remedy)
{
	print_finding(context, what, true, text, remedy);
}

int verb_check(const struct options *options)
{
	struct config config;
	struct findings findings = { .as_json = options->json };
	int status = options_load(options, &config);
	if (status)
		return status;
	findings.of_variables = ini_is_of_variables(&config.ini);
	check_routes(&config, &findings);
	check_listeners(&config, &findings);
	folder_look(options, print_surprise, &findings);
	environment_look(print_surprise, &findings);
	if (!options->offline)
		check_shares(&config, options->adopt, &findings);
	if (!options->offline && config.accounts_count > 0)
		check_accounts(&config, &findings);
	if (!options->offline && config_wants_dkim(&config))
		check_dkim(&config, &findings);
	for (size_t i = 0; !options->offline && i < config.maildirs_count; i++)
		check_maildir(&config.maildirs[i], &findings);
	config_done(&config);
	fflush(stdout);
	return findings.failed ? EXIT_UNREACHABLE : EXIT_OK;
}
