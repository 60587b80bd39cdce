/* charset.c: converts text to UTF-8 with what was loaded beforehand. Never opens anything after
 * charset_prepare. */
#include "extract/charset.h"
#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include <string.h>

/* A charset that we convert. `names`: how mails call it, between blanks, lower case. */
struct charset {
	const char *iconv_name;
	const char *names;
	bool table;   /* 8 bits a character: a table serves, no handle stays open */
	size_t width; /* octets of its units, where they are more than one; 0: one */
};

static const struct charset charsets[] = {
	{ "ISO-8859-2", " iso-8859-2 iso8859-2 iso_8859-2 latin2 l2 ", true, 0 },
	{ "ISO-8859-3", " iso-8859-3 iso8859-3 iso_8859-3 latin3 ", true, 0 },
	{ "ISO-8859-4", " iso-8859-4 iso8859-4 iso_8859-4 latin4 ", true, 0 },
	{ "ISO-8859-5", " iso-8859-5 iso8859-5 iso_8859-5 cyrillic ", true, 0 },
	{ "ISO-8859-6", " iso-8859-6 iso8859-6 iso_8859-6 iso-8859-6-i arabic ", true, 0 },
	{ "ISO-8859-7", " iso-8859-7 iso8859-7 iso_8859-7 greek ", true, 0 },
	{ "ISO-8859-8", " iso-8859-8 iso8859-8 iso_8859-8 iso-8859-8-i hebrew ", true, 0 },
	{ "ISO-8859-9", " iso-8859-9 iso8859-9 iso_8859-9 latin5 ", true, 0 },
	{ "ISO-8859-10", " iso-8859-10 iso8859-10 latin6 ", true, 0 },
	{ "ISO-8859-13", " iso-8859-13 iso8859-13 latin7 ", true, 0 },
	{ "ISO-8859-14", " iso-8859-14 iso8859-14 latin8 ", true, 0 },
	{ "ISO-8859-15", " iso-8859-15 iso8859-15 iso_8859-15 latin9 latin-9 ", true, 0 },
	{ "ISO-8859-16", " iso-8859-16 iso8859-16 latin10 ", true, 0 },
	{ "CP874", " tis-620 iso-8859-11 iso8859-11 windows-874 cp874 ", true, 0 },
	{ "CP1250", " windows-1250 cp1250 cp-1250 x-cp1250 ", true, 0 },
	{ "CP1251", " windows-1251 cp1251 cp-1251 x-cp1251 ", true, 0 },
	{ "CP1253", " windows-1253 cp1253 cp-1253 ", true, 0 },
	{ "CP1254", " windows-1254 cp1254 cp-1254 ", true, 0 },
	{ "CP1255", " windows-1255 cp1255 cp-1255 ", true, 0 },
	{ "CP1256", " windows-1256 cp1256 cp-1256 ", true, 0 },
	{ "CP1257", " windows-1257 cp1257 cp-1257 ", true, 0 },
	{ "CP1258", " windows-1258 cp1258 cp-1258 ", true, 0 },
	{ "KOI8-R", " koi8-r koi8 cskoi8r ", true, 0 },
	{ "KOI8-U", " koi8-u koi8-ru ", true, 0 },
	{ "CP437", " cp437 ibm437 437 ", true, 0 },
	{ "CP850", " cp850 ibm850 850 ", true, 0 },
	{ "CP852", " cp852 ibm852 852 ", true, 0 },
	{ "CP866", " cp866 ibm866 866 ", true, 0 },
	{ "MACINTOSH", " macintosh mac x-mac-roman macroman ", true, 0 },
	{ "MAC-CYRILLIC", " x-mac-cyrillic ", true, 0 },
	{ "GB18030",
	  " gb18030 gbk cp936 ms936 windows-936 gb2312 gb_2312-80 euc-cn csgb2312 x-gbk ", false,
	  0 },
	{ "BIG5-HKSCS", " big5 big-5 big5-hkscs big5hkscs cp950 csbig5 x-big5 windows-950 ", false,
	  0 },
	{ "CP932", " shift_jis shift-jis sjis x-sjis ms_kanji cp932 windows-31j ms932 csshiftjis ",
	  false, 0 },
	{ "ISO-2022-JP-2",
	  " iso-2022-jp iso-2022-jp-1 iso-2022-jp-2 iso-2022-jp-ms cp50220 cp50221 csiso2022jp ",
	  false, 0 },
	{ "EUC-JP", " euc-jp eucjp x-euc-jp ujis ", false, 0 },
	{ "UHC", " euc-kr euckr ks_c_5601-1987 ks_c_5601 ksc5601 korean cp949 uhc windows-949 ",
	  false, 0 },
	{ "ISO-2022-KR", " iso-2022-kr csiso2022kr ", false, 0 },
	{ "UTF-7", " utf-7 utf7 unicode-1-1-utf-7 x-unicode-1-1-utf-7 ", false, 0 },
	{ "UTF-16", " utf-16 utf16 ucs-2 unicode iso-10646-ucs-2 ", false, 2 },
	{ "UTF-16LE", " utf-16le utf16le ucs-2le ", false, 2 },
	{ "UTF-16BE", " utf-16be utf16be ucs-2be ", false, 2 },
	{ "UTF-32", " utf-32 utf32 ucs-4 ", false, 4 },
	{ "UTF-32LE", " utf-32le utf32le ", false, 4 },
	{ "UTF-32BE", " utf-32be utf32be ", false, 4 },
};
#define CHARSETS (sizeof charsets / sizeof charsets[0])

