/* device.c: the device flow, from the code to the token. Never opens the address that it shows. */
#define _GNU_SOURCE
#include "daemon/token/device.h"
#include <stdio.h>
#include <string.h>
#include "daemon/fdio.h"
#include "daemon/http_out.h"
#include "daemon/token/login.h"

#define GRANT  "urn:ietf:params:oauth:grant-type:device_code"
#define SLOW_S 5 /* RFC 8628 section 3.5 */

/* 0, or the exit status. */
static int ask_codes(const struct oauth *oauth, struct reply_device *codes_out)
{
	static struct http_reply answer;
	static struct form form;
	char why[HTTP_WHY_MAX];
	oauth_begin(oauth, "", &form);
	form_add(&form, "scope", oauth->provider.scope);
	if (!oauth_post(oauth, oauth->provider.device_url, &form, &answer, why))
		return login_fail(LOGIN_UNREACHED, "the provider of tokens", why);
	reply_read_device(answer.status, answer.body, answer.size, codes_out);
	explicit_bzero(answer.body, sizeof answer.body);
	if (codes_out->kind == REPLY_ERROR)
		return login_fail(LOGIN_REFUSED, "the provider lets nobody sign in by a code",
				  *codes_out->words ? codes_out->words : codes_out->error);
	snprintf(why, sizeof why, "it answers with status %d, and no code", answer.status);
	return codes_out->kind == REPLY_TOKEN
		       ? LOGIN_DONE
		       : login_fail(LOGIN_UNREACHED, "the provider of tokens", why);
}

static void show_codes(const struct oauth *oauth, const struct reply_device *codes)
{
	printf("Sign in as %s: open\n\n    %s\n\nin any browser and enter the code\n\n    %s\n\n"
	       "Waiting until that is done...\n",
	       oauth->account->user, codes->url, codes->user_code);
	fflush(stdout);
}

/* RFC 8628 section 3.5; `authorization_declined` is Microsoft's. */
static const struct ending {
	const char *error, *words;
} endings[] = {
	{ "expired_token", "the code was not entered in time" },
	{ "access_denied", "the sign-in was refused" },
	{ "authorization_declined", "the sign-in was refused" },
};

static int give_up(const struct oauth *oauth, const struct reply *reply)
{
	char why[OAUTH_WHY_MAX];
	for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
		if (strcmp(endings[i].error, reply->error) == 0)
			return login_fail(LOGIN_REFUSED, endings[i].words, "");
	}
	oauth_explain(oauth, reply, why);
	return login_fail(LOGIN_REFUSED, why, "");
}

static void nap_until(int64_t until_ms)
{
	for (int64_t left; (left = until_ms - monotonic_ms()) > 0;)
		nap_ms(left < 1000 ? (int)left : 1000);
}

/* Asks, again and again. What is no word about the code is waited out. */
static int await(const struct oauth *oauth, const struct reply_device *codes, struct reply *reply)
{
	static struct form form;
	char why[OAUTH_WHY_MAX] = "";
	int64_t lasts_ms = codes->lasts_s * 1000, interval_ms = codes->interval_s * 1000;
	int64_t end_ms = monotonic_ms() + (lasts_ms < LOGIN_MS ? lasts_ms : LOGIN_MS);
	while (monotonic_ms() + interval_ms < end_ms) {
		nap_until(monotonic_ms() + interval_ms);
		oauth_begin(oauth, GRANT, &form);
		form_add(&form, "device_code", codes->device_code);
		enum reply_kind kind = oauth_exchange(oauth, &form, reply, why);
		if (kind == REPLY_TOKEN)
			return LOGIN_DONE;
		bool slower = kind == REPLY_TROUBLE || strcmp(reply->error, "slow_down") == 0;
		interval_ms += slower ? SLOW_S * 1000 : 0;
		if (!slower && strcmp(reply->error, "authorization_pending") != 0)
			return give_up(oauth, reply);
	}
	return login_fail(LOGIN_REFUSED, "the code was not entered in time", why);
}

int device_sign_in(const struct oauth *oauth)
{
	static struct reply_device codes;
	static struct reply reply;
	int status = ask_codes(oauth, &codes);
	if (status)
		return status;
	show_codes(oauth, &codes);
	status = await(oauth, &codes, &reply);
	explicit_bzero(&codes, sizeof codes);
	return status ? status : login_keep(oauth, &reply);
}
