/* test_param.c: parameters as devices write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "extract/charset.h"
#include "extract/decode.h"
#include "extract/limits.h"
#include "extract/param.h"
#include "tests/unit/charsets.h"

/* ---- the value proper ---- */

static const struct {
	const char *field, *word, *rest;
} splits[] = {
	{ "text/plain; a=b", "text/plain", "; a=b" },
	{ "Text / Plain", "text/plain", "" },
	{ "text/plain", "text/plain", "" },
	{ "", "", "" },
	{ "; filename=x", "", "; filename=x" },
	{ "filename=x", "", "filename=x" },
	{ "attachment filename=x", "attachment", "filename=x" },
	{ "(c (d)) text/(e)plain (f); a=b", "text/plain", "; a=b" },
	{ "(never closes", "", "" },
	{ "text/plain charset=x", "text/plain", "charset=x" },
	{ "text/plain us-ascii; a=b", "text/plain", "; a=b" },
	{ "\"base64\"", "base64", "" },
	{ "base64;", "base64", ";" },
	{ "a/b, c/d", "a/b,c/d", "" },
	{ "text/plain\r\n ; a=b", "text/plain", "; a=b" },
	{ "<html>", "<html>", "" },
};

static void split(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof splits / sizeof splits[0]; i++) {
		char bytes[50] = { 0 };
		struct text word = text_in(bytes, sizeof bytes - 1);
		struct span rest;
		param_split(span_of(splits[i].field, strlen(splits[i].field)), &word, &rest);
		if (strcmp(bytes, splits[i].word) != 0 ||
		    !span_equal(rest, span_of(splits[i].rest, strlen(splits[i].rest))))
			fail_msg("%s: %s, %.*s", splits[i].field, bytes, (int)rest.size, rest.at);
	}
}

/* ---- names ---- */

#define NONE   PARAM_NONE
#define FOUND  PARAM_FOUND
#define DIFFER PARAM_DIFFERS