#define NO_HANDLE   ((iconv_t)-1)
#define REPLACEMENT 0xfffd

/* Of each charset the upper half of its table, or its handle. */
static struct {
	iconv_t handle;
	uint16_t upper[128];
} loaded[CHARSETS];
static uint16_t windows_1252[128];

/* The characters of the octets 0x80 to 0xff. */
static void fill_upper(iconv_t handle, uint16_t upper[128])
{
	for (unsigned i = 0; i < 128; i++) {
		char octet = (char)(128 + i), *in = &octet;
		unsigned char wide[8];
		char *out = (char *)wide;
		size_t in_left = 1, out_left = sizeof wide;
		iconv(handle, NULL, NULL, NULL, NULL);
		upper[i] = REPLACEMENT;
		/* a charset may hold a letter back to see whether an accent follows: ask for it */
		if (iconv(handle, &in, &in_left, &out, &out_left) != (size_t)-1 &&
		    iconv(handle, NULL, NULL, &out, &out_left) != (size_t)-1 &&
		    out_left == sizeof wide - 2)
			upper[i] = (uint16_t)(wide[0] << 8 | wide[1]);
	}
}

static int load_table(const char *name, uint16_t upper[128])
{
	iconv_t handle = iconv_open("UTF-16BE", name);
	if (handle == NO_HANDLE)
		return -errno;
	fill_upper(handle, upper);
	iconv_close(handle);
	return 0;
}

static int load(size_t i)
{
	if (charsets[i].table)
		return load_table(charsets[i].iconv_name, loaded[i].upper);
	loaded[i].handle = iconv_open("UTF-8", charsets[i].iconv_name);
	return loaded[i].handle == NO_HANDLE ? -errno : 0;
}

/* The five octets that windows-1252 leaves free are the control characters of ISO 8859-1. */
static int load_windows_1252(void)
{
	int error = load_table("CP1252", windows_1252);
	for (unsigned i = 0; i < 128; i++)
		if (windows_1252[i] == REPLACEMENT)
			windows_1252[i] = (uint16_t)(128 + i);
	return error;
}

int charset_prepare(void)
{
	for (size_t i = 0; i < CHARSETS; i++)
		loaded[i].handle = NO_HANDLE;
	int error = load_windows_1252();
	for (size_t i = 0; i < CHARSETS && !error; i++)
		error = load(i);
	return error;
}

void charset_done(void)
{
	for (size_t i = 0; i < CHARSETS; i++) {
		if (!charsets[i].table && loaded[i].handle && loaded[i].handle != NO_HANDLE)
			iconv_close(loaded[i].handle);
		loaded[i].handle = NO_HANDLE;
	}
}

int charset_find(struct span name)
{
	char wanted[48];
	struct text text = text_in(wanted, sizeof wanted - 1);
	name = span_trim(name);
	text_put_octet(&text, ' ');
	for (size_t i = 0; i < name.size; i++)
		text_put_octet(&text, span_lower(name.at[i]));
	text_put_octet(&text, ' ');
	wanted[text.size] = '\0';
	if (name.size == 0 || text.cut || span_has(name, ' ') || span_has(name, '\0'))
		return CHARSET_RAW;
	for (size_t i = 0; i < CHARSETS; i++)
		if (strstr(charsets[i].names, wanted))
			return (int)i;
	return CHARSET_RAW;
}

static void put_upper(const uint16_t upper[128], char c, struct text *out)
{
	uint8_t octet = (uint8_t)c;
	text_put_character(out, octet < 128 ? octet : upper[octet - 128]);
}

/* One character of what is not declared: UTF-8 where it is that. false: the rest may be the start
 * of one. */
static bool raw_step(struct span *in, struct text *out)
{
	size_t size = span_utf8_character(*in);
	uint8_t lead = (uint8_t)in->at[0];
	if (size == 0 && in->size < 4 && lead >= 0xc2 && lead <= 0xf4) {
		bool cut = true;
		for (size_t i = 1; i < in->size; i++)
			cut &= ((uint8_t)in->at[i] & 0xc0) == 0x80;
		if (cut && in->size < (lead < 0xe0 ? 2u : lead < 0xf0 ? 3u : 4u))
			return false;
	}
	if (size > 0)
		text_put(out, span_first(*in, size));
	else
		put_upper(windows_1252, in->at[0], out);
	*in = span_after(*in, size ? size : 1);
	return true;
}

/* A step with a handle; what is no character becomes U+FFFD. false: the rest may be the start of a
 * character. */
