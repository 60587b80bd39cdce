/* wire.h: the connection of one session: lines and bytes in, replies out, every wait with a
 * deadline. Room daemon/smtp.
 *
 * Whoever sends must get on. The time that is spent waiting in the middle of a line or of a mail is
 * five sixths of `idle` at most until the next 1 kB has come: with the usual minute a device that
 * sends an octet a second is cut after 50 s, and a scanner that feeds paper for 49 s is borne. And
 * whoever brings no mail that is taken is cut after 60 times `idle`.
 *
 * Replies collect until input is needed and then leave in one write. A wait ends early when the
 * gateway stops: by SIGTERM, or since the other end of the ask socket hung up. Nothing here is told
 * apart by state of the dialogue. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/tls_server.h"

#define WIRE_INPUT  (16 * 1024)
#define WIRE_OUTPUT 4096
#define WIRE_HELLO  2048

enum wire_event {
	WIRE_OK,
	WIRE_LONG,    /* a line of more than LINE_MAX_BYTES; it has been read to its end */
	WIRE_ENDLESS, /* one that was given up before its end */
	WIRE_FOREIGN, /* the first byte of a line starts a TLS handshake, in clear */
	WIRE_END,     /* end of file */
	WIRE_LOST,    /* reset, or an error */
	WIRE_TIMEOUT,
	WIRE_STOP /* the gateway ends */
};

struct wire_handshake;

struct wire {
	int in_fd, out_fd; /* borrowed; may be one descriptor */
	int watch_fd;      /* borrowed; hangs up when the gateway ends */
	bool socket;       /* in_fd is a socket: the kernel knows what is acknowledged */
	bool lost;         /* reset, or an error: the device did not get all we wrote */
	bool ended;        /* end of file was read */
	bool drips;        /* the last line came in pieces, with pauses in between */
	int64_t idle_ms;
	int64_t waited_ms;                /* in the middle of something, for the `paced` octets */
	int64_t end_ms;                   /* of all waiting, on the monotonic clock */
	uint64_t received;                /* octets read from the connection so far */
	size_t paced;                     /* what has come of the next kB, without TLS around it */
	struct tls *tls;                  /* owned; NULL: in clear */
	struct tls_io io;                 /* of `tls` */
	struct wire_handshake *handshake; /* borrowed, while it is made */
	uint64_t begun; /* with TLS: what was received before that which lies in `in` came */
	size_t in_at, in_used, out_used;
	char out[WIRE_OUTPUT];
	char in[WIRE_INPUT];
};

/* `wire` is zeroed storage of the caller; its big arrays are touched only as far as they are used.
 */
void wire_init(struct wire *wire, int in_fd, int out_fd, int watch_fd, uint64_t idle_s);

/* The next line, without its end (CR LF, or a bare LF); borrowed until the next call. */
enum wire_event wire_line(struct wire *wire, const char **text_out, size_t *size_out);

/* Bytes as they come: at least one; borrowed until the next call. Whoever used fewer gives the rest
 * back. */
enum wire_event wire_bytes(struct wire *wire, const char **bytes_out, size_t *size_out);
void wire_give_back(struct wire *wire, size_t size);

/* What is to be told of a handshake. */
struct wire_handshake {
	char hello[WIRE_HELLO]; /* the first octets of the device */
	size_t hello_size;
	char words[TLS_WHY_MAX]; /* what was agreed on, or why nothing was */
	int alert;               /* of the device; -1: none */
};

/* From here on in TLS: the handshake is made, at most until `deadline_ms` (monotonic). What was
 * read already must be its beginning. False: the connection is good for nothing any more. `key` and
 * `signer` are borrowed until it ends. */
bool wire_encrypt(struct wire *wire, const struct tls_public *key, const struct tls_signer *signer,
		  int64_t deadline_ms, struct wire_handshake *handshake_out);

/* Ends TLS with a word of goodbye, and frees it. */
void wire_done(struct wire *wire);

/* Waits, but not longer than so (milliseconds), until something has come that is not read yet. */
void wire_await(struct wire *wire, int64_t milliseconds);

/* It brought a mail that was taken: all its time is its own again. */
void wire_forgive(struct wire *wire);

/* What has come before we said anything; never waits. At most `room` octets, which stay to be read.
 */
size_t wire_early(struct wire *wire, const char **bytes_out, size_t room);

/* What has been read and not taken; it stays. wire_more waits for more of it: WIRE_OK, or why none
 * comes (WIRE_LONG: there is no room). */
size_t wire_pending(const struct wire *wire, const char **bytes_out);
enum wire_event wire_more(struct wire *wire, int64_t deadline_ms);

/* Adds to the replies. */
void wire_put(struct wire *wire, const char *text, size_t size);

/* Writes them. WIRE_OK, WIRE_LOST or WIRE_TIMEOUT. */
enum wire_event wire_flush(struct wire *wire);

/* Octets that the device has sent by now, whether read or not: what comes after these was sent
 * later. */
uint64_t wire_sent_by_now(const struct wire *wire);

/* Octets taken out as lines or bytes. */
uint64_t wire_taken(const struct wire *wire);

/* Has the device acknowledged all we wrote, and not hung up on it? Where the kernel can't know (a
 * pipe), yes. */
bool wire_acknowledged(struct wire *wire);

/* Says that no more will be written, and reads what still comes until the device ends too and has
 * acknowledged everything, or the time is over: a reset must not overtake the last reply. */
void wire_linger(struct wire *wire, int64_t milliseconds);
