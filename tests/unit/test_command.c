/* test_command.c: a program of the user's is executed without a shell, heard for a line, and ended
 * with all that it left behind. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/secret.h"
#include "daemon/token/command.h"

static char text[SECRET_TEXT_MAX], why[COMMAND_WHY_MAX];

static const struct {
	const char *line;
	const char *text; /* NULL: none */
	const char *why;
} rows[] = {
	{ "echo secret", "secret", "" },
	{ "/bin/echo  two\twords", "two words", "" },
	{ "printf '%s' 'no line end'", "no line end", "" },
	{ "printf 'first\\nsecond\\n'", "first", "" },
	{ "printf 'dos\\r\\nsecond'", "dos", "" },
	{ "echo \"a b\"'c d'", "a bc d", "" },
	{ "echo ''x", "x", "" },
	/* nothing of a shell */
	{ "echo $HOME `id` ; > *", "$HOME `id` ; > *", "" },
	{ "sh -c 'env | cut -d= -f1 | grep -vxE \"HOME|PATH|PWD|OLDPWD|SHLVL|_\" | wc -l'", "0",
	  "" },
	{ "sh -c 'read x || echo nothing'", "nothing", "" },
	{ "sh -c 'ls /proc/self/fd | wc -l'", "4", "" },
	{ "sh -c 'trap | grep -c PIPE; :'", "0", "" },
	{ "sh -c 'test $(ps -o pgid= $$) = $$ && echo own'", "own", "" },
	/* who holds its standard output open does not hold us up */
	{ "sh -c 'echo secret; sleep 60 &'", "secret", "" },
	{ "sh -c 'echo secret; head -c 1000000 /dev/zero'", "secret", "" },
	{ "sh -c 'echo secret; exit 3'", NULL, "the command ended with status: 3" },
	{ "sh -c 'echo secret; kill -9 $$'", NULL, "the command died of signal: 9" },
	{ "true", NULL, "the command printed nothing" },
	{ "echo", NULL, "the command printed nothing" },
	{ "printf 'a\\0b\\n'", NULL, "the command printed something that is no text" },
	{ "head -c 20000 /dev/zero", NULL, "the command printed a line that is too long" },
	{ "/nonexistent/command", NULL, "there is no such command" },
	{ "echo 'open", NULL, "the command can't be read: are its quotes closed?" },
	{ "  ", NULL, "the command can't be read: are its quotes closed?" },
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t begun_ms = monotonic_ms();
		why[0] = '\0';
		memset(text, 'x', sizeof text);
		int result = command_run(rows[i].line, text, sizeof text, why);
		if (result != (rows[i].text ? 0 : -1) || strcmp(why, rows[i].why) != 0 ||
		    strcmp(text, rows[i].text ? rows[i].text : "") != 0)
			fail_msg("%s: %d, %.100s, %s", rows[i].line, result, text, why);
		assert_true(monotonic_ms() - begun_ms < 20000);
		/* what did not serve is no longer there */
		for (size_t t = 0; result && t < sizeof text; t++)
			assert_int_equal(text[t], 0);
	}
}

/* The longest line, and one octet more. */
static void test_length(void **state)
{
	char line[100];
	(void)state;
	for (size_t length = sizeof text - 1; length <= sizeof text; length++) {
		snprintf(line, sizeof line, "sh -c 'head -c %zu /dev/zero | tr \"\\0\" a'", length);
		int result = command_run(line, text, sizeof text, why);
		assert_int_equal(result, length < sizeof text ? 0 : -1);
		if (result == 0)
			assert_int_equal(strlen(text), length);
	}
}

/* Nothing of its group lives on. */
static void test_left_behind(void **state)
{
	(void)state;
	assert_int_equal(command_run("sh -c 'sleep 300 & echo $!'", text, sizeof text, why), 0);
	pid_t pid = atoi(text);
	assert_true(pid > 1);
	for (int i = 0; i < 500 && kill(pid, 0) == 0; i++) {
		char path[40], status[400] = "";
		snprintf(path, sizeof path, "/proc/%d/stat", pid);
		FILE *in = fopen(path, "r");
		if (in && fread(status, 1, sizeof status - 1, in) > 0 && strstr(status, ") Z ")) {
			fclose(in);
			return;
		}
		if (in)
			fclose(in);
		nap_ms(10);
	}
	assert_int_equal(kill(pid, 0), -1);
}

int main(void)
{
	/* as role_begin does it; whoever runs us may have left some open */
	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_left_behind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