static const struct {
	const char *cause, *params;
	enum param_result result;
	const char *first, *last; /* NULL: as `first` */
} names[] = {
	{ "quoted", "; name=\"scan.pdf\"", FOUND, "scan.pdf", NULL },
	{ "bare", "; name=scan.pdf", FOUND, "scan.pdf", NULL },
	{ "case of the name", ";NAME=x", FOUND, "x", NULL },
	{ "blanks around the sign", "; name = \"x\" ", FOUND, "x", NULL },
	{ "absent", "; names=x; xname=y", NONE, "", NULL },
	{ "empty", "; name=\"\"", FOUND, "", NULL },
	{ "blanks and colons without quotes", "; name=my scan 1:2.pdf; size=3", FOUND,
	  "my scan 1:2.pdf", NULL },
	{ "brackets without quotes", "; name=scan[1](2).pdf", FOUND, "scan[1](2).pdf", NULL },
	{ "a quote that never closes", "; name=\"scan.pdf", FOUND, "scan.pdf", NULL },
	{ "a quote that never closes, more behind it", "; name=\"scan.pdf; size=3", FOUND,
	  "scan.pdf", NULL },
	{ "a quote that never closes before a fold", "; name=\"scan.pdf\r\n\tx", FOUND, "scan.pdf",
	  NULL },
	{ "quotes in quotes", "; name=\"my \"best\" scan.pdf\"; x=y", FOUND, "my \"best\" scan.pdf",
	  NULL },
	{ "escaped quotes", "; name=\"my \\\"best\\\" scan.pdf\"", FOUND, "my \"best\" scan.pdf",
	  NULL },
	{ "single quotes are part of the name", "; name='scan.pdf'", FOUND, "'scan.pdf'", NULL },
	{ "two semicolons", ";; name=x;;", FOUND, "x", NULL },
	{ "commas between", "; a=b, name=x", FOUND, "x", NULL },
	{ "a semicolon in quotes", "; a=\";name=y\"; name=\"x;y\"", FOUND, "x;y", NULL },
	{ "no semicolon between", "; a=\"b\" name=\"x\"", FOUND, "x", NULL },
	{ "no semicolon between, bare and folded", "; a=b\r\n name=x", FOUND, "x", NULL },
	{ "junk between", "; junk; \"more; name=z\" ; = ; name=x", FOUND, "x", NULL },
	{ "a comment between", "; (name=z) name=x (c)", FOUND, "x (c)", NULL },
	{ "a comment behind quotes", "; name=\"x\" (c); b=c", FOUND, "x", NULL },
	{ "backslashes of a path", "; name=\"C:\\Users\\me\\scan.pdf\"", FOUND,
	  "C:\\Users\\me\\scan.pdf", NULL },
	{ "escaped backslashes of a path", "; name=\"C:\\\\me\\\\scan.pdf\"", FOUND,
	  "C:\\me\\scan.pdf", NULL },
	{ "a path that ends in a backslash", "; name=\"C:\\me\\\"; x=y", FOUND, "C:\\me\\", NULL },
	{ "a backslash at the end", "; name=\"x\\", FOUND, "x\\", NULL },
	{ "folded in quotes", "; name=\"a\r\n b\r\n\tc\"", FOUND, "a b c", NULL },
	{ "words", "; name=\"=?utf-8?q?sc=C3=A4n?= =?utf-8?q?.pdf?=\"", FOUND, "sc\xc3\xa4n.pdf",
	  NULL },
	{ "words without quotes", "; name==?utf-8?q?sc=C3=A4n.pdf?=", FOUND, "sc\xc3\xa4n.pdf",
	  NULL },
	{ "raw UTF-8", "; name=\"sc\xc3\xa4n\"", FOUND, "sc\xc3\xa4n", NULL },
	{ "raw Latin-1", "; name=sc\xe4n", FOUND, "sc\xc3\xa4n", NULL },
	{ "NUL at the end", "; name=x\0", FOUND, "x", NULL },
	/* RFC 2231 */
	{ "extended", "; name*=UTF-8'de'sc%C3%A4n", FOUND, "sc\xc3\xa4n", NULL },
	{ "extended in quotes", "; name*=\"UTF-8''sc%C3%A4n\"", FOUND, "sc\xc3\xa4n", NULL },
	{ "extended in Latin-1", "; name*=iso-8859-1''sc%E4n", FOUND, "sc\xc3\xa4n", NULL },
	{ "extended without a charset", "; name*=sc%C3%A4n", FOUND, "sc\xc3\xa4n", NULL },
	{ "extended, half a charset", "; name*=it's", FOUND, "it's", NULL },
	{ "extended, more apostrophes", "; name*=UTF-8''it's.pdf", FOUND, "it's.pdf", NULL },
	{ "both: the extended one counts", "; name=x; name*=UTF-8''y", FOUND, "y", NULL },
	{ "sections", "; name*0=\"sc\"; name*1=\"an\"; name*2=.pdf", FOUND, "scan.pdf", NULL },
	{ "sections in disorder", "; name*1=b; name*0=a", FOUND, "ab", NULL },
	{ "a section is missing", "; name*0=a; name*2=c", FOUND, "a", NULL },
	{ "no first section", "; name*1=a; name=x", FOUND, "x", NULL },
	{ "extended sections, a character cut", "; name*0*=UTF-8''a%C3; name*1*=%A4", FOUND,
	  "a\xc3\xa4", NULL },
	{ "mixed sections", "; name*0*=UTF-8''a%20; name*1=\"b%20\"", FOUND, "a b%20", NULL },
	{ "apostrophe in a plain section", "; name*0=\"it's'x\"; name*1=y", FOUND, "it's'xy",
	  NULL },
	{ "words in sections", "; name*0=\"=?utf-8?q?a\"; name*1=\"b?=\"", FOUND, "ab", NULL },
	{ "stars that are none", "; name*x=y", NONE, "", NULL },
	{ "too high a section", "; name*99999999999=y", NONE, "", NULL },
	{ "sections beyond the cap", "; name*256=y", NONE, "", NULL },
	/* two values */
	{ "twice the same", "; name=x; name=\"x\"", FOUND, "x", NULL },
	{ "twice different", "; name=x; name=y", DIFFER, "x", "y" },
	{ "thrice", "; name=x; name=y; name=z", DIFFER, "x", "z" },
	{ "extended twice", "; name*=UTF-8''x; name*=UTF-8''y", DIFFER, "x", "y" },
	{ "a section twice", "; name*0=x; name*0=y; name*1=z", DIFFER, "xz", "yz" },
	{ "extended, whole and in sections", "; name*=UTF-8''x; name*0=y", DIFFER, "x", "y" },
};

