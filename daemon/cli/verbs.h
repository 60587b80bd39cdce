/* verbs.h: the verbs of the program `letterchute`, and what their options have in common. Room
 * daemon/cli.
 *
 * Every verb gets the arguments from its own name on and returns the exit status. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include "daemon/config.h"

/* Exit status (INTERFACE; the numbers are those of sysexits.h). */
enum {
	EXIT_OK = 0,
	EXIT_USAGE = 64,
	EXIT_REFUSED = 65,
	EXIT_UNREACHABLE = 69,
	EXIT_BUG = 70,
	EXIT_LATER = 75,
	EXIT_LOGIN = 77,
	EXIT_CONFIGURATION = 78
};

#define OPTIONS_TO_MAX 100 /* --to */

struct options {
	const char *config;                         /* -c */
	const char *share, *listen, *peers, *state; /* the embedded default instead of a file */
	const char *from, *to[OPTIONS_TO_MAX], *peer, *login, *source;
	size_t to_count;
	const char *folder; /* --to of `extract` */
	bool json, health, debug, offline, adopt, types, reasons, device, browser, last;
	const char *port; /* of `login` */
	bool warns;       /* what has no effect is told: by who runs a gateway, or checks one */
	char **operands;
	int operands_count;
};

int verb_run(const struct options *options);
int verb_once(const struct options *options);
int verb_drop(const struct options *options);
int verb_smtp_session(const struct options *options);
int verb_extract(const struct options *options);
int verb_explain(const struct options *options);
int verb_status(const struct options *options);
int verb_watch_device(const struct options *options);
int verb_check(const struct options *options);
int verb_login(const struct options *options);
int verb_password(const struct options *options);
int verb_quarantine(const struct options *options);

/* Reads the configuration that the options name: a file, or the embedded default for --share, or in
 * our own container what it says (daemon/cli/environment.h). On failure says why (fault.h) and
 * returns the exit status; 0 with *config_out filled, the caller's to free. */
int options_load(const struct options *options, struct config *config_out);

/* The same for who may hand a mail to a gateway that can give owners which he can't (single.h). */
int options_load_to_ask(const struct options *options, struct config *config_out);

/* A value in double quotes, as ini.h reads it, and the end of the line. */
void options_put_quoted(FILE *out, const char *value);
