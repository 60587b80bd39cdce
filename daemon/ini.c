/* ini.c: reads INI text line by line through inih and keeps where each key stood. Never knows what
 * a key means. */
#define _GNU_SOURCE
#include "daemon/ini.h"
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"

#define FILE_MAX    (1 << 20) /* octets of a configuration file */
#define SECTION_MAX 48        /* inih cuts a longer one without a word */

/* One file being read. inih asks for lines; what it does not tell the handler is noted on the way.
 */
struct reading {
	struct ini *ini;
	const char *cursor; /* the rest of the text */
	int file, line;     /* of the line that inih has now */
	bool line_ended;    /* the last piece given out ended its line */
	bool continued;     /* the line starts with a blank */
	bool expand;
	bool failed;
	char *error; /* INI_ERROR_MAX */
};

static void complain(struct reading *reading, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The first error counts. */
static void complain(struct reading *reading, int line, const char *format, ...)
{
	char text[INI_ERROR_MAX / 2];
	va_list arguments;
	if (reading->failed)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	snprintf(reading->error, INI_ERROR_MAX, "%s:%d: %s", reading->ini->files[reading->file],
		 line, text);
	reading->failed = true;
}

static struct ini_line *add_line(struct reading *reading)
{
	struct ini *ini = reading->ini;
	if (ini->count == ini->room) {
		size_t room = ini->room ? ini->room * 2 : 64;
		struct ini_line *lines = realloc(ini->lines, room * sizeof *lines);
		if (!lines) {
			complain(reading, reading->line, "out of memory");
			return NULL;
		}
		ini->lines = lines;
		ini->room = room;
	}
	struct ini_line *line = &ini->lines[ini->count++];
	*line = (struct ini_line){ .file = reading->file, .line = reading->line };
	return line;
}

/* "share archive" -> "share" and "archive". */
static void split_section(const char *text, size_t size, struct ini_line *line)
{
	while (size > 0 && isspace((unsigned char)text[size - 1]))
		size--;
	while (size > 0 && isspace((unsigned char)*text)) {
		text++;
		size--;
	}
	size_t head = 0;
	while (head < size && !isspace((unsigned char)text[head]))
		head++;
	line->section = strndup(text, head);
	while (head < size && isspace((unsigned char)text[head]))
		head++;
	line->name = strndup(text + head, size - head);
}

static void note_section(struct reading *reading, const char *line, size_t size)
{
	const char *end = memchr(line, ']', size);
	if (!end) {
		complain(reading, reading->line, "a section line without ], [name] is expected");
		return;
	}
	size_t length = (size_t)(end - line) - 1;
	if (length > SECTION_MAX) {
		complain(reading, reading->line,
			 "the section's name is too long, at most %d characters are expected",
			 SECTION_MAX);
		return;
	}
	struct ini_line *added = add_line(reading);
	if (!added)
		return;
	split_section(line + 1, length, added);
	if (!added->section || !added->name)
		complain(reading, reading->line, "out of memory");
}

static void start_line(struct reading *reading, size_t size)
{
	const char *text = reading->cursor;
	reading->line++;
	if (reading->line == 1 && size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
		text += 3;
		size -= 3;
	}
	reading->continued = size > 0 && (*text == ' ' || *text == '\t');
	size_t blank = strspn(text, " \t");
	if (blank < size && text[blank] == '[')
		note_section(reading, text + blank, size - blank);
}

/* The reader that inih calls, shaped like fgets. */
static char *next_piece(char *piece, int room, void *state)
{
	struct reading *reading = state;
	if (reading->failed || *reading->cursor == '\0' || room < 2)
		return NULL;
	const char *feed = strchr(reading->cursor, '\n');
	size_t size = feed ? (size_t)(feed - reading->cursor) + 1 : strlen(reading->cursor);
	if (reading->line_ended)
		start_line(reading, size);
	if (size > (size_t)room - 1)
		size = (size_t)room - 1;
	memcpy(piece, reading->cursor, size);
	piece[size] = '\0';
	reading->cursor += size;
	reading->line_ended = piece[size - 1] == '\n';
	return piece;
}

/* A value under construction: bounded. */
struct value {
	char *text;
	size_t used;
};

static bool put(struct reading *reading, struct value *value, const char *bytes, size_t size)
{
	if (size > INI_VALUE_MAX - value->used) {
		complain(reading, reading->line,
			 "the value is too long, at most %d octets are expected", INI_VALUE_MAX);
		return false;
	}
	memcpy(value->text + value->used, bytes, size);
	value->used += size;
	return true;
}

/* `text` is behind "${"; returns what is behind the closing brace, NULL after a complaint. */
static const char *put_variable(struct reading *reading, struct value *value, const char *text)
{
	const char *end = strchr(text, '}');
	size_t length =
		strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
	char name[128];
	if (!end || length == 0 || length >= sizeof name ||
	    (text[length] != '}' && strncmp(text + length, ":-", 2))) {
		complain(reading, reading->line,
			 "a variable is not closed, ${NAME} or ${NAME:-default} is expected");
		return NULL;
	}
	memcpy(name, text, length);
	name[length] = '\0';
	const char *found = getenv(name);
	bool has_default = text[length] == ':';
	bool usable = found && (*found || !has_default);
	if (!usable && !has_default) {
		complain(reading, reading->line,
			 "the variable %s is not set, a value for it or ${%s:-default} is expected",
			 name, name);
		return NULL;
	}
	const char *preset = text + length + 2;
	bool done = usable ? put(reading, value, found, strlen(found))
			   : put(reading, value, preset, (size_t)(end - preset));
	return done ? end + 1 : NULL;
}

/* Copies one character, or a variable; moves *text on. */
static bool put_next(struct reading *reading, struct value *value, const char **text)
{
	if (reading->expand && (*text)[0] == '$' && (*text)[1] == '{') {
		*text = put_variable(reading, value, *text + 2);
		return *text != NULL;
	}
	return put(reading, value, (*text)++, 1);
}

static bool put_quoted(struct reading *reading, struct value *value, const char *text)
{
	for (text++; *text && *text != '"';) {
		if (text[0] == '\\' && (text[1] == '"' || text[1] == '\\'))
			text++;
		else if (text[0] == '$') {
			if (!put_next(reading, value, &text))
				return false;
			continue;
		}
		if (!put(reading, value, text++, 1))
			return false;
	}
	if (*text != '"') {
		complain(reading, reading->line,
			 "a quoted value is not closed, \" is expected at its end");
		return false;
	}
	text += 1 + strspn(text + 1, " \t");
	if (*text && *text != '#') {
		complain(reading, reading->line,
			 "text behind a quoted value, the end of the line is expected");
		return false;
	}
	return true;
}

static bool put_plain(struct reading *reading, struct value *value, const char *text)
{
	size_t last = value->used; /* behind the last character that is no blank */
	for (const char *start = text; *text;) {
		if (*text == '#' && text > start && (text[-1] == ' ' || text[-1] == '\t'))
			break;
		bool blank = *text == ' ' || *text == '\t';
		if (!put_next(reading, value, &text))
			return false;
		if (!blank)
			last = value->used;
	}
	value->used = last;
	return true;
}

/* The raw text behind the = sign, appended to what an earlier line of this value gave. */
static char *read_value(struct reading *reading, const char *before, const char *raw)
{
	auto_free char *text = malloc(INI_VALUE_MAX + 1);
	if (!text) {
		complain(reading, reading->line, "out of memory");
		return NULL;
	}
	struct value value = { .text = text };
	bool done = !before ||
		    (put(reading, &value, before, strlen(before)) && put(reading, &value, "\n", 1));
	/* a value that is a comment only is empty */
	if (done && *raw == '"')
		done = put_quoted(reading, &value, raw);
	else if (done && *raw != '#')
		done = put_plain(reading, &value, raw);
	if (!done)
		return NULL;
	text[value.used] = '\0';
	return strdup(text);
}

/* An indented `key = value` is more likely a key than the rest of the value above: say so. */
static bool looks_like_key(const char *text)
{
	size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz_0123456789");
	return length > 0 && text[length + strspn(text + length, " \t")] == '=';
}

static bool continue_value(struct reading *reading, const char *raw)
{
	struct ini_line *line = &reading->ini->lines[reading->ini->count - 1];
	if (looks_like_key(raw)) {
		complain(
			reading, reading->line,
			"an indented line continues `%s` of line %d, no blanks in front of a key are expected",
			line->key, line->line);
		return false;
	}
	char *value = read_value(reading, line->value, raw);
	if (!value)
		return false;
	free(line->value);
	line->value = value;
	return true;
}

static bool start_value(struct reading *reading, const char *key, const char *raw)
{
	struct ini *ini = reading->ini;
	/* lines of another file don't open a section for this one */
	if (ini->count == 0 || ini->lines[ini->count - 1].file != reading->file) {
		complain(reading, reading->line,
			 "`%s` stands before any section, [section] is expected first", key);
		return false;
	}
	auto_free char *value = read_value(reading, NULL, raw);
	if (!value)
		return false;
	size_t opener = ini->count - 1;
	struct ini_line *line = add_line(reading);
	if (!line)
		return false;
	line->section = strdup(ini->lines[opener].section);
	line->name = strdup(ini->lines[opener].name);
	line->key = strdup(key);
	line->value = take_pointer(&value);
	return line->section && line->name && line->key;
}

/* inih calls this for each key, and with the same key again for each line that continues its value.
 */
static int take_key(void *state, const char *section, const char *key, const char *raw)
{
	struct reading *reading = state;
	(void)section;
	struct ini *ini = reading->ini;
	bool has_key = ini->count > 0 && ini->lines[ini->count - 1].key &&
		       ini->lines[ini->count - 1].file == reading->file;
	bool good = reading->continued && has_key ? continue_value(reading, raw)
						  : start_value(reading, key, raw);
	return good && !reading->failed;
}

static bool read_text(struct ini *ini, const char *text, const char *name, bool expand,
		      char *error_out)
{
	char **files = realloc(ini->files, (ini->files_count + 1) * sizeof *files);
	if (!files || !(files[ini->files_count] = strdup(name))) {
		snprintf(error_out, INI_ERROR_MAX, "%s: out of memory", name);
		return false;
	}
	ini->files = files;
	ini->files_count++;
	struct reading reading = { .ini = ini,
				   .cursor = text,
				   .file = (int)ini->files_count - 1,
				   .line_ended = true,
				   .expand = expand,
				   .error = error_out };
	/* Debian's inih is set at run time: no limit of 200 octets a line, and comments are our own
	 * business */
	ini_use_stack = false;
	ini_allow_realloc = true;
	ini_max_line = INI_VALUE_MAX;
	ini_allow_inline_comments = false;
	ini_allow_multiline = true;
	ini_stop_on_first_error = true;
	int bad_line = ini_parse_stream(next_piece, &reading, take_key, &reading);
	if (bad_line != 0)
		complain(&reading, bad_line > 0 ? bad_line : reading.line,
			 "neither a section nor a key, [section] or key = value is expected");
	return !reading.failed;
}

/* Opened by name, not through openat: a configuration may be a link (Kubernetes and NixOS make it
 * one). */
static bool read_file(struct ini *ini, const char *path, char *error_out)
{
	auto_free char *text = calloc(1, FILE_MAX + 1);
	FILE *file = text ? fopen(path, "re") : NULL;
	if (!file) {
		snprintf(error_out, INI_ERROR_MAX,
			 "%s: %s, a readable configuration file is expected", path,
			 strerror(errno));
		return false;
	}
	size_t size = fread(text, 1, FILE_MAX, file);
	bool whole = !ferror(file) && feof(file);
	fclose(file);
	if (!whole || strlen(text) != size) {
		snprintf(error_out, INI_ERROR_MAX,
			 "%s:1: not a configuration, text of at most %d octets is expected", path,
			 FILE_MAX);
		return false;
	}
	return read_text(ini, text, path, true, error_out);
}

int ini_is_file(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);
	return entry->d_name[0] != '.' && length > 5 &&
	       strcmp(entry->d_name + length - 5, ".conf") == 0;
}

