/* hello.h: bytes of a TLS ClientHello -> what a device offers, in plain words. Room daemon/smtp:
 * pure, allocates nothing.
 *
 * From the hello that SSL 2.0 had (RFC 5246 appendix E.2) to that of TLS 1.3 (RFC 8446 section
 * 4.1.2). Nothing is decided by it: it tells an owner why the handshake of a device fails. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/tls_server.h"

#define HELLO_MAX       8192 /* octets; a longer one is not read */
#define HELLO_SUITES    10   /* that are named */
#define HELLO_GROUPS    6
#define HELLO_NAME_MAX  63
#define HELLO_WORDS_MAX 400 /* octets of a description, NUL included */

/* Versions, as they travel. */
enum {
	HELLO_SSL2 = 0x0002,
	HELLO_SSL3 = 0x0300,
	HELLO_TLS10 = 0x0301,
	HELLO_TLS11 = 0x0302,
	HELLO_TLS12 = 0x0303,
	HELLO_TLS13 = 0x0304
};

/* How keys are agreed on. */
enum { HELLO_BY_RSA = 1, HELLO_BY_DHE = 2, HELLO_BY_ECDHE = 4 };

/* What our certificate (RSA) and library can do with a suite. */
enum {
	HELLO_STRONG = 1, /* AES and ChaCha20 */
	HELLO_3DES = 2,
	HELLO_FOREIGN = 4, /* AES and ChaCha20, for a certificate with a key of another kind */
	HELLO_DEAD = 8     /* RC4, DES, export, no encryption, no certificate */
};

/* Which hashes of signatures it names. */
enum { HELLO_MD5 = 1, HELLO_SHA1 = 2, HELLO_SHA256 = 4 /* or better */ };

struct hello {
	bool old_format;                  /* that of SSL 2.0 */
	uint16_t newest;                  /* version */
	uint16_t oldest;                  /* version; 0: not said, as ever before TLS 1.3 */
	unsigned keys;                    /* HELLO_BY_… */
	unsigned usable;                  /* HELLO_STRONG … */
	unsigned hashes;                  /* HELLO_MD5 …; 0: not said */
	const char *suites[HELLO_SUITES]; /* names, in the device's order, each once */
	size_t suites_count, suites_more; /* named, and not */
	const char *groups[HELLO_GROUPS];
	size_t groups_count;
	char server_name[HELLO_NAME_MAX + 1]; /* "": none; printable ASCII */
};

enum hello_result {
	HELLO_OK,
	HELLO_SHORT, /* more must come */
	HELLO_BAD    /* it is none, or too long */
};

/* `bytes`: from the first record on, as they came. */
enum hello_result hello_read(const void *bytes, size_t size, struct hello *hello_out);

/* "TLS 1.0"; "an unknown version" for what is none of ours. */
const char *hello_version(uint16_t version);

/* "offers TLS 1.0 only, with RSA key exchange: AES128-SHA, 3DES, RC4". */
void hello_describe(const struct hello *hello, char words_out[HELLO_WORDS_MAX]);

/* What a port takes: [smtp] tls and tls_compat. */
struct hello_port {
	bool tls; /* at all */
	enum tls_compat compat;
	bool at_once; /* the hello came unasked, and the port does not take it like that */
};

/* One sentence for the owner: what the device offers against what the port takes, and what to do
 * about it. False, with "", where nothing in the hello is in the way. */
bool hello_judge(const struct hello *hello, const struct hello_port *port,
		 char words_out[HELLO_WORDS_MAX]);
