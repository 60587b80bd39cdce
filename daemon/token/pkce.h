/* pkce.h: what only who began a sign-in knows (RFC 7636). Room daemon/token. */
#pragma once
#include <stdbool.h>
#include "daemon/base64.h"

#define PKCE_TEXT BASE64_SIZE(32) /* 32 octets in base64url */

/* A fresh secret: the verifier, or a state. False: the kernel has no random octets. */
bool pkce_secret(char secret_out[PKCE_TEXT]);

/* Its challenge by the method S256. */
void pkce_challenge(const char *verifier, char challenge_out[PKCE_TEXT]);
