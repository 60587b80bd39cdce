/* device.h: a sign-in by a code that a person types anywhere (RFC 8628). Room daemon/token. */
#pragma once
#include "daemon/token/oauth.h"

/* Shows the code, waits, stores what comes. Exit status (login.h). */
int device_sign_in(const struct oauth *oauth);
