/* pkce.c: secrets and their sums. Never keeps one. */
#define _GNU_SOURCE
#include "daemon/token/pkce.h"
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include "daemon/digest.h"

/* RFC 4648 section 5, without padding */
static void encode(const uint8_t octets[DIGEST_SIZE], char text_out[PKCE_TEXT])
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned group = 0, bits = 0;
	for (int i = 0; i < DIGEST_SIZE; i++) {
		group = (group << 8 | octets[i]) & 0xFFFF;
		for (bits += 8; bits >= 6; bits -= 6)
			*text_out++ = digits[group >> (bits - 6) & 63];
	}
	*text_out++ = digits[group << (6 - bits) & 63];
	*text_out = '\0';
}

bool pkce_secret(char secret_out[PKCE_TEXT])
{
	uint8_t octets[DIGEST_SIZE];
	if (getrandom(octets, sizeof octets, 0) != sizeof octets)
		return false;
	encode(octets, secret_out);
	explicit_bzero(octets, sizeof octets);
	return true;
}

void pkce_challenge(const char *verifier, char challenge_out[PKCE_TEXT])
{
	struct digest digest;
	uint8_t sum[DIGEST_SIZE];
	digest_init(&digest);
	digest_add(&digest, verifier, strlen(verifier));
	digest_end(&digest, sum);
	encode(sum, challenge_out);
}
