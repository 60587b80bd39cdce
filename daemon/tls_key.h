/* tls_key.h: a private key with its certificates: read, made, used. Ground of daemon; knows GnuTLS,
 * as tls.h. Only who keeps keys has a use for it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "daemon/tls_server.h"

struct tls_key;

/* From two files, PEM, read from their beginnings; they may be one. 0, or -EINVAL with the fault in
 * words. */
int tls_key_load(int cert_fd, int key_fd, struct tls_key **key_out, char why_out[TLS_WHY_MAX]);
void tls_key_free(struct tls_key *key);

/* Makes a self-signed RSA pair for `host`, good for ten years: both as PEM, the caller's to free.
 * Takes a while. 0 or -errno. */
int tls_key_make(const char *host, char **cert_out, char **key_out);

/* Is the time of the first certificate over? */
bool tls_key_is_over(const struct tls_key *key);

/* Lives as long as the key. */
const struct tls_public *tls_key_public(const struct tls_key *key);

/* As in struct tls_signer. */
ssize_t tls_key_sign(const struct tls_key *key, uint32_t algorithm, const void *hash, size_t size,
		     uint8_t signature_out[TLS_SIGNATURE_MAX]);
ssize_t tls_key_decrypt(const struct tls_key *key, const void *text, size_t size,
			uint8_t plain_out[TLS_SECRET_SIZE]);
