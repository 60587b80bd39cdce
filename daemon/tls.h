/* tls.h: TLS, and whom a client of it believes, over a connected socket. Ground of daemon; knows
 * GnuTLS, as tls_server.h and tls_key.h do and nobody else.
 *
 * Nothing here waits: a call that can't go on returns -EAGAIN, and tls_wants says what to poll for.
 * TLS 1.2 is the least that is spoken. Certificates that may sign are read when they are needed and
 * freed at once: they would be half of the memory of a program that waits. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define TLS_WHY_MAX 300

struct tls;

/* Whom to believe. A pin stands in for everything else: names, dates, signers. */
struct tls_trust {
	const char *host;    /* name or address that the certificate must have */
	const char *ca_file; /* PEM; "": the system's */
	const char *pins; /* comma list: SHA-256 of the server's public key (SPKI), hex or base64;
			     "" : none */
};

/* `fd` is borrowed and does not block. 0 or -errno. */
int tls_new(int fd, const char *host, struct tls **tls_out);
void tls_free(struct tls *tls);

/* One step: 0 when it is done; -EAGAIN; -EPROTO with the fault in plain words. */
int tls_handshake(struct tls *tls, char why_out[TLS_WHY_MAX]);

/* POLLIN or POLLOUT: what the last -EAGAIN waits for. */
short tls_wants(const struct tls *tls);

/* Is it the server that we wanted? Nothing may be sent before this said yes. 0; -EACCES with the
 * fault in plain words; or another -errno: the list of signers can't be read. */
int tls_verify(const struct tls *tls, const struct tls_trust *trust, char why_out[TLS_WHY_MAX]);

/* Octets, 0 at the end, -EAGAIN, or -EPROTO. */
ssize_t tls_read(struct tls *tls, void *buffer, size_t size);
ssize_t tls_write(struct tls *tls, const void *buffer, size_t size);

/* Says that nothing more will be written; as far as that goes without waiting. */
void tls_goodbye(struct tls *tls);

/* Octets that were received and can be read without a look at the socket. */
size_t tls_pending(const struct tls *tls);

/* Version, and the server's certificates one after the other: for whom, by whom, until when. */
void tls_describe(const struct tls *tls, char *text, size_t size);
