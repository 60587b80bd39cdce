/* digest.h: SHA-256. Ground of daemon. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <nettle/sha2.h>

#define DIGEST_SIZE 32 /* octets */
#define DIGEST_HEX  65 /* octets of its text, NUL included */

struct digest {
	struct sha256_ctx context;
};

void digest_init(struct digest *digest);
void digest_add(struct digest *digest, const void *bytes, size_t size);
/* Ends it; the digest must be initialised again before further use. */
void digest_end(struct digest *digest, uint8_t value_out[DIGEST_SIZE]);

/* A file of `size` octets, by pread from 0, whatever its offset. `may_go_on` is asked now and then.
 * 0 or -errno; -ECANCELED: it said no; -ENODATA: the file is shorter. */
int digest_add_file(struct digest *digest, int fd, uint64_t size,
		    bool (*may_go_on)(const void *context), const void *context);

void digest_hex(const uint8_t value[DIGEST_SIZE], char text[DIGEST_HEX]);

/* All of it at once. */
void digest_octets(const void *bytes, size_t size, char text[DIGEST_HEX]);
