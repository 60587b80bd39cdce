/* header.c: cuts a header block into fields. Never decodes a value and never changes the block. */
#include "extract/header.h"
#include <string.h>

/* The colon behind a field name; NULL: the line has no field name at its start. */
static const char *find_colon(struct span line)
{
	size_t i = 0;
	while (i < line.size && line.at[i] > ' ' && line.at[i] != ':' && line.at[i] != 0x7f)
		i++;
	size_t name = i;
	while (i < line.size && (line.at[i] == ' ' || line.at[i] == '\t'))
		i++;
	return name > 0 && i < line.size && line.at[i] == ':' ? line.at + i : NULL;
}

enum header_line header_line_kind(struct span line)
{
	while (line.size > 0 && (line.at[line.size - 1] == '\r' || line.at[line.size - 1] == '\n'))
		line.size--;
	if (line.size == 0)
		return HEADER_BLANK;
	if (line.at[0] == ' ' || line.at[0] == '\t')
		return HEADER_FOLD;
	/* a boundary may have a colon in it, a field name has no dashes in front */
	bool dashes = line.size > 1 && line.at[0] == '-' && line.at[1] == '-';
	return !dashes && find_colon(line) ? HEADER_FIELD : HEADER_JUNK;
}

/* The first line of the span, its end included. */
static struct span first_line(struct span span)
{
	const char *end = span.size ? memchr(span.at, '\n', span.size) : NULL;
	return end ? span_between(span.at, end + 1) : span;
}

/* The line and those that it is folded onto. */
static struct span first_folded(struct span rest)
{
	size_t size = first_line(rest).size;
	while (size < rest.size && (rest.at[size] == ' ' || rest.at[size] == '\t'))
		size += first_line(span_after(rest, size)).size;
	return span_first(rest, size);
}

bool header_next(struct span *rest, struct header_field *field_out)
{
	while (rest->size > 0) {
		struct span field = first_folded(*rest);
		const char *colon = find_colon(first_line(field));
		*rest = span_after(*rest, field.size);
		if (!colon)
			continue;
		field_out->name = span_trim_right(span_between(field.at, colon));
		field_out->spaced = field_out->name.at + field_out->name.size < colon;
		field_out->value = span_trim(span_between(colon + 1, field.at + field.size));
		return true;
	}
	return false;
}

bool header_may_name(struct span line, struct span name)
{
	size_t have = 0;
	for (size_t i = 0; i < line.size && line.at[i] != '\r' && line.at[i] != '\n'; i++) {
		uint8_t c = (uint8_t)line.at[i];
		bool blank = c == ' ' || c == '\t', whole = have == name.size;
		if (whole && c == ':')
			return true;
		if (blank ? whole : c < ' ' || c >= 0x7f)
			continue;
		if (whole || span_lower(line.at[i]) != span_lower(name.at[have++]))
			return false;
	}
	return false;
}

void header_unfold(struct span value, struct text *out)
{
	for (size_t i = 0; i < value.size; i++) {
		char c = value.at[i];
		bool folded = i > 0 && value.at[i - 1] == '\n';
		if (c != '\r' && c != '\n')
			text_put_octet(out, folded && c == '\t' ? ' ' : c);
	}
}

bool header_has_bare_cr(struct span value)
{
	for (size_t i = 0; i < value.size; i++) {
		if (value.at[i] != '\r')
			continue;
		while (i + 1 < value.size && value.at[i + 1] == '\r')
			i++;
		if (i + 1 < value.size && value.at[i + 1] != '\n')
			return true;
	}
	return false;
}
