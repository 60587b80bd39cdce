/* test_pkce.c: the challenge is that of RFC 7636, and no two secrets are the same. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "daemon/token/pkce.h"

/* RFC 7636 appendix B */
static void test_challenge(void **state)
{
	char challenge[PKCE_TEXT];
	(void)state;
	pkce_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", challenge);
	assert_string_equal(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

static void test_secret(void **state)
{
	char one[PKCE_TEXT], other[PKCE_TEXT];
	(void)state;
	assert_true(pkce_secret(one) && pkce_secret(other));
	assert_string_not_equal(one, other);
	/* RFC 7636 section 4.1: 43 to 128 of these */
	assert_int_equal(strlen(one), 43);
	assert_int_equal(strspn(one, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				     "0123456789-_"),
			 43);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_challenge),
		cmocka_unit_test(test_secret),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
