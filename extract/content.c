/* content.c: reads Content-Type, -Disposition, -Transfer-Encoding and -ID. Never guesses from the
 * body. */
#include "extract/content.h"
#include <string.h>
#include "extract/charset.h"
#include "extract/header.h"
#include "extract/param.h"

enum field { FIELD_TYPE, FIELD_DISPOSITION, FIELD_ENCODING, FIELD_ID, FIELDS };

static const struct span field_names[FIELDS] = {
	[FIELD_TYPE] = { "Content-Type", 12 },
	[FIELD_DISPOSITION] = { "Content-Disposition", 19 },
	[FIELD_ENCODING] = { "Content-Transfer-Encoding", 25 },
	[FIELD_ID] = { "Content-ID", 10 },
};

/* Are two values the same but for blanks and case? */
static bool same_value(struct span a, struct span b)
{
	size_t i = 0, k = 0;
	for (;;) {
		while (i < a.size && span_is_blank(a.at[i]))
			i++;
		while (k < b.size && span_is_blank(b.at[k]))
			k++;
		if (i == a.size || k == b.size)
			return i == a.size && k == b.size;
		if (span_lower(a.at[i++]) != span_lower(b.at[k++]))
			return false;
	}
}

/* Keeps a field; of several that differ the one that `reading` takes. An empty one says nothing. */
static void keep_field(struct span *kept, struct span value, enum frame_reading reading,
		       bool *ambiguous)
{
	bool differs = kept->size > 0 && value.size > 0 && !same_value(*kept, value);
	*ambiguous |= differs;
	if (kept->size == 0 || (differs && reading == FRAME_READ_LAST))
		*kept = value;
}

/* Some readers end a field at a NUL. */
static struct span cut_nul(struct span value, enum frame_reading reading, bool *ambiguous)
{
	*ambiguous |= span_has(value, '\0');
	return reading == FRAME_READ_LAST ? span_before(value, '\0') : value;
}

static void gather(struct span block, enum frame_reading reading, struct span values[FIELDS],
		   bool *ambiguous)
{
	struct header_field field;
	for (unsigned i = 0; i < FIELDS; i++)
		values[i] = span_of("", 0);
	while (header_next(&block, &field))
		for (unsigned i = 0; i < FIELDS; i++)
			if (span_alike(field.name, field_names[i])) {
				bool differs = false;
				keep_field(&values[i], cut_nul(field.value, reading, &differs),
					   reading, &differs);
				*ambiguous |= differs && i != FIELD_ID;
			}
}

/* `text/plain, multipart/mixed`: two values in one field. */
static struct span choose(struct span list, enum frame_reading reading, bool *ambiguous)
{
	struct span chosen = span_before(list, ',');
	*ambiguous |= chosen.size < list.size;
	while (reading == FRAME_READ_LAST && chosen.size < list.size) {
		list = span_after(list, chosen.size + 1);
		chosen = span_before(list, ',');
	}
	return chosen;
}

/* ---- Content-Transfer-Encoding ---- */

static const struct {
	struct span name;
	enum decode_kind kind;
} encodings[] = {
	{ { "base64", 6 }, DECODE_BASE64 },   { { "quoted-printable", 16 }, DECODE_QP },
	{ { "x-uuencode", 10 }, DECODE_UU },  { { "uuencode", 8 }, DECODE_UU },
	{ { "x-uue", 5 }, DECODE_UU },        { { "uue", 3 }, DECODE_UU },
	{ { "base-64", 7 }, DECODE_BASE64 },  { { "quotedprintable", 15 }, DECODE_QP },
	{ { "x-base64", 8 }, DECODE_BASE64 },
};

/* Quotes, comments, semicolons and blanks around the name go: `"base64";`, `base64 (see RFC)`. */
static enum decode_kind read_encoding(struct span value, enum frame_reading reading,
				      bool *ambiguous)
{
	char bytes[64];
	struct text name = text_in(bytes, sizeof bytes);
	struct span rest;
	param_split(value, &name, &rest);
	struct span chosen = choose(text_span(&name), reading, ambiguous);
	for (size_t i = 0; i < sizeof encodings / sizeof encodings[0]; i++)
		if (span_alike(chosen, encodings[i].name))
			return encodings[i].kind;
	return DECODE_IDENTITY;
}

/* ---- Content-Type ---- */

static bool starts(const struct content *content, const char *start)
{
	return strncmp(content->type, start, strlen(start)) == 0;
}

static bool is(const struct content *content, const char *type)
{
	return strcmp(content->type, type) == 0;
}

static void set_type(struct content *content, struct span type)
{
	struct text text = text_in(content->type, sizeof content->type - 1);
	text_put(&text, type);
	text_finish(&text, text.max);
	content->type[text.size] = '\0';
}

/* Something, a slash, something. */
static bool is_type(struct span type)
{
	struct span main = span_before(type, '/');
	return main.size > 0 && main.size + 1 < type.size;
}

/* What a type counts as that is none: `text` is text, `multipart` is mixed; anything else
 * (`x-sun-attachment`, `<html>`) is not, although RFC 2045 section 5.2 says so: readers agree that
 * it is a file. */
static struct span mend_type(struct span type, bool in_digest)
{
	if (is_type(type))
		return type;
	if (type.size == 0 && in_digest)
		return SPAN("message/rfc822");
	if (span_alike(span_before(type, '/'), SPAN("multipart")))
		return SPAN("multipart/mixed");
	bool text = type.size == 0 || span_starts_alike(type, SPAN("text"));
	return text ? SPAN("text/plain") : SPAN("application/octet-stream");
}

