/* json.h: JSON objects, put together and printed. Ground of daemon; the only file that knows
 * jansson.
 *
 * A struct json is owned by whoever made it until it is put into another one. Texts that are not
 * UTF-8 are taken octet by octet as Latin-1, so that nothing from outside can make an object fail.
 * Out of memory ends the program: whoever prints reports can be started again. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json;

struct json *json_object_new(void);
struct json *json_array_new(void);
void json_free(struct json *json);

/* Sets a key of an object, or with a NULL key adds to an array. `text` NULL: null. */
void json_put_text(struct json *json, const char *key, const char *text);
void json_put_number(struct json *json, const char *key, int64_t number);
void json_put_bool(struct json *json, const char *key, bool yes);
void json_put(struct json *json, const char *key, struct json *value);

/* NULL or 0 where there is no such key. Borrowed. */
const char *json_text(const struct json *json, const char *key);
struct json *json_get(const struct json *json, const char *key);
const char *json_text_at(const struct json *array, size_t index);
int64_t json_number(const struct json *json, const char *key);
bool json_bool(const struct json *json, const char *key);
bool json_has(const struct json *json, const char *key);

size_t json_count(const struct json *array);
struct json *json_at(const struct json *array, size_t index);

/* Reads an object. NULL: it is none. The text may be anybody's: what nests deeply is refused. */
struct json *json_parse(const char *text);

/* One line without line feed, and without anything that a terminal would obey; the caller's to
 * free. */
char *json_line(const struct json *json);
