/* password.c: the verb `password`: a line for a file of logins. Never stores what it read. */
#define _GNU_SOURCE
#include <crypt.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include "daemon/cli/password.h"
#include "daemon/cli/verbs.h"
#include "daemon/users.h"

#define PASSWORD_MAX 511   /* octets */
#define KIND         "$y$" /* yescrypt */

/* A person types it unseen, and twice. */
static bool set_echo(bool wanted)
{
	struct termios settings;
	if (tcgetattr(0, &settings) < 0)
		return false;
	if (wanted)
		settings.c_lflag |= ECHO;
	else
		settings.c_lflag &= ~(tcflag_t)ECHO;
	return tcsetattr(0, TCSAFLUSH, &settings) == 0;
}

/* The first line, without its end. */
static bool read_line(const char *prompt, char line[PASSWORD_MAX + 1])
{
	char *whole = NULL;
	size_t room = 0;
	if (*prompt)
		fprintf(stderr, "%s", prompt);
	ssize_t got = getline(&whole, &room, stdin);
	if (*prompt)
		fputc('\n', stderr);
	while (got > 0 && (whole[got - 1] == '\r' || whole[got - 1] == '\n'))
		got--;
	bool good = got >= 0 && got <= PASSWORD_MAX && !memchr(whole, '\0', (size_t)got);
	if (good) {
		memcpy(line, whole, (size_t)got);
		line[got] = '\0';
	}
	if (whole)
		explicit_bzero(whole, room);
	free(whole);
	return good;
}

static bool ask_twice(char line[PASSWORD_MAX + 1])
{
	char again[PASSWORD_MAX + 1] = "";
	bool hidden = set_echo(false);
	bool good = read_line("Password: ", line) && read_line("Again: ", again);
	if (hidden)
		set_echo(true);
	if (good && strcmp(line, again) != 0) {
		fputs("letterchute: the two are not the same\n", stderr);
		good = false;
	}
	explicit_bzero(again, sizeof again);
	return good;
}

const char *password_fault(const char *password)
{
	if (!*password)
		return "the password is empty";
	for (const char *s = password; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7F)
			return "the password has a control character";
	}
	return NULL;
}

bool password_hash(const char *password, char *hash_out)
{
	static struct crypt_data room;
	char salt[CRYPT_GENSALT_OUTPUT_SIZE];
	_Static_assert(CRYPT_OUTPUT_SIZE <= PASSWORD_HASH_MAX, "room for a hash");
	const char *hash = crypt_gensalt_rn(KIND, 0, NULL, 0, salt, sizeof salt)
				   ? crypt_rn(password, salt, &room, sizeof room)
				   : NULL;
	if (hash)
		snprintf(hash_out, PASSWORD_HASH_MAX, "%s", hash);
	else
		fprintf(stderr, "letterchute: no hash can be made: %s\n", strerror(errno));
	explicit_bzero(&room, sizeof room);
	return hash != NULL;
}

static int print_hash(const char *name, const char *password)
{
	char hash[PASSWORD_HASH_MAX];
	if (!password_hash(password, hash))
		return EXIT_BUG;
	printf("%s%s%s\n", name ? name : "", name ? ":" : "", hash);
	return EXIT_OK;
}

int verb_password(const struct options *options)
{
	const char *name = options->operands_count ? options->operands[0] : NULL;
	char line[PASSWORD_MAX + 1] = "";
	if (name && !users_is_name(name)) {
		fputs("letterchute: a name has at most 63 characters, and no blanks, colons or commas\n",
		      stderr);
		return EXIT_USAGE;
	}
	bool read = isatty(0) ? ask_twice(line) : read_line("", line);
	const char *fault = read ? password_fault(line) : "there is no password that can be read";
	int status = EXIT_USAGE;
	if (fault)
		fprintf(stderr, "letterchute: %s\n", fault);
	else
		status = print_hash(name, line);
	explicit_bzero(line, sizeof line);
	return status;
}
