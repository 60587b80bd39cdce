/* login.c: the verb `login`: a person signs in to a mailbox, once. Never sees a token: who does so
 * is the program that answers for the account. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include "daemon/cli/alone.h"
#include "daemon/cli/verbs.h"
#include "daemon/spool.h"
#include "policy/value.h"

static int fail(int status, const char *name, const char *what)
{
	fprintf(stderr, "letterchute: source `%s`: %s\n", name, what);
	return status;
}

/* Where a person can sign in; Google has no device flow for mail. */
static bool has_device(const struct config_account *account)
{
	return *account->device_url || account->oauth == CONFIG_OAUTH_MICROSOFT;
}

static bool has_browser(const struct config_account *account)
{
	return *account->authorize_url || account->oauth != CONFIG_OAUTH_CUSTOM;
}

/* 0, or the exit status. By a code where both are possible and nobody says which: that needs no
 * browser on this machine. */
static int choose(const struct config_account *account, const struct options *options,
		  const char **flow_out)
{
	const char *name = account->name;
	if (!has_device(account) && !has_browser(account))
		return fail(
			EXIT_CONFIGURATION, name,
			"nobody can sign in to it, `device_url` or `authorize_url` is expected");
	if (options->device && !has_device(account))
		return fail(EXIT_USAGE, name, "its provider has no sign-in by a code: --browser");
	if (options->browser && !has_browser(account))
		return fail(EXIT_USAGE, name, "its provider has no sign-in by a browser: --device");
	bool device = options->device || (has_device(account) && !options->browser);
	if (device && options->port)
		return fail(EXIT_USAGE, name, "--port is for --browser");
	*flow_out = device ? "device" : "browser";
	return EXIT_OK;
}

static int start(const struct config *config, const struct config_account *account,
		 const char *flow, const char *port)
{
	const char *const arguments[] = { "login", account->name, flow, port ? port : "0", NULL };
	char path[PATH_MAX];
	pid_t pid;
	int status = 0;
	int error = spool_make(config->gateway.state, config->uid, config->gid, path);
	if (error) {
		fprintf(stderr, "letterchute: %s: %s; as the gateway's user or root it may work\n",
			path, strerror(-error));
		return EXIT_UNREACHABLE;
	}
	error = alone_start_login(config, account, arguments, &pid);
	if (error)
		return fail(EXIT_BUG, account->name, strerror(-error));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status)
				 : fail(EXIT_BUG, account->name, "the sign-in has died");
}

static int sign_in(const struct config *config, const struct options *options)
{
	const char *name = options->operands[0], *flow = NULL;
	const struct config_account *account = config_find_account(config, name);
	if (!account)
		return fail(EXIT_USAGE, name, "there is no such [imap NAME] in the configuration");
	if (account->oauth == CONFIG_OAUTH_NONE)
		return fail(EXIT_CONFIGURATION, name,
			    "it does not log in by OAuth2, `oauth = ...` is expected");
	if (account->grant == CONFIG_GRANT_CLIENT) {
		printf("Source %s signs in by itself (client_credentials): there is nothing to do.\n",
		       name);
		return EXIT_OK;
	}
	int status = choose(account, options, &flow);
	return status ? status : start(config, account, flow, options->port);
}

int verb_login(const struct options *options)
{
	struct config config;
	uint64_t port;
	if ((options->device && options->browser) ||
	    (options->port && !value_number(options->port, 1, 65535, &port))) {
		fputs("letterchute: one of --device and --browser, and a port from 1 to 65535, are expected\n",
		      stderr);
		return EXIT_USAGE;
	}
	int status = options_load(options, &config);
	if (status)
		return status;
	status = sign_in(&config, options);
	config_done(&config);
	return status;
}
