/* param.c: cuts a field into parameters and puts a parameter together. Never allocates, never
 * decides what a name is good for. */
#include "extract/param.h"
#include <string.h>
#include "extract/charset.h"
#include "extract/limits.h"
#include "extract/word.h"

/* Blanks and NUL: some devices end their values with one. */
static bool is_gap(char c)
{
	return span_is_blank(c) || c == '\0';
}

static struct span skip_gap(struct span span)
{
	while (span.size > 0 && is_gap(span.at[0]))
		span = span_after(span, 1);
	return span;
}

/* The length of the comment that the span starts with, nested ones included (RFC 5322 section
 * 3.2.2); the whole span where it never closes. */
static size_t comment_size(struct span span)
{
	size_t depth = 0;
	for (size_t i = 0; i < span.size; i++) {
		if (span.at[i] == '\\')
			i++;
		else if (span.at[i] == '(')
			depth++;
		else if (span.at[i] == ')' && --depth == 0)
			return i + 1;
	}
	return span.size;
}

/* A character of a token (RFC 2045 section 5.1); `*` of RFC 2231 included, 8-bit too. */
static bool is_name_character(char c)
{
	return (uint8_t)c > ' ' && c != 0x7f && !strchr("()<>@,;:\\\"/[]?=", c);
}

/* Does `name =` come next? Its length with the `=`, else 0. */
static size_t name_ahead(struct span span)
{
	size_t name = 0;
	while (name < span.size && is_name_character(span.at[name]))
		name++;
	size_t i = name;
	while (i < span.size && is_gap(span.at[i]))
		i++;
	return name > 0 && i < span.size && span.at[i] == '=' ? i + 1 : 0;
}

/* Looks ahead for `name =` from a place where a name may start: at the front or behind a gap. */
static bool starts_param(struct span field, size_t at)
{
	return (at == 0 || is_gap(field.at[at - 1])) &&
	       name_ahead(span_first(span_after(field, at), 64)) > 0;
}

/* Is `type/subtype` whole, so that what follows behind a gap is not part of it? */
static bool is_whole_type(const struct text *word)
{
	char last = word->size > 0 ? word->at[word->size - 1] : '/';
	return last != '/' && last != ',' && span_has(text_span(word), '/');
}

void param_split(struct span field, struct text *word_out, struct span *rest)
{
	size_t at = 0;
	bool whole = false;
	/* a name and `=` without a semicolon before them: `attachment filename=x` */
	while (at < field.size && field.at[at] != ';' && !starts_param(field, at)) {
		char c = field.at[at];
		if (c == '(') {
			at += comment_size(span_after(field, at));
			continue;
		}
		at++;
		whole |= is_gap(c) && at < field.size && field.at[at] != '/' &&
			 is_whole_type(word_out);
		if (!is_gap(c) && c != '"' && !whole)
			text_put_octet(word_out, span_lower(c));
	}
	*rest = span_after(field, at);
}

/* Does a quote that is followed by this end the value? Else it is a quote that the device did not
 * escape. */
static bool ends_value(struct span behind)
{
	behind = skip_gap(behind);
	return behind.size == 0 || behind.at[0] == ';' || behind.at[0] == '(' ||
	       behind.at[0] == ',' || name_ahead(span_first(behind, 64)) > 0;
}

/* A value in quotes, from behind the first one. Where the quote never closes it ends with its line
 * or its semicolon. */
static struct span take_quoted(struct param_cursor *cursor)
{
	struct span value = cursor->rest;
	for (size_t i = 0; i < value.size && !cursor->unclosed; i++) {
		if (value.at[i] == '\\' && i + 1 < value.size && value.at[i + 1] == '\\')
			i++;
		else if (value.at[i] == '\\' && i + 1 < value.size && value.at[i + 1] == '"' &&
			 !ends_value(span_after(value, i + 2)))
			i++;
		else if (value.at[i] == '"' && ends_value(span_after(value, i + 1))) {
			cursor->rest = span_after(value, i + 1);
			return span_first(value, i);
		}
	}
	cursor->unclosed = true;
	struct span cut = span_before(span_before(value, ';'), '\n');
	cursor->rest = span_after(value, cut.size);
	return span_trim(span_before(cut, '"'));
}

/* A value without quotes runs to the semicolon, blanks and all; a name and `=` on its next line
 * start a parameter whose semicolon is missing. */
static struct span take_bare(struct param_cursor *cursor)
{
	struct span value = cursor->rest;
	size_t i = 0;
	for (; i < value.size && value.at[i] != ';'; i++)
		if (i > 0 && starts_param(value, i))
			break;
	cursor->rest = span_after(value, i);
	value = span_first(value, i);
	while (value.size > 0 && is_gap(value.at[value.size - 1]))
		value.size--;
	return value;
}

