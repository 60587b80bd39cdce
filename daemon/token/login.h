/* login.h: a person signs in once, and the source has a refresh token from then on. Room
 * daemon/token; the verb `login` starts us.
 *
 * Says on standard output what is to be done, on standard error what went wrong, and never a secret
 * on either. */
#pragma once
#include "daemon/token/oauth.h"

#define LOGIN_MS 900000 /* for the whole; a person may have to look for a password */

/* Exit status (INTERFACE). */
enum { LOGIN_DONE = 0, LOGIN_UNREACHED = 69, LOGIN_BUG = 70, LOGIN_REFUSED = 77 };

/* Prints `letterchute: WHAT: WHY` to standard error; returns the status. */
int login_fail(int status, const char *what, const char *why);

/* Stores what a sign-in brought, and says so. Exit status. */
int login_keep(const struct oauth *oauth, struct reply *reply);
