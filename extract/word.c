/* word.c: finds encoded words and decodes them. Never refuses a text: what is no word stays as it
 * is. */
#include "extract/word.h"
#include <string.h>
#include "extract/charset.h"
#include "extract/decode.h"

struct word {
	struct span charset;
	bool base64;
	struct span content;
};

/* The word that the text starts with, and its length; 0: it starts with none. */
static size_t read_word(struct span text, struct word *word_out)
{
	if (text.size < 8 || !span_starts_alike(text, SPAN("=?")))
		return 0;
	struct span rest = span_after(text, 2), charset = span_before(rest, '?');
	/* the `?`, the encoding, the next `?` */
	if (charset.size == 0 || charset.size > 60 || rest.size < charset.size + 4)
		return 0;
	char encoding = span_lower(rest.at[charset.size + 1]);
	if ((encoding != 'b' && encoding != 'q') || rest.at[charset.size + 2] != '?')
		return 0;
	rest = span_after(rest, charset.size + 3);
	for (size_t i = 0; i + 1 < rest.size; i++) {
		/* where the next word starts this one has no end (`=?=` is the end of base64); this
		 * keeps us linear */
		if (rest.at[i] == '=' && rest.at[i + 1] == '?' &&
		    (i + 2 == rest.size || rest.at[i + 2] != '='))
			return 0;
		if (rest.at[i] != '?' || rest.at[i + 1] != '=')
			continue;
		*word_out = (struct word){ span_before(charset, '*'), encoding == 'b',
					   span_first(rest, i) };
		return (size_t)(rest.at + i + 2 - text.at);
	}
	return 0;
}

static void unescape(struct span text, char escape, bool underscores, struct text *out)
{
	for (size_t i = 0; i < text.size; i++) {
		char c = text.at[i];
		bool coded = c == escape && i + 2 < text.size && span_hex(text.at[i + 1]) >= 0 &&
			     span_hex(text.at[i + 2]) >= 0;
		if (coded) {
			text_put_octet(out, (char)(span_hex(text.at[i + 1]) << 4 |
						   span_hex(text.at[i + 2])));
			i += 2;
		} else if (c != '\r' && c != '\n') {
			text_put_octet(out, underscores && c == '_' ? ' ' : c);
		}
	}
}

void word_unescape(struct span text, struct text *out)
{
	unescape(text, '%', false, out);
}

static void put_base64(struct span content, struct text *out)
{
	struct decoder decoder;
	char made[DECODE_ROOM_MIN + DECODE_SLACK];
	decode_init(&decoder, DECODE_BASE64);
	while (content.size > 0)
		text_put(out, span_of(made, decode_run(&decoder, &content, made, DECODE_ROOM_MIN)));
	text_put(out, span_of(made, decode_finish(&decoder, true, made)));
}

static void put_content(const struct word *word, struct text *out)
{
	if (word->base64)
		put_base64(word->content, out);
	else
		unescape(word->content, '=', true, out);
}

/* Words that follow each other in one charset: their bytes are put together before they are
 * converted. */
static struct span put_words(struct span text, struct text *out)
{
	char bytes[16384];
	struct text joined = text_in(bytes, sizeof bytes);
	struct word word, next;
	size_t size = read_word(text, &word);
	for (;;) {
		put_content(&word, &joined);
		text = span_after(text, size);
		size = read_word(span_trim_left(text), &next);
		if (size == 0)
			break;
		text = span_trim_left(text);
		if (!span_alike(next.charset, word.charset) || joined.size > sizeof bytes / 2) {
			charset_convert(charset_find(word.charset), text_span(&joined), out);
			joined.size = 0;
		}
		word = next;
	}
	charset_convert(charset_find(word.charset), text_span(&joined), out);
	return text;
}

/* The length of what comes before the next word. */
static size_t plain_size(struct span text)
{
	struct word word;
	size_t size = 0;
	for (; size < text.size; size++)
		if (text.at[size] == '=' && read_word(span_after(text, size), &word))
			break;
	return size;
}

static void put_plain(struct span text, struct text *out)
{
	bool folded = false;
	while (text.size > 0) {
		struct span line = span_before(text, '\n');
		text = span_after(text, line.size < text.size ? line.size + 1 : line.size);
		while (line.size > 0 && line.at[line.size - 1] == '\r')
			line.size--;
		if (folded && line.size > 0 && line.at[0] == '\t') {
			text_put_octet(out, ' ');
			line = span_after(line, 1);
		}
		charset_convert(CHARSET_RAW, line, out);
		folded = true;
	}
}

void word_decode(struct span text, struct text *out)
{
	while (text.size > 0 && !out->cut) {
		size_t plain = plain_size(text);
		put_plain(span_first(text, plain), out);
		text = span_after(text, plain);
		if (text.size > 0)
			text = put_words(text, out);
	}
}
