/* json.c: a thin cover over jansson. Never decides what a key means. */
#include "daemon/json.h"
#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* struct json is never defined: the pointers are jansson's. */
static json_t *inner(const struct json *json)
{
	return (json_t *)(uintptr_t)json;
}

static struct json *outer(json_t *json)
{
	if (!json)
		abort();
	return (struct json *)json;
}

struct json *json_object_new(void)
{
	return outer(json_object());
}

struct json *json_array_new(void)
{
	return outer(json_array());
}

void json_free(struct json *json)
{
	json_decref(inner(json));
}

static void put_value(struct json *json, const char *key, json_t *value)
{
	int failed = key ? json_object_set_new(inner(json), key, value)
			 : json_array_append_new(inner(json), value);
	if (failed)
		abort();
}

/* Latin-1 -> UTF-8 */
static json_t *text_of_octets(const char *text)
{
	size_t used = 0;
	char *copy = malloc(2 * strlen(text) + 1);
	if (!copy)
		abort();
	for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
		if (*s >= 0x80)
			copy[used++] = (char)(0xC0 | *s >> 6);
		copy[used++] = (char)(*s < 0x80 ? *s : (0x80 | (*s & 0x3F)));
	}
	json_t *json = json_stringn(copy, used);
	free(copy);
	return json;
}

void json_put_text(struct json *json, const char *key, const char *text)
{
	json_t *value = text ? json_string(text) : json_null();
	put_value(json, key, value ? value : text_of_octets(text));
}

void json_put_number(struct json *json, const char *key, int64_t number)
{
	put_value(json, key, json_integer(number));
}

void json_put_bool(struct json *json, const char *key, bool yes)
{
	put_value(json, key, json_boolean(yes));
}

void json_put(struct json *json, const char *key, struct json *value)
{
	put_value(json, key, inner(value));
}

const char *json_text(const struct json *json, const char *key)
{
	return json_string_value(json_object_get(inner(json), key));
}

struct json *json_get(const struct json *json, const char *key)
{
	return (struct json *)json_object_get(inner(json), key);
}

const char *json_text_at(const struct json *array, size_t index)
{
	return json_string_value(json_array_get(inner(array), index));
}

int64_t json_number(const struct json *json, const char *key)
{
	return json_integer_value(json_object_get(inner(json), key));
}

bool json_bool(const struct json *json, const char *key)
{
	return json_is_true(json_object_get(inner(json), key));
}

bool json_has(const struct json *json, const char *key)
{
	return json_object_get(inner(json), key) != NULL;
}

size_t json_count(const struct json *array)
{
	return json_array_size(inner(array));
}

struct json *json_at(const struct json *array, size_t index)
{
	return (struct json *)json_array_get(inner(array), index);
}

struct json *json_parse(const char *text)
{
	json_t *json = json_loads(text, 0, NULL);
	if (json && !json_is_object(json)) {
		json_decref(json);
		json = NULL;
	}
	return (struct json *)json;
}

/* DEL, and the controls U+0080 to U+009F in UTF-8: RFC 8259 leaves them as they are, terminals do
 * not. The octets of the one that starts at `s`, or 0. */
static size_t control_size(const char *s)
{
	const unsigned char *octets = (const unsigned char *)s;
	if (octets[0] == 0x7F)
		return 1;
	return octets[0] == 0xC2 && octets[1] >= 0x80 && octets[1] < 0xA0 ? 2 : 0;
}

#define ESCAPE_SIZE 6 /* octets of \u0080 */

/* Such a character is always inside a text. */
static char *escape_controls(const char *line)
{
	char *escaped = malloc(ESCAPE_SIZE * strlen(line) + 1), *end = escaped;
	if (!escaped)
		abort();
	for (size_t size; *line; line += size) {
		size = control_size(line);
		if (size == 0) {
			*end++ = *line;
			size = 1;
		} else
			end += sprintf(end, "\\u%04x", (unsigned char)line[size - 1]);
	}
	*end = '\0';
	return escaped;
}

static bool has_controls(const char *line)
{
	while (*line && control_size(line) == 0)
		line++;
	return *line;
}

char *json_line(const struct json *json)
{
	char *line = json_dumps(inner(json), JSON_COMPACT);
	if (!line)
		abort();
	if (!has_controls(line))
		return line;
	char *escaped = escape_controls(line);
	free(line);
	return escaped;
}
