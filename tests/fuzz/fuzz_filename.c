/* fuzz_filename.c: any bytes as a name. First octet: the room; the rest is the name. What comes out
 * must be safe, in normal form, within its room, and stay as it is when made safe again. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>
#include "policy/filename.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef void make_safe(const char *name, const char *fallback, char *safe, size_t max);

static void check_forms(const char *safe)
{
	utf8proc_uint8_t *composed = utf8proc_NFC((const utf8proc_uint8_t *)safe);
	utf8proc_uint8_t *decomposed = utf8proc_NFD((const utf8proc_uint8_t *)safe);
	assert(composed && strcmp((char *)composed, safe) == 0);
	assert(filename_fold((char *)decomposed) == filename_fold(safe));
	free(composed);
	free(decomposed);
}

static void check_letters(const char *safe, const char *never)
{
	assert(!strpbrk(safe, never) && !strstr(safe, ".."));
	for (const char *next = safe; *next; next++)
		assert((unsigned char)*next >= ' ' && *next != 0x7f);
	assert(*safe && !strchr(". ", safe[strlen(safe) - 1]));
}

static void check(make_safe *make, const char *name, size_t max, const char *never)
{
	char safe[256], again[256];
	make(name, "scan", safe, max);
	assert(strlen(safe) <= max);
	check_letters(safe, never);
	check_forms(safe);
	make(safe, "scan", again, max);
	assert(strcmp(safe, again) == 0);
}

static void check_stem(const char *name, size_t max)
{
	char stem[256], again[256];
	filename_stem(name, stem, max);
	filename_safe(stem, "scan", again, max);
	assert(strcmp(stem, again) == 0);
	filename_ascii(stem);
	filename_safe(stem, "scan", again, max);
	assert(strcmp(stem, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	size_t max = 8 + data[0] % (FILENAME_MAX_BYTES - 7);
	char *name = malloc(size);
	memcpy(name, data + 1, size - 1);
	name[size - 1] = '\0';
	check(filename_safe, name, max, "/\\:*?\"<>|`$;&'!#~^[]{}");
	check(filename_folder, name, max, "/\\:*?\"<>|");
	check_stem(name, max);
	filename_fold(name);
	free(name);
	return 0;
}