int ini_is_left_out(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);
	return entry->d_name[0] != '.' && entry->d_name[length - 1] != '~' && !ini_is_file(entry);
}

/* One of a folder: nobody has named it, so it may be anything. Followed, if it is a link. */
static bool is_no_file(const char *path)
{
	struct stat found;
	return stat(path, &found) == 0 && !S_ISREG(found.st_mode);
}

static bool read_entry(struct ini *ini, const char *path, char *error_out)
{
	if (!is_no_file(path))
		return read_file(ini, path, error_out);
	snprintf(error_out, INI_ERROR_MAX,
		 "%.400s: it is no file, a readable configuration file is expected", path);
	return false;
}

static bool read_folder(struct ini *ini, const char *path, char *error_out)
{
	struct dirent **found = NULL;
	int count = scandir(path, &found, ini_is_file, alphasort);
	bool good = count > 0;
	if (!good)
		snprintf(error_out, INI_ERROR_MAX,
			 "%s: no *.conf in this folder, at least one is expected", path);
	for (int i = 0; i < count; i++) {
		char file[4096];
		int length = snprintf(file, sizeof file, "%s/%s", path, found[i]->d_name);
		if (good && (size_t)length < sizeof file)
			good = read_entry(ini, file, error_out);
		free(found[i]);
	}
	free(found);
	return good;
}

