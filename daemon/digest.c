/* digest.c: SHA-256 by nettle. Never keeps anything. */
#include "daemon/digest.h"
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

void digest_init(struct digest *digest)
{
	sha256_init(&digest->context);
}

void digest_add(struct digest *digest, const void *bytes, size_t size)
{
	sha256_update(&digest->context, size, bytes);
}

void digest_end(struct digest *digest, uint8_t value_out[DIGEST_SIZE])
{
	sha256_digest(&digest->context, DIGEST_SIZE, value_out);
}

int digest_add_file(struct digest *digest, int fd)
{
	static uint8_t block[64 * 1024];
	off_t at = 0;
	for (;;) {
		ssize_t got = pread(fd, block, sizeof block, at);
		if (got == 0)
			return 0;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		digest_add(digest, block, (size_t)got);
		at += got;
	}
}

void digest_hex(const uint8_t value[DIGEST_SIZE], char text[DIGEST_HEX])
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < DIGEST_SIZE; i++) {
		text[2 * i] = digits[value[i] >> 4];
		text[2 * i + 1] = digits[value[i] & 15];
	}
	text[2 * DIGEST_SIZE] = '\0';
}
