/* test_ini.c: keys, places, quotes, comments, continued lines, variables. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "daemon/ini.h"

/* The value of the one key in `text`. */
static const struct {
	const char *name, *text, *value;
} values[] = {
	{ "plain", "[a]\nk = v\n", "v" },
	{ "blanks around", "[a]\n k\t=   v w \t\n", "v w" },
	{ "empty", "[a]\nk =\n", "" },
	{ "a comment behind", "[a]\nk = v # c\n", "v" },
	{ "only a comment", "[a]\nk = # c\n", "" },
	{ "a hash without a blank", "[a]\nk = v#c\n", "v#c" },
	{ "a semicolon stays", "[a]\nk = v ; w\n", "v ; w" },
	{ "quoted", "[a]\nk = \"v # w\"\n", "v # w" },
	{ "quoted with a comment behind", "[a]\nk = \"v\" # w\n", "v" },
	{ "quoted quotes", "[a]\nk = \"a\\\"b\\\\c\"\n", "a\"b\\c" },
	{ "continued", "[a]\nk = a,\n  b,\n\tc\n", "a,\nb,\nc" },
	{ "continued with comments between", "[a]\nk = a,\n  # no\n  b\n", "a,\nb" },
	{ "a second = sign", "[a]\nk = x=y\n", "x=y" },
	{ "carriage returns", "[a]\r\nk = v\r\n", "v" },
	{ "a byte order mark", "\xEF\xBB\xBF[a]\nk = v\n", "v" },
	{ "no line feed at the end", "[a]\nk = v", "v" },
	{ "a variable", "[a]\nk = <${INI_SET}>\n", "<set>" },
	{ "a variable in quotes", "[a]\nk = \"${INI_SET} # x\"\n", "set # x" },
	{ "a default", "[a]\nk = ${INI_UNSET:-d e}\n", "d e" },
	{ "an empty default", "[a]\nk = ${INI_UNSET:-}\n", "" },
	{ "a dollar alone", "[a]\nk = $5 $x\n", "$5 $x" },
};

static void test_values(void **state)
{
	(void)state;
	setenv("INI_SET", "set", 1);
	unsetenv("INI_UNSET");
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		struct ini ini;
		char error[INI_ERROR_MAX] = "";
		print_message("%s\n", values[i].name);
		assert_true(ini_load_text(values[i].text, "f", true, &ini, error));
		assert_int_equal(ini.count, 2);
		assert_string_equal(ini.lines[1].key, "k");
		assert_string_equal(ini.lines[1].value, values[i].value);
		ini_done(&ini);
	}
}

static const struct {
	const char *name, *text, *start;
} faults[] = {
	{ "a line that is nothing", "[a]\nk = v\nnonsense\n", "f:3: " },
	{ "a key before any section", "k = v\n", "f:1: " },
	{ "a section without ]", "[a\nk = v\n", "f:1: " },
	{ "a quote that is not closed", "[a]\nk = \"v\n", "f:2: " },
	{ "text behind a quote", "[a]\nk = \"v\" w\n", "f:2: " },
	{ "a variable that is not set", "[a]\n\n\nk = ${INI_UNSET}\n", "f:4: " },
	{ "a variable that is not closed", "[a]\nk = ${INI_SET\n", "f:2: " },
	{ "a variable with a bad name", "[a]\nk = ${a-b}\n", "f:2: " },
	{ "an indented key", "[a]\nk = v\n  other = w\n", "f:3: " },
	{ "a section with too long a name",
	  "[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\nk = v\n", "f:1: " },
};

static void test_faults(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		struct ini ini;
		char error[INI_ERROR_MAX] = "";
		print_message("%s\n", faults[i].name);
		assert_false(ini_load_text(faults[i].text, "f", true, &ini, error));
		assert_int_equal(strncmp(error, faults[i].start, strlen(faults[i].start)), 0);
		assert_non_null(strstr(error, "expected"));
	}
}

static void test_long_value(void **state)
{
	struct ini ini;
	char error[INI_ERROR_MAX] = "", text[20000] = "[a]\nk = ";
	(void)state;
	memset(text + 8, 'x', 15000);
	assert_true(ini_load_text(text, "f", true, &ini, error));
	assert_int_equal(strlen(ini.lines[1].value), 15000);
	ini_done(&ini);
}

static void test_sections(void **state)
{
	struct ini ini;
	char error[INI_ERROR_MAX];
	(void)state;
	assert_true(ini_load_text("[one]\n[ two  b c ]\nk = v\n", "f", true, &ini, error));
	assert_int_equal(ini.count, 3);
	assert_string_equal(ini.lines[0].section, "one");
	assert_string_equal(ini.lines[1].section, "two");
	assert_string_equal(ini.lines[2].name, "b c");
	assert_int_equal(ini.lines[2].line, 3);
	ini_done(&ini);
}

/* What is written for the roles reads back the same, whatever is in it. */
static void test_round_trip(void **state)
{
	const char *text = "[a b]\nk = \"q\\\"u # o ${HOME} \\\\\"\nl = a,\n  b\nempty =\n";
	struct ini ini, again;
	char error[INI_ERROR_MAX], copy[4096] = "";
	(void)state;
	assert_true(ini_load_text(text, "f", false, &ini, error));
	int fd = memfd_create("t", 0);
	assert_int_equal(ini_write(&ini, fd), 0);
	assert_true(pread(fd, copy, sizeof copy - 1, 0) > 0);
	close(fd);
	assert_true(ini_load_text(copy, "g", false, &again, error));
	assert_int_equal(again.count, ini.count);
	for (size_t i = 0; i < ini.count; i++) {
		assert_string_equal(again.lines[i].name, ini.lines[i].name);
		if (ini.lines[i].key)
			assert_string_equal(again.lines[i].value, ini.lines[i].value);
	}
	ini_done(&ini);
	ini_done(&again);
}

static void test_folder(void **state)
{
	char folder[] = "/tmp/test_ini.XXXXXX", path[64], error[INI_ERROR_MAX];
	struct ini ini;
	(void)state;
	assert_non_null(mkdtemp(folder));
	assert_false(ini_load(folder, &ini, error));
	static const char *const names[] = { "20-b.conf", "10-a.conf", "ignored", ".hidden.conf" };
	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		FILE *file = fopen(path, "w");
		fprintf(file, "[s%zu]\nk = %zu\n", i, i);
		fclose(file);
	}
	assert_true(ini_load(folder, &ini, error));
	assert_int_equal(ini.count, 4);
	assert_string_equal(ini.lines[1].value, "1");
	assert_string_equal(ini.lines[3].value, "0");
	ini_done(&ini);
	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),     cmocka_unit_test(test_faults),
		cmocka_unit_test(test_long_value), cmocka_unit_test(test_sections),
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_folder),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
