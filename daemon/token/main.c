/* main.c: letterchute-token answer NAME: answers one question for a password or token, and ends.
 * Never sees mail.
 *
 * Descriptors: ROLE_FD_FIRST the puller's socket (daemon/secret.h), the secret of the configuration
 * (the password, or the client's secret; a file or one in memory), and the folder where tokens are
 * kept. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "daemon/config.h"
#include "daemon/log.h"
#include "daemon/role.h"
#include "daemon/secret.h"
#include "daemon/token/command.h"

enum { FD_SOCKET = ROLE_FD_FIRST, FD_SECRET, FD_TOKENS };

static struct secret_answer answer;

static void answer_why(enum secret_kind kind, const char *what, const char *why)
{
	answer.kind = kind;
	snprintf(answer.text, sizeof answer.text, "%s: %s", what, why);
}

static void take_file(void)
{
	ssize_t got = pread(FD_SECRET, answer.text, sizeof answer.text - 1, 0);
	answer.text[got > 0 ? got : 0] = '\0';
	answer.text[strcspn(answer.text, "\r\n")] = '\0';
	answer.kind = SECRET_PASSWORD;
	if (got < 0 || !*answer.text)
		answer_why(SECRET_LATER, "password_file", "it can't be read, or is empty");
}

static void take_command(const char *line, enum secret_kind kind, const char *what)
{
	char why[COMMAND_WHY_MAX] = "";
	answer.kind = kind;
	if (command_run(line, answer.text, sizeof answer.text, why) != 0)
		answer_why(SECRET_LATER, what, why);
}

static void find_secret(const struct config_account *account)
{
	if (*account->password_command)
		take_command(account->password_command, SECRET_PASSWORD, "password_command");
	else if (*account->token_command)
		take_command(account->token_command, SECRET_TOKEN, "token_command");
	else if (account->oauth != CONFIG_OAUTH_NONE)
		answer_why(SECRET_NEVER, "oauth", "not available in this version");
	else
		take_file();
}

int main(int argc, char **argv)
{
	static struct config config; /* freed by the end of the process */
	char error[CONFIG_ERROR_MAX];
	struct secret_question question;
	log_open(false);
	if (argc < 3 || strcmp(argv[1], "answer") != 0) {
		log_say(LOG_ERROR, "usage", "letterchute-token answer NAME");
		return 64;
	}
	if (role_settle("letterchute-token") != 0)
		return 70;
	signal(SIGPIPE, SIG_IGN);
	int status = config_read(ROLE_FD_CONFIG, &config, error);
	if (status != 0) {
		log_say(LOG_ERROR, "configuration", "%s", error);
		return status;
	}
	const struct config_account *account = config_find_account(&config, argv[2]);
	if (!account || secret_take(FD_SOCKET, &question) != 0)
		return 70;
	find_secret(account);
	secret_give(FD_SOCKET, &answer);
	explicit_bzero(&answer, sizeof answer);
	return 0;
}