static void check(size_t i, enum frame_reading reading, const char *wanted)
{
	char bytes[100] = { 0 };
	struct text out = text_in(bytes, sizeof bytes - 1);
	enum param_result result = param_text(span_of(names[i].params, strlen(names[i].params)),
					      SPAN("Name"), reading, PARAM_BACKSLASH_PATH, &out);
	if (result != names[i].result || strcmp(bytes, wanted) != 0)
		fail_msg("%s, reading %d: %d %s", names[i].cause, (int)reading, (int)result, bytes);
}

static void texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		check(i, FRAME_READ_FIRST, names[i].first);
		check(i, FRAME_READ_LAST, names[i].last ? names[i].last : names[i].first);
	}
}

static void pairs(void **state)
{
	char bytes[100] = { 0 };
	struct text out = text_in(bytes, sizeof bytes - 1);
	(void)state;
	param_text(SPAN("; name=\"C:\\TEMP\\x\""), SPAN("name"), FRAME_READ_FIRST,
		   PARAM_BACKSLASH_PAIR, &out);
	assert_string_equal(bytes, "C:TEMPx");
}

/* ---- boundaries ---- */

static const struct {
	const char *params;
	enum param_result result;
	const char *first, *last;
} tokens[] = {
	{ "; boundary=a", FOUND, "a", NULL },
	{ "; boundary=a:(b)c", FOUND, "a:(b)c", NULL },
	{ "; boundary=\"a\r\n b\"", FOUND, "a b", NULL },
	{ "; boundary=\"=?utf-8?q?a?=\"", FOUND, "=?utf-8?q?a?=", NULL },
	{ "; boundary=a (generated)", DIFFER, "a", "a (generated)" },
	{ "; boundary=a (x) b", FOUND, "a (x) b", NULL },
	{ "; boundary=\"a\\b\"", DIFFER, "ab", "a\\b" },
	{ "; boundary*0=a; boundary*1=b", FOUND, "ab", NULL },
	{ "; boundary*=us-ascii''a%20b", FOUND, "a b", NULL },
	{ "; boundary=a; boundary=b", DIFFER, "a", "b" },
	{ "; a=b", NONE, "", NULL },
};

static void boundaries(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++)
		for (int reading = FRAME_READ_FIRST; reading <= FRAME_READ_LAST; reading++) {
			char bytes[100] = { 0 };
			struct text out = text_in(bytes, sizeof bytes - 1);
			const char *wanted = reading == FRAME_READ_LAST && tokens[i].last
						     ? tokens[i].last
						     : tokens[i].first;
			enum param_result result =
				param_token(span_of(tokens[i].params, strlen(tokens[i].params)),
					    SPAN("boundary"), (enum frame_reading)reading, &out);
			if (result != tokens[i].result || strcmp(bytes, wanted) != 0)
				fail_msg("%s, reading %d: %d %s", tokens[i].params, reading,
					 (int)result, bytes);
		}
}

/* ---- many ---- */

static void many(void **state)
{
	static char params[4 * LIMIT_PARAMS_MAX + 8];
	(void)state;
	for (size_t i = 0; i <= LIMIT_PARAMS_MAX; i++)
		memcpy(params + 4 * i, ";a=b", 4);
	assert_false(param_too_many(span_of(params, 4 * LIMIT_PARAMS_MAX)));
	assert_true(param_too_many(span_of(params, 4 * LIMIT_PARAMS_MAX + 4)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split), cmocka_unit_test(texts),      cmocka_unit_test(pairs),
		cmocka_unit_test(many),  cmocka_unit_test(boundaries),
	};
	return cmocka_run_group_tests(tests, charsets_prepare, charsets_finish);
}
