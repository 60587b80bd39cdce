/* users.c: takes the lines of the file of logins apart. Never computes a hash. */
#define _GNU_SOURCE
#include "daemon/users.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/fdio.h"

void users_done(struct users *users)
{
	if (users->text)
		explicit_bzero(users->text, users->size);
	free(users->text);
	free(users->list);
	*users = (struct users){ .text = NULL };
}

const struct users_entry *users_find(const struct users *users, const char *name)
{
	for (size_t i = 0; i < users->count; i++) {
		if (strcmp(users->list[i].name, name) == 0)
			return &users->list[i];
	}
	return NULL;
}

static char *trim(char *text)
{
	text += strspn(text, " \t");
	for (size_t end = strlen(text); end > 0 && strchr(" \t\r", text[end - 1]); end--)
		text[end - 1] = '\0';
	return text;
}

/* Names and addresses are items of lists elsewhere, and enter log lines. */
static bool is_word(const char *text, const char *forbidden)
{
	for (const char *s = text; *s; s++) {
		if ((unsigned char)*s <= 0x20 || *s == 0x7F || strchr(forbidden, *s))
			return false;
	}
	return *text != '\0';
}

bool users_is_name(const char *name)
{
	return is_word(name, ":,") && strlen(name) <= USERS_NAME_MAX;
}

/* The kinds that a stolen file does not give away at once, and how long what stands behind the last
 * $ is. */
static const struct kind {
	const char *start;
	size_t last;
} kinds[] = { { "$y$", 43 }, { "$gy$", 43 }, { "$7$", 43 },
	      { "$6$", 86 }, { "$2b$", 53 }, { "$2y$", 53 } };

static const struct kind *find_kind(const char *hash)
{
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (strncmp(hash, kinds[i].start, strlen(kinds[i].start)) == 0)
			return &kinds[i];
	}
	return NULL;
}

/* One that lost its end, or got a letter too many, lets nobody in and does not say why. */
static bool is_whole(const char *hash, const struct kind *kind)
{
	static const char letters[] =
		"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	const char *last = strrchr(hash, '$') + 1;
	return strlen(last) == kind->last && strspn(last, letters) == kind->last;
}

/* What is wrong with a line; NULL: nothing. */
static const char *fault_of(const struct users *users, const struct users_entry *entry)
{
	if (!is_word(entry->name, ","))
		return "the name has blanks or a comma, or there is none; NAME:HASH is expected";
	if (strlen(entry->name) > USERS_NAME_MAX)
		return "the name is too long, at most 63 octets are expected";
	if (users_find(users, entry->name))
		return "this name is given twice, one line a name is expected";
	if (!*entry->hash)
		return "there is no hash, NAME:HASH as `letterchute password` prints it is expected";
	const struct kind *kind = find_kind(entry->hash);
	if (!is_word(entry->hash, "*!") || !kind)
		return "this is no hash that is safe enough, one that `letterchute password` prints is expected";
	if (!is_whole(entry->hash, kind))
		return "the hash is too short or too long, all that `letterchute password` prints is expected";
	if (*entry->addresses && !is_word(entry->addresses, ":"))
		return "the addresses can't be read, ADDRESS,ADDRESS without blanks is expected";
	return NULL;
}

static bool add_entry(struct users *users, const struct users_entry *entry)
{
	struct users_entry *grown = realloc(users->list, (users->count + 1) * sizeof *grown);
	if (!grown)
		return false;
	users->list = grown;
	users->list[users->count++] = *entry;
	return true;
}

static int read_line(struct users *users, char *line, char *error_out)
{
	struct users_entry entry = { .name = trim(line), .hash = "", .addresses = "" };
	if (!*entry.name || *entry.name == '#')
		return 0;
	char *hash = strchr(entry.name, ':');
	if (hash) {
		*hash++ = '\0';
		char *addresses = strchr(hash, ':');
		if (addresses) {
			*addresses++ = '\0';
			entry.addresses = addresses;
		}
		entry.hash = hash;
	}
	const char *fault = fault_of(users, &entry);
	if (fault) {
		snprintf(error_out, USERS_ERROR_MAX, "%s", fault);
		return -EINVAL;
	}
	return add_entry(users, &entry) ? 0 : -ENOMEM;
}

int users_read(int fd, struct users *users_out, unsigned *line_out, char error_out[USERS_ERROR_MAX])
{
	struct users users = { .text = NULL };
	unsigned number = 0;
	int error = read_whole(fd, USERS_FILE_MAX, &users.text, &users.size);
	if (!error && memchr(users.text, '\0', users.size))
		error = -EBADMSG;
	char *rest = users.text;
	while (!error && rest) {
		char *line = strsep(&rest, "\n");
		number++;
		error = read_line(&users, line, error_out);
	}
	if (!error) {
		*users_out = users;
		return 0;
	}
	*line_out = number;
	users_done(&users);
	return error;
}
