/* line.c: takes a command line apart. Never reads, replies or decides whether a command is in
 * order. */
#include "daemon/smtp/line.h"
#include <string.h>
#include "daemon/unicode.h"

/* What is left of the line. */
struct cursor {
	const char *at, *end;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7F;
}

static char upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* `word` is in upper case. */
static bool is_word(const char *text, size_t size, const char *word)
{
	if (strlen(word) != size)
		return false;
	for (size_t i = 0; i < size; i++) {
		if (upper(text[i]) != word[i])
			return false;
	}
	return true;
}

static void skip_blanks(struct cursor *c)
{
	while (c->at < c->end && is_blank(*c->at))
		c->at++;
}

static void trim(struct cursor *c)
{
	skip_blanks(c);
	while (c->end > c->at && is_blank(c->end[-1]))
		c->end--;
}

/* Moves on to the next blank and gives what lies before. */
static struct cursor next_word(struct cursor *c)
{
	struct cursor word = *c;
	while (c->at < c->end && !is_blank(*c->at))
		c->at++;
	word.end = c->at;
	return word;
}

/* --- addresses (RFC 5321 section 4.1.2) ------------------------------------------------------- */

/* Collects an address; `full` once it did not fit. */
struct address {
	char *text;
	size_t used;
	bool full;
};

static void put_byte(struct address *out, char c)
{
	if (out->used == LINE_ADDRESS_MAX) {
		out->full = true;
		return;
	}
	out->text[out->used++] = c;
}

/* The octets of the UTF-8 character at `at`, or 0; control characters (C1) are none. */
static size_t character_length(const char *at, const char *end)
{
	size_t length = utf8_length(at, (size_t)(end - at));
	bool control = length == 2 && (uint8_t)at[0] == 0xC2 && (uint8_t)at[1] < 0xA0;
	return control ? 0 : length;
}

/* One character of an address, as UTF-8. False: a control character. */
static bool put_character(struct address *out, struct cursor *c)
{
	unsigned char byte = (unsigned char)*c->at;
	if (is_control(*c->at))
		return false;
	size_t length = byte < 0x80 ? 1 : character_length(c->at, c->end);
	if (length == 0 && byte < 0xA0)
		return false;
	if (length == 0) {
		put_byte(out, (char)(0xC0 | byte >> 6));
		put_byte(out, (char)(0x80 | (byte & 0x3F)));
		c->at++;
	}
	for (size_t i = 0; i < length; i++)
		put_byte(out, *c->at++);
	return true;
}

/* Can this local part stand without quotes? Everything above ASCII can (RFC 6531 section 3.3). */
static bool is_dot_string(const char *text, size_t size)
{
	if (size == 0 || text[0] == '.' || text[size - 1] == '.')
		return false;
	for (size_t i = 0; i < size; i++) {
		if (text[i] == '.' && text[i + 1] == '.')
			return false;
		if ((unsigned char)text[i] < 0x80 && !is_letter(text[i]) && !is_digit(text[i]) &&
		    !strchr(".!#$%&'*+-/=?^_`{|}~", text[i]))
			return false;
	}
	return true;
}

/* The content of a quoted local part, without its escapes, into `bare`; the cursor ends behind the
 * closing quote. */
static bool unquote(struct cursor *c, struct address *bare)
{
	c->at++;
	while (c->at < c->end && *c->at != '"') {
		if (*c->at == '\\' && ++c->at == c->end)
			return false;
		if (!put_character(bare, c))
			return false;
	}
	return c->at++ < c->end;
}

static bool put_quoted_local(struct cursor *c, struct address *out)
{
	char text[LINE_ADDRESS_MAX + 1];
	struct address bare = { .text = text };
	if (!unquote(c, &bare) || bare.full)
		return false;
	text[bare.used] = '\0';
	bool quotes = !is_dot_string(text, bare.used);
	if (quotes)
		put_byte(out, '"');
	for (size_t i = 0; i < bare.used; i++) {
		if (quotes && (text[i] == '"' || text[i] == '\\'))
			put_byte(out, '\\');
		put_byte(out, text[i]);
	}
	if (quotes)
		put_byte(out, '"');
	return true;
}

/* Characters up to `stop` or the end. Quotes and brackets have their places, and none is here. */
static bool put_plain(struct cursor *c, struct address *out, char stop, bool blanks)
{
	const char *start = c->at;
	while (c->at < c->end && *c->at != stop) {
		if (strchr("<>\"", *c->at) || (!blanks && is_blank(*c->at)) ||
		    !put_character(out, c))
			return false;
	}
	return c->at > start;
}

