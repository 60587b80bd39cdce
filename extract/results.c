/* results.c: takes an Authentication-Results field apart, element by element. Never looks for
 * something within what it does not understand, and never repairs it. */
#include "extract/results.h"
#include <string.h>
#include "extract/header.h"
#include "extract/limits.h"

/* What is left of the field. Once it is bad nothing is left. */
struct cursor {
	struct span rest;
	bool bad;
};

static void fail(struct cursor *cursor)
{
	cursor->rest = span_after(cursor->rest, cursor->rest.size);
	cursor->bad = true;
}

/* ---- tokens ---- */

static bool is_at(const struct cursor *cursor, char c)
{
	return cursor->rest.size > 0 && cursor->rest.at[0] == c;
}

static bool take_mark(struct cursor *cursor, char c)
{
	bool there = is_at(cursor, c);
	if (there)
		cursor->rest = span_after(cursor->rest, 1);
	return there;
}

/* The length of the comment at the start (RFC 5322 section 3.2.2); 0: it never closes, or nests too
 * deep. */
static size_t comment_size(struct span rest)
{
	unsigned depth = 0;
	for (size_t i = 0; i < rest.size && depth <= LIMIT_COMMENTS_MAX; i++) {
		if (rest.at[i] == '\\')
			i++;
		else if (rest.at[i] == '(')
			depth++;
		else if (rest.at[i] == ')' && --depth == 0)
			return i + 1;
	}
	return 0;
}

/* Blanks, folds and comments (CFWS); false: there are none. */
static bool skip_gap(struct cursor *cursor)
{
	const char *start = cursor->rest.at;
	cursor->rest = span_trim_left(cursor->rest);
	while (is_at(cursor, '(')) {
		size_t size = comment_size(cursor->rest);
		if (size == 0)
			fail(cursor);
		cursor->rest = span_trim_left(span_after(cursor->rest, size));
	}
	return cursor->rest.at > start;
}

static struct span take_run(struct cursor *cursor, bool (*fits)(char c))
{
	size_t size = 0;
	while (size < cursor->rest.size && fits(cursor->rest.at[size]))
		size++;
	struct span run = span_first(cursor->rest, size);
	cursor->rest = span_after(cursor->rest, size);
	return run;
}

/* RFC 5321's Keyword, and the underscore of `policy.is_org`. */
static bool is_keyword_octet(char c)
{
	char lower = span_lower(c);
	return (lower >= 'a' && lower <= 'z') || span_is_digit(c) || c == '-' || c == '_';
}

static bool is_domain_octet(char c)
{
	return is_keyword_octet(c) || c == '.';
}

/* RFC 2045's token. */
static bool is_token_octet(char c)
{
	return c > ' ' && c < 0x7f && !strchr("()<>@,;:\\\"/[]?=", c);
}

/* What a value may have that is not quoted. Beside tokens and addresses receivers put there
 * addresses of the network, base64 and fractions; what ends a value is clear all the same. */
static bool is_value_octet(char c)
{
	return (uint8_t)c > ' ' && c != 0x7f && !strchr("()<>,;\\\"", c);
}

/* What is between the quotes, backslashes still in it. */
static struct span take_quoted(struct cursor *cursor)
{
	struct span rest = cursor->rest;
	for (size_t i = 1; i < rest.size; i++) {
		if (rest.at[i] == '\\') {
			i++;
		} else if (rest.at[i] == '"') {
			cursor->rest = span_after(rest, i + 1);
			return span_between(rest.at + 1, rest.at + i);
		}
	}
	fail(cursor);
	return cursor->rest;
}

/* A pvalue; of `"local part"@domain` what is behind the quotes. */
static struct span take_value(struct cursor *cursor)
{
	bool quoted = is_at(cursor, '"');
	struct span value = quoted ? take_quoted(cursor) : take_run(cursor, is_value_octet);
	if (quoted && is_at(cursor, '@'))
		value = take_run(cursor, is_value_octet);
	else if (!quoted && value.size == 0)
		fail(cursor);
	return value;
}

/* A version is 1 where it is not said. What another one means is not known. */
static bool is_known_version(struct span digits)
{
	return span_equal(digits, SPAN("1"));
}

/* ---- domains ---- */

/* Labels of letters, digits, dashes and underscores, none of them empty. */
static bool is_domain(struct span text)
{
	bool dot = true;
	for (size_t i = 0; i < text.size; i++) {
		if (text.at[i] == '.' ? dot : !is_keyword_octet(text.at[i]))
			return false;
		dot = text.at[i] == '.';
	}
	return !dot && text.size <= FRAME_DOMAIN_MAX;
}

static void put_lower(struct span text, char *out)
{
	for (size_t i = 0; i < text.size; i++)
		out[i] = span_lower(text.at[i]);
}

/* What is behind the last @; the whole text where there is none. */
static struct span behind_at(struct span text)
{
	size_t from = text.size;
	while (from > 0 && text.at[from - 1] != '@')
		from--;
	return span_after(text, from);
}

/* ---- one result ---- */

/* A property that is looked at; one that comes twice is as good as none. */
struct property {
	struct span value;
	unsigned count;
};

struct result {
	bool pass;
	struct property from, d, i; /* header.from, header.d, header.i */
};

static void keep_property(struct result *result, struct span name, struct span value)
{
	struct {
		struct span name;
		struct property *property;
	} kept[] = {
		{ SPAN("from"), &result->from },
		{ SPAN("d"), &result->d },
		{ SPAN("i"), &result->i },
	};
	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
		if (!span_alike(name, kept[i].name))
			continue;
		kept[i].property->value = value;
		kept[i].property->count++;
	}
}

