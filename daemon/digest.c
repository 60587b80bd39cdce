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

int digest_add_file(struct digest *digest, int fd, uint64_t size,
		    bool (*may_go_on)(const void *context), const void *context)
{
	static uint8_t block[64 * 1024];
	for (uint64_t at = 0; at < size;) {
		uint64_t left = size - at;
		if (!may_go_on(context))
			return -ECANCELED;
		ssize_t got =
			pread(fd, block, left < sizeof block ? left : sizeof block, (off_t)at);
		if (got == 0)
			return -ENODATA;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		digest_add(digest, block, (size_t)got);
		at += (uint64_t)got;
	}
	return 0;
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

void digest_octets(const void *bytes, size_t size, char text[DIGEST_HEX])
{
	struct digest digest;
	uint8_t value[DIGEST_SIZE];
	digest_init(&digest);
	digest_add(&digest, bytes, size);
	digest_end(&digest, value);
	digest_hex(value, text);
}
