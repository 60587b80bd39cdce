/* main.c: letterchute-token answer NAME: answers one question for a password or token, and ends;
 * letterchute-token login NAME device | browser PORT: a person signs in. Never sees mail.
 *
 * Descriptors: ROLE_FD_FIRST the puller's socket (daemon/secret.h; not for a login), the secret of
 * the configuration (the password, or the client's secret; a file or one in memory), the folder
 * where tokens are kept, and the file of a refresh token to begin with. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "daemon/config.h"
#include "daemon/http_out.h"
#include "daemon/log.h"
#include "daemon/role.h"
#include "daemon/secret.h"
#include "daemon/token/browser.h"
#include "daemon/token/cage.h"
#include "daemon/token/command.h"
#include "daemon/token/device.h"
#include "daemon/token/login.h"
#include "daemon/token/oauth.h"
#include "policy/value.h"

enum { FD_SOCKET = ROLE_FD_FIRST, FD_SECRET, FD_TOKENS, FD_SEED };
enum { EXIT_USAGE = 64, EXIT_BUG = 70 };

static struct config config; /* freed by the end of the process */
static struct oauth oauth;

/* --- an answer -------------------------------------------------------------------------------- */

static struct secret_answer answer;

static void answer_why(enum secret_kind kind, const char *what, const char *why)
{
	explicit_bzero(&answer, sizeof answer);
	answer.kind = kind;
	snprintf(answer.text, sizeof answer.text, "%s: %s", what, why);
}

static void take_file(void)
{
	oauth_read_line(FD_SECRET, answer.text, sizeof answer.text);
	answer.kind = SECRET_PASSWORD;
	if (!*answer.text)
		answer_why(SECRET_LATER, "password_file",
			   "it can't be read, is empty, or its line is too long");
}

static void take_command(const char *line, enum secret_kind kind, const char *what)
{
	char why[COMMAND_WHY_MAX] = "";
	answer.kind = kind;
	if (command_run(line, answer.text, sizeof answer.text, why) != 0)
		answer_why(SECRET_LATER, what, why);
}

static void take_token(const struct config_account *account, bool refused)
{
	oauth_init(&oauth, account, FD_SECRET, FD_SEED, FD_TOKENS);
	oauth_answer(&oauth, refused, &answer);
	oauth_wipe(&oauth);
}

/* Whoever has to execute a program of the user's can't be locked in before it. */
static bool lock_in(const struct config_account *account)
{
	bool executes = *account->password_command || *account->token_command;
	bool asks = account->oauth != CONFIG_OAUTH_NONE;
	if (asks && !http_open())
		return false;
	return executes || cage_enter(&config, account, asks ? CAGE_NETWORK : CAGE_FILE, FD_TOKENS);
}

static int answer_one(const struct config_account *account)
{
	struct secret_question question;
	if (secret_take(FD_SOCKET, &question) != 0 || !lock_in(account))
		return EXIT_BUG;
	if (*account->password_command)
		take_command(account->password_command, SECRET_PASSWORD, "password_command");
	else if (*account->token_command)
		take_command(account->token_command, SECRET_TOKEN, "token_command");
	else if (account->oauth != CONFIG_OAUTH_NONE)
		take_token(account, question.refused);
	else
		take_file();
	secret_give(FD_SOCKET, &answer);
	explicit_bzero(&answer, sizeof answer);
	return 0;
}

/* --- a sign-in -------------------------------------------------------------------------------- */

static int sign_in(const struct config_account *account, bool browser, uint16_t wanted)
{
	int listening_fd = -1, error = 0;
	uint16_t port = 0;
	if (browser)
		error = browser_listen(wanted, &listening_fd, &port);
	if (error)
		return login_fail(LOGIN_UNREACHED, "a browser can't come back to this port",
				  strerror(-error));
	if (!http_open() ||
	    !cage_enter(&config, account, browser ? CAGE_LISTENER : CAGE_NETWORK, FD_TOKENS))
		return EXIT_BUG;
	oauth_init(&oauth, account, FD_SECRET, FD_SEED, FD_TOKENS);
	int status = browser ? browser_sign_in(&oauth, listening_fd, port) : device_sign_in(&oauth);
	oauth_wipe(&oauth);
	return status;
}

/* --- the choice ------------------------------------------------------------------------------- */

static int run(int argc, char **argv, const struct config_account *account)
{
	uint64_t port;
	if (strcmp(argv[1], "answer") == 0)
		return answer_one(account);
	if (strcmp(argv[1], "login") != 0 || argc < 5 || !value_number(argv[4], 0, 65535, &port))
		return EXIT_USAGE;
	return sign_in(account, strcmp(argv[3], "browser") == 0, (uint16_t)port);
}

int main(int argc, char **argv)
{
	log_open(false);
	if (argc < 3) {
		log_say(LOG_ERROR, "usage",
			"letterchute-token answer NAME | login NAME device|browser PORT");
		return EXIT_USAGE;
	}
	int status = role_begin("letterchute-token", &config);
	if (status)
		return status;
	signal(SIGPIPE, SIG_IGN);
	const struct config_account *account = config_find_account(&config, argv[2]);
	return account ? run(argc, argv, account) : EXIT_BUG;
}
