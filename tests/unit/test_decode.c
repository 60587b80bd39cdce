/* test_decode.c: rows of encoded text, fed whole and octet by octet, by the fast way and the
 * portable one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "extract/decode.h"

struct row {
	const char *cause;
	enum decode_kind kind;
	const char *in;
	bool cut; /* the end of the part was not seen */
	const char *out;
	bool damaged;
};

static const struct row rows[] = {
	/* base64 */
	{ "padded by two", DECODE_BASE64, "YQ==\r\n", false, "a", false },
	{ "padded by one", DECODE_BASE64, "YWI=", false, "ab", false },
	{ "whole groups", DECODE_BASE64, "YWJj\nZGVm\n", false, "abcdef", false },
	{ "blank lines", DECODE_BASE64, "YWJj\n\n\r\nZGVm\n", false, "abcdef", false },
	{ "blanks around a line", DECODE_BASE64, "  YWJj \t\n ZGVm\n", false, "abcdef", false },
	{ "groups over line ends", DECODE_BASE64, "YW\nJjZ\nGVm", false, "abcdef", false },
	{ "junk between", DECODE_BASE64, "YWJj!!! ***\nZGVm\n", false, "abcdef", true },
	{ "unpadded, the closing boundary came", DECODE_BASE64, "YWJjZA", false, "abcd", false },
	{ "unpadded by one", DECODE_BASE64, "YWJjZGU", false, "abcde", false },
	{ "the mail was cut in a group", DECODE_BASE64, "YWJjZGU", true, "abc", true },
	{ "a lone character", DECODE_BASE64, "YWJjZ", false, "abc", true },
	{ "two pieces glued in a line", DECODE_BASE64, "YQ==Yg==", false, "ab", false },
	{ "two pieces, a line each", DECODE_BASE64, "YWI=\nY2Rl\n", false, "abcde", false },
	{ "text behind the padding", DECODE_BASE64, "YWI=\nThe end of it\n", false, "ab", false },
	{ "text behind the padding, a dash line first", DECODE_BASE64, "YWI=\n____\n--\nhi there\n",
	  false, "ab", false },
	{ "footer behind a short last line", DECODE_BASE64, "YWJjZGVm\nYWJj\nScanned by x@y\n",
	  false, "abcdefabc", false },
	{ "footer behind blank lines", DECODE_BASE64, "YWJjZGVm\nYWJj\n\n\nScanned by x@y\n", false,
	  "abcdefabc", false },
	{ "a short line, then base64", DECODE_BASE64, "YWJjZGVm\nYWJj\nZGVm\n", false,
	  "abcdefabcdef", false },
	{ "a short line, then blanks and base64", DECODE_BASE64, "YWJjZGVm\nYWJj\n ZGVm \n", false,
	  "abcdefabcdef", false },
	{ "base64 in doubt without a line end", DECODE_BASE64, "YWI=\nY2Rl", false, "abcde",
	  false },
	{ "footer without a line end", DECODE_BASE64, "YWI=\nbye!", false, "ab", false },
	{ "footer glued to the padding", DECODE_BASE64, "YWI=Scanned by x\n", false, "ab", false },
	{ "footer with rulers and the mark of a signature", DECODE_BASE64,
	  "YWI=\n-- \n=====\n-----\nVisit us -- today\n", false, "ab", false },
	{ "two pieces glued in a line, the last unpadded", DECODE_BASE64, "YWI=Y2Q\n", false,
	  "abcd", false },
	{ "base64 in no whole groups behind a short line", DECODE_BASE64,
	  "YWJjZGVm\nYWJj\nZGVmZw\n", false, "abcdefabc", true },
	{ "a delimiter glued to the padding", DECODE_BASE64, "YWI=--BB\n", false, "ab", true },
	{ "a delimiter with a blank before it", DECODE_BASE64, "YWI=\n --BB\n", false, "ab", true },
	{ "a field behind the padding", DECODE_BASE64, "YWI=\n-BB\ncontent-Type: a/b\n", false,
	  "ab", true },
	{ "base64 behind a footer", DECODE_BASE64,
	  "YWI=\nhi there\nQUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZn\n", false, "ab", true },
	{ "a padded end behind a footer", DECODE_BASE64, "YWI=\nhi there\nYQ==\n", false, "ab",
	  true },
	{ "a mail server cut the line", DECODE_BASE64, "YWJj!\r\n ZGVm!\nZ2hp\n", false,
	  "abcdefghi", false },
	{ "the same mark within a line", DECODE_BASE64, "YWJj!ZGVm\n", false, "abcdef", true },
	{ "controls between", DECODE_BASE64, "YWJj\x01\x1a\nZGVm\n", false, "abcdef", false },
	{ "padding that ends nothing", DECODE_BASE64, "YWJj=\nZGVm\n", false, "abcdef", false },
	{ "padding after a lone character", DECODE_BASE64, "YWJjZ===\n", false, "abc", true },
	{ "NUL", DECODE_BASE64, "YWJj", false, "abc", false },
	{ "nothing", DECODE_BASE64, "", false, "", false },
	{ "only junk", DECODE_BASE64, "!!!\n", false, "", true },
	{ "the whole alphabet", DECODE_BASE64,
	  "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0\r\nNTY3ODkrLw==\r\n",
	  false, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", false },
	{ "plus and slash", DECODE_BASE64, "Pj4+Pz8/", false, ">>>???", false },
	/* quoted-printable */
	{ "octets", DECODE_QP, "a=3Db=3d=C3=A4", false, "a=b=\xc3\xa4", false },
	{ "soft line break", DECODE_QP, "a=\r\nb=\nc", false, "abc", false },
	{ "soft line break with blanks", DECODE_QP, "a= \t\r\nb", false, "ab", false },
	{ "blanks at the end of a line", DECODE_QP, "a \t\r\nb c\n", false, "a\r\nb c\n", false },
	{ "blanks at the end", DECODE_QP, "a  ", false, "a  ", false },
	{ "bad escapes stay", DECODE_QP, "a=ZZb=3=", false, "a=ZZb=3", false },
	{ "an escape cut by the next one", DECODE_QP, "==41=4=41", false, "=A=4A", false },
	{ "equals and blanks are text", DECODE_QP, "a= b", false, "a= b", false },
	{ "cut in an escape", DECODE_QP, "a=4", false, "a=4", false },
	{ "a lone equals at the end", DECODE_QP, "a=", false, "a", false },
	/* uuencode */
	{ "a file", DECODE_UU, "begin 644 x\n#86)C\n`\nend\n", false, "abc", false },
	{ "text around it", DECODE_UU, "hi\n\nbegin 644 x\r\n#86)C\r\n \r\nend\r\nbye\n", false,
	  "abc", false },
	{ "blanks lost at the end of a line", DECODE_UU, "begin 644 x\n#86)\n\nend\n", false, "ab@",
	  false },
	{ "no end", DECODE_UU, "begin 644 x\n#86)C\n", false, "abc", true },
	{ "a line that is none", DECODE_UU, "begin 644 x\n#86)C\n\x7f\n#9&5F\n`\nend", false,
	  "abcdef", true },
	{ "a second file", DECODE_UU, "begin 644 x\n#86)C\n`\nend\nbegin 644 y\n#86)C\n`\nend\n",
	  false, "abc", true },
	{ "no begin", DECODE_UU, "hello\n", false, "", true },
	/* none */
	{ "as it is", DECODE_IDENTITY, "a=3D\r\n", false, "a=3D\r\n", false },
};

/* Feeds `step` octets at a time. */
static size_t decode(const struct row *row, size_t step, char *out, bool *damaged_out)
{
	static struct decoder decoder;
	size_t made = 0;
	decode_init(&decoder, row->kind);
	for (size_t at = 0, size = strlen(row->in); at < size; at += step) {
		struct span piece = span_first(span_of(row->in + at, size - at), step);
		while (piece.size > 0)
			made += decode_run(&decoder, &piece, out + made, DECODE_ROOM_MIN);
	}
	made += decode_finish(&decoder, !row->cut, out + made);
	*damaged_out = decoder.damaged;
	return made;
}

static void check_rows(void)
{
	static char out[4 * DECODE_ROOM_MIN];
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		for (size_t step = 1; step < 100; step += 7) {
			bool damaged;
			size_t made = decode(&rows[i], step, out, &damaged);
			size_t wanted = strlen(rows[i].out);
			if (made != wanted || memcmp(out, rows[i].out, wanted) != 0 ||
			    damaged != rows[i].damaged)
				fail_msg("%s, step %zu: %zu octets, damaged %d: %.*s",
					 rows[i].cause, step, made, damaged, (int)made, out);
		}
	}
}