bool ini_load(const char *path, struct ini *ini_out, char error_out[INI_ERROR_MAX])
{
	struct ini ini = { 0 };
	struct stat found;
	bool folder = stat(path, &found) == 0 && S_ISDIR(found.st_mode);
	if (folder ? read_folder(&ini, path, error_out) : read_file(&ini, path, error_out)) {
		*ini_out = ini;
		return true;
	}
	ini_done(&ini);
	return false;
}

bool ini_load_text(const char *text, const char *name, bool expand, struct ini *ini_out,
		   char error_out[INI_ERROR_MAX])
{
	struct ini ini = { 0 };
	if (read_text(&ini, text, name, expand, error_out)) {
		*ini_out = ini;
		return true;
	}
	ini_done(&ini);
	return false;
}

bool ini_is_of_variables(const struct ini *ini)
{
	return ini->files_count == 1 && strcmp(ini->files[0], INI_OF_VARIABLES) == 0;
}

void ini_done(struct ini *ini)
{
	for (size_t i = 0; i < ini->count; i++) {
		free(ini->lines[i].section);
		free(ini->lines[i].name);
		free(ini->lines[i].key);
		free(ini->lines[i].value);
	}
	for (size_t i = 0; i < ini->files_count; i++)
		free(ini->files[i]);
	free(ini->lines);
	free(ini->files);
	*ini = (struct ini){ 0 };
}

