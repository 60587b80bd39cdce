/* tls_server.h: a TLS server whose private key is with somebody else, who signs and decrypts on
 * request. Ground of daemon; knows GnuTLS, as tls.h.
 *
 * The same struct tls, and the same calls, as a client's: tls_handshake, tls_read, tls_write,
 * tls_pending, tls_free. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "daemon/tls.h"

enum tls_compat {
	TLS_MODERN, /* TLS 1.2 and up, also without ECDHE: that is what many scanners have */
	TLS_LEGACY, /* TLS 1.0 and up */
	TLS_ANCIENT /* and 3DES */
};

#define TLS_CHAIN_MAX     (32 * 1024) /* octets of all certificates */
#define TLS_CERTIFICATES  10          /* of one key */
#define TLS_SIGNATURE_MAX 1024        /* octets of a signature, or of what is to be decrypted */
#define TLS_SECRET_SIZE   48          /* octets of a pre-master secret */

/* What everybody may know of a key: its kind as GnuTLS numbers it, and its certificates, DER, each
 * behind its length (uint32_t). */
struct tls_public {
	uint32_t algorithm, bits;
	uint32_t size;
	uint8_t chain[TLS_CHAIN_MAX];
};

/* Who has the key. Both return octets, or -1. `decrypt` gives TLS_SECRET_SIZE random ones where the
 * text holds no pre-master secret: nobody may learn whether it did (RFC 5246 section 7.4.7.1). */
struct tls_signer {
	void *context;
	/* `algorithm`: the signature's, as GnuTLS numbers it */
	ssize_t (*sign)(void *context, uint32_t algorithm, const void *hash, size_t size,
			uint8_t signature_out[TLS_SIGNATURE_MAX]);
	ssize_t (*decrypt)(void *context, const void *text, size_t size,
			   uint8_t plain_out[TLS_SECRET_SIZE]);
};

/* Where records come from and go to. Neither waits: octets, 0 at the end, -1 with errno. */
struct tls_io {
	void *context;
	ssize_t (*pull)(void *context, void *buffer, size_t size);
	ssize_t (*push)(void *context, const void *buffer, size_t size);
};

/* What all servers of this process, and those forked from it, have in common; once. 0 or -errno. */
int tls_server_prepare(enum tls_compat compat);

/* `signer` and `io` are borrowed for as long as it lives. 0 or -errno. */
int tls_server_new(const struct tls_public *key, const struct tls_signer *signer,
		   const struct tls_io *io, struct tls **tls_out);

/* The alert by which the device ended the handshake (RFC 8446 section 6); -1: it did not. */
int tls_server_alert(const struct tls *tls);

/* "(TLS1.2)-(ECDHE-SECP256R1)-(RSA-SHA256)-(AES-128-GCM)": what was agreed on. */
void tls_server_describe(const struct tls *tls, char *text, size_t size);
