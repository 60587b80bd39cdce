/* test_filename.c: hostile names, and names that people expect to keep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <utf8proc.h>
#include "policy/filename.h"

struct row {
	const char *name, *safe;
};

static void check_safe(void (*make)(const char *, const char *, char *, size_t),
		       const struct row *rows, size_t count)
{
	char safe[FILENAME_MAX_BYTES + 1], again[FILENAME_MAX_BYTES + 1];
	for (size_t i = 0; i < count; i++) {
		make(rows[i].name, "fallback", safe, FILENAME_MAX_BYTES);
		if (strcmp(safe, rows[i].safe) != 0)
			fail_msg("`%s` became `%s`, not `%s`", rows[i].name, safe, rows[i].safe);
		make(safe, "fallback", again, FILENAME_MAX_BYTES);
		assert_string_equal(again, safe);
	}
}

static void names_that_stay(void **state)
{
	(void)state;
	static const char *const names[] = {
		"scan",
		"Rechnung 2024-05 (Kopie), 2 Seiten",
		"Grüße aus Köln",
		"50% Rabatt",
		"a+b=c@d",
		"Angebot Nr. 5.1",
		"Scan (2)",
		"_privat_",
		"日本語のファイル",
		"Счёт № 5",
		"חשבונית",
		"فاتورة",
		"ไทยนี้",
		"हिन्दी",
		"Ελληνικά",
		"한국어",
		"café – résumé",
		"€ 5 ½ ©",
		"📷 Kamera",
		"CONTRACT",
		"AUXILIARY.2",
		"COM",
		"COM10",
		"COMx",
		"LPT",
		"console.log",
		"NULL",
		"x.con",
		"1.2.3",
	};
	char safe[FILENAME_MAX_BYTES + 1];
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		filename_safe(names[i], "fallback", safe, FILENAME_MAX_BYTES);
		assert_string_equal(safe, names[i]);
	}
}

static void hostile_names(void **state)
{
	(void)state;
	static const struct row rows[] = {
		/* folders and streams */
		{ "a/b", "a_b" },
		{ "a\\b", "a_b" },
		{ "../../etc/passwd", "_._._etc_passwd" },
		{ "..", "fallback" },
		{ ".", "fallback" },
		{ "...", "fallback" },
		{ "/", "fallback" },
		{ "a..b", "a.b" },
		{ "a::$DATA", "a___DATA" },
		{ "C:", "C_" },
		{ "\\\\server\\share", "__server_share" },
		/* what SMB can't show */
		{ "a\"b*c:d<e>f?g|h", "a_b_c_d_e_f_g_h" },
		/* a shell prompt, a listing */
		{ "$(id)`id`;&", "_(id)_id___" },
		{ "it's", "it_s" },
		{ "!x", "_x" },
		{ "a #b", "a _b" },
		{ "~root", "_root" },
		{ "~$doc", "__doc" },
		{ "[1] {a,b} x^y", "_1_ _a,b_ x_y" },
		{ "-rf", "_rf" },
		{ "--", "fallback" },
		{ "+cmd", "_cmd" },
		{ "=1+1", "_1+1" },
		{ "@file", "_file" },
		{ ".htaccess", "_htaccess" },
		{ " .profile", "_profile" },
		/* ends */
		{ "scan.", "scan" },
		{ "scan. . .", "scan" },
		{ "scan ", "scan" },
		{ "  scan  ", "scan" },
		{ "", "fallback" },
		{ "   ", "fallback" },
		{ "???", "fallback" },
		{ "?a?", "_a_" },
		/* controls */
		{ "a\nb\rc\td\x01"
		  "e\x7f"
		  "f",
		  "a_b_c_d_e_f" },
		{ "a\xc2\x85"
		  "b",
		  "a_b" },
		{ "\x1b[31mred", "__31mred" },
		/* blanks of all kinds */
		{ "a\u00a0b\u2003c\u3000d\u202fe", "a b c d e" },
		{ "\u00a0a\u2003", "a" },
		{ "a\u2028b\u2029c", "a_b_c" },
		/* bidirectional and invisible */
		{ "invoice\u202efdp.exe", "invoice_fdp.exe" },
		{ "a\u200bb\u200dc\u2060d\ufeffe", "a_b_c_d_e" },
		{ "a\u00adb", "a_b" },
		{ "a\u200eb\u200fc\u061cd\u2066e\u2069f", "a_b_c_d_e_f" },
		{ "a\u115fb\u3164c\uffa0d\u2800e", "a_b_c_d_e" },
		{ "a\u034fb", "a_b" },
		{ "\u2764\ufe0f", "\u2764_" },
		{ "\u200b\u200b", "fallback" },
		{ "a\U000e0041b", "a_b" },
		{ "a\u180eb", "a_b" },
		/* unassigned, private, surrogates, noncharacters */
		{ "a\U0002fffeb", "a_b" },
		{ "a\ue000b", "a_b" },
		{ "a\U000f0000b", "a_b" },
		{ "a\u0378b", "a_b" },
		{ "a\ufffdb\ufffcc", "a_b_c" },
		{ "a\xed\xa0\x80"
		  "b",
		  "a\u00ed _b" },
		/* not UTF-8: Latin-1 */
		{ "R\xfc"
		  "ck",
		  "Rück" },
		{ "a\xc0\xaf"
		  "b",
		  "aÀ¯b" },
		{ "a\xe0\x80\xaf"
		  "b",
		  "aà_¯b" },
		{ "\xff\xfe", "ÿþ" },
		{ "a\xc3", "aÃ" },
		{ "\xf5\x80\x80\x80", "õ___" },
		/* marks */
		{ "e\u0301", "é" },
		{ "\u0301", "fallback" },
		{ "\u0301\u0302\u0303", "fallback" },
		{ "\u0338a", "_a" },
		{ "_\u0338a", "__a" },
		{ "a.\u0301", "a._" },
		{ "<\u0338", "\u226e" },
		{ "/\u0301x", "__x" },
		{ "a\u0323\u0307", "\u1ea1\u0307" },
		{ "a\u0307\u0323", "\u1ea1\u0307" },
		{ "\u1112\u1161\u11ab", "\ud55c" },
		{ "\u212b", "\u00c5" },
		{ "\u2126", "\u03a9" },
		{ "\u0958", "\u0915\u093c" },
		/* devices */
		{ "CON", "_CON" },
		{ "con.txt", "_con.txt" },
		{ "Con .txt", "_Con .txt" },
		{ "con.tar.gz", "_con.tar.gz" },
		{ "PRN", "_PRN" },
		{ "aux.", "_aux" },
		{ "nul ", "_nul" },
		{ "COM1", "_COM1" },
		{ "com0.x", "_com0.x" },
		{ "LPT9.pdf", "_LPT9.pdf" },
		{ "COM\u00b9", "_COM\u00b9" },
		{ "lpt\u00b3.pdf", "_lpt\u00b3.pdf" },
		{ "CONIN$", "CONIN_" },
		{ "CLOCK$", "CLOCK_" },
		/* what a desktop does something with */
		{ "desktop.ini", "_desktop.ini" },
		{ "AutoRun.inf", "_AutoRun.inf" },
		{ "Thumbs.db", "_Thumbs.db" },
		{ ".DS_Store", "_DS_Store" },
		{ "._scan", "__scan" },
		{ "$RECYCLE.BIN", "_RECYCLE.BIN" },
		{ "System Volume Information", "_System Volume Information" },
		{ "x.{21EC2020-3AEA-1069-A2DD-08002B30309D}",
		  "x._21EC2020-3AEA-1069-A2DD-08002B30309D_" },
	};
	check_safe(filename_safe, rows, sizeof rows / sizeof *rows);
}

