/* test_form.c: forms are written as a server reads them, and read as a browser writes them. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "daemon/token/form.h"

static const struct {
	const char *name, *value, *text;
} fields[] = {
	{ "scope", "https://mail.google.com/", "scope=https%3A%2F%2Fmail.google.com%2F" },
	{ "scope", "offline_access IMAP.AccessAsUser.All",
	  "scope=offline_access%20IMAP.AccessAsUser.All" },
	{ "refresh_token", "1//0a-b_c~d.e", "refresh_token=1%2F%2F0a-b_c~d.e" },
	{ "x", "a+b&c=d%e", "x=a%2Bb%26c%3Dd%25e" },
	{ "x", "\xC3\xA4\x7F\x01", "x=%C3%A4%7F%01" },
	{ "a&b", "1", "a%26b=1" },
	{ "empty", "", "" },
};

static void test_add(void **state)
{
	static struct form form;
	char value[100];
	(void)state;
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		form_init(&form);
		form_add(&form, fields[i].name, fields[i].value);
		assert_string_equal(form.text, fields[i].text);
		assert_false(form.too_big);
		if (!*fields[i].value || strcmp(fields[i].name, "a&b") == 0)
			continue;
		assert_true(form_find(form.text, fields[i].name, value, sizeof value));
		assert_string_equal(value, fields[i].value);
	}
}

static void test_several(void **state)
{
	static struct form form;
	(void)state;
	form_init(&form);
	form_add(&form, "grant_type", "refresh_token");
	form_add(&form, "client_secret", "");
	form_add(&form, "client_id", "me");
	assert_string_equal(form.text, "grant_type=refresh_token&client_id=me");
	form_wipe(&form);
	assert_int_equal(form.used, 0);
}

/* What does not fit is never sent in part. */
static void test_too_big(void **state)
{
	static struct form form;
	static char long_value[FORM_MAX / 3 + 1];
	(void)state;
	memset(long_value, '/', sizeof long_value - 1);
	form_init(&form);
	form_add(&form, "a", "1");
	form_add(&form, "token", long_value);
	assert_true(form.too_big);
	form_add(&form, "b", "2");
	assert_true(form.too_big);
}

static const struct {
	const char *text, *name;
	const char *value; /* NULL: none */
} finds[] = {
	{ "code=4%2F0A&state=s", "code", "4/0A" },
	{ "code=4%2F0A&state=s", "state", "s" },
	{ "code=a+b", "code", "a b" },
	{ "xcode=1&code=2", "code", "2" },
	{ "code=1&code=2", "code", "1" },
	{ "code", "code", NULL },
	{ "code=", "code", "" },
	{ "", "code", NULL },
	{ "&&code=1&", "code", "1" },
	{ "code=%", "code", NULL },
	{ "code=%2", "code", NULL },
	{ "code=%zz", "code", NULL },
	{ "code=%2&state=1", "code", NULL },
	{ "code=a%00b", "code", NULL },
	{ "code=123456789", "code", NULL },
	{ "code=12345678", "code", "12345678" },
};

static void test_find(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof finds / sizeof finds[0]; i++) {
		char value[9] = "";
		bool found = form_find(finds[i].text, finds[i].name, value, sizeof value);
		assert_int_equal(found, finds[i].value != NULL);
		if (found)
			assert_string_equal(value, finds[i].value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_too_big),
		cmocka_unit_test(test_find),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
