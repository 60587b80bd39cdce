/* fields.c: cuts a header into fields. Never mends anything. */
#include "daemon/prover/fields.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool fields_init(struct fields *fields, size_t max)
{
	*fields = (struct fields){ .max = max, .text = malloc(max + 1) };
	return fields->text != NULL;
}

void fields_done(struct fields *fields)
{
	free(fields->text);
	*fields = (struct fields){ 0 };
}

static enum fields_state fail(struct fields *fields, const char *why)
{
	fields->why = why;
	fields->over = true;
	return FIELDS_BAD;
}

static bool is_blank(char octet)
{
	return octet == ' ' || octet == '\t';
}

static bool is_all_blank(const char *line, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if ((unsigned char)line[i] > ' ' && line[i] != 0x7F)
			return false;
	}
	return true;
}

/* Dashes in front may be a delimiter, not a name. */
static bool is_field(const char *line, size_t size)
{
	size_t name = 0;
	while (name < size && line[name] > ' ' && line[name] <= '~' && line[name] != ':')
		name++;
	return name > 0 && name < size && line[name] == ':' &&
	       !(name > 1 && line[0] == '-' && line[1] == '-');
}

/* NULL: it is a line that everybody reads alike. `size`: without its CRLF. */
static const char *find_fault(const struct fields *fields, const char *line, size_t size)
{
	bool first = fields->field == 0;
	if (memchr(line, '\0', size))
		return "a NUL in the header";
	if (memchr(line, '\r', size))
		return "a CR in the header that ends no line";
	if (size == 0)
		return first ? "the message begins with a line end" : NULL;
	if (is_blank(line[0]))
		return first                      ? "the header begins with a folded line"
		       : is_all_blank(line, size) ? "a blank line in the header"
						  : NULL;
	return is_field(line, size) ? NULL : "a line in the header that is no field";
}

/* The line is complete. FIELDS_MORE: it was folded onto its field, or is the first one. */
static enum fields_state end_line(struct fields *fields)
{
	const char *line = fields->text + fields->field;
	size_t size = fields->end - fields->field - 2;
	const char *fault = find_fault(fields, line, size);
	if (fault)
		return fail(fields, fault);
	if (fields->field == 0 || (size > 0 && is_blank(line[0]))) {
		fields->field = fields->end;
		return FIELDS_MORE;
	}
	fields->size = fields->field - 2;
	fields->over = size == 0;
	fields->given = true;
	return FIELDS_FIELD;
}

/* What is behind the field that was given is the next one. */
static void drop_field(struct fields *fields)
{
	size_t rest = fields->end - fields->field;
	memmove(fields->text, fields->text + fields->field, rest);
	fields->field = fields->end = rest;
	fields->given = false;
}

static bool is_line_whole(const struct fields *fields)
{
	return fields->end >= fields->field + 2 && fields->text[fields->end - 1] == '\n';
}

enum fields_state fields_take(struct fields *fields, const char **at_io, size_t *left_io)
{
	if (fields->over)
		return fields->why ? FIELDS_BAD : FIELDS_END;
	if (fields->given)
		drop_field(fields);
	while (*left_io > 0) {
		const char *lf = memchr(*at_io, '\n', *left_io);
		size_t piece = lf ? (size_t)(lf - *at_io) + 1 : *left_io;
		if (piece > fields->max - fields->total)
			return fail(fields, "the header is too long");
		memcpy(fields->text + fields->end, *at_io, piece);
		fields->end += piece;
		fields->total += piece;
		*at_io += piece;
		*left_io -= piece;
		enum fields_state state = is_line_whole(fields) ? end_line(fields) : FIELDS_MORE;
		if (state != FIELDS_MORE)
			return state;
	}
	return FIELDS_MORE;
}

bool fields_is(const struct fields *fields, const char *name)
{
	size_t size = strlen(name);
	return fields->size > size && fields->text[size] == ':' &&
	       strncasecmp(fields->text, name, size) == 0;
}

const char *fields_value(const struct fields *fields, size_t *size_out)
{
	const char *colon = memchr(fields->text, ':', fields->size);
	*size_out = fields->size - (size_t)(colon + 1 - fields->text);
	return colon + 1;
}
