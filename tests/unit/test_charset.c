/* test_charset.c: every charset that mails name, and text that is not what it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "extract/charset.h"
#include "tests/unit/charsets.h"

static const struct {
	const char *charset, *bytes;
	size_t size;
	const char *text;
} rows[] = {
	{ "", "a\xc3\xa4", 3, "a\xc3\xa4" },
	{ "utf-8", "\xe4\xc3\xa4", 3, "\xc3\xa4\xc3\x83\xc2\xa4" },
	{ "us-ascii", "\x80\x81\xff", 3, "\xe2\x82\xac\xc2\x81\xc3\xbf" },
	{ "iso-8859-1", "\xe4\x93", 2, "\xc3\xa4\xe2\x80\x9c" },
	{ "no-such-charset", "\xe4", 1, "\xc3\xa4" },
	{ "ISO-8859-15", "\xa4", 1, "\xe2\x82\xac" },
	{ " latin2 ", "\xb1", 1, "\xc4\x85" },
	{ "windows-1251", "\xcf\xf0", 2, "\xd0\x9f\xd1\x80" },
	{ "koi8-r", "\xf0\xd2", 2, "\xd0\x9f\xd1\x80" },
	{ "windows-1255", "\xe0\xe1", 2, "\xd7\x90\xd7\x91" },
	{ "windows-1258", "a\xe2", 2, "a\xc3\xa2" },
	{ "tis-620", "\xa1", 1, "\xe0\xb8\x81" },
	{ "cp850", "\x84", 1, "\xc3\xa4" },
	{ "gb2312", "\xd6\xd0", 2, "\xe4\xb8\xad" },
	{ "gb18030", "\x81\x30\x81\x30x", 5, "\xc2\x80x" },
	{ "big5", "\xa4\xa4", 2, "\xe4\xb8\xad" },
	{ "big5", "\x88\x62", 2, "\xc3\x8a\xcc\x84" },
	{ "Shift_JIS", "\x93\xfa", 2, "\xe6\x97\xa5" },
	{ "iso-2022-jp", "\x1b$BF|\x1b(B!", 9, "\xe6\x97\xa5!" },
	{ "euc-jp", "\xc6\xfc", 2, "\xe6\x97\xa5" },
	{ "euc-kr", "\xc7\xd1", 2, "\xed\x95\x9c" },
	{ "ks_c_5601-1987", "\xc7\xd1", 2, "\xed\x95\x9c" },
	{ "iso-2022-kr", "\x1b$)C\x0eGQ\x0f", 8, "\xed\x95\x9c" },
	{ "utf-7", "a+AOQ-b", 7,
	  "a\xc3\xa4"
	  "b" },
	{ "utf-16", "\xff\xfe\xe4\0", 4, "\xc3\xa4" },
	{ "utf-16be", "\0\xe4\xd8\x3d\xde\x00", 6, "\xc3\xa4\xf0\x9f\x98\x80" },
	{ "utf-32le", "\xe4\0\0\0", 4, "\xc3\xa4" },
	/* damaged */
	{ "euc-jp", "\xc6\xfc\xc6", 3, "\xe6\x97\xa5\xef\xbf\xbd" },
	{ "Shift_JIS",
	  "a\xff"
	  "b",
	  3,
	  "a\xef\xbf\xbd"
	  "b" },
	{ "utf-16le",
	  "a\0\0\xd8"
	  "b\0",
	  6,
	  "a\xef\xbf\xbd"
	  "b" },
	{ "", "\xf0\x9f\x98", 3, "\xc3\xb0\xc5\xb8\xcb\x9c" },
	{ "", "\xe2\x82", 2, "\xc3\xa2\xe2\x80\x9a" },
	{ "",
	  "a\xe2"
	  "b",
	  3,
	  "a\xc3\xa2"
	  "b" },
	{ "", "a\xc3", 2, "a\xc3\x83" },
};

static void whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char bytes[100] = { 0 };
		struct text out = text_in(bytes, sizeof bytes - 1);
		int charset = charset_find(span_of(rows[i].charset, strlen(rows[i].charset)));
		charset_convert(charset, span_of(rows[i].bytes, rows[i].size), &out);
		if (strcmp(bytes, rows[i].text) != 0)
			fail_msg("%s, row %zu: %s", rows[i].charset, i, bytes);
	}
}

/* The same octet by octet; raw text is then UTF-8 or not character by character. */
static void pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char bytes[100] = { 0 };
		struct text out = text_in(bytes, sizeof bytes - 1);
		struct charset_stream stream;
		const char *wanted = i == 1 ? "\xc3\xa4\xc3\xa4" : rows[i].text;
		charset_stream_init(
			&stream, charset_find(span_of(rows[i].charset, strlen(rows[i].charset))));
		for (size_t at = 0; at < rows[i].size; at++) {
			struct span piece = span_of(rows[i].bytes + at, 1);
			charset_stream_run(&stream, &piece, &out);
			assert_int_equal(piece.size, 0);
		}
		charset_stream_finish(&stream, &out);
		if (strcmp(bytes, wanted) != 0)
			fail_msg("%s, row %zu: %s", rows[i].charset, i, bytes);
	}
}

/* Little room: nothing is lost, the rest waits. */
static void little_room(void **state)
{
	static const char *const charsets[] = { "", "koi8-r", "euc-jp" };
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char bytes[200] = { 0 };
		size_t made = 0;
		struct span in = SPAN("abcdefghijklmnopqrstuvwxyz0123456789");
		struct charset_stream stream;
		charset_stream_init(&stream,
				    charset_find(span_of(charsets[i], strlen(charsets[i]))));
		while (in.size > 0) {
			struct text out = text_in(bytes + made, 9);
			charset_stream_run(&stream, &in, &out);
			assert_true(out.size > 0);
			made += out.size;
		}
		assert_string_equal(bytes, "abcdefghijklmnopqrstuvwxyz0123456789");
	}
}

static void cut_text(void **state)
{
	char bytes[10];
	struct text out = text_in(bytes, sizeof bytes);
	(void)state;
	charset_convert(charset_find(SPAN("euc-jp")), SPAN("abcdefghijklmnop"), &out);
	assert_true(out.cut);
}

static void names(void **state)
{
	(void)state;
	assert_int_equal(charset_find(SPAN("iso-8859-2 koi8-r")), CHARSET_RAW);
	assert_int_equal(charset_find(span_of("iso\0-8859-2", 11)), CHARSET_RAW);
	assert_int_equal(charset_find(SPAN("a-name-that-is-much-longer-than-any-charset-has-one")),
			 CHARSET_RAW);
	assert_true(charset_find(SPAN("Windows-1250")) >= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),    cmocka_unit_test(pieces), cmocka_unit_test(little_room),
		cmocka_unit_test(cut_text), cmocka_unit_test(names),
	};
	return cmocka_run_group_tests(tests, charsets_prepare, charsets_finish);
}
