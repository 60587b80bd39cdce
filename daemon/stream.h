/* stream.h: a connection to a server, in clear or in TLS, that can't make anybody wait for ever.
 * Ground of daemon.
 *
 * Each command has an absolute deadline and a budget of octets: a server that sends an octet a
 * second, or that never ends a line, runs into one of them. One that is silent for a minute in the
 * middle of a command that may take longer is given up. Every wait ends when `wake_fd` can be read.
 * What went wrong is remembered: after it the stream is good for nothing. Signals that are handled
 * do not disturb it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "daemon/tls.h"

enum stream_end {
	STREAM_OPEN,
	STREAM_CLOSED,   /* by the server, or the connection broke */
	STREAM_LATE,     /* the deadline passed */
	STREAM_TOO_MUCH, /* the budget is used up */
	STREAM_WOKEN,    /* somebody wants us */
	STREAM_REFUSED   /* no connection, or no trust: `why` says it */
};

struct stream {
	int fd;           /* owned; -1: none */
	struct tls *tls;  /* owned; NULL: in clear */
	int wake_fd;      /* borrowed; -1: none */
	int64_t limit_ms; /* monotonic: of the command under way */
	uint64_t budget;  /* octets that may still come for it */
	enum stream_end end;
	char why[TLS_WHY_MAX];
};

void stream_init(struct stream *stream, int wake_fd);
void stream_done(struct stream *stream);

/* What the next command may take. */
void stream_allow(struct stream *stream, int64_t within_ms, uint64_t octets);

/* Connects: each address of the host in turn. `local`: only an address of this machine will do. */
bool stream_connect(struct stream *stream, const char *host, unsigned port, bool local);

/* From here on in TLS; false: no trust. Nothing in clear may be left unread. */
bool stream_encrypt(struct stream *stream, const struct tls_trust *trust);

/* At least one octet, or -1: see `end`. */
ssize_t stream_read(struct stream *stream, void *buffer, size_t size);

/* All of it, or -1. */
ssize_t stream_write(struct stream *stream, const void *buffer, size_t size);

/* Waits until something can be read: true, also for an end that is not seen yet. False: the time
 * is up (the stream stays open), or somebody woke us (STREAM_WOKEN, and it is open again at the
 * next stream_allow). */
bool stream_wait(struct stream *stream, int64_t until_ms);
