/* data.h: bytes after DATA -> message, and where it ends (RFC 5321 section 4.5.2). Room
 * daemon/smtp: pure.
 *
 * Only CR LF . CR LF ends the data, and . CR LF as its first line; never anything with a bare CR or
 * LF in it. A dot is taken away at the start of a line that follows a real CR LF, and nowhere else,
 * in both modes: a line that started with a bare LF was not stuffed by the rules either, so taking
 * its dot would lose one.
 *
 * The message is the same however the bytes are cut into pieces. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct data {
	bool lenient;          /* a bare LF becomes CR LF; a bare CR stays */
	uint8_t state;         /* internal */
	bool bare_lf, bare_cr; /* one was seen */
};

/* How much data_feed may write for `size` octets: each may be a bare LF, and a dot and a CR may
 * have been held back. */
#define DATA_ROOM(size) (2 * (size) + 2)

void data_init(struct data *data, bool lenient);

/* Reads octets up to the end of the data and writes the message into `out`, which holds
 * DATA_ROOM(size). *used_out: octets read; what lies behind the end is not touched. *put_out:
 * octets written. True: this was the end. Not to be called again after it. */
bool data_feed(struct data *data, const char *in, size_t size, size_t *used_out, char *out,
	       size_t *put_out);
