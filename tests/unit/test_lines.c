/* test_lines.c: line ends become CRLF, whatever pieces a message comes in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "daemon/prover/lines.h"

static const struct {
	const char *in, *out;
} rows[] = {
	{ "", "" },
	{ "\n", "\r\n" },
	{ "\r\n", "\r\n" },
	{ "\n\nx", "\r\n\r\nx\r\n" },
	{ "a\nb\n", "a\r\nb\r\n" },
	{ "a\r\nb\r\n", "a\r\nb\r\n" },
	{ "a\r\nb\n", "a\r\nb\r\n" },
	{ "a", "a\r\n" },
	{ "a\r", "a\r\r\n" },
	{ "a\rb\n", "a\rb\r\n" },
	{ "\r\r\n", "\r\r\n" },
	{ "\n\r", "\r\n\r\r\n" },
	{ "\r", "\r\r\n" },
	{ "a\n\n\nb", "a\r\n\r\n\r\nb\r\n" },
	{ "\r\n\n\r\n", "\r\n\r\n\r\n" },
};

static size_t run(const char *in, size_t size, size_t step, char *out)
{
	struct lines lines = { 0 };
	size_t used = 0;
	for (size_t at = 0; at < size; at += step)
		used += lines_run(&lines, in + at, size - at < step ? size - at : step, out + used);
	return used + lines_finish(&lines, out + used);
}

static void table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char out[100];
		for (size_t step = 1; step <= 8; step++) {
			size_t size = run(rows[i].in, strlen(rows[i].in), step, out);
			assert_int_equal(size, strlen(rows[i].out));
			assert_memory_equal(out, rows[i].out, size);
		}
	}
}

/* A NUL is an octet like any other. */
static void nul(void **state)
{
	(void)state;
	char out[20];
	assert_int_equal(run("a\0\n", 3, 3, out), 4);
	assert_memory_equal(out, "a\0\r\n", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(table), cmocka_unit_test(nul) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