/* `ptype.property=value`, `property=value` or `reason=value`. */
static void read_property(struct cursor *cursor, struct result *result)
{
	struct span type = { NULL, 0 }, name = take_run(cursor, is_keyword_octet);
	skip_gap(cursor);
	bool typed = name.size > 0 && take_mark(cursor, '.');
	if (typed) {
		skip_gap(cursor);
		type = name;
		name = take_run(cursor, is_keyword_octet);
		skip_gap(cursor);
	}
	if (name.size == 0 || !take_mark(cursor, '=')) {
		fail(cursor);
		return;
	}
	skip_gap(cursor);
	struct span value = take_value(cursor);
	if (typed && span_alike(type, SPAN("header")))
		keep_property(result, name, value);
}

static void put_dmarc(const struct result *result, struct frame_results *out)
{
	bool only = ++out->dmarc == 1;
	out->dmarc_pass = only && result->pass;
	memset(out->dmarc_from, 0, sizeof out->dmarc_from);
	if (only && result->from.count == 1 && is_domain(behind_at(result->from.value)))
		put_lower(behind_at(result->from.value), out->dmarc_from);
}

/* header.d, or where there is none the domain of header.i; empty: neither is there once. */
static struct span signer_of(const struct result *result)
{
	if (result->d.count == 1)
		return result->d.value;
	bool identity = result->d.count == 0 && result->i.count == 1;
	return identity && span_has(result->i.value, '@') ? behind_at(result->i.value) : SPAN("");
}

static void put_dkim(const struct result *result, struct frame_results *out)
{
	struct span signer = signer_of(result);
	if (result->pass && is_domain(signer) && out->signers < FRAME_SIGNERS_MAX)
		put_lower(signer, out->signer[out->signers++]);
}

/* `[/version]=result` and the properties behind it. */
static void read_result(struct cursor *cursor, struct span method, struct frame_results *out)
{
	struct result result = { .pass = false };
	struct span version = SPAN("1");
	if (take_mark(cursor, '/')) {
		skip_gap(cursor);
		version = take_run(cursor, span_is_digit);
		skip_gap(cursor);
	}
	bool equals = take_mark(cursor, '=');
	skip_gap(cursor);
	struct span verdict = take_run(cursor, is_keyword_octet);
	if (!equals || version.size == 0 || verdict.size == 0 || span_has(method, '.'))
		fail(cursor);
	result.pass = is_known_version(version) && span_equal(verdict, SPAN("pass"));
	while (skip_gap(cursor) && cursor->rest.size > 0 && !is_at(cursor, ';'))
		read_property(cursor, &result);
	if (span_alike(method, SPAN("dmarc")))
		put_dmarc(&result, out);
	else if (span_alike(method, SPAN("dkim")))
		put_dkim(&result, out);
}

/* ---- the field ---- */

struct field {
	struct cursor cursor;
	unsigned elements; /* that have something in them */
	bool none;         /* one of them is `none` */
	struct frame_results *out;
};

/* A word alone: `none`, which says that there are no results, or a domain of Microsoft's. */
static void read_word(struct field *field, struct span word)
{
	bool none = span_alike(word, SPAN("none"));
	bool domain = field->out->form == FRAME_RESULTS_MICROSOFT && span_has(word, '.') &&
		      is_domain(word);
	field->none |= none;
	if (!none && !domain)
		fail(&field->cursor);
}

static void read_element(struct field *field)
{
	struct cursor *cursor = &field->cursor;
	skip_gap(cursor);
	if (cursor->rest.size == 0 || is_at(cursor, ';'))
		return;
	field->elements++;
	struct span word = take_run(cursor, is_domain_octet);
	skip_gap(cursor);
	if (word.size > 0 && (is_at(cursor, '/') || is_at(cursor, '=')))
		read_result(cursor, word, field->out);
	else
		read_word(field, word);
}

/* The authserv-id and its version. Where the field starts with a result there is none, and it is
 * read again from there. */
static void read_id(struct field *field)
{
	struct cursor *cursor = &field->cursor;
	skip_gap(cursor);
	struct cursor start = *cursor;
	bool quoted = is_at(cursor, '"');
	struct span id = quoted ? take_quoted(cursor) : take_run(cursor, is_token_octet);
	bool gap = skip_gap(cursor);
	if (!quoted && id.size > 0 && (is_at(cursor, '=') || is_at(cursor, '/'))) {
		field->out->form = FRAME_RESULTS_MICROSOFT;
		*cursor = start;
		read_element(field);
		return;
	}
	field->out->form = FRAME_RESULTS_RFC;
	struct cursor within = { id, false };
	take_run(&within, is_token_octet);
	struct span version = take_run(cursor, span_is_digit);
	bool versioned = version.size == 0 || (gap && is_known_version(version));
	skip_gap(cursor);
	if (id.size == 0 || id.size > FRAME_DOMAIN_MAX || within.rest.size > 0 || !versioned ||
	    !is_at(cursor, ';'))
		fail(cursor);
	else
		put_lower(id, field->out->id);
}

static bool has_controls(struct span value)
{
	for (size_t i = 0; i < value.size; i++) {
		char c = value.at[i];
		if (((uint8_t)c < ' ' && !span_is_blank(c)) || c == 0x7f)
			return true;
	}
	return header_has_bare_cr(value);
}

void results_read(struct span value, struct frame_results *out)
{
	struct field field = { .cursor = { value, has_controls(value) }, .out = out };
	memset(out, 0, sizeof *out);
	if (!field.cursor.bad)
		read_id(&field);
	while (take_mark(&field.cursor, ';'))
		read_element(&field);
	if (field.cursor.bad || field.cursor.rest.size > 0 || (field.none && field.elements > 1))
		memset(out, 0, sizeof *out);
}
