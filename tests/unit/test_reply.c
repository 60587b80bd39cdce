/* test_reply.c: what a token server says is taken for what it is, and nothing more. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/token/reply.h"

static const struct {
	const char *body;
	int status;
	enum reply_kind kind;
	const char *access, *refresh;
	int64_t lasts_s;
	const char *error, *words;
} rows[] = {
	{ "{\"access_token\":\"a\",\"expires_in\":3599,\"token_type\":\"Bearer\"}", 200,
	  REPLY_TOKEN, "a", "", 3599, "", "" },
	{ "{\"access_token\":\"a\",\"refresh_token\":\"1//r\",\"expires_in\":\"86399\",\"token_type\":\"bearer\"}",
	  200, REPLY_TOKEN, "a", "1//r", 86399, "", "" },
	/* nobody says how long, or what nobody can mean */
	{ "{\"access_token\":\"a\"}", 200, REPLY_TOKEN, "a", "", 3600, "", "" },
	{ "{\"access_token\":\"a\",\"expires_in\":-5}", 200, REPLY_TOKEN, "a", "", 3600, "", "" },
	{ "{\"access_token\":\"a\",\"expires_in\":1e99}", 200, REPLY_TOKEN, "a", "", 3600, "", "" },
	{ "{\"access_token\":\"a\",\"expires_in\":0}", 200, REPLY_TOKEN, "a", "", 3600, "", "" },
	{ "{\"access_token\":\"a\",\"expires_in\":\"0\"}", 200, REPLY_TOKEN, "a", "", 3600, "",
	  "" },
	{ "{\"access_token\":\"a\",\"expires_in\":null}", 200, REPLY_TOKEN, "a", "", 3600, "", "" },
	{ "{\"access_token\":\"a\",\"expires_in\":3600.0}", 200, REPLY_TOKEN, "a", "", 3600, "",
	  "" },
	{ "{\"access_token\":\"a\",\"expires_in\":9000000000000}", 200, REPLY_TOKEN, "a", "",
	  366 * 86400, "", "" },
	/* no token, or none that can be shown */
	{ "{\"access_token\":\"\"}", 200, REPLY_TROUBLE, "", "", 3600, "", "" },
	{ "{\"access_token\":17}", 200, REPLY_TROUBLE, "", "", 3600, "", "" },
	{ "{\"access_token\":\"a\\r\\nb\"}", 200, REPLY_TROUBLE, "", "", 3600, "", "" },
	{ "{\"access_token\":\"\\u00e4\"}", 200, REPLY_TROUBLE, "", "", 3600, "", "" },
	{ "{\"access_token\":\"a\",\"token_type\":\"mac\"}", 200, REPLY_TROUBLE, "a", "", 3600, "",
	  "" },
	{ "{\"access_token\":\"a\",\"refresh_token\":[]}", 200, REPLY_TROUBLE, "a", "", 3600, "",
	  "" },
	{ "[]", 200, REPLY_TROUBLE, "", "", 0, "", "" },
	{ "", 200, REPLY_TROUBLE, "", "", 0, "", "" },
	{ "<html>", 200, REPLY_TROUBLE, "", "", 0, "", "" },
	{ "{\"access_token\":\"a\"}", 302, REPLY_TROUBLE, "", "", 0, "", "" },
	/* errors */
	{ "{\"error\":\"invalid_grant\",\"error_description\":\"gone\\r\\nTrace: 1\"}", 400,
	  REPLY_ERROR, "", "", 0, "invalid_grant", "gone" },
	{ "{\"error\":\"invalid_client\"}", 401, REPLY_ERROR, "", "", 0, "invalid_client", "" },
	{ "{\"error\":\"x\",\"error_description\":\"\\u001b[2Jb\\u00e4\"}", 400, REPLY_ERROR, "",
	  "", 0, "x", "?[2Jb??" },
	{ "{\"error\":\"slow_down\"}", 429, REPLY_TROUBLE, "", "", 0, "slow_down", "" },
	{ "{\"error\":\"invalid_grant\"}", 503, REPLY_TROUBLE, "", "", 0, "invalid_grant", "" },
	{ "{\"error\":{\"code\":400}}", 400, REPLY_TROUBLE, "", "", 0, "", "" },
	{ "{}", 400, REPLY_TROUBLE, "", "", 0, "", "" },
};

static void test_rows(void **state)
{
	static struct reply reply;
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		reply_read(rows[i].status, rows[i].body, strlen(rows[i].body), &reply);
		if (reply.kind != rows[i].kind)
			fail_msg("%s: %d", rows[i].body, reply.kind);
		assert_string_equal(reply.access, rows[i].access);
		assert_string_equal(reply.refresh, rows[i].refresh);
		assert_int_equal(reply.lasts_s, rows[i].lasts_s);
		assert_string_equal(reply.error, rows[i].error);
		assert_string_equal(reply.words, rows[i].words);
	}
}

