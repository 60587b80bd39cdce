/* fuzz_template.c: the text of a template, a NUL, and what mails say, cut at NULs: subject, From,
 * To, name. What a template that was taken makes must be a safe path, whatever the mail says. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "policy/filename.h"
#include "policy/place.h"
#include "policy/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *next_text(const char **next, const char *end)
{
	const char *text = *next;
	if (text >= end)
		return "";
	*next = text + strlen(text) + 1;
	return text;
}

static void check_folder(char *path)
{
	char safe[FILENAME_MAX_BYTES + 1];
	assert(*path != '/');
	if (!*path)
		return;
	for (char *component; (component = strsep(&path, "/"));) {
		filename_folder(component, "unknown", safe, FILENAME_MAX_BYTES);
		assert(strcmp(component, safe) == 0);
		assert(*component != '.');
	}
}

static void check_name(const char *stem)
{
	struct place_name name = { .extension = "pdf" };
	char text[FILENAME_MAX_BYTES + 1], safe[FILENAME_MAX_BYTES + 1];
	assert(strlen(stem) < sizeof name.stem);
	strcpy(name.stem, stem);
	for (unsigned copy = 1; copy < 3; copy++) {
		place_number(&name, 1234567, copy, FILENAME_MAX_BYTES, text);
		assert(strlen(text) <= FILENAME_MAX_BYTES);
		assert(strcmp(text + strlen(text) - 4, ".pdf") == 0);
		assert(!place_name_has_seq(&name) || strstr(text, "1234567"));
		filename_safe(text, "scan", safe, FILENAME_MAX_BYTES);
		assert(strcmp(text, safe) == 0);
	}
}

static void expand(const struct template *template, enum template_kind kind,
		   const struct template_values *values)
{
	char text[PLACE_FOLDER_MAX + 1];
	if (!template_expand(template, kind, values, text,
			     kind == TEMPLATE_FOLDER ? sizeof text : 171))
		assert(!*text && kind == TEMPLATE_FOLDER);
	else if (kind == TEMPLATE_FOLDER)
		check_folder(text);
	else
		check_name(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	memcpy(text, data, size);
	text[size] = '\0';
	const char *next = text, *end = text + size;
	const char *template_text = next_text(&next, end);
	struct facts facts = { .source = "lan",
			       .from_state = FACTS_FROM_ONE,
			       .received = { .tm_year = 124 } };
	facts.subject = next_text(&next, end);
	facts.from = next_text(&next, end);
	struct template_values values = { .facts = &facts, .route = "all", .number = 7 };
	values.to = next_text(&next, end);
	char stem[FILENAME_MAX_BYTES + 1];
	filename_stem(next_text(&next, end), stem, FILENAME_MAX_BYTES);
	values.name = stem;
	for (int kind = TEMPLATE_FOLDER; kind <= TEMPLATE_NAME; kind++) {
		char error[TEMPLATE_ERROR_MAX] = "";
		struct template template;
		if (template_parse(template_text, kind, &template, error)) {
			expand(&template, kind, &values);
			template_done(&template);
		} else {
			assert(*error);
		}
	}
	free(text);
	return 0;
}