/* local[@domain], trimmed. */
static bool put_mailbox(struct cursor c, struct address *out)
{
	bool local = c.at < c.end && *c.at == '"' ? put_quoted_local(&c, out)
						  : put_plain(&c, out, '@', true);
	if (!local)
		return false;
	if (c.at < c.end) {
		if (*c.at++ != '@')
			return false;
		put_byte(out, '@');
		/* no character stops a domain but a second @, which is left over then */
		if (!put_plain(&c, out, '@', false))
			return false;
	}
	return c.at == c.end && !out->full;
}

/* @one,@two:mailbox means mailbox (RFC 5321 appendix C). */
static bool drop_source_route(struct cursor *c)
{
	if (c->at == c->end || *c->at != '@')
		return true;
	const char *colon = memchr(c->at, ':', (size_t)(c->end - c->at));
	if (!colon)
		return false;
	c->at = colon + 1;
	skip_blanks(c);
	return true;
}

/* Finds `stop` outside of quotes, or the end. */
static const char *find_outside_quotes(const struct cursor *c, bool (*stops)(char))
{
	bool quoted = false;
	const char *at = c->at;
	for (; at < c->end; at++) {
		if (quoted && *at == '\\' && at + 1 < c->end)
			at++;
		else if (*at == '"')
			quoted = !quoted;
		else if (!quoted && stops(*at))
			break;
	}
	return at;
}

static bool is_closing(char c)
{
	return c == '>';
}

/* Takes the path, with or without <>, and leaves the cursor behind it. */
static bool take_path(struct cursor *c, struct cursor *mailbox_out)
{
	bool bracket = c->at < c->end && *c->at == '<';
	if (bracket)
		c->at++;
	const char *end = find_outside_quotes(c, bracket ? is_closing : is_blank);
	if (bracket ? end == c->end : end == c->at)
		return false;
	*mailbox_out = (struct cursor){ .at = c->at, .end = end };
	c->at = bracket ? end + 1 : end;
	return true;
}

static enum line_result parse_path(struct cursor *c, struct line_command *command)
{
	struct cursor mailbox;
	struct address out = { .text = command->address };
	if (!take_path(c, &mailbox))
		return LINE_BAD_ADDRESS;
	trim(&mailbox);
	bool null = mailbox.at == mailbox.end;
	if (!null && (!drop_source_route(&mailbox) || !put_mailbox(mailbox, &out)))
		return LINE_BAD_ADDRESS;
	if (null && command->verb == LINE_RCPT)
		return LINE_BAD_ADDRESS;
	command->address[out.used] = '\0';
	return LINE_OK;
}

/* --- parameters ------------------------------------------------------------------------------- */

/* A number of at most 20 digits; one that is too big counts as the biggest there is. */
static bool parse_number(const char *text, size_t size, uint64_t *number_out)
{
	uint64_t number = 0;
	if (size == 0)
		return false;
	for (size_t i = 0; i < size; i++) {
		if (!is_digit(text[i]))
			return false;
		uint64_t digit = (uint64_t)(text[i] - '0');
		number = number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : number * 10 + digit;
	}
	*number_out = number;
	return true;
}

static enum line_result take_size(struct line_command *command, const char *value, size_t size)
{
	return parse_number(value, size, &command->size) ? LINE_OK : LINE_BAD_VALUE;
}

static enum line_result take_body(struct line_command *command, const char *value, size_t size)
{
	(void)command;
	if (is_word(value, size, "7BIT") || is_word(value, size, "8BITMIME"))
		return LINE_OK;
	return is_word(value, size, "BINARYMIME") ? LINE_OTHER_PARAMETER : LINE_BAD_VALUE;
}

/* What speaks of notices and of logins elsewhere is read and means nothing here: we send no
 * notices. */
static enum line_result take_anything(struct line_command *command, const char *value, size_t size)
{
	(void)command;
	(void)value;
	return size > 0 ? LINE_OK : LINE_BAD_VALUE;
}

static enum line_result take_nothing(struct line_command *command, const char *value, size_t size)
{
	(void)command;
	(void)size;
	return value ? LINE_BAD_VALUE : LINE_OK;
}

static const struct parameter {
	enum line_verb verb;
	const char *name;
	/* `value` is NULL where there is no = */
	enum line_result (*take)(struct line_command *command, const char *value, size_t size);
} parameters[] = {
	{ LINE_MAIL, "SIZE", take_size },        /* RFC 1870 */
	{ LINE_MAIL, "BODY", take_body },        /* RFC 6152 */
	{ LINE_MAIL, "SMTPUTF8", take_nothing }, /* RFC 6531 */
	{ LINE_MAIL, "AUTH", take_anything },    /* RFC 4954 section 5 */
	{ LINE_MAIL, "RET", take_anything },     /* RFC 3461 */
	{ LINE_MAIL, "ENVID", take_anything },   /* RFC 3461 */
	{ LINE_RCPT, "NOTIFY", take_anything },  /* RFC 3461 */
	{ LINE_RCPT, "ORCPT", take_anything },   /* RFC 3461 */
};

