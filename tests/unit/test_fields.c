/* test_fields.c: headers that everybody reads alike are cut into fields, others are turned away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "daemon/prover/fields.h"

#define MAX 200

/* The fields, each in brackets; then the body behind a bar, or ! and why. */
static void run(const char *text, size_t step, char *out, size_t room)
{
	struct fields fields;
	enum fields_state state = FIELDS_MORE;
	size_t used = 0, size = strlen(text), at = 0;
	assert_true(fields_init(&fields, MAX));
	while (at < size && state == FIELDS_MORE) {
		const char *piece = text + at;
		size_t left = size - at < step ? size - at : step, whole = left;
		do {
			state = fields_take(&fields, &piece, &left);
			if (state == FIELDS_FIELD)
				used += (size_t)snprintf(out + used, room - used, "[%.*s]",
							 (int)fields.size, fields.text);
		} while (state == FIELDS_FIELD);
		at += whole - left;
	}
	if (state == FIELDS_END)
		snprintf(out + used, room - used, "|%s", text + at);
	else
		snprintf(out + used, room - used, "!%s",
			 state == FIELDS_BAD ? fields.why : "no end");
	fields_done(&fields);
}

static const struct {
	const char *text, *wanted;
} rows[] = {
	{ "A: b\r\n\r\nbody", "[A: b]|body" },
	{ "A: b\r\n\r\n", "[A: b]|" },
	{ "A:\r\nB:x\r\n\r\n\r\n", "[A:][B:x]|\r\n" },
	{ "A: b\r\n c\r\n\td\r\nE: f\r\n\r\nx", "[A: b\r\n c\r\n\td][E: f]|x" },
	{ "A: \xc3\xa9\r\n\r\n", "[A: \xc3\xa9]|" },
	{ "-a: b\r\n\r\n", "[-a: b]|" },

	{ "A: b\r\n", "!no end" },
	{ "A: b", "!no end" },
	{ "\r\nA: b\r\n\r\n", "!the message begins with a line end" },
	{ " A: b\r\n\r\n", "!the header begins with a folded line" },
	{ "A : b\r\n\r\n", "!a line in the header that is no field" },
	{ "A\t: b\r\n\r\n", "!a line in the header that is no field" },
	{ "A\r\n\r\n", "!a line in the header that is no field" },
	{ ": b\r\n\r\n", "!a line in the header that is no field" },
	{ "\xc3\xa9: b\r\n\r\n", "!a line in the header that is no field" },
	{ "--A: b\r\n\r\n", "!a line in the header that is no field" },
	{ "From x Sat\r\nA: b\r\n\r\n", "!a line in the header that is no field" },
	{ "A: b\r\njunk\r\n\r\n", "!a line in the header that is no field" },
	{ "A: b\r\n \r\nC: d\r\n\r\n", "!a blank line in the header" },
	{ "A: b\r\n\t \r\n\r\n", "!a blank line in the header" },
	{ "A: b\rC: d\r\n\r\n", "!a CR in the header that ends no line" },
	{ "A: b\r\n\r\r\n", "[A: b]!a CR in the header that ends no line" },
	{ "\r\r\n", "!a CR in the header that ends no line" },
};

static void table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char out[300], *bad = strchr(rows[i].wanted, '!');
		for (size_t step = 1; step <= 9; step++) {
			run(rows[i].text, step, out, sizeof out);
			/* a field may be given before the one behind it is found bad */
			const char *found = bad ? strchr(out, '!') : out;
			if (!found || strcmp(found, bad ? bad : rows[i].wanted) != 0)
				fail_msg("row %zu, step %zu: %s", i, step, out);
		}
	}
}

static void nul(void **state)
{
	(void)state;
	struct fields fields;
	const char *at = "A: \0\r\n\r\n";
	size_t left = 8;
	assert_true(fields_init(&fields, MAX));
	assert_int_equal(fields_take(&fields, &at, &left), FIELDS_BAD);
	assert_string_equal(fields.why, "a NUL in the header");
	fields_done(&fields);
}

static void too_long(void **state)
{
	(void)state;
	char text[MAX + 10], out[MAX + 100];
	memset(text, 'x', sizeof text);
	memcpy(text, "A:", 2);
	strcpy(text + MAX - 4, "\r\n\r\n");
	run(text, 50, out, sizeof out);
	assert_non_null(strstr(out, "]|"));
	memset(text + MAX - 4, 'x', 4);
	strcpy(text + MAX - 3, "\r\n\r\n");
	run(text, 50, out, sizeof out);
	assert_non_null(strstr(out, "!the header is too long"));
}

static void names(void **state)
{
	(void)state;
	struct fields fields;
	const char *at = "fRoM: a\r\n\r\n";
	size_t left = strlen(at), size;
	assert_true(fields_init(&fields, MAX));
	assert_int_equal(fields_take(&fields, &at, &left), FIELDS_FIELD);
	assert_true(fields_is(&fields, "From"));
	assert_false(fields_is(&fields, "Fro"));
	assert_false(fields_is(&fields, "From:"));
	assert_false(fields_is(&fields, "From: a and much more"));
	assert_memory_equal(fields_value(&fields, &size), " a", 2);
	assert_int_equal(size, 2);
	fields_done(&fields);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(table), cmocka_unit_test(nul),
					    cmocka_unit_test(too_long), cmocka_unit_test(names) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
