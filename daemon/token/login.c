/* login.c: the end of a sign-in, however it went. Never asks a provider. */
#define _GNU_SOURCE
#include "daemon/token/login.h"
#include <stdio.h>
#include <string.h>

int login_fail(int status, const char *what, const char *why)
{
	fflush(stdout);
	fprintf(stderr, "letterchute: %s%s%s\n", what, *why ? ": " : "", why);
	return status;
}

int login_keep(const struct oauth *oauth, struct reply *reply)
{
	if (!*reply->refresh)
		return login_fail(
			LOGIN_REFUSED,
			"the provider gave no refresh token, so nobody could stay signed in",
			"is `scope` right? (many want offline_access in it)");
	int error = oauth_keep(oauth, reply);
	explicit_bzero(reply, sizeof *reply);
	if (error)
		return login_fail(LOGIN_UNREACHED, "the tokens can't be stored below `state`",
				  strerror(-error));
	printf("Signed in: source %s can fetch its mail. A gateway that is running notices by itself.\n",
	       oauth->account->name);
	return fflush(stdout) == 0 ? LOGIN_DONE : LOGIN_BUG;
}
