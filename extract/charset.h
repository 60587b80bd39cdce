/* charset.h: bytes in any charset -> UTF-8. Room extract. The one place that knows iconv.
 *
 * Everything that iconv loads it loads in charset_prepare, before the jail closes: 8-bit charsets
 * become tables and their handles are closed, the others keep one handle each. An unknown charset,
 * and text that is not what it says it is, are read as UTF-8 where they are valid, else as
 * windows-1252 (which has ISO 8859-1 in it). */
#pragma once
#include <stdbool.h>
#include "extract/span.h"

/* Index of a charset; CHARSET_RAW: not declared, unknown, us-ascii, UTF-8 or ISO 8859-1. */
#define CHARSET_RAW (-1)

/* Opens everything. 0 or -errno. */
int charset_prepare(void);
void charset_done(void);

int charset_find(struct span name);

/* Puts the whole text. Whole: what is not valid UTF-8 as a whole is windows-1252 as a whole. */
void charset_convert(int charset, struct span bytes, struct text *out);

/* A text that comes in pieces. One stream at a time. */
struct charset_stream {
	int charset;
	size_t held; /* octets of a character that a cut went through */
	char hold[16];
};

void charset_stream_init(struct charset_stream *stream, int charset);

/* Converts from the start of *in, which moves on, until it is empty or `out` has not 8 octets
 * left. */
void charset_stream_run(struct charset_stream *stream, struct span *in, struct text *out);

/* What was held back. `out` has 64 octets left. */
void charset_stream_finish(struct charset_stream *stream, struct text *out);