static void folders_of_the_configuration(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ "Tom & Ina", "Tom & Ina" },
		{ "it's $5 #1 [x] {y} ~ ^ ! ; `", "it's $5 #1 [x] {y} ~ ^ ! ; `" },
		{ "-x", "-x" },
		{ "=x", "=x" },
		{ "a:b", "a_b" },
		{ "a/b", "a_b" },
		{ ".hidden", "_hidden" },
		{ "..", "fallback" },
		{ "a.", "a" },
		{ "CON", "_CON" },
		{ "CONIN$", "_CONIN$" },
		{ "conout$.x", "_conout$.x" },
		{ "$Recycle.bin", "_$Recycle.bin" },
		{ "a\u202eb", "a_b" },
	};
	check_safe(filename_folder, rows, sizeof rows / sizeof *rows);
}

static void stems(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ "scan.pdf", "scan" },
		{ "SCAN.PDF", "SCAN" },
		{ "scan.jpeg", "scan" },
		{ "scan.dat", "scan" },
		{ "scan", "scan" },
		{ "invoice.pdf.exe", "invoice.pdf" },
		{ "invoice.pdf .lnk", "invoice.pdf" },
		{ "invoice.tar.gz", "invoice.tar" },
		{ "scan.pdf.", "scan" },
		{ "scan.pdf  ", "scan" },
		{ "archive.7z", "archive" },
		{ "film.3gp", "film" },
		{ "Scan 2024.05.12", "Scan 2024.05.12" },
		{ "Brief an Dr.Meier", "Brief an Dr.Meier" },
		{ "v1.2", "v1.2" },
		{ "a.b c", "a.b c" },
		{ "a.ümlaut", "a.ümlaut" },
		{ "a.thisisaverylongending", "a.thisisaverylongending" },
		{ "/etc/passwd", "passwd" },
		{ "../../etc/passwd", "passwd" },
		{ "..\\..\\windows\\system.ini", "system" },
		{ "C:\\Users\\x\\scan.pdf", "scan" },
		{ "a/b\\c/d.pdf", "d" },
		{ "a/", "a_" },
		{ "./a.pdf", "a" },
		{ "~/a.pdf", "a" },
		{ "C:/a.pdf", "a" },
		{ "scans\\a.pdf", "a" },
		{ "http://x/a.pdf", "a" },
		{ "Rechnung 12/2024.pdf", "Rechnung 12_2024" },
		{ "12/2024", "12_2024" },
		{ "../2024.pdf", "2024" },
		{ "../", "scan" },
		{ "'scan.pdf'", "scan" },
		{ "'/tmp/scan.pdf'", "scan" },
		{ "'t is Tom's", "_t is Tom_s" },
		{ "''", "scan" },
		{ "'/'", "scan" },
		{ "scan.pdf\"", "scan" },
		{ "\"scan\".pdf\"", "_scan_.pdf_" },
		{ "..", "scan" },
		{ ".pdf", "scan" },
		{ ".bashrc", "_bashrc" },
		{ "", "scan" },
		{ NULL, "scan" },
		{ "CON.pdf", "_CON" },
		{ "a.con", "a" },
		{ "desktop.ini", "desktop" },
		{ "???.pdf", "scan" },
		{ "R\xfc"
		  "ck.pdf",
		  "Rück" },
	};
	char stem[FILENAME_MAX_BYTES + 1];
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		filename_stem(rows[i].name, stem, FILENAME_MAX_BYTES);
		if (strcmp(stem, rows[i].safe) != 0)
			fail_msg("`%s` became `%s`, not `%s`", rows[i].name ? rows[i].name : "-",
				 stem, rows[i].safe);
	}
}

