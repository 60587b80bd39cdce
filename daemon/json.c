/* json.c: a thin cover over jansson. Never decides what a key means. */
#include "daemon/json.h"
#include <assert.h>
#include <jansson.h>
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
	return (struct json *)json_loads(text, 0, NULL);
}

char *json_line(const struct json *json)
{
	char *line = json_dumps(inner(json), JSON_COMPACT);
	if (!line)
		abort();
	return line;
}
