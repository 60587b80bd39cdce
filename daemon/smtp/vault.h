/* vault.h: what a session asks the keeper: certificates, signatures, and whether a password is
 * right. Room daemon/smtp.
 *
 * The listener tells the keeper of each session, with one end of a seqpacket pair and the address
 * that `accept` saw: struct vault_visitor. On the pair one question is answered at a time. The
 * keeper never waits for a session: one that does not read its answers is cut off. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/tls_server.h"
#include "policy/facts.h"

#define VAULT_NAME_MAX     255 /* octets of a login's name, as the device says it */
#define VAULT_PASSWORD_MAX 511

struct vault_visitor {
	struct facts_peer peer;
};

enum vault_kind { VAULT_CHAIN = 1, VAULT_SIGN, VAULT_DECRYPT, VAULT_LOGIN };

struct vault_question {
	uint32_t kind;      /* enum vault_kind */
	uint32_t algorithm; /* VAULT_SIGN: as in struct tls_signer */
	uint32_t size;      /* octets of `octets`; VAULT_LOGIN: of both texts with their NULs */
	uint8_t octets[TLS_SIGNATURE_MAX]; /* hash, text, or NAME NUL PASSWORD NUL */
};

enum vault_verdict {
	VAULT_YES,
	VAULT_NO,
	VAULT_LATER, /* nobody can say now */
	VAULT_NEVER  /* no such thing here */
};

struct vault_answer {
	uint32_t verdict; /* enum vault_verdict */
	uint32_t size;    /* octets that follow in the same packet: signature, plain text */
	uint8_t octets[TLS_SIGNATURE_MAX];
};

/* Tells the keeper of a session, on the link that it knows us by. Returns the session's end of the
 * pair, the caller's; -1: there is no keeper that listens, and the session does without. */
int vault_visit(int link_fd, const struct facts_peer *peer);

/* All of them wait for the keeper, at most until `deadline_ms` (monotonic); VAULT_LATER: it is gone
 * or says nothing. `wake_fd`: as in wait_or_wake. */
struct vault {
	int fd; /* borrowed; -1: there is no keeper */
	int wake_fd;
	int64_t deadline_ms;
};

enum vault_verdict vault_chain(const struct vault *vault, struct tls_public *public_out);

/* Octets, or -1: as struct tls_signer wants them. `context`: a struct vault. */
ssize_t vault_sign(void *context, uint32_t algorithm, const void *hash, size_t size,
		   uint8_t signature_out[TLS_SIGNATURE_MAX]);
ssize_t vault_decrypt(void *context, const void *text, size_t size,
		      uint8_t plain_out[TLS_SECRET_SIZE]);

enum vault_verdict vault_login(const struct vault *vault, const char *name, const char *password);