/* The number of a section; -1: these are no digits. */
static int read_section(struct span digits)
{
	int section = 0;
	for (size_t i = 0; i < digits.size; i++) {
		if (!span_is_digit(digits.at[i]))
			return -1;
		/* one that is too high stays too high */
		if (section < LIMIT_SECTIONS_MAX)
			section = section * 10 + (digits.at[i] - '0');
	}
	return section;
}

/* `name*`, `name*3`, `name*3*` (RFC 2231 section 7); stars in other places are part of the name. */
static void read_stars(struct param *param)
{
	struct span name = param->name;
	param->section = -1;
	param->encoded = name.size > 1 && name.at[name.size - 1] == '*';
	if (param->encoded)
		name.size--;
	struct span base = span_before(name, '*');
	if (base.size > 0 && base.size + 1 < name.size)
		param->section = read_section(span_after(name, base.size + 1));
	param->name = param->section >= 0 ? base : name;
}

/* To where the next parameter may start. */
static struct span skip_separators(struct span rest)
{
	while (rest.size > 0) {
		if (is_gap(rest.at[0]) || rest.at[0] == ';' || rest.at[0] == ',')
			rest = span_after(rest, 1);
		else if (rest.at[0] == '(')
			rest = span_after(rest, comment_size(rest));
		else
			break;
	}
	return rest;
}

/* Junk where a name should be: on to the next semicolon, over a quoted text that may hold one. */
static void skip_junk(struct param_cursor *cursor)
{
	char c = cursor->rest.at[0];
	cursor->rest = span_after(cursor->rest, 1);
	if (c == '"')
		take_quoted(cursor);
	else if (c != '=')
		take_bare(cursor);
}

static void take_param(struct param_cursor *cursor, size_t ahead, struct param *param_out)
{
	struct span name = span_first(cursor->rest, ahead - 1);
	while (is_gap(name.at[name.size - 1]))
		name.size--;
	cursor->rest = skip_gap(span_after(cursor->rest, ahead));
	param_out->name = name;
	param_out->quoted = cursor->rest.size > 0 && cursor->rest.at[0] == '"';
	if (param_out->quoted)
		cursor->rest = span_after(cursor->rest, 1);
	param_out->value = param_out->quoted ? take_quoted(cursor) : take_bare(cursor);
	read_stars(param_out);
}

bool param_next(struct param_cursor *cursor, struct param *param_out)
{
	for (;;) {
		cursor->rest = skip_separators(cursor->rest);
		if (cursor->rest.size == 0)
			return false;
		size_t ahead = name_ahead(cursor->rest);
		if (ahead > 0) {
			take_param(cursor, ahead, param_out);
			return true;
		}
		skip_junk(cursor);
	}
}

bool param_too_many(struct span params)
{
	struct param_cursor cursor = { .rest = params };
	struct param param;
	size_t count = 0;
	while (param_next(&cursor, &param))
		if (++count > LIMIT_PARAMS_MAX)
			return true;
	return false;
}

/* What a field has of one parameter. */
struct found {
	bool differs;
	bool has_plain, has_whole; /* name=, name*= */
	unsigned sections;         /* section 0 to sections - 1 are there */
	struct param plain, whole;
	struct param section[LIMIT_SECTIONS_MAX];
	bool has_section[LIMIT_SECTIONS_MAX];
};

static void keep(struct found *found, bool *has, struct param *kept, const struct param *param,
		 enum frame_reading reading)
{
	bool differs = *has && !span_equal(kept->value, param->value);
	found->differs |= differs;
	if (!*has || (differs && reading == FRAME_READ_LAST))
		*kept = *param;
	*has = true;
}

static void gather(struct span params, struct span name, enum frame_reading reading,
		   struct found *found)
{
	struct param_cursor cursor = { .rest = params };
	struct param param;
	found->differs = found->has_plain = found->has_whole = false;
	memset(found->has_section, 0, sizeof found->has_section);
	while (param_next(&cursor, &param)) {
		if (!span_alike(param.name, name))
			continue;
		if (param.section >= LIMIT_SECTIONS_MAX)
			continue;
		if (param.section >= 0)
			keep(found, &found->has_section[param.section],
			     &found->section[param.section], &param, reading);
		else if (param.encoded)
			keep(found, &found->has_whole, &found->whole, &param, reading);
		else
			keep(found, &found->has_plain, &found->plain, &param, reading);
	}
	for (found->sections = 0; found->sections < LIMIT_SECTIONS_MAX; found->sections++)
		if (!found->has_section[found->sections])
			break;
}

static bool is_pair(struct span rest, enum param_backslash backslash)
{
	return rest.size > 1 && rest.at[0] == '\\' &&
	       (backslash == PARAM_BACKSLASH_PAIR || rest.at[1] == '"' || rest.at[1] == '\\');
}

