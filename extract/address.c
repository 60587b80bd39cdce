/* address.c: finds addr-specs. Never decodes, never trusts a display name, and uses no stack for
 * nested comments. */
#define _GNU_SOURCE
#include "extract/address.h"
#include <string.h>
#include "extract/header.h"
#include "extract/limits.h"

enum token_kind {
	TOKEN_END,
	TOKEN_ATOM,    /* letters, digits and the like, 8-bit included */
	TOKEN_QUOTED,  /* a quoted string; `text` is what is between the quotes */
	TOKEN_LITERAL, /* [domain literal], brackets included */
	TOKEN_SPECIAL, /* one of < > @ , ; : . */
	TOKEN_BAD
};

struct token {
	enum token_kind kind;
	struct span text;
};

static bool is_special(char c)
{
	return c != '\0' && strchr("<>@,;:.", c) != NULL;
}

/* The end of what starts at `at` and is closed by `close`, quoted pairs passed over; NULL: it never
 * closes. */
static const char *find_close(struct span rest, char close)
{
	for (size_t i = 1; i < rest.size; i++) {
		if (rest.at[i] == '\\')
			i++;
		else if (rest.at[i] == close)
			return rest.at + i + 1;
	}
	return NULL;
}

static const char *find_comment_end(struct span rest)
{
	size_t depth = 0;
	for (size_t i = 0; i < rest.size; i++) {
		if (rest.at[i] == '\\')
			i++;
		else if (rest.at[i] == '(')
			depth++;
		else if (rest.at[i] == ')' && --depth == 0)
			return rest.at + i + 1;
	}
	return NULL;
}

/* Blanks, folds and comments (CFWS); false: a comment never closes. */
static bool skip_comments(struct span *rest)
{
	for (;;) {
		*rest = span_trim_left(*rest);
		if (rest->size == 0 || rest->at[0] != '(')
			return true;
		const char *end = find_comment_end(*rest);
		if (!end)
			return false;
		*rest = span_between(end, rest->at + rest->size);
	}
}

static struct token take_closed(struct span *rest, char close, enum token_kind kind)
{
	const char *end = find_close(*rest, close);
	struct token token = { TOKEN_BAD, *rest };
	if (end) {
		token.kind = kind;
		token.text = span_between(rest->at, end);
	}
	*rest = span_after(*rest, token.text.size);
	if (token.kind == TOKEN_QUOTED)
		token.text = span_of(token.text.at + 1, token.text.size - 2);
	return token;
}

static bool is_atom(char c)
{
	return (uint8_t)c > ' ' && c != 0x7f && !is_special(c) && !strchr("()[]\"\\", c);
}

static struct token next_token(struct span *rest)
{
	struct token token = { TOKEN_BAD, { rest->at, 0 } };
	if (!skip_comments(rest)) {
		*rest = span_after(*rest, rest->size);
		return token;
	}
	if (rest->size == 0)
		return (struct token){ TOKEN_END, *rest };
	char c = rest->at[0];
	if (c == '"')
		return take_closed(rest, '"', TOKEN_QUOTED);
	if (c == '[')
		return take_closed(rest, ']', TOKEN_LITERAL);
	size_t size = 0;
	while (size < rest->size && is_atom(rest->at[size]))
		size++;
	token.kind = size > 0 ? TOKEN_ATOM : is_special(c) ? TOKEN_SPECIAL : TOKEN_BAD;
	token.text = span_first(*rest, size ? size : 1);
	*rest = span_after(*rest, token.text.size);
	return token;
}

static bool is_mark(const struct token *token, char mark)
{
	return token->kind == TOKEN_SPECIAL && token->text.at[0] == mark;
}

/* ---- the parts of an address ---- */

static void put_lower(struct text *out, struct span text)
{
	for (size_t i = 0; i < text.size; i++)
		text_put_octet(out, span_lower(text.at[i]));
}

/* A quoted word that could have been written without quotes. */
static bool is_dot_atom(struct span text)
{
	bool dot = true;
	for (size_t i = 0; i < text.size; i++) {
		if (text.at[i] == '.' ? dot : !is_atom(text.at[i]))
			return false;
		dot = text.at[i] == '.';
	}
	return !dot;
}