static void long_names_are_cut(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		size_t max;
		const char *safe;
	} rows[] = {
		{ "abcdef", 6, "abcdef" }, { "abcdef", 5, "abcde" },
		{ "abcd f", 5, "abcd" },   { "abc. f", 5, "abc" },
		{ "abcdü", 5, "abcd" },    { "abcü", 5, "abcü" },
		{ "日本語", 7, "日本" },   { "日", 2, "fa" },
		{ "con xyz", 4, "_con" },  { "con xyz", 3, "_co" },
		{ "com1x", 4, "_com" },    { "a", 1, "a" },
		{ "?", 1, "f" },           { "????a", 4, "fall" },
		{ "nul", 1, "n" },         { "a\u0323\u0307", 3, "\u1ea1" },
	};
	char safe[16], again[16];
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		filename_safe(rows[i].name, "fallback", safe, rows[i].max);
		assert_string_equal(safe, rows[i].safe);
		filename_safe(safe, "fallback", again, rows[i].max);
		assert_string_equal(again, safe);
	}
}

static void endless_names(void **state)
{
	(void)state;
	static const char *const units[] = { "a",      "ü",      "日",           " ",
					     ".",      "\u0301", "\u0323\u0307", "/",
					     "?",      "\xff",   "\u1f82",       "con.",
					     "e\u0301" };
	static char name[70000];
	char safe[FILENAME_MAX_BYTES + 1], again[FILENAME_MAX_BYTES + 1];
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		size_t length = strlen(units[i]);
		for (size_t at = 0; at + length < sizeof name; at += length)
			memcpy(name + at, units[i], length + 1);
		filename_safe(name, "scan", safe, FILENAME_MAX_BYTES);
		assert_in_range(strlen(safe), 1, FILENAME_MAX_BYTES);
		filename_safe(safe, "scan", again, FILENAME_MAX_BYTES);
		assert_string_equal(again, safe);
		filename_stem(name, safe, FILENAME_MAX_BYTES);
		filename_fold(name);
	}
}

static void ascii(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ "scan", "scan" },          { "Grüße", "Gr__e" }, { "日本", "__" },
		{ "a\xff\xc3", "a__" },      { "", "" },           { "COM\u00b9", "COM_" },
		{ "a\U0001f4f7.b", "a_.b" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char name[32];
		strcpy(name, rows[i].name);
		filename_ascii(name);
		assert_string_equal(name, rows[i].safe);
	}
}

