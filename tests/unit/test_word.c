/* test_word.c: encoded words as devices write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "extract/charset.h"
#include "extract/decode.h"
#include "extract/word.h"
#include "tests/unit/charsets.h"

static const struct {
	const char *cause, *in, *out;
} rows[] = {
	{ "no word", "plain text", "plain text" },
	{ "Q", "=?utf-8?q?a=C3=A4_b?=", "a\xc3\xa4 b" },
	{ "B", "=?UTF-8?B?w6Q=?=", "\xc3\xa4" },
	{ "B without padding", "=?UTF-8?B?w6Q?=", "\xc3\xa4" },
	{ "two words, the blank between them goes", "=?utf-8?q?a?= =?utf-8?q?b?=", "ab" },
	{ "two words, folded", "=?utf-8?q?a?=\r\n\t=?utf-8?q?b?=", "ab" },
	{ "two words without a blank", "=?utf-8?q?a?==?utf-8?q?b?=", "ab" },
	{ "padding before the end", "=?utf-8?B?YQ==?= =?utf-8?B?Yg==?=", "ab" },
	{ "a character cut by two words", "=?utf-8?q?=C3?= =?utf-8?q?=A4?=", "\xc3\xa4" },
	{ "two charsets", "=?utf-8?q?=C3=A4?= =?iso-8859-1?q?=E4?=", "\xc3\xa4\xc3\xa4" },
	{ "inside other text", "scan=?utf-8?q?=C3=A4?=.pdf", "scan\xc3\xa4.pdf" },
	{ "text around stays apart", "a =?utf-8?q?b?= c", "a b c" },
	{ "a language", "=?iso-8859-1*de?q?=E4?=", "\xc3\xa4" },
	{ "blanks in Q", "=?utf-8?q?a b?=", "a b" },
	{ "a question mark in Q", "=?utf-8?q?what?what?=", "what?what" },
	{ "bad escapes in Q", "=?utf-8?q?a=ZZ=4?=", "a=ZZ=4" },
	{ "line end in Q", "=?utf-8?q?a\r\n b?=", "a b" },
	{ "an unknown charset", "=?x-none?q?=E4?=", "\xc3\xa4" },
	{ "multi-byte", "=?gb2312?B?1tA=?=", "\xe4\xb8\xad" },
	{ "stateful", "=?iso-2022-jp?B?GyRCRnwbKEI=?=", "\xe6\x97\xa5" },
	{ "no charset", "=??q?a?=", "=??q?a?=" },
	{ "another encoding", "=?utf-8?x?a?=", "=?utf-8?x?a?=" },
	{ "no end", "=?utf-8?q?abc", "=?utf-8?q?abc" },
	{ "no end, then a word", "=?utf-8?q?abc =?utf-8?q?d?=", "=?utf-8?q?abc d" },
	{ "cut", "=?utf-8?q", "=?utf-8?q" },
	{ "cut in the charset", "=?utf-8..", "=?utf-8.." },
	{ "raw UTF-8", "\xc3\xa4", "\xc3\xa4" },
	{ "raw Latin-1", "sc\xe4n", "sc\xc3\xa4n" },
	{ "folds in plain text", "a\r\n\tb\n c\r\nd", "a b cd" },
	{ "an equals sign", "a=b", "a=b" },
	{ "a charset that is too long",
	  "=?1234567890123456789012345678901234567890123456789012345678901234567890?q?a?=",
	  "=?1234567890123456789012345678901234567890123456789012345678901234567890?q?a?=" },
	{ "nothing behind the encoding", "=?utf-8?qab", "=?utf-8?qab" },
	{ "a fold and CR CR", "a\r\r\n\tb\n\n", "a b" },
};

static void all_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char bytes[200] = { 0 };
		struct text out = text_in(bytes, sizeof bytes - 1);
		word_decode(span_of(rows[i].in, strlen(rows[i].in)), &out);
		if (strcmp(bytes, rows[i].out) != 0)
			fail_msg("%s: %s", rows[i].cause, bytes);
	}
}

/* More words of one charset than are joined at once. */
static void many_words(void **state)
{
	static char in[400000], bytes[100000];
	size_t size = 0;
	(void)state;
	for (int i = 0; i < 20000; i++) {
		memcpy(in + size, "=?utf-8?q?a?= ", 14);
		size += 14;
	}
	struct text out = text_in(bytes, sizeof bytes);
	word_decode(span_of(in, size), &out);
	assert_int_equal(out.size, 20001); /* the last blank is followed by no word */
	out = text_in(bytes, 10);
	word_decode(span_of(in, size), &out);
	assert_true(out.cut);
	assert_int_equal(out.size, 10);
}

static void escapes(void **state)
{
	char bytes[50] = { 0 };
	struct text out = text_in(bytes, sizeof bytes - 1);
	(void)state;
	word_unescape(SPAN("a%20b%C3%a4%zz%4"), &out);
	assert_string_equal(bytes, "a b\xc3\xa4%zz%4");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_rows),
		cmocka_unit_test(many_words),
		cmocka_unit_test(escapes),
	};
	return cmocka_run_group_tests(tests, charsets_prepare, charsets_finish);
}
