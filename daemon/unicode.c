/* unicode.c: measures characters. Never says which are fit for what. */
#include "daemon/unicode.h"
#include <stdint.h>

size_t utf8_length(const char *at, size_t left)
{
	const uint8_t *s = (const uint8_t *)at;
	if (left == 0 || s[0] < 0xC2 || s[0] > 0xF4)
		return 0;
	size_t length = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
	if (length > left)
		return 0;
	/* overlong forms, surrogates, and what lies beyond U+10FFFF show in the second octet */
	uint8_t least = s[0] == 0xE0 ? 0xA0 : s[0] == 0xF0 ? 0x90 : 0x80;
	uint8_t most = s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : 0xBF;
	if (s[1] < least || s[1] > most)
		return 0;
	for (size_t i = 2; i < length; i++) {
		if ((s[i] & 0xC0) != 0x80)
			return 0;
	}
	return length;
}