/* A quoted local part with its pairs taken out, then quoted again as little as can be. */
static bool put_quoted(struct text *out, struct span text)
{
	char bytes[FRAME_ADDRESS_MAX];
	struct text plain = text_in(bytes, sizeof bytes);
	for (size_t i = 0; i < text.size; i++) {
		char c = text.at[i] == '\\' && i + 1 < text.size ? text.at[++i] : text.at[i];
		if (c == '\r' || c == '\n')
			continue;
		if ((uint8_t)c < ' ' || c == 0x7f)
			return false;
		text_put_octet(&plain, c);
	}
	bool bare = is_dot_atom(text_span(&plain));
	if (!bare)
		text_put_octet(out, '"');
	for (size_t i = 0; i < plain.size; i++) {
		if (!bare && (bytes[i] == '"' || bytes[i] == '\\'))
			text_put_octet(out, '\\');
		text_put_octet(out, bytes[i]);
	}
	if (!bare)
		text_put_octet(out, '"');
	return !plain.cut && plain.size > 0;
}

/* [domain literal]: what RFC 5322 section 3.4.1 allows in it, no folds. */
static bool is_literal(struct span text)
{
	for (size_t i = 1; i + 1 < text.size; i++)
		if ((uint8_t)text.at[i] <= ' ' || (uint8_t)text.at[i] >= 0x7f ||
		    strchr("[]\\", text.at[i]))
			return false;
	return text.size > 2;
}

/* An address that is being read: words and dots in turn, one @, atoms and dots in turn or a
 * literal. */
struct address {
	struct text *out;
	bool bad;
	bool word;   /* the last token was a word: a dot or the @ may follow */
	bool domain; /* the @ was there */
	bool alone;  /* a quoted local part or a domain literal: no dot may follow */
	unsigned words;
};

static bool add_word(struct address *address, const struct token *token)
{
	if (address->word)
		return false;
	address->word = true;
	address->words++;
	if (token->kind == TOKEN_QUOTED) {
		bool alone = !address->domain && address->words == 1;
		address->alone = true;
		return alone && put_quoted(address->out, token->text);
	}
	if (token->kind == TOKEN_LITERAL &&
	    (!address->domain || address->words > 1 || !is_literal(token->text)))
		return false;
	address->alone |= token->kind == TOKEN_LITERAL;
	if (address->domain)
		put_lower(address->out, token->text);
	else
		text_put(address->out, token->text);
	return token->kind == TOKEN_ATOM || token->kind == TOKEN_LITERAL;
}

static bool add_mark(struct address *address, char mark)
{
	if (!address->word || (mark != '.' && mark != '@') || (mark == '@' && address->domain) ||
	    (mark == '.' && address->alone))
		return false;
	address->word = false;
	if (mark == '@') {
		address->domain = true;
		address->alone = false;
		address->words = 0;
	}
	text_put_octet(address->out, mark);
	return true;
}

static void address_add(struct address *address, const struct token *token)
{
	bool good = token->kind == TOKEN_SPECIAL ? add_mark(address, token->text.at[0])
						 : add_word(address, token);
	address->bad |= !good;
}

/* An encoded word has no place in an address (RFC 2047 section 5): who decodes it all the same sees
 * another one. */
static bool has_encoded_word(struct span text)
{
	const char *start = memmem(text.at, text.size, "=?", 2);
	struct span rest = start ? span_between(start + 2, text.at + text.size) : SPAN("");
	return memmem(rest.at, rest.size, "?=", 2) != NULL;
}

/* U+0080 to U+009F, of which one ends a line to some readers. */
static bool has_control(struct span text)
{
	for (size_t i = 0; i + 1 < text.size; i++)
		if ((uint8_t)text.at[i] == 0xc2 && (uint8_t)text.at[i + 1] < 0xa0)
			return true;
	return false;
}

static bool address_is_whole(const struct address *address)
{
	struct span text = text_span(address->out);
	return !address->bad && address->domain && address->word && !address->out->cut &&
	       span_is_utf8(text) && !has_encoded_word(text) && !has_control(text);
}

/* ---- mailboxes ---- */

/* What stands between two commas. */
struct mailbox {
	bool bad; /* not to be read as one address */
	bool empty;
	bool angle; /* its address is in angle brackets */
	bool words; /* nothing but words, which no reader takes for an address */
	char end;   /* what ended it: comma, semicolon, colon; NUL: the field is over */
};