static enum line_result parse_parameter(struct line_command *command, struct cursor word)
{
	const char *equals = memchr(word.at, '=', (size_t)(word.end - word.at));
	size_t name_size = (size_t)((equals ? equals : word.end) - word.at);
	const char *value = equals ? equals + 1 : NULL;
	size_t value_size = equals ? (size_t)(word.end - value) : 0;
	for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
		const struct parameter *p = &parameters[i];
		if (p->verb == command->verb && is_word(word.at, name_size, p->name))
			return p->take(command, value, value_size);
	}
	return LINE_OTHER_PARAMETER;
}

static enum line_result parse_parameters(struct cursor *c, struct line_command *command)
{
	for (;;) {
		skip_blanks(c);
		if (c->at == c->end)
			return LINE_OK;
		enum line_result result = parse_parameter(command, next_word(c));
		if (result != LINE_OK)
			return result;
	}
}

/* --- arguments of each verb ------------------------------------------------------------------- */

/* FROM: or TO:, the colon with blanks around it or missing. */
static bool take_keyword(struct cursor *c, const char *word)
{
	size_t size = strlen(word);
	if ((size_t)(c->end - c->at) < size || !is_word(c->at, size, word))
		return false;
	c->at += size;
	const char *behind = c->at;
	skip_blanks(c);
	bool colon = c->at < c->end && *c->at == ':';
	if (colon)
		c->at++;
	else if (c->at == behind && (c->at == c->end || *c->at != '<'))
		return false;
	skip_blanks(c);
	return c->at < c->end;
}

static enum line_result parse_envelope(struct cursor c, struct line_command *command)
{
	if (!take_keyword(&c, command->verb == LINE_MAIL ? "FROM" : "TO"))
		return LINE_BAD_ARGUMENT;
	enum line_result result = parse_path(&c, command);
	return result == LINE_OK ? parse_parameters(&c, command) : result;
}

/* BDAT <octets> [LAST] */
static enum line_result parse_chunk(struct cursor c, struct line_command *command)
{
	struct cursor number = next_word(&c);
	skip_blanks(&c);
	struct cursor last = next_word(&c);
	if (c.at < c.end ||
	    !parse_number(number.at, (size_t)(number.end - number.at), &command->chunk))
		return LINE_BAD_ARGUMENT;
	if (last.at == last.end)
		return LINE_OK;
	command->last = is_word(last.at, (size_t)(last.end - last.at), "LAST");
	return command->last ? LINE_OK : LINE_BAD_ARGUMENT;
}

static enum line_result parse_any(struct cursor c, struct line_command *command)
{
	(void)c;
	(void)command;
	return LINE_OK;
}

static enum line_result parse_none(struct cursor c, struct line_command *command)
{
	(void)command;
	return c.at == c.end ? LINE_OK : LINE_BAD_ARGUMENT;
}

static enum line_result parse_some(struct cursor c, struct line_command *command)
{
	(void)command;
	return c.at < c.end ? LINE_OK : LINE_BAD_ARGUMENT;
}

static const struct verb {
	const char *word;
	enum line_verb verb;
	enum line_result (*parse)(struct cursor c, struct line_command *command);
} verbs[] = {
	{ "MAIL", LINE_MAIL, parse_envelope },     { "RCPT", LINE_RCPT, parse_envelope },
	{ "DATA", LINE_DATA, parse_none },         { "QUIT", LINE_QUIT, parse_any },
	{ "EHLO", LINE_EHLO, parse_any },          { "HELO", LINE_HELO, parse_any },
	{ "RSET", LINE_RSET, parse_any },          { "NOOP", LINE_NOOP, parse_any },
	{ "BDAT", LINE_BDAT, parse_chunk },        { "VRFY", LINE_VRFY, parse_some },
	{ "HELP", LINE_HELP, parse_any },          { "AUTH", LINE_AUTH, parse_any },
	{ "STARTTLS", LINE_STARTTLS, parse_none }, { "EXPN", LINE_NEVER, parse_any },
	{ "TURN", LINE_NEVER, parse_any },         { "ETRN", LINE_NEVER, parse_any },
	{ "SEND", LINE_NEVER, parse_any },         { "SOML", LINE_NEVER, parse_any },
	{ "SAML", LINE_NEVER, parse_any },         { "GET", LINE_HTTP, parse_any },
	{ "POST", LINE_HTTP, parse_any },          { "HEAD", LINE_HTTP, parse_any },
	{ "PUT", LINE_HTTP, parse_any },           { "DELETE", LINE_HTTP, parse_any },
	{ "OPTIONS", LINE_HTTP, parse_any },       { "CONNECT", LINE_HTTP, parse_any },
	{ "TRACE", LINE_HTTP, parse_any },         { "PATCH", LINE_HTTP, parse_any },
	{ "PROPFIND", LINE_HTTP, parse_any },      { "PRI", LINE_HTTP, parse_any },
};

