/* unicode.h: what is a character in UTF-8. Ground of daemon; pure. */
#pragma once
#include <stddef.h>

/* Octets of the character that starts at `at`, whose first octet is not ASCII; 0: none does within
 * `left` octets (RFC 3629 section 4). */
size_t utf8_length(const char *at, size_t left);
