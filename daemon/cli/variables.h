/* variables.h: the variables of our own container. Room daemon/cli.
 *
 * The table is that of the guide in contrib/docker. What a variable means beside others is seen to
 * by environment.c, and who we are by identity.c. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define VARIABLE_NAME_MAX 40 /* octets */

struct variable {
	const char *name;
	const char *section, *key; /* where its value goes; key NULL: it is seen to by itself */
	const char *preset;        /* in a container; NULL: that of the key */
	bool file;                 /* a file that we must be able to read */
	const char *help;          /* for the guide: system/container/the_guide_lists_them */
};

extern const struct variable variables[];
extern const size_t variables_count;

/* Takes the blanks off the ends of all values but those of secrets, once and for all: libc and the
 * files of a configuration read some, too. */
void variables_trim(void);

/* The value of a variable; one that is empty or blank is as good as not set: NULL. */
const char *variable_get(const char *name);

/* Says what is wrong with it (fault.h), and returns the exit status for that. */
int variable_complain(const char *variable, const char *what);

/* The variable of a key, of `length` octets, in a section such as "imap mailbox", of which the
 * first word counts; NULL: it has none. */
const char *variable_of_key(const char *section, const char *key, size_t length);

/* What to do, said of keys of such a section, in the names of variables: `peers`, tls = off,
 * ca_file, and in a list that begins with "look at" any key; there those without a variable are
 * left out. What is too long for `size` octets is cut. */
void variables_name_keys(const char *section, const char *text, char *out, size_t size);

/* Each by itself: is there such a variable, can its value be a line, can its file be read? The exit
 * status, with the reason said. `warns`: names that look like one of ours are told in the log. */
int variables_check(bool warns);