#define VERBS (sizeof verbs / sizeof verbs[0])

static const struct verb *find_verb(const struct cursor *word)
{
	for (size_t i = 0; i < VERBS; i++) {
		if (is_word(word->at, (size_t)(word->end - word->at), verbs[i].word))
			return &verbs[i];
	}
	return NULL;
}

/* METHOD target HTTP/1.1: a browser can be told to use any word for a method. With more behind the
 * version it is the end of an address in quotes. */
static bool is_request(struct cursor c)
{
	static const char version[] = "HTTP/";
	const char *at = c.end;
	while (at > c.at && !is_blank(at[-1]))
		at--;
	size_t size = (size_t)(c.end - at), length = strlen(version);
	if (at == c.at || size <= length || !is_word(at, length, version) || !is_digit(at[length]))
		return false;
	for (at += length; at < c.end; at++) {
		if (!is_digit(*at) && *at != '.')
			return false;
	}
	return true;
}

/* Name:, but for MAILFROM: and RCPTTO:, which devices have been seen to write. */
static bool is_field(const struct cursor *word)
{
	const char *at = word->at;
	while (at < word->end && (is_letter(*at) || is_digit(*at) || *at == '-'))
		at++;
	bool named = at > word->at && at < word->end && *at == ':';
	return named && !is_word(word->at, (size_t)(at - word->at), "MAILFROM") &&
	       !is_word(word->at, (size_t)(at - word->at), "RCPTTO");
}

static enum line_verb verb_without_row(const struct cursor *word)
{
	return is_field(word) ? LINE_FIELD : LINE_UNKNOWN;
}

enum line_verb line_verb(const char *text, size_t size)
{
	struct cursor c = { .at = text, .end = text + size };
	trim(&c);
	struct cursor word = next_word(&c);
	const struct verb *verb = find_verb(&word);
	return verb ? verb->verb : LINE_UNKNOWN;
}

enum line_result line_parse(const char *text, size_t size, struct line_command *command_out)
{
	struct cursor c = { .at = text, .end = text + size };
	trim(&c);
	bool request = is_request(c);
	struct cursor word = next_word(&c);
	skip_blanks(&c);
	const struct verb *verb = request ? NULL : find_verb(&word);
	command_out->verb = request ? LINE_HTTP : verb ? verb->verb : verb_without_row(&word);
	command_out->argument = c.at;
	command_out->argument_size = (size_t)(c.end - c.at);
	command_out->address[0] = '\0';
	command_out->size = command_out->chunk = 0;
	command_out->last = false;
	return verb ? verb->parse(c, command_out) : LINE_OK;
}

/* Handshake, then the major version of every SSL and TLS there is (RFC 8446 section 5.1); or the
 * hello of SSL 2.0, which asks for one of those (RFC 5246 appendix E.2). */
bool line_is_tls(const void *bytes, size_t size)
{
	const unsigned char *s = bytes;
	bool old = size >= 5 && (s[0] & 0x80) && s[2] == 1 && s[3] == 3 && s[4] <= 3;
	return old || (size > 0 && s[0] == 0x16 && (size < 2 || s[1] == 0x03));
}

/* Is `text` the word, or, while more may come, the start of it? */
static bool may_be(const char *text, size_t size, bool more, const char *word)
{
	size_t whole = strlen(word);
	if (size > whole || (size < whole && !more))
		return false;
	for (size_t i = 0; i < size; i++) {
		if (upper(text[i]) != word[i])
			return false;
	}
	return true;
}

bool line_is_command(const void *bytes, size_t size)
{
	struct cursor c = { .at = bytes, .end = (const char *)bytes + size };
	skip_blanks(&c);
	const char *start = c.at;
	while (c.at < c.end && is_letter(*c.at))
		c.at++;
	for (size_t i = 0; i < VERBS; i++) {
		if (verbs[i].verb != LINE_HTTP &&
		    may_be(start, (size_t)(c.at - start), c.at == c.end, verbs[i].word))
			return true;
	}
	return false;
}
