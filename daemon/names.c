/* names.c: loads the libraries of the name service, and looks at its files. Never looks a name up.
 */
#define _GNU_SOURCE
#include "daemon/names.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/keep.h"

#define SWITCH   "/etc/nsswitch.conf"
#define DATABASE "hosts:"
#define BLANKS   " \t\n"

/* Kept until the end: getaddrinfo finds it by its name, and does not look for a file. */
static void load(const char *service)
{
	char name[64];
	int size = snprintf(name, sizeof name, "libnss_%s.so.2", service);
	if (size > 0 && (size_t)size < sizeof name && !strchr(service, '/'))
		dlopen(name, RTLD_NOW);
}

/* "files mdns4_minimal [NOTFOUND=return] dns" (nsswitch.conf(5)) */
static void load_each(char *services)
{
	bool inside = false; /* of what is to be done after a service */
	char *rest = NULL;
	for (char *word = strtok_r(services, BLANKS, &rest); word;
	     word = strtok_r(NULL, BLANKS, &rest)) {
		inside |= *word == '[';
		if (!inside)
			load(word);
		if (strchr(word, ']'))
			inside = false;
	}
}

void names_load(void)
{
	auto_free char *line = NULL;
	size_t room = 0;
	FILE *file = fopen(SWITCH, "re");
	/* what is asked where nothing is said; to libc itself they belong since 2.34 */
	load("files");
	load("dns");
	while (file && getline(&line, &room, file) >= 0) {
		char *word = line + strspn(line, BLANKS);
		word[strcspn(word, "#")] = '\0';
		if (strncmp(word, DATABASE, strlen(DATABASE)) == 0)
			load_each(word + strlen(DATABASE));
	}
	if (file)
		fclose(file);
}

void names_look(const char *signers, struct names_sight *sight_out)
{
	const char *const files[NAMES_FILES] = { "/etc/resolv.conf", "/etc/hosts",    SWITCH,
						 "/etc/host.conf",   "/etc/gai.conf", signers };
	*sight_out = (struct names_sight){ 0 };
	for (size_t i = 0; i < NAMES_FILES; i++) {
		struct stat found;
		if (stat(files[i], &found) == 0)
			sight_out->files[i] = found;
	}
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

bool names_differ(const struct names_sight *a, const struct names_sight *b)
{
	for (size_t i = 0; i < NAMES_FILES; i++) {
		if (!is_same(&a->files[i], &b->files[i]))
			return true;
	}
	return false;
}