/* Takes quoted pairs and folds out. */
static void put_unquoted(const struct param *param, enum param_backslash backslash,
			 struct text *out)
{
	for (struct span rest = param->value; rest.size > 0; rest = span_after(rest, 1)) {
		bool folded = rest.at > param->value.at && rest.at[-1] == '\n';
		if (param->quoted && is_pair(rest, backslash))
			rest = span_after(rest, 1);
		if (rest.at[0] != '\r' && rest.at[0] != '\n')
			text_put_octet(out, folded && rest.at[0] == '\t' ? ' ' : rest.at[0]);
	}
}

/* Cuts `charset'language'` off the front; false: it is not there. */
static bool take_charset(struct span *value, struct span *charset_out)
{
	struct span charset = span_before(*value, '\'');
	if (charset.size == value->size)
		return false;
	struct span rest = span_after(*value, charset.size + 1), language = span_before(rest, '\'');
	if (language.size == rest.size)
		return false;
	*charset_out = charset;
	*value = span_after(rest, language.size + 1);
	return true;
}

/* How a value is wanted. */
struct wanted {
	bool for_people;
	enum frame_reading reading;
	enum param_backslash backslash;
};

static void put_section(const struct param *param, struct wanted wanted, struct text *out)
{
	if (param->encoded)
		word_unescape(param->value, out);
	else
		put_unquoted(param, wanted.backslash, out);
}

/* The form of RFC 2231: one whole value or sections. The bytes are put together before they are
 * converted, since a section may end within a character. */
static void put_extended(const struct found *found, bool whole, struct wanted wanted,
			 struct text *out)
{
	char bytes[2 * FRAME_NAME_MAX];
	struct text joined = text_in(bytes, sizeof bytes);
	struct param first = whole ? found->whole : found->section[0];
	struct span charset = { "", 0 };
	bool coded = first.encoded && take_charset(&first.value, &charset);
	put_section(&first, wanted, &joined);
	for (unsigned i = 1; !whole && i < found->sections; i++)
		put_section(&found->section[i], wanted, &joined);
	if (!wanted.for_people)
		text_put(out, text_span(&joined));
	else if (coded)
		charset_convert(charset_find(charset), text_span(&joined), out);
	else
		word_decode(text_span(&joined),
			    out); /* words in sections: against the RFC, and met */
}

static void put_plain(const struct param *param, struct wanted wanted, struct text *out)
{
	char bytes[2 * FRAME_NAME_MAX];
	struct text unquoted = text_in(bytes, sizeof bytes);
	put_unquoted(param, wanted.backslash, &unquoted);
	if (wanted.for_people)
		word_decode(text_span(&unquoted), out);
	else
		text_put(out, text_span(&unquoted));
}

/* `value (comment)`: where the comment begins, else the end. */
static size_t before_comment(struct span value)
{
	for (size_t i = 1; i < value.size; i++)
		if (value.at[i] == '(' && is_gap(value.at[i - 1]) &&
		    comment_size(span_after(value, i)) == value.size - i)
			return span_trim_right(span_first(value, i)).size;
	return value.size;
}

/* What a machine reads in a plain value: pairs and comments taken out. Some readers take neither
 * out: then it is as it is written. Returns whether that makes a difference. */
static bool mend_token(struct param *param, enum frame_reading reading)
{
	size_t size = param->quoted ? param->value.size : before_comment(param->value);
	bool differs = size < param->value.size || (param->quoted && span_has(param->value, '\\'));
	if (reading == FRAME_READ_LAST)
		param->quoted = false;
	else
		param->value.size = size;
	return differs;
}

static enum param_result param_value(struct span params, struct span name, struct wanted wanted,
				     struct text *out)
{
	struct found found;
	gather(params, name, wanted.reading, &found);
	if (found.has_plain && !wanted.for_people)
		found.differs |= mend_token(&found.plain, wanted.reading);
	bool both = found.has_whole && found.sections > 0;
	bool whole = found.has_whole && !(both && wanted.reading == FRAME_READ_LAST);
	if (whole || found.sections > 0)
		put_extended(&found, whole, wanted, out);
	else if (found.has_plain)
		put_plain(&found.plain, wanted, out);
	else
		return PARAM_NONE;
	return found.differs || both ? PARAM_DIFFERS : PARAM_FOUND;
}

enum param_result param_text(struct span params, struct span name, enum frame_reading reading,
			     enum param_backslash backslash, struct text *out)
{
	return param_value(params, name, (struct wanted){ true, reading, backslash }, out);
}

enum param_result param_token(struct span params, struct span name, enum frame_reading reading,
			      struct text *out)
{
	return param_value(params, name, (struct wanted){ false, reading, PARAM_BACKSLASH_PAIR },
			   out);
}
