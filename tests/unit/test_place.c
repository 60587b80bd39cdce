/* test_place.c: where a part goes and what it is called; and that deciding and placing allocate
 * nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "policy/decide.h"
#include "policy/filename.h"
#include "policy/place.h"
#include "tests/unit/allocations.h"
#include "tests/unit/load_rules.h"

static struct facts facts = {
	.source = "lan",
	.from_state = FACTS_FROM_ONE,
	.from = "scan@example.org",
	.subject = "May: invoices",
	.received = { .tm_year = 124, .tm_mon = 4, .tm_mday = 6, .tm_hour = 7 },
	.date = { .tm_year = 99, .tm_mday = 1 },
};

static void load(struct rules *rules, const char *text)
{
	struct rules_error error;
	if (!load_rules(rules, text, &error))
		fail_msg("line %u: %s", error.at, error.text);
}

static void places(void **state)
{
	(void)state;
	struct rules rules;
	struct place place;
	load(&rules,
	     "[share]\npath = /srv\n"
	     "[share b]\npath = /b\nowner = 7\ngroup = 8\nmode = 0660\n"
	     "folder_mode = 0775\nacl = u:1:r--\n"
	     "[route plain]\n"
	     "[route full]\nshare = b\nfolder = in/{received:%Y}/{to.local}\nmode = 0600\n");
	assert_true(place_of(&rules, 0, &facts, "", &place));
	assert_int_equal(place.share, 0);
	assert_string_equal(place.folder, "");
	assert_true(place.owner == RULES_UNSET && place.group == RULES_UNSET);
	assert_int_equal(place.mode, 0640);
	assert_int_equal(place.folder_mode, 02770);
	assert_string_equal(place.acl, "");
	assert_true(place_of(&rules, 1, &facts, "inv/../x@y", &place));
	assert_int_equal(place.share, 1);
	assert_string_equal(place.folder, "in/2024/inv_._x");
	assert_int_equal(place.owner, 7);
	assert_int_equal(place.group, 8);
	assert_int_equal(place.mode, 0600);
	assert_int_equal(place.folder_mode, 0775);
	assert_string_equal(place.acl, "u:1:r--");
	rules_done(&rules);
}

static void names(void **state)
{
	(void)state;
	static const struct {
		const char *template, *name, *extension, *result;
	} rows[] = {
		{ "{name}", "Scan.pdf", "pdf", "Scan.pdf" },
		{ "{name}", "Scan.jpeg", "jpg", "Scan.jpg" },
		{ "{name}", NULL, "pdf", "scan.pdf" },
		{ "{name}", "invoice.pdf.exe", "pdf", "invoice.pdf" },
		{ "{name}", "invoice.PDF.lnk", "pdf", "invoice.pdf" },
		{ "{name}", "archive.tar.gz", "gz", "archive.tar.gz" },
		{ "{name}", ".pdf", "pdf", "scan.pdf" },
		{ "{name}", "pdf", "pdf", "pdf.pdf" },
		{ "{name}", "x.pdf", "", "x" },
		{ "{name}", "con.pdf", "pdf", "_con.pdf" },
		{ "{name}", "../../etc/passwd", "txt", "passwd.txt" },
		{ "{name}", "a.b.", "bin", "a.b.bin" },
		{ "{received:%Y}_{n}_{subject}", "x", "pdf", "2024_3_May_ invoices.pdf" },
		{ "{name}.{ext}", "Scan.pdf", "pdf", "Scan.pdf" },
		{ "COM{n}", "x", "pdf", "_COM3.pdf" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct rules rules;
		struct place_name name;
		char text[600], result[FILENAME_MAX_BYTES + 1];
		snprintf(text, sizeof text, "[share]\npath = /srv\n[route a]\nname = %s\n",
			 rows[i].template);
		load(&rules, text);
		place_name(&rules, 0, &facts, "", rows[i].name, 3, rows[i].extension, &name);
		assert_false(place_name_has_seq(&name));
		place_number(&name, 0, 1, FILENAME_MAX_BYTES, result);
		assert_string_equal(result, rows[i].result);
		rules_done(&rules);
	}
}

static void the_shares_name(void **state)
{
	(void)state;
	struct rules rules;
	struct place_name name;
	char result[FILENAME_MAX_BYTES + 1];
	load(&rules, "[share]\npath = /srv\n[route a]\n");
	place_name(&rules, 0, &facts, "", "Scan 1.tif", 1, "tif", &name);
	place_number(&name, 0, 0, FILENAME_MAX_BYTES, result);
	assert_string_equal(result, "2024-05-06_070000_Scan 1.tif");
	rules_done(&rules);
}

static void numbers(void **state)
{
	(void)state;
	static const struct {
		const char *stem, *extension;
		unsigned seq, copy;
		const char *result;
	} rows[] = {
		{ "scan", "pdf", 1, 0, "scan.pdf" },
		{ "scan", "pdf", 1, 1, "scan.pdf" },
		{ "scan", "pdf", 1, 2, "scan (2).pdf" },
		{ "scan", "", 1, 12, "scan (12)" },
		{ "scan (2)", "pdf", 1, 2, "scan (2) (2).pdf" },
		{ "scan", "pdf", 1, 4294967295u, "scan (4294967295).pdf" },
		{ "a\x01"
		  "1b",
		  "pdf", 7, 1, "a7b.pdf" },
		{ "a\x01"
		  "3",
		  "pdf", 7, 1, "a007.pdf" },
		{ "a\x01"
		  "3",
		  "pdf", 12345, 2, "a12345 (2).pdf" },
		{ "\x01"
		  "9",
		  "tif", 4294967295u, 1, "4294967295.tif" },
		{ "COM\x01"
		  "1",
		  "pdf", 1, 1, "_COM1.pdf" },
		{ "COM\x01"
		  "2",
		  "pdf", 1, 1, "COM01.pdf" },
		{ "\x01"
		  "1",
		  "pdf", 0, 1, "0.pdf" },
		{ "e\x01"
		  "1\u0301",
		  "pdf", 5, 1, "e5\u0301.pdf" },
		{ "a\x01", "pdf", 5, 1, "a_.pdf" },
		{ "", "pdf", 1, 1, "scan.pdf" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct place_name name;
		char result[FILENAME_MAX_BYTES + 1];
		strcpy(name.stem, rows[i].stem);
		strcpy(name.extension, rows[i].extension);
		assert_int_equal(place_name_has_seq(&name), strchr(rows[i].stem, 1) != NULL);
		place_number(&name, rows[i].seq, rows[i].copy, FILENAME_MAX_BYTES, result);
		assert_string_equal(result, rows[i].result);
	}
}

/* However long: whole characters, the numbers and the ending survive, and 200 octets hold. */
static void long_names(void **state)
{
	(void)state;
	static const char *const units[] = { "a",          "\u00fc",        "\u65e5",
					     "\U0001f4f7", "e\u0323\u0307", ". b" };
	static const char *const templates[] = { "{name}", "{seq:3}_{name}", "{name}_{seq:3}",
						 "{name}{seq}{subject}",
						 "{received:%Y}_{name}_{subject}_{n}" };
	static const unsigned copies[] = { 1, 2, 4294967295u };
	for (size_t i = 0; i < sizeof units / sizeof *units * 5 * 3; i++) {
		struct rules rules;
		struct place_name name;
		char text[200], longest[1000] = "x", result[FILENAME_MAX_BYTES + 1], number[32];
		unsigned copy = copies[i % 3];
		struct facts other = facts;
		while (strlen(longest) < 980)
			strcat(longest, units[i / 15]);
		strcat(longest, "y");
		other.subject = longest;
		snprintf(text, sizeof text, "[share]\npath = /srv\n[route a]\nname = %s\n",
			 templates[i / 3 % 5]);
		load(&rules, text);
		place_name(&rules, 0, &other, "", longest, 77, "jpeg", &name);
		place_number(&name, 4000000042u, copy, FILENAME_MAX_BYTES, result);
		assert_in_range(strlen(result), 100, FILENAME_MAX_BYTES);
		snprintf(number, sizeof number, " (%u).jpeg", copy);
		assert_non_null(strstr(result, copy > 1 ? number : ".jpeg"));
		if (place_name_has_seq(&name))
			assert_non_null(strstr(result, "4000000042"));
		if (strstr(text, "{n}"))
			assert_non_null(strstr(result, "_77"));
		result[strlen(result) - (copy > 1 ? strlen(number) : strlen(".jpeg"))] = '\0';
		char safe[FILENAME_MAX_BYTES + 1];
		filename_safe(result, "scan", safe, FILENAME_MAX_BYTES);
		assert_string_equal(safe, result);
		rules_done(&rules);
	}
}

