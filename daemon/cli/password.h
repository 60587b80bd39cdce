/* password.h: hashes of passwords. Room daemon/cli. */
#pragma once
#include <stdbool.h>

#define PASSWORD_HASH_MAX 384 /* CRYPT_OUTPUT_SIZE */

/* What no device could send and no person type; NULL: nothing. */
const char *password_fault(const char *password);

/* As a file of logins wants it, into PASSWORD_HASH_MAX octets. False with the reason said. */
bool password_hash(const char *password, char *hash_out);