/* The address between < and >; `route`: RFC 5322's `<@relay:name@domain>` is not accepted. */
static bool take_angle(struct span *rest, struct address *address)
{
	for (;;) {
		struct token token = next_token(rest);
		if (is_mark(&token, '>'))
			return true;
		if (token.kind == TOKEN_END || token.kind == TOKEN_BAD)
			return false;
		address_add(address, &token);
	}
}

/* May it stand in a display name that has no quotes around it, and means nothing else? */
static bool is_word(const struct token *token)
{
	bool quoted = token->kind == TOKEN_QUOTED && !span_has(token->text, '@');
	return quoted || token->kind == TOKEN_ATOM || is_mark(token, '.');
}

/* Reads up to the next comma, semicolon or colon. An address in angle brackets may stand behind
 * words, one without them must be alone. Some devices put the same address into both places. */
static struct mailbox take_mailbox(struct span *rest, struct text *out)
{
	struct mailbox box = { .empty = true, .words = true };
	struct address address = { .out = out };
	char bytes[FRAME_ADDRESS_MAX];
	struct text before = text_in(bytes, sizeof bytes); /* the brackets */
	bool at = false;
	for (;;) {
		struct token token = next_token(rest);
		bool ends = token.kind == TOKEN_END || is_mark(&token, ',') ||
			    is_mark(&token, ';') || is_mark(&token, ':');
		if (ends) {
			box.end = token.kind == TOKEN_END ? '\0' : token.text.at[0];
			box.bad |= !box.empty && !address_is_whole(&address);
			box.bad |=
				before.size > 0 && !span_alike(text_span(&before), text_span(out));
			return box;
		}
		box.empty = false;
		box.words &= is_word(&token);
		if (is_mark(&token, '<')) {
			/* a second one: which would count? */
			box.bad |= box.angle || (at && !address_is_whole(&address));
			if (at)
				text_put(&before, text_span(out));
			address = (struct address){ .out = out };
			out->size = 0;
			out->cut = false;
			box.bad |= !take_angle(rest, &address);
			box.angle = true;
		} else if (box.angle || token.kind == TOKEN_BAD || is_mark(&token, '>')) {
			box.bad = true;
		} else {
			at |= is_mark(&token, '@');
			address_add(&address, &token);
		}
	}
}

/* ---- fields ---- */

/* Are these words, and the comma or colon behind them, part of a display name that lacks its
 * quotes? A colon may also open a group, which a semicolon closes. */
static bool is_name(const struct mailbox *box, struct span rest)
{
	bool colon = box->end == ':' && !box->empty && !span_has(rest, ';');
	return box->words && (box->end == ',' || colon);
}

/* Empty places in the list are allowed (RFC 5322 section 4.4). So are words, commas and colons
 * before the one address in angle brackets: they are its display name. */
static enum frame_from read_list(struct span value, struct text *out)
{
	char bytes[FRAME_ADDRESS_MAX];
	struct text more = text_in(bytes, sizeof bytes), *next = out;
	struct mailbox box, one = { .empty = true };
	bool words = false;
	do {
		next->size = 0;
		next->cut = false;
		box = take_mailbox(&value, next);
		bool name = one.empty && is_name(&box, value);
		words |= name && !box.empty;
		if ((box.end == ':' && !name) || (!box.empty && !name && !one.empty))
			return FRAME_FROM_MANY;
		if (!box.empty && !name) {
			one = box;
			next = &more;
		}
	} while (box.end != '\0');
	if (words && !one.angle)
		return FRAME_FROM_MANY;
	return one.bad || one.empty ? FRAME_FROM_BAD : FRAME_FROM_ONE;
}

enum frame_from address_read_from(struct span value, struct text *out)
{
	if (value.size > LIMIT_FROM_MAX || span_has(value, '\0') || header_has_bare_cr(value))
		return FRAME_FROM_BAD;
	enum frame_from state = read_list(value, out);
	if (state != FRAME_FROM_ONE)
		out->size = 0;
	return state;
}

bool address_next(struct span *rest, struct text *out)
{
	while (rest->size > 0) {
		out->size = 0;
		out->cut = false;
		struct mailbox box = take_mailbox(rest, out);
		bool name = box.end == ':' && rest->size > 0;
		if (!box.bad && !box.empty && !name)
			return true;
	}
	return false;
}