/* A stem at its limit, whatever made it. */
static void stems_at_the_limit(void **state)
{
	(void)state;
	struct place_name name;
	char result[FILENAME_MAX_BYTES + 1];
	for (size_t mark = 0; mark < 253; mark++) {
		memset(name.stem, 'a', 255);
		name.stem[255] = '\0';
		memcpy(name.stem + mark,
		       "\x01"
		       "9",
		       2);
		strcpy(name.extension, "123456789012345");
		place_number(&name, 4294967295u, 4294967295u, FILENAME_MAX_BYTES, result);
		assert_int_equal(strlen(result), FILENAME_MAX_BYTES);
		assert_non_null(strstr(result, "4294967295"));
		assert_non_null(strstr(result, " (4294967295).123456789012345"));
	}
}

/* For a file system that knows short names only: whole characters, and what follows the stem. */
static void short_names(void **state)
{
	(void)state;
	static const struct {
		const char *unit;
		unsigned copy;
		size_t length;
		const char *ending;
	} rows[] = {
		{ "a", 1, 120, "a.pdf" },
		{ "a", 7, 120, "a (7).pdf" },
		{ "\u65e5", 1, 118, "\u65e5.pdf" },
		{ "\u65e5", 7, 119, "\u65e5 (7).pdf" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct place_name name = { "", "pdf" };
		char result[FILENAME_MAX_BYTES + 1];
		while (strlen(name.stem) < 150)
			strcat(name.stem, rows[i].unit);
		place_number(&name, 0, rows[i].copy, PLACE_NAME_SHORT, result);
		assert_int_equal(strlen(result), rows[i].length);
		assert_string_equal(result + strlen(result) - strlen(rows[i].ending),
				    rows[i].ending);
	}
}

static void long_folder_fits(void **state)
{
	(void)state;
	struct rules rules;
	struct place place;
	static char longest[1000];
	struct facts other = facts;
	memset(longest, 'x', sizeof longest - 1);
	other.subject = longest;
	load(&rules, "[share]\npath = /srv\n[route a]\nfolder = {subject}/{subject}/{subject}/"
		     "{subject}/{subject}/{subject}/{subject}/{subject}\n");
	assert_true(place_of(&rules, 0, &other, "", &place));
	assert_in_range(strlen(place.folder), 900, PLACE_FOLDER_MAX);
	rules_done(&rules);
}

/* --- no allocation ---------------------------------------------------------------------------- */

static void nothing_is_allocated(void **state)
{
	(void)state;
	struct rules rules;
	struct place place;
	struct place_name name;
	struct decide_route routes[DECIDE_ROUTES_MAX];
	size_t count = 0;
	char text[FILENAME_MAX_BYTES + 1];
	const char *recipients[] = { "in@x", "out@x" };
	struct facts with = facts;
	struct facts_part part = { .name = "Gru\u0308\u00dfe.pdf",
				   .mime = "application/pdf",
				   .size = 5 };
	with.recipients = recipients;
	with.recipients_count = 2;
	allocations_start();
	load(&rules, "[share]\npath = /srv\nname = {date}-{from}-{subject}-{name}-{seq}\n"
		     "[route in]\nto = in@*\npeers = private\n[route all]\nfrom = *@example.org\n"
		     "folder = {received:%A %B %V %z}/{to.tag}\n");
	assert_true(allocations > 0);
	allocations = 0;
	allocation_to_fail = allocations_can_fail; /* the first */
	decide_early(&rules, &with);
	assert_int_equal(decide_routes(&rules, &with, routes, &count).reason, REASON_NONE);
	assert_int_equal(decide_part(&rules, 1, &part).action, DECIDE_KEEP);
	decide_part_wanted(&rules, 1, &part);
	decide_end(&rules, 1, 1, 0, 1, false);
	place_of(&rules, 1, &with, "in@x", &place);
	place_name(&rules, 1, &with, "in@x", part.name, 1, "pdf", &name);
	place_number(&name, 1, 2, FILENAME_MAX_BYTES, text);
	filename_ascii(text);
	filename_fold(text);
	assert_int_equal(allocations, 0);
	allocation_to_fail = 0;
	rules_done(&rules);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places),           cmocka_unit_test(names),
		cmocka_unit_test(the_shares_name),  cmocka_unit_test(numbers),
		cmocka_unit_test(long_names),       cmocka_unit_test(stems_at_the_limit),
		cmocka_unit_test(long_folder_fits), cmocka_unit_test(nothing_is_allocated),
		cmocka_unit_test(short_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