static bool iconv_step(int charset, struct span *in, struct text *out)
{
	size_t width = charsets[charset].width ? charsets[charset].width : 1;
	char *from, *to = out->at + out->size;
	memcpy(&from, &in->at, sizeof from); /* iconv takes no const */
	size_t in_left = in->size, out_left = out->max - out->size;
	size_t result = iconv(loaded[charset].handle, &from, &in_left, &to, &out_left);
	int error = result == (size_t)-1 ? errno : 0;
	*in = span_after(*in, in->size - in_left);
	out->size = out->max - out_left;
	/* E2BIG with that much room can't be; it would never end */
	bool stuck = error == EILSEQ || (error == E2BIG && out_left >= 8);
	if (stuck && in->size > 0 && out->max - out->size >= 8) {
		text_put_character(out, REPLACEMENT);
		*in = span_after(*in, width < in->size ? width : in->size);
	}
	return error != EINVAL;
}

static bool charset_step(int charset, struct span *in, struct text *out)
{
	if (charset == CHARSET_RAW)
		return raw_step(in, out);
	if (!charsets[charset].table)
		return iconv_step(charset, in, out);
	put_upper(loaded[charset].upper, in->at[0], out);
	*in = span_after(*in, 1);
	return true;
}

static bool has_handle(int charset)
{
	return charset != CHARSET_RAW && !charsets[charset].table;
}

static void reset(int charset)
{
	if (has_handle(charset))
		iconv(loaded[charset].handle, NULL, NULL, NULL, NULL);
}

/* Puts the letter that a charset holds back to see whether an accent follows. */
static void flush(int charset, struct text *out)
{
	if (!has_handle(charset))
		return;
	char *to = out->at + out->size;
	size_t left = out->max - out->size;
	iconv(loaded[charset].handle, NULL, NULL, &to, &left);
	out->size = out->max - left;
}

static void convert_raw(struct span bytes, struct text *out)
{
	if (span_is_utf8(bytes)) {
		text_put(out, bytes);
		return;
	}
	for (size_t i = 0; i < bytes.size; i++)
		put_upper(windows_1252, bytes.at[i], out);
}

void charset_convert(int charset, struct span bytes, struct text *out)
{
	if (charset == CHARSET_RAW) {
		convert_raw(bytes, out);
		return;
	}
	reset(charset);
	while (bytes.size > 0 && out->max - out->size >= 8 && charset_step(charset, &bytes, out))
		continue;
	if (bytes.size > 0 && out->max - out->size >= 8)
		text_put_character(out, REPLACEMENT);
	else if (bytes.size > 0)
		out->cut = true;
	flush(charset, out);
}

void charset_stream_init(struct charset_stream *stream, int charset)
{
	stream->charset = charset;
	stream->held = 0;
	reset(charset);
}

/* Joins what was held with the next octets until it is a character. */
static void join_held(struct charset_stream *stream, struct span *in, struct text *out)
{
	while (stream->held > 0 && in->size > 0 && out->max - out->size >= 8) {
		stream->hold[stream->held++] = in->at[0];
		*in = span_after(*in, 1);
		struct span joined = span_of(stream->hold, stream->held);
		bool whole = true;
		while (whole && joined.size > 0 && out->max - out->size >= 8)
			whole = charset_step(stream->charset, &joined, out);
		if (!whole && joined.size == sizeof stream->hold) {
			text_put_character(out, REPLACEMENT);
			joined.size = 0;
		}
		memmove(stream->hold, joined.at, joined.size);
		stream->held = joined.size;
	}
}

/* ASCII is itself in all but the charsets that have a handle. */
static void put_ascii(struct span *in, struct text *out)
{
	size_t room = out->max - out->size;
	struct span ascii = span_first(*in, span_ascii_size(span_first(*in, room)));
	text_put(out, ascii);
	*in = span_after(*in, ascii.size);
}

/* Keeps the start of a character until the rest comes. */
static void hold(struct charset_stream *stream, struct span *in)
{
	struct span kept = span_first(*in, sizeof stream->hold - 1);
	memcpy(stream->hold, kept.at, kept.size);
	stream->held = kept.size;
	*in = span_after(*in, in->size);
}

void charset_stream_run(struct charset_stream *stream, struct span *in, struct text *out)
{
	join_held(stream, in, out);
	while (in->size > 0 && out->max - out->size >= 8) {
		if (!has_handle(stream->charset))
			put_ascii(in, out);
		bool more = in->size > 0 && out->max - out->size >= 8;
		if (more && !charset_step(stream->charset, in, out))
			hold(stream, in);
	}
}

void charset_stream_finish(struct charset_stream *stream, struct text *out)
{
	if (stream->charset == CHARSET_RAW)
		for (size_t i = 0; i < stream->held; i++)
			put_upper(windows_1252, stream->hold[i], out);
	else if (stream->held > 0)
		text_put_character(out, REPLACEMENT);
	stream->held = 0;
	flush(stream->charset, out);
}
