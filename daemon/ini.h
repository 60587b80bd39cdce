/* ini.h: INI files -> a list of keys, each with its place. Ground of daemon; the only file that
 * knows inih.
 *
 * Syntax: [section name], key = value, lines that start with # or ; are comments, blank + # starts
 * one behind a value, a value in double quotes is taken as it stands (\" and \\ inside), an
 * indented line continues the value above it, ${VAR} and ${VAR:-default} come from the environment.
 */
#pragma once
#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>

#define INI_ERROR_MAX 512
#define INI_VALUE_MAX 65536 /* octets of one value */

struct ini_line {
	char *section; /* "share" */
	char *name;    /* "archive" of [share archive]; "" where there is none */
	char *key;     /* NULL: the line opens the section */
	char *value;   /* pieces of a continued value are joined by line feeds */
	int file;      /* index into files */
	int line;      /* from 1 */
};

struct ini {
	struct ini_line *lines;
	size_t count, room;
	char **files;
	size_t files_count;
};

/* Is the entry of a folder part of a configuration? For scandir(3). */
int ini_is_file(const struct dirent *entry);

/* Is it none, though somebody may think so? Not what is hidden, nor an editor's copy (~). */
int ini_is_left_out(const struct dirent *entry);

/* Reads a file, or every *.conf of a folder in name order. False with the reason, its place in
 * front. */
bool ini_load(const char *path, struct ini *ini_out, char error_out[INI_ERROR_MAX]);

/* The same from text that is called `name` in errors; `expand`: variables. */
bool ini_load_text(const char *text, const char *name, bool expand, struct ini *ini_out,
		   char error_out[INI_ERROR_MAX]);

/* What a text is called that variables of our own container were made into. */
#define INI_OF_VARIABLES "environment"

/* Is it one? Who reads what we say of it knows no keys then. */
bool ini_is_of_variables(const struct ini *ini);

void ini_done(struct ini *ini);

/* Formats "file:line: text" for the line `at`. */
void ini_error(const struct ini *ini, size_t at, const char *text, char error_out[INI_ERROR_MAX]);

/* Replaces the value of a line; `value` is copied. False: out of memory. */
bool ini_replace(struct ini *ini, size_t at, const char *value);

/* Writes the keys so that ini_load_text without `expand` reads the same back. 0 or -errno. */
int ini_write(const struct ini *ini, int fd);
