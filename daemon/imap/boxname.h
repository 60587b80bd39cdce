/* boxname.h: names of mailboxes as they travel: modified UTF-7 (RFC 3501 section 5.1.3). Room
 * daemon/imap. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define BOXNAME_MAX 1024 /* octets, NUL included */

/* Loads what libc encodes them by: it may be a library of its own, and so is for before a jail
 * closes. False: libc can't. */
bool boxname_load(void);

/* `name`: UTF-8, with / for the server's `separator` (0: it has none). False: it is not UTF-8, or
 * too long. */
bool boxname_encode(const char *name, char separator, char encoded_out[BOXNAME_MAX]);
