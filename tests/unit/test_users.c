/* test_users.c: the file of logins: what is read, and what is told of a bad line. */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "daemon/fdio.h"
#include "daemon/users.h"

#define X31  "0123456789012345678901234567890"
#define X43  X31 "./abcdWXYZ.."
#define X86  X43 X43
#define HASH "$6$salt$" X86

static const struct row {
	const char *text;
	unsigned line;    /* of the fault; 0: none */
	const char *word; /* of its message; or "NAME ADDRESSES|" of each entry */
} rows[] = {
	{ "", 0, "" },
	{ "# nobody\n\n", 0, "" },
	{ "cam:" HASH "\n", 0, "cam |" },
	{ "cam:" HASH, 0, "cam |" },
	{ "cam:" HASH "\r\nbox:" HASH "\r\n", 0, "cam |box |" },
	{ "  cam:" HASH "  \n", 0, "cam |" },
	{ "cam@x:" HASH ":a@b,*@c\n", 0, "cam@x a@b,*@c|" },
	{ "a:$y$j9T$s$" X43 "\nb:$2b$05$" X43 "abcdefghij\nc:$7$s$" X43 "\nd:$2y$05$" X43
	  "abcdefghij\ne:$6$rounds=5000$s$" X86 "\nf:$gy$j9T$s$" X43 "\n",
	  0, "a |b |c |d |e |f |" },
	{ "cam\n", 1, "no hash" },
	{ "cam:\n", 1, "no hash" },
	{ ":" HASH "\n", 1, "name" },
	{ "a b:" HASH "\n", 1, "blanks" },
	{ "a,b:" HASH "\n", 1, "comma" },
	{ "x:" HASH "\ncam:$1$s$h\n", 2, "safe enough" },
	{ "cam:$5$s$h\n", 1, "safe enough" },
	{ "cam:secret\n", 1, "safe enough" },
	{ "cam:$6$salt$" X43 "\n", 1, "too short" },
	{ "cam:$6$salt$\n", 1, "too short" },
	{ "cam:" HASH "x\n", 1, "too long" },
	{ "cam:$2b$05$" X43 "\n", 1, "too short" },
	{ "cam:$y$j9T$s\n", 1, "too short" },
	{ "cam:$y$j9T$s$" X31 "=abcdWXYZ012\n", 1, "too short" },
	{ "cam:*" HASH "\n", 1, "safe enough" },
	{ "cam:" HASH ":a@b c@d\n", 1, "addresses" },
	{ "cam:" HASH ":a@b:c\n", 1, "addresses" },
	{ "cam:" HASH "\n#\ncam:" HASH "\n", 3, "twice" },
	{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:" HASH "\n", 1,
	  "too long" },
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char error[USERS_ERROR_MAX] = "", found[400] = "";
		unsigned line = 0;
		struct users users = { .text = NULL };
		int fd = -1;
		assert_int_equal(memory_file("users", &fd), 0);
		assert_int_equal(write_all(fd, rows[i].text, strlen(rows[i].text)), 0);
		int status = users_read(fd, &users, &line, error);
		for (size_t u = 0, used = 0; u < users.count; u++)
			used += (size_t)snprintf(found + used, sizeof found - used, "%s %s|",
						 users.list[u].name, users.list[u].addresses);
		if (status != (rows[i].line ? -EINVAL : 0) || line != rows[i].line ||
		    (rows[i].line ? !strstr(error, rows[i].word)
				  : strcmp(found, rows[i].word) != 0))
			fail_msg("row %zu: status %d, line %u, `%s`, `%s`", i, status, line, error,
				 found);
		users_done(&users);
		close(fd);
	}
}

static void test_no_text(void **state)
{
	(void)state;
	struct users users;
	char error[USERS_ERROR_MAX];
	unsigned line;
	int fd = -1;
	assert_int_equal(memory_file("users", &fd), 0);
	assert_int_equal(write_all(fd, "cam\0x:" HASH, 18), 0);
	assert_int_equal(users_read(fd, &users, &line, error), -EBADMSG);
	close(fd);
}

static void test_find(void **state)
{
	(void)state;
	struct users users;
	char error[USERS_ERROR_MAX];
	unsigned line;
	int fd = -1;
	assert_int_equal(memory_file("users", &fd), 0);
	static const char text[] = "cam:" HASH "\nbox:$6$b$" X86 "\n";
	assert_int_equal(write_all(fd, text, sizeof text - 1), 0);
	assert_int_equal(users_read(fd, &users, &line, error), 0);
	assert_string_equal(users_find(&users, "box")->hash, "$6$b$" X86);
	assert_null(users_find(&users, "Box"));
	users_done(&users);
	users_done(&users);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows),
					    cmocka_unit_test(test_no_text),
					    cmocka_unit_test(test_find) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