static enum content_kind kind_of(const struct content *content)
{
	if (starts(content, "multipart/"))
		return CONTENT_MULTIPART;
	if (is(content, "message/rfc822") || is(content, "message/global") ||
	    is(content, "message/news"))
		return CONTENT_MESSAGE;
	return starts(content, "message/") ? CONTENT_REPORT : CONTENT_LEAF;
}

static bool take(struct content *content, enum param_result result)
{
	content->ambiguous |= result == PARAM_DIFFERS;
	return result != PARAM_NONE;
}

static void read_boundary(struct content *content, struct span params, enum frame_reading reading)
{
	struct text text = text_in(content->boundary, sizeof content->boundary);
	take(content, param_token(params, SPAN("boundary"), reading, &text));
	content->boundary_size = span_trim_right(text_span(&text)).size;
	content->boundary_cut = text.cut;
}

static void read_charset(struct content *content, struct span params, enum frame_reading reading)
{
	char bytes[64];
	struct text text = text_in(bytes, sizeof bytes);
	take(content, param_token(params, SPAN("charset"), reading, &text));
	/* `us-ascii (plain text)` */
	content->charset = charset_find(span_before(text_span(&text), '('));
}

static void read_type(struct content *content, struct span value, bool in_digest,
		      enum frame_reading reading, struct span *params)
{
	char bytes[FRAME_TYPE_MAX];
	struct text type = text_in(bytes, sizeof bytes - 1);
	param_split(value, &type, params);
	set_type(content,
		 mend_type(choose(text_span(&type), reading, &content->ambiguous), in_digest));
	content->kind = kind_of(content);
	content->digest = is(content, "multipart/digest");
	content->html = is(content, "text/html");
	read_boundary(content, *params, reading);
	read_charset(content, *params, reading);
}

/* ---- names ---- */

/* Windows programs write whole paths without escaping their backslashes; those of an attachment are
 * kept, so that its name can be told from its folders. In pictures inside HTML (Netscape's
 * C:\TEMP\nsmailEG.png) the RFC holds, as it does for every other reader. */
static enum param_backslash backslash_of(const struct content *content)
{
	return content->disposition == FRAME_DISPOSITION_INLINE ? PARAM_BACKSLASH_PAIR
								: PARAM_BACKSLASH_PATH;
}

static bool read_name(struct content *content, struct span params, struct span attribute,
		      enum frame_reading reading)
{
	char bytes[2 * FRAME_NAME_MAX];
	struct text name = text_in(bytes, sizeof bytes);
	take(content, param_text(params, attribute, reading, backslash_of(content), &name));
	text_finish(&name, sizeof content->name);
	struct span trimmed = span_trim(text_span(&name));
	if (trimmed.size > 0)
		memcpy(content->name, trimmed.at, trimmed.size);
	content->name_size = trimmed.size;
	return trimmed.size > 0;
}

/* The name where it should be, then where old devices put it. A report has none: it is no file. */
static void read_names(struct content *content, struct span type_params,
		       struct span disposition_params, enum frame_reading reading)
{
	bool named = read_name(content, disposition_params, SPAN("filename"), reading) ||
		     read_name(content, type_params, SPAN("name"), reading) ||
		     read_name(content, type_params, SPAN("filename"), reading) ||
		     read_name(content, disposition_params, SPAN("name"), reading);
	if (!named || content->kind == CONTENT_REPORT)
		content->name_size = 0;
}

/* ---- Content-Disposition ---- */

static void read_disposition(struct content *content, struct span value, struct span *params)
{
	char bytes[64];
	struct text word = text_in(bytes, sizeof bytes);
	param_split(value, &word, params);
	struct span named = text_span(&word);
	/* what we do not know is an attachment (RFC 2183 section 2.8) */
	if (span_alike(named, SPAN("inline")))
		content->disposition = FRAME_DISPOSITION_INLINE;
	else if (named.size > 0)
		content->disposition = FRAME_DISPOSITION_ATTACHMENT;
}

static void read_id(struct content *content, struct span value)
{
	struct span id = span_trim(value);
	if (id.size > 1 && id.at[0] == '<' && id.at[id.size - 1] == '>')
		id = span_of(id.at + 1, id.size - 2);
	if (id.size <= sizeof content->cid) {
		memcpy(content->cid, id.at, id.size);
		content->cid_size = id.size;
	}
}

void content_read(struct span block, bool in_digest, enum frame_reading reading,
		  struct content *content_out)
{
	struct span values[FIELDS], type_params, disposition_params;
	content_out->ambiguous = false;
	content_out->disposition = FRAME_DISPOSITION_NONE;
	content_out->cid_size = 0;
	gather(block, reading, values, &content_out->ambiguous);
	read_type(content_out, values[FIELD_TYPE], in_digest, reading, &type_params);
	read_disposition(content_out, values[FIELD_DISPOSITION], &disposition_params);
	read_names(content_out, type_params, disposition_params, reading);
	content_out->encoding =
		read_encoding(values[FIELD_ENCODING], reading, &content_out->ambiguous);
	content_out->too_many = param_too_many(type_params) || param_too_many(disposition_params);
	read_id(content_out, values[FIELD_ID]);
}

bool content_is_text_body(const struct content *content)
{
	if (content->kind == CONTENT_REPORT)
		return true;
	return starts(content, "text/") && content->name_size == 0 &&
	       content->disposition != FRAME_DISPOSITION_ATTACHMENT;
}
