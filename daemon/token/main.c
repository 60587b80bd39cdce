/* main.c: letterchute-token answer NAME: answers one question for a password or token, and ends;
 * letterchute-token login NAME device | browser PORT: a person signs in. Never sees mail.
 *
 * Descriptors: ROLE_FD_FIRST the puller's socket (daemon/secret.h; not for a login), the secret of
 * the configuration (the password, or the client's secret; a file or one in memory), the folder
 * where tokens are kept, and the file of a refresh token to begin with. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
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

/* What the two files are; looked at before the cage closes. */
static struct stat secret_file, seed_file;

/* Why a file has no line that could be taken. Where the boss could open none there is a device. */
static const char *describe_file(int fd, const struct stat *file)
{
	char first = '\n';
	if (S_ISDIR(file->st_mode))
		return "it is a folder, a file is expected";
	if (!S_ISREG(file->st_mode))
		return "it is no file that can be read";
	if (pread(fd, &first, 1, 0) < 0)
		return strerror(errno);
	return strchr("\r\n", first) ? "its first line is empty, the secret is expected there"
				     : "its first line is too long";
}

static void take_file(const char *path)
{
	char what[400];
	oauth_read_line(FD_SECRET, answer.text, sizeof answer.text);
	answer.kind = SECRET_PASSWORD;
	snprintf(what, sizeof what, "password_file = %.300s", path);
	if (!*answer.text)
		answer_why(SECRET_LATER, *path ? what : "password",
			   describe_file(FD_SECRET, &secret_file));
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
	char what[400];
	oauth_init(&oauth, account, FD_SECRET, FD_SEED, FD_TOKENS);
	snprintf(what, sizeof what, "client_secret_file = %.300s", account->client_secret_file);
	if (*account->client_secret_file && !*oauth.secret)
		answer_why(SECRET_LATER, what, describe_file(FD_SECRET, &secret_file));
	else
		oauth_answer(&oauth, refused, &answer);
	/* it is what one would begin with */
	size_t used = strlen(answer.text);
	if (answer.kind == SECRET_NEVER && *account->token_file && !*oauth.seed)
		snprintf(answer.text + used, sizeof answer.text - used, "; token_file = %.300s: %s",
			 account->token_file, describe_file(FD_SEED, &seed_file));
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
	if (fstat(FD_SECRET, &secret_file) < 0 || fstat(FD_SEED, &seed_file) < 0)
		return EXIT_BUG;
	if (secret_take(FD_SOCKET, &question) != 0 || !lock_in(account))
		return EXIT_BUG;
	if (*account->password_command)
		take_command(account->password_command, SECRET_PASSWORD, "password_command");
	else if (*account->token_command)
		take_command(account->token_command, SECRET_TOKEN, "token_command");
	else if (account->oauth != CONFIG_OAUTH_NONE)
		take_token(account, question.refused);
	else
		take_file(account->password_file);
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
