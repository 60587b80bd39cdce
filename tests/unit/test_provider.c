/* test_provider.c: where each provider is, and what its configuration changes about that. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "daemon/token/provider.h"

#define MICROSOFT(tenant, end) "https://login.microsoftonline.com/" tenant "/oauth2/v2.0/" end

static const struct {
	const char *text; /* of the section */
	const char *token_url, *authorize_url, *device_url, *scope, *refresh_scope;
} rows[] = {
	{ "oauth = google", "https://oauth2.googleapis.com/token",
	  "https://accounts.google.com/o/oauth2/v2/auth", "", "https://mail.google.com/", "" },
	{ "oauth = microsoft", MICROSOFT("common", "token"), MICROSOFT("common", "authorize"),
	  MICROSOFT("common", "devicecode"),
	  "offline_access https://outlook.office.com/IMAP.AccessAsUser.All", "" },
	{ "oauth = microsoft\ntenant = contoso.example", MICROSOFT("contoso.example", "token"),
	  MICROSOFT("contoso.example", "authorize"), MICROSOFT("contoso.example", "devicecode"),
	  "offline_access https://outlook.office.com/IMAP.AccessAsUser.All", "" },
	{ "oauth = microsoft\ngrant = client_credentials", MICROSOFT("common", "token"),
	  MICROSOFT("common", "authorize"), MICROSOFT("common", "devicecode"),
	  "https://outlook.office365.com/.default", "" },
	{ "oauth = microsoft\ntoken_url = https://login.example/t\nscope = a b",
	  "https://login.example/t", MICROSOFT("common", "authorize"),
	  MICROSOFT("common", "devicecode"), "a b", "a b" },
	{ "oauth = custom\ntoken_url = http://127.0.0.1:9/t\ndevice_url = https://d.example/d",
	  "http://127.0.0.1:9/t", "", "https://d.example/d", "", "" },
};

static void load(const char *text, struct config *config_out)
{
	char whole[1000], error[CONFIG_ERROR_MAX];
	snprintf(whole, sizeof whole,
		 "[gateway]\nstate = /tmp/s\n[imap office]\nhost = h\nuser = u\nclient_id = c\n%s\n"
		 "[share]\npath = /tmp\n[route r]\n",
		 text);
	if (config_load_text(whole, "f", config_out, error) != 0)
		fail_msg("%s", error);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct config config;
		struct provider provider;
		load(rows[i].text, &config);
		provider_of(&config.accounts[0], &provider);
		assert_string_equal(provider.token_url, rows[i].token_url);
		assert_string_equal(provider.authorize_url, rows[i].authorize_url);
		assert_string_equal(provider.device_url, rows[i].device_url);
		assert_string_equal(provider.scope, rows[i].scope);
		assert_string_equal(provider.refresh_scope, rows[i].refresh_scope);
		config_done(&config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