static void rows_fast(void **state)
{
	(void)state;
	decode_prepare();
	check_rows();
}

static void rows_portable(void **state)
{
	(void)state;
	decode_prepare_portable();
	check_rows();
	decode_prepare();
}

/* Both ways give the same for any octets: mostly base64, in lines, with junk. */
static void ways_agree(void **state)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static char in[3000], fast[2 * DECODE_ROOM_MIN], portable[2 * DECODE_ROOM_MIN];
	uint32_t random = 7;
	(void)state;
	for (int round = 0; round < 2000; round++) {
		for (size_t i = 0; i < sizeof in - 1; i++) {
			random = random * 1664525 + 1013904223;
			uint32_t die = random >> 24, kind = (random >> 8) & 1023;
			in[i] = i % 77 == 76 ? '\n' : kind < 2 ? (char)die : alphabet[die & 63];
			if (in[i] == '\0')
				in[i] = 'A';
		}
		struct row row = { "random", DECODE_BASE64, in, false, NULL, false };
		bool damaged_fast, damaged_portable;
		decode_prepare();
		size_t made_fast = decode(&row, sizeof in, fast, &damaged_fast);
		decode_prepare_portable();
		size_t made_portable = decode(&row, sizeof in, portable, &damaged_portable);
		assert_int_equal(made_fast, made_portable);
		assert_int_equal(damaged_fast, damaged_portable);
		assert_memory_equal(fast, portable, made_fast);
	}
	decode_prepare();
}

