/* test_watch.c: what a text hides, and what looks like it and is text; and the pictures that HTML
 * refers to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "extract/cid.h"
#include "extract/decode.h"
#include "extract/watch.h"

#define BASE64_LINE "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJz"

static const struct {
	const char *cause, *text;
	bool found;
} rows[] = {
	{ "text", "hello\r\nworld\r\n", false },
	{ "nothing", "", false },
	{ "a signature", "--\nContent with life\n-- \nContent-ed\n", false },
	{ "a part", "x\r\n--B\r\nContent-Type: a/b\r\n", true },
	{ "a part, at the very end", "--B\nContent-Type: a/b", true },
	{ "a quoted message", "-----Original Message-----\nFrom: a\nContent-Type: a/b\n", false },
	{ "fields without dashes", "Content-Type: a/b\nContent-Transfer-Encoding: 7bit\n", false },
	{ "a blank line between", "--B\n\nContent-Type: a/b\n", false },
	{ "base64", BASE64_LINE "\n" BASE64_LINE "\r\n" BASE64_LINE "\n",
	  false }, /* one has a CR, so is not as wide */
	{ "base64 in lines of one width", BASE64_LINE "\n" BASE64_LINE "\n" BASE64_LINE, true },
	{ "two lines of it", BASE64_LINE "\n" BASE64_LINE "\nno\n" BASE64_LINE "\n", false },
	{ "blank lines between them", BASE64_LINE "\n" BASE64_LINE "\n\n" BASE64_LINE "\n", true },
	{ "indented, as in a copied DKIM field",
	  " " BASE64_LINE "\n " BASE64_LINE "\n " BASE64_LINE "\n", false },
	{ "one long line of it",
	  BASE64_LINE BASE64_LINE BASE64_LINE BASE64_LINE BASE64_LINE BASE64_LINE BASE64_LINE
		  BASE64_LINE "\n",
	  true },
	{ "a file in a URL",
	  "<img src=\"data:image/jpeg;;BASE64," BASE64_LINE BASE64_LINE BASE64_LINE BASE64_LINE
	  "\n" BASE64_LINE BASE64_LINE BASE64_LINE BASE64_LINE "\">\n",
	  true },
	{ "ornaments in URLs",
	  "<img src='data:image/gif;base64," BASE64_LINE "'>"
	  "<img src='data:image/gif;base64," BASE64_LINE BASE64_LINE BASE64_LINE "'>"
	  "<img src='data:image/gif;base64," BASE64_LINE BASE64_LINE BASE64_LINE "'>",
	  false },
	{ "letters of one case",
	  "ABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCD\nABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCD\n"
	  "ABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCDABCD\n",
	  false },
	{ "armour of OpenPGP",
	  "-----BEGIN PGP SIGNATURE-----\n\n" BASE64_LINE "\n" BASE64_LINE "\n" BASE64_LINE
	  "\n-----END PGP SIGNATURE-----\nbye\n",
	  false },
	{ "armour, then base64",
	  "-----BEGIN X-----\n-----END X-----\n" BASE64_LINE "\n" BASE64_LINE "\n" BASE64_LINE "\n",
	  true },
	{ "uuencode",
	  "begin 644 scan.pdf\nM)5!$1BTQ+C0*  <.%1PC*C$X/T9-5%MB:7!W?H6,DYJAJ*^VO<3+TMG@Y^[U\n",
	  true },
	{ "a sentence", "begin 644 of them\nand more\n", false },
	{ "another sentence", "begin with 644\nM)5!$1BTQ\n", false },
	{ "begin without a name", "begin 644 \nM)5!$1BTQ\n", false },
	{ "begin without a mode", "begin 64 x\n#86)C\n", false },
	{ "yEnc", "=ybegin line=128 size=3 name=x\n", true },
};

static void all_rows(void **state)
{
	(void)state;
	decode_prepare();
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (size_t step = 1; step < 1000; step *= 9) {
			struct watch watch;
			watch_init(&watch);
			for (size_t at = 0; at < strlen(rows[i].text); at += step)
				watch_add(&watch, span_first(span_of(rows[i].text + at,
								     strlen(rows[i].text) - at),
							     step));
			if (watch_finish(&watch) != rows[i].found)
				fail_msg("%s, step %zu", rows[i].cause, step);
		}
}

/* A delimiter that is not as it should be. */
static void spoiled(void **state)
{
	static const struct {
		const char *text;
		bool spoiled;
	} texts[] = {
		{ "-b1\r\nContent-Type: a/b\r\n", true },
		{ "--B1\nContent-Type: a/b\n", true },
		{ "-----b1 --\ncontent-type: a/b", true },
		{ BASE64_LINE "\n" BASE64_LINE "\n" BASE64_LINE "\n b1\nContent-Type: a/b\n",
		  true },
		{ "--b1\n\nContent-Type: a/b\n", false },
		{ "--b12\nContent-Type: a/b\n", false },
		{ "--b1\nSubject: x\n", false },
		{ "--\nContent-Type: a/b\n", false },
	};
	(void)state;
	decode_prepare();
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct watch watch;
		watch_init(&watch);
		watch_expect(&watch, SPAN("--b1"));
		watch_add(&watch, span_of(texts[i].text, strlen(texts[i].text)));
		watch_finish(&watch);
		if (watch.spoiled != texts[i].spoiled)
			fail_msg("%s", texts[i].text);
	}
}

/* ---- cid: ---- */

static struct cid_set set;

static void scan(const char *html)
{
	struct cid_scan scan;
	memset(&set, 0, sizeof set);
	cid_scan_init(&scan, &set);
	for (; *html; html++)
		cid_scan_add(&scan, span_of(html, 1));
}

static bool has(const char *id)
{
	return cid_set_has(&set, span_hash(span_of(id, strlen(id))));
}

static void references(void **state)
{
	(void)state;
	scan("<img src=\"cid:a@x\"> <img src='CID:b%40x'> url(cid:c) src=cid:d> cccid:e&amp; cid:f%4\" cid:\" cid:g%zz ccid");
	assert_int_equal(set.count, 7);
	assert_true(has("a@x") && has("b@x") && has("c") && has("d") && has("e"));
	assert_false(has("") || has("cid:a@x") || has("never"));
	scan("cid:h\\ cid:i; cid:j< cid:k) cid:l' cid: cid:m");
	assert_int_equal(set.count, 5);
	assert_true(has("h") && has("i") && has("j") && has("k") && has("l"));
	scan("nothing to see cid:unfinished");
	assert_int_equal(set.count, 0);
}

static void too_many(void **state)
{
	static char html[8 * LIMIT_CIDS_MAX * 2];
	size_t size = 0;
	(void)state;
	for (int i = 0; i < 2 * LIMIT_CIDS_MAX - 100; i++) {
		memcpy(html + size, "cid:", 4);
		html[size + 4] = (char)('a' + i % 26);
		html[size + 5] = (char)('a' + i / 26 % 26);
		html[size + 6] = (char)('a' + i / 676);
		html[size + 7] = '"';
		size += 8;
	}
	scan(html);
	assert_int_equal(set.count, LIMIT_CIDS_MAX);
	assert_false(has("zzz"));
	memset(html, 'x', sizeof html - 1);
	memcpy(html, "cid:", 4);
	html[1000] = '"';
	scan(html);
	assert_int_equal(set.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(all_rows), cmocka_unit_test(spoiled),
					    cmocka_unit_test(references),
					    cmocka_unit_test(too_many) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