static void test_octet_zero(void **state)
{
	static const char body[] = "{\"access_token\":\"a\"}\0{}";
	static struct reply reply;
	(void)state;
	reply_read(200, body, sizeof body - 1, &reply);
	assert_int_equal(reply.kind, REPLY_TROUBLE);
}

/* The longest that fits, and one octet more. */
static void test_length(void **state)
{
	static struct reply reply;
	static char token[REPLY_TOKEN_MAX + 1], body[REPLY_TOKEN_MAX + 100];
	(void)state;
	for (size_t length = REPLY_TOKEN_MAX - 1; length <= REPLY_TOKEN_MAX; length++) {
		memset(token, 'a', length);
		token[length] = '\0';
		int size = snprintf(body, sizeof body, "{\"access_token\":\"%s\"}", token);
		reply_read(200, body, (size_t)size, &reply);
		assert_int_equal(reply.kind,
				 length < REPLY_TOKEN_MAX ? REPLY_TOKEN : REPLY_TROUBLE);
	}
}

static void test_deep(void **state)
{
	static struct reply reply;
	static char body[60000];
	(void)state;
	memset(body, '[', sizeof body - 1);
	reply_read(200, body, sizeof body - 1, &reply);
	assert_int_equal(reply.kind, REPLY_TROUBLE);
}

#define CODES "{\"device_code\":\"d\",\"user_code\":\"WDJB-MJHT\",\"verification_ur"

static const struct {
	const char *body;
	int status;
	enum reply_kind kind;
	const char *url;
	int64_t lasts_s, interval_s;
} devices[] = {
	{ CODES "i\":\"https://d.example/\",\"expires_in\":1800,\"interval\":7}", 200, REPLY_TOKEN,
	  "https://d.example/", 900, 7 },
	/* without a moment between them it would be asked back to back */
	{ CODES "i\":\"https://d.example/\",\"expires_in\":0,\"interval\":0}", 200, REPLY_TOKEN,
	  "https://d.example/", 900, 5 },
	{ CODES "i\":\"https://d.example/\",\"interval\":null}", 200, REPLY_TOKEN,
	  "https://d.example/", 900, 5 },
	{ CODES "i\":\"https://d.example/\",\"interval\":5.0}", 200, REPLY_TOKEN,
	  "https://d.example/", 900, 5 },
	{ CODES "i\":\"https://d.example/\",\"interval\":\"-1\"}", 200, REPLY_TOKEN,
	  "https://d.example/", 900, 5 },
	{ CODES "i\":\"https://d.example/\",\"interval\":3600}", 200, REPLY_TOKEN,
	  "https://d.example/", 900, 120 },
	/* Google's word for it */
	{ CODES "l\":\"https://www.google.com/device\",\"expires_in\":60}", 200, REPLY_TOKEN,
	  "https://www.google.com/device", 60, 5 },
	{ CODES "i\":\"javascript:alert(1)\"}", 200, REPLY_TROUBLE, "javascript:alert(1)", 900, 5 },
	{ CODES "i\":\"https://d.example/ x\"}", 200, REPLY_TROUBLE, "https://d.example/ x", 900,
	  5 },
	{ CODES "i\":\"https://d.example/\\u001b[31m\"}", 200, REPLY_TROUBLE, "", 900, 5 },
	{ "{\"user_code\":\"x\",\"verification_uri\":\"https://d.example/\"}", 200, REPLY_TROUBLE,
	  "https://d.example/", 900, 5 },
	{ "{\"error\":\"invalid_scope\"}", 400, REPLY_ERROR, "", 0, 0 },
	{ "no", 500, REPLY_TROUBLE, "", 0, 0 },
};

static void test_device(void **state)
{
	struct reply_device reply;
	(void)state;
	for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
		reply_read_device(devices[i].status, devices[i].body, strlen(devices[i].body),
				  &reply);
		if (reply.kind != devices[i].kind)
			fail_msg("%s: %d", devices[i].body, reply.kind);
		assert_string_equal(reply.url, devices[i].url);
		assert_int_equal(reply.lasts_s, devices[i].lasts_s);
		assert_int_equal(reply.interval_s, devices[i].interval_s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),   cmocka_unit_test(test_octet_zero),
		cmocka_unit_test(test_length), cmocka_unit_test(test_deep),
		cmocka_unit_test(test_device),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
