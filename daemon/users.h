/* users.h: the file of logins: `name:hash[:address,address]`, one a line, # for comments. Ground of
 * daemon; knows no hash.
 *
 * The configuration takes names and addresses from it, the keeper of the listener the hashes:
 * nobody else ever sees one. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define USERS_FILE_MAX  (1 << 20) /* octets */
#define USERS_NAME_MAX  63        /* octets of a name */
#define USERS_ERROR_MAX 200

struct users_entry {
	const char *name;
	const char *hash;      /* as crypt(3) writes it */
	const char *addresses; /* comma list of globs; "": any but those of others */
};

struct users {
	char *text;               /* owned; what the entries point into; wiped when it goes */
	size_t size;              /* of it */
	struct users_entry *list; /* owned */
	size_t count;
};

/* Reads the whole of a file from its beginning, wherever the offset of `fd` is. 0; -EINVAL: a line
 * is wrong, number *line_out, and `error_out` says "what, what is expected"; or another -errno. */
int users_read(int fd, struct users *users_out, unsigned *line_out,
	       char error_out[USERS_ERROR_MAX]);
void users_done(struct users *users);

/* Can a login be called this? */
bool users_is_name(const char *name);

/* NULL: none. */
const struct users_entry *users_find(const struct users *users, const char *name);
