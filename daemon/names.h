/* names.h: what names are looked up by, and signers found. Ground of daemon.
 *
 * getaddrinfo loads libraries when it needs them, and the files of /etc are replaced while we run.
 * Who locks himself in loads the libraries before, so that nothing of his memory has to be executed
 * that is not there yet; and looks now and then whether the files are still those that his jail
 * lets him at: if not he ends, and who comes after him sees the new ones. */
#pragma once
#include <stdbool.h>
#include <sys/stat.h>

#define NAMES_FILES 6

struct names_sight {
	struct stat files[NAMES_FILES];
};

/* Loads what /etc/nsswitch.conf asks for. What can't be loaded is left out, as getaddrinfo does.
 * Asks nobody for a name. */
void names_load(void);

/* What the files are now; `signers`: one more, "": none. Not there: all zero. */
void names_look(const char *signers, struct names_sight *sight_out);

/* Is any of them another, or another one's content? */
bool names_differ(const struct names_sight *a, const struct names_sight *b);