void ini_error(const struct ini *ini, size_t at, const char *text, char error_out[INI_ERROR_MAX])
{
	const struct ini_line *line = &ini->lines[at];
	snprintf(error_out, INI_ERROR_MAX, "%.250s:%d: %s", ini->files[line->file], line->line,
		 text);
}

bool ini_replace(struct ini *ini, size_t at, const char *value)
{
	char *copy = strdup(value);
	if (!copy)
		return false;
	free(ini->lines[at].value);
	ini->lines[at].value = copy;
	return true;
}

/* Each piece of a value in quotes of its own, so that nothing in it means anything. */
static void write_value(FILE *out, const char *value)
{
	fputc('"', out);
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\"\n\t\"", out);
		else {
			if (*value == '"' || *value == '\\')
				fputc('\\', out);
			fputc(*value, out);
		}
	}
	fputs("\"\n", out);
}

int ini_write(const struct ini *ini, int fd)
{
	auto_free char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return -errno;
	for (size_t i = 0; i < ini->count; i++) {
		const struct ini_line *line = &ini->lines[i];
		if (!line->key)
			fprintf(out, "[%s%s%s]\n", line->section, *line->name ? " " : "",
				line->name);
		else {
			fprintf(out, "%s = ", line->key);
			write_value(out, line->value);
		}
	}
	if (fclose(out) != 0)
		return -ENOMEM;
	return write_all(fd, text, size);
}
