/* fuzz_word.c: any bytes as a text with encoded words, and as text in every charset. What comes out
 * must be UTF-8, and of a charset the same whether it comes whole or in pieces, unless it is
 * damaged: where iconv goes on behind that depends on what it was given at a time. First octet:
 * which charset. */
#define _GNU_SOURCE
#include <assert.h>
#include <stdint.h>
#include <string.h>
#include "extract/charset.h"
#include "extract/decode.h"
#include "extract/word.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const charsets[] = {
	"utf-8",       "utf-7",        "utf-16",     "utf-16le", "utf-32", "iso-2022-jp",
	"iso-2022-kr", "euc-jp",       "shift_jis",  "gb18030",  "big5",   "euc-kr",
	"koi8-r",      "windows-1255", "iso-8859-6", "utf-32be",
};

static void check_word(struct span text)
{
	static char bytes[1 << 16];
	struct text out = text_in(bytes, sizeof bytes);
	word_decode(text, &out);
	text_finish(&out, sizeof bytes);
	assert(span_is_utf8(text_span(&out)));
	out.size = 0;
	word_unescape(text, &out);
	assert(out.size <= text.size);
}

static void convert(int charset, struct span text, size_t step, struct text *out)
{
	struct charset_stream stream;
	charset_stream_init(&stream, charset);
	while (text.size > 0) {
		struct span piece = span_first(text, step);
		text = span_after(text, piece.size);
		charset_stream_run(&stream, &piece, out);
		assert(piece.size == 0);
	}
	charset_stream_finish(&stream, out);
}

static void check_charset(struct span text, int charset)
{
	static char whole[1 << 18], pieces[1 << 18], once[1 << 18];
	struct text one = text_in(whole, sizeof whole), other = text_in(pieces, sizeof pieces),
		    third = text_in(once, sizeof once);
	convert(charset, text, SIZE_MAX, &one);
	convert(charset, text, 1 + text.size % 7, &other);
	charset_convert(charset, text, &third);
	assert(span_is_utf8(text_span(&one)) && span_is_utf8(text_span(&third)));
	bool damaged = memmem(one.at, one.size, "\xef\xbf\xbd", 3) ||
		       memmem(other.at, other.size, "\xef\xbf\xbd", 3);
	assert(damaged || span_equal(text_span(&one), text_span(&other)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool prepared;
	if (!prepared) {
		decode_prepare();
		assert(charset_prepare() == 0);
		prepared = true;
	}
	if (size == 0 || size > 1 << 14)
		return 0;
	const char *name = charsets[data[0] % (sizeof charsets / sizeof charsets[0])];
	struct span text = span_of((const char *)data + 1, size - 1);
	check_word(text);
	check_charset(text, charset_find(span_of(name, strlen(name))));
	return 0;
}
