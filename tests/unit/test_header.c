/* test_header.c: lines, fields, folds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "extract/header.h"

static const struct {
	const char *line;
	enum header_line kind;
} lines[] = {
	{ "\r\n", HEADER_BLANK },
	{ "\n", HEADER_BLANK },
	{ "", HEADER_BLANK },
	{ "\r\r\n", HEADER_BLANK },
	{ "A: b\r\n", HEADER_FIELD },
	{ "A:\n", HEADER_FIELD },
	{ "A : b\n", HEADER_FIELD },
	{ " b\n", HEADER_FOLD },
	{ "\tb\n", HEADER_FOLD },
	{ " \n", HEADER_FOLD },
	{ "garbage\n", HEADER_JUNK },
	{ "two words: x\n", HEADER_JUNK },
	{ ": x\n", HEADER_JUNK },
	{ "From a b:c\n", HEADER_JUNK },
	{ "--a:b\n", HEADER_JUNK },
	{ "-a: b\n", HEADER_FIELD },
	{ "\x7f: b\n", HEADER_JUNK },
	{ "\xe4: b\n", HEADER_JUNK },
	{ ">From x: b\n", HEADER_JUNK },
};

static void kinds(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		enum header_line kind =
			header_line_kind(span_of(lines[i].line, strlen(lines[i].line)));
		if (kind != lines[i].kind)
			fail_msg("%s: %d", lines[i].line, (int)kind);
	}
}

static void fields(void **state)
{
	struct span rest = SPAN(
		"A: b\r\njunk\r\n\r\nSubject : a\r\n b\r\n\tc\r\nEmpty:\r\n folded junk: x\nLast: y");
	static const char *const wanted[][2] = { { "A", "b" },
						 { "Subject", "a\r\n b\r\n\tc" },
						 { "Empty", "folded junk: x" },
						 { "Last", "y" } };
	struct header_field field;
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_true(header_next(&rest, &field));
		assert_true(span_equal(field.name, span_of(wanted[i][0], strlen(wanted[i][0]))));
		assert_true(span_equal(field.value, span_of(wanted[i][1], strlen(wanted[i][1]))));
	}
	assert_false(header_next(&rest, &field));
	rest = SPAN("no field\n at all\n");
	assert_false(header_next(&rest, &field));
}

static void unfold(void **state)
{
	char bytes[20] = { 0 };
	struct text out = text_in(bytes, sizeof bytes - 1);
	(void)state;
	header_unfold(SPAN("a\r\n b\n\tc\td"), &out);
	assert_string_equal(bytes, "a b c\td");
}

static void bare_cr(void **state)
{
	static const struct {
		const char *value;
		bool bare;
	} rows[] = {
		{ "", false },          { "a\r\n b", false }, { "a\rb", true },
		{ "a\r\r\n b", false }, { "a\r", false },     { "a\r\rb", true },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(header_has_bare_cr(span_of(rows[i].value, strlen(rows[i].value))),
				 rows[i].bare);
}

static void may_name(void **state)
{
	static const struct {
		const char *line;
		size_t size;
		bool may;
	} rows[] = {
#define LINE(text) text, sizeof text - 1
		{ LINE("From: a"), true },
		{ LINE("fROM:a"), true },
		{ LINE("From \t:a"), true },
		{ LINE("From:"), true },
		{ LINE("\0From: a"), true },
		{ LINE("F\0ro\x01m\0: a"), true },
		{ LINE("From\xc2\xa0: a"), true },
		{ LINE("\xef\xbb\xbf"
		       "From: a"),
		  true },
		{ LINE("From"), false },
		{ LINE("From a: b"), false },
		{ LINE("Froma: b"), false },
		{ LINE("Fro: b"), false },
		{ LINE("F rom: b"), false },
		{ LINE(" From: b"), false },
		{ LINE("\nFrom: b"), false },
		{ LINE("From\n: b"), false },
		{ LINE("From\r: b"), false },
		{ LINE("X-From: b"), false },
		{ LINE(""), false },
#undef LINE
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (header_may_name(span_of(rows[i].line, rows[i].size), SPAN("From")) !=
		    rows[i].may)
			fail_msg("row %zu: %s", i, rows[i].line);
}

/* span.c is the ground that the header stands on. */
static void spans(void **state)
{
	char bytes[8];
	struct text text;
	(void)state;
	assert_int_equal(span_hex('a'), 10);
	assert_int_equal(span_hex('F'), 15);
	assert_int_equal(span_hex('g'), -1);
	assert_true(span_alike(SPAN("aBc"), SPAN("AbC")));
	assert_false(span_alike(SPAN("abc"), SPAN("abd")));
	assert_false(span_starts_alike(SPAN("ab"), SPAN("abc")));
	assert_true(span_is_utf8(SPAN("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80")));
	assert_false(span_is_utf8(SPAN("\xc0\x80")));
	assert_false(span_is_utf8(SPAN("\xed\xa0\x80")));
	assert_false(span_is_utf8(SPAN("\xf4\x90\x80\x80")));
	assert_false(span_is_utf8(SPAN("\xe2\x82")));
	assert_false(span_is_utf8(SPAN("\xe2\x82x")));
	assert_int_equal(span_ascii_size(SPAN("abcdefghijk\xff")), 11);
	assert_int_equal(span_ascii_size(SPAN("abcdefgh")), 8);
	/* cut at a character, NUL out */
	text = text_in(bytes, 7);
	text_put(&text, SPAN("a\0bcde\xc3\xa4xyz"));
	assert_true(text.cut);
	text_finish(&text, 8);
	assert_true(span_equal(text_span(&text), SPAN("abcde")));
	text = text_in(bytes, sizeof bytes);
	text_put(&text, SPAN("abc\xc3\xa4"));
	text_finish(&text, 4);
	assert_true(span_equal(text_span(&text), SPAN("abc")));
	text_put_character(&text, 0x1f600);
	text_put_character(&text, 0x20ac);
	assert_true(text.cut);
	assert_true(span_equal(text_span(&text), SPAN("abc\xf0\x9f\x98\x80")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds),   cmocka_unit_test(fields),   cmocka_unit_test(unfold),
		cmocka_unit_test(bare_cr), cmocka_unit_test(may_name), cmocka_unit_test(spans),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