static void names_that_look_alike(void **state)
{
	(void)state;
	static const struct {
		const char *one, *other;
		bool same;
	} rows[] = {
		{ "scan.pdf", "SCAN.PDF", true },
		{ "scan.pdf", "scan2.pdf", false },
		{ "scan", "scan ", true },
		{ "scan.", "scan", true },
		{ "scan", " scan", false },
		{ "\u00e9", "e\u0301", true },
		{ "\u00c9", "e\u0301", true },
		{ "é", "e", false },
		{ "ä", "a", false },
		{ "Straße", "STRASSE", true },
		{ "straße", "STRAẞE", true },
		{ "\u212b", "\u00e5", true }, /* Angstrom */
		{ "\u212a", "k", true },      /* Kelvin */
		{ "\u017f", "S", true },      /* long s */
		{ "\u0131", "I", true },      /* Samba's table */
		{ "\u00b5", "\u039c", true }, /* micro, Mu */
		{ "Σ", "ς", true },
		{ "\u01c4", "\u01c6", true },
		{ "\u01c5", "\u01c6", true },
		{ "a\u0323\u0307", "a\u0307\u0323", true },
		{ "\u1fb3\u0300", "\u03b1\u0300\u0345", true },
		{ "\ud55c", "\u1112\u1161\u11ab", true },
		{ "a\u200bb", "ab", true },
		{ "ﬁ", "fi", true },
		{ "１", "1", false },
		{ "a\xff", "a\xfe", false },
		{ "", "", true },
		{ "", "a", false },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if ((filename_fold(rows[i].one) == filename_fold(rows[i].other)) != rows[i].same)
			fail_msg("`%s` and `%s`", rows[i].one, rows[i].other);
}

static void encode(utf8proc_int32_t code, char text[8])
{
	text[utf8proc_encode_char(code, (utf8proc_uint8_t *)text)] = '\0';
}

/* All planes that hold characters, and a few of each that holds none yet. */
static utf8proc_int32_t next_code(utf8proc_int32_t code)
{
	bool sparse = (code >= 0x32000 && code < 0xe0000) || code >= 0xe0200;
	return code + (sparse ? 509 : 1);
}

/* Every character of Unicode: case and normal form do not tell names apart, whoever's table it is.
 * The one exception is the dotted I, which no file system takes for an i without a dot above. */
static void case_and_form_of_every_character(void **state)
{
	(void)state;
	for (utf8proc_int32_t code = 1; code < 0x110000; code = next_code(code)) {
		char text[8], other[8];
		if (!utf8proc_codepoint_valid(code))
			continue;
		encode(code, text);
		uint64_t fold = filename_fold(text);
		utf8proc_int32_t cases[] = { utf8proc_toupper(code), utf8proc_tolower(code),
					     utf8proc_totitle(code) };
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
			encode(cases[i], other);
			if (filename_fold(other) != fold && code != 0x130)
				fail_msg("U+%04X and U+%04X", (unsigned)code, (unsigned)cases[i]);
		}
		utf8proc_uint8_t *decomposed = utf8proc_NFD((utf8proc_uint8_t *)text);
		if (filename_fold((char *)decomposed) != fold)
			fail_msg("U+%04X and its decomposition", (unsigned)code);
		free(decomposed);
	}
}

/* Every character of Unicode, alone and between others: what comes out is safe, in NFC, and
 * stays. */
static void every_character_is_made_safe(void **state)
{
	(void)state;
	for (utf8proc_int32_t code = 1; code < 0x110000; code = next_code(code)) {
		char text[8], name[20], safe[64], again[64];
		if (!utf8proc_codepoint_valid(code))
			continue;
		encode(code, text);
		snprintf(name, sizeof name, "a%sb%s", text, text);
		filename_safe(name, "scan", safe, sizeof safe - 1);
		filename_safe(safe, "scan", again, sizeof again - 1);
		assert_string_equal(safe, again);
		utf8proc_uint8_t *composed = utf8proc_NFC((utf8proc_uint8_t *)safe);
		assert_string_equal((char *)composed, safe);
		free(composed);
		assert_null(strpbrk(safe, "/\\:*?\"<>|`$;&'!#~^[]{}\r\n\t\x7f"));
		filename_ascii(safe);
		filename_safe(safe, "scan", again, sizeof again - 1);
		assert_string_equal(safe, again);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_that_stay),
		cmocka_unit_test(hostile_names),
		cmocka_unit_test(folders_of_the_configuration),
		cmocka_unit_test(stems),
		cmocka_unit_test(long_names_are_cut),
		cmocka_unit_test(endless_names),
		cmocka_unit_test(ascii),
		cmocka_unit_test(names_that_look_alike),
		cmocka_unit_test(case_and_form_of_every_character),
		cmocka_unit_test(every_character_is_made_safe),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
