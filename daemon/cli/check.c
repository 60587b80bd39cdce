/* check.c: the verb `check`: what would fail, and what to do. Never delivers anything. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/boss.h"
#include "daemon/cli/verbs.h"
#include "daemon/json.h"
#include "daemon/keep.h"
#include "daemon/spool.h"

struct findings {
	bool as_json, failed;
};

static void print_finding(struct findings *findings, const char *what, bool ok, const char *text,
			  const char *remedy)
{
	findings->failed |= !ok;
	if (!findings->as_json) {
		printf("%-4s %s: %s\n", ok ? "ok" : "FAIL", what, text);
		if (*remedy)
			printf("     -> %s\n", remedy);
		return;
	}
	struct json *json = json_object_new();
	json_put_text(json, "what", what);
	json_put_bool(json, "ok", ok);
	json_put_text(json, "text", text);
	json_put_text(json, "remedy", remedy);
	auto_free char *line = json_line(json);
	json_free(json);
	puts(line);
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
	int error = boss_start_courier(config, adopt ? "adopt" : "check", ends[1], &pid);
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
	char path[4096];
	int error = spool_make(config->gateway.state, config->uid, config->gid, path);
	if (error) {
		print_finding(findings, "state", false, strerror(-error),
			      "give `state` a folder that we can write to");
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

/* A route that takes mail from strangers without any proof. */
static void check_routes(const struct config *config, struct findings *findings)
{
	char text[200];
	snprintf(text, sizeof text,
		 "%zu routes, %zu shares, %zu listeners, %zu accounts, %zu Maildirs",
		 config->rules.routes_count, config->rules.shares_count, config->listeners_count,
		 config->accounts_count, config->maildirs_count);
	print_finding(findings, "configuration", true, text, "");
}

/* What the default of `tls` promises and this version does not keep. */
static void check_listeners(const struct config *config, struct findings *findings)
{
	for (size_t i = 0; i < config->listeners_count; i++) {
		const struct config_listener *listener = &config->listeners[i];
		char what[RULES_NAME_MAX + 8];
		snprintf(what, sizeof what, "smtp %s", listener->name);
		print_finding(findings, what, true,
			      listener->tls == CONFIG_TLS_OFF
				      ? "plain text"
				      : "plain text: STARTTLS is not available in this version",
			      "");
	}
}

int verb_check(const struct options *options)
{
	struct config config;
	struct findings findings = { .as_json = options->json };
	int status = options_load(options, &config);
	if (status)
		return status;
	check_routes(&config, &findings);
	check_listeners(&config, &findings);
	if (!options->offline)
		check_shares(&config, options->adopt, &findings);
	if (!options->offline && config.accounts_count > 0)
		check_accounts(&config, &findings);
	config_done(&config);
	fflush(stdout);
	return findings.failed ? EXIT_UNREACHABLE : EXIT_OK;
}