/* Every octet at every place of a vector. */
static void every_octet(void **state)
{
	char in[97], out[2 * DECODE_ROOM_MIN], other[2 * DECODE_ROOM_MIN];
	(void)state;
	for (int octet = 1; octet < 256; octet++) {
		for (size_t place = 0; place < 33; place++) {
			memset(in, 'Q', 96);
			in[96] = '\0';
			in[place] = (char)octet;
			struct row row = { "octet", DECODE_BASE64, in, false, NULL, false };
			bool damaged, damaged_other;
			decode_prepare();
			size_t made = decode(&row, 96, out, &damaged);
			decode_prepare_portable();
			assert_int_equal(decode(&row, 96, other, &damaged_other), made);
			assert_memory_equal(out, other, made);
		}
	}
	decode_prepare();
}

/* A line without an end, longer than any buffer, behind a padded one: it is data, and linear. */
static void long_line_in_doubt(void **state)
{
	static char in[DECODE_LINE_MAX * 3 + 8], out[4 * DECODE_ROOM_MIN];
	(void)state;
	memcpy(in, "YQ==\n", 5);
	memset(in + 5, 'Q', DECODE_LINE_MAX * 3);
	in[5 + DECODE_LINE_MAX * 3] = '\0';
	struct row row = { "long", DECODE_BASE64, in, false, NULL, false };
	bool damaged;
	assert_int_equal(decode(&row, 100, out, &damaged), 1 + DECODE_LINE_MAX * 3 / 4 * 3);
}

/* The same, but not base64: a footer. */
static void long_footer(void **state)
{
	static char in[DECODE_LINE_MAX * 3 + 8], out[4 * DECODE_ROOM_MIN];
	(void)state;
	memcpy(in, "YQ==\n", 5);
	memset(in + 5, 'Q', DECODE_LINE_MAX * 3);
	in[100] = '!';
	struct row row = { "long", DECODE_BASE64, in, false, NULL, false };
	bool damaged;
	assert_int_equal(decode(&row, 100, out, &damaged), 1);
	assert_false(damaged);
}

static void within_line(void **state)
{
	static const struct {
		const char *in;
		bool within;
	} ends[] = { { "YWJj", true },
		     { "YWJj\r\n", false },
		     { "YWI=", false },
		     { "YWJj\nYW", true },
		     { "", false } };
	char out[DECODE_ROOM_MIN + DECODE_SLACK];
	(void)state;
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		struct decoder decoder;
		struct span in = span_of(ends[i].in, strlen(ends[i].in));
		decode_init(&decoder, DECODE_BASE64);
		decode_run(&decoder, &in, out, DECODE_ROOM_MIN);
		assert_int_equal(decode_is_within_line(&decoder), ends[i].within);
	}
}

/* More blanks than are held back are text. */
static void many_blanks(void **state)
{
	static char in[DECODE_LINE_MAX * 2 + 2], out[4 * DECODE_ROOM_MIN];
	(void)state;
	memset(in, ' ', DECODE_LINE_MAX * 2);
	in[DECODE_LINE_MAX * 2] = 'x';
	struct row row = { "blanks", DECODE_QP, in, false, NULL, false };
	bool damaged;
	assert_int_equal(decode(&row, 100, out, &damaged), DECODE_LINE_MAX * 2 + 1);
	in[0] = '=';
	assert_int_equal(decode(&row, 100, out, &damaged), DECODE_LINE_MAX * 2 + 1);
	assert_false(damaged);
}

static void uu_lines(void **state)
{
	static const struct {
		const char *line;
		int size;
	} lines[] = {
		{ "", -1 },
		{ "#86)C", 3 },
		{ "#86)C\r\n", 3 },
		{ "#86)CX", 3 },
		{ "#86)C1234", -1 },
		{ "`", 0 },
		{ " ", 0 },
		{ "#86)", 3 },
		{ "\x01"
		  "abc",
		  -1 },
		{ "#8\xff)C", -1 },
		{ "a", -1 },
	};
	char out[DECODE_UU_LINE_MAX + 3];
	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		assert_int_equal(decode_uu_line(span_of(lines[i].line, strlen(lines[i].line)), out),
				 lines[i].size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_fast),          cmocka_unit_test(rows_portable),
		cmocka_unit_test(ways_agree),         cmocka_unit_test(every_octet),
		cmocka_unit_test(long_line_in_doubt), cmocka_unit_test(long_footer),
		cmocka_unit_test(within_line),        cmocka_unit_test(many_blanks),
		cmocka_unit_test(uu_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
