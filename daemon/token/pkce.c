/* pkce.c: secrets and their sums. Never keeps one. */
#define _GNU_SOURCE
#include "daemon/token/pkce.h"
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include "daemon/digest.h"

bool pkce_secret(char secret_out[PKCE_TEXT])
{
	uint8_t octets[DIGEST_SIZE];
	if (getrandom(octets, sizeof octets, 0) != sizeof octets)
		return false;
	base64_write_url(octets, sizeof octets, secret_out);
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
	base64_write_url(sum, sizeof sum, challenge_out);
}
