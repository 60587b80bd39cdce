/* watch.h: does a text hide parts? Room extract; pure.
 *
 * Looks at what is no part (text, preambles, epilogues) for what should have been one: a line of
 * dashes with a Content- field below it, lines of base64, a URL that holds a file in base64, the
 * first lines of uuencode or yEnc. The armour of OpenPGP and PEM is text. */
#pragma once
#include <stdbool.h>
#include "extract/span.h"

#define WATCH_LINE 128 /* octets of a line that are looked at */

struct watch {
	bool found;
	bool spoiled;         /* a delimiter was there, but not as it should be */
	bool close;           /* a line that may be one was above */
	struct span boundary; /* borrowed */
	bool armour;          /* between -----BEGIN and -----END */
	bool dashes;          /* a line of dashes was above */
	bool begin;           /* a line `begin 644 name` was above */
	size_t same;          /* lines of base64 of one width */
	size_t width;
	size_t line_size; /* octets of this line so far */
	size_t mark;      /* how much of `;base64,` has come */
	size_t data;      /* characters of base64 behind it */
	char line[WATCH_LINE];
};

void watch_init(struct watch *watch);
/* The boundary that should end the text (borrowed; empty: none). A line that differs from its
 * delimiter only in dashes, blanks or case, with a Content- field below it, is a spoiled one. */
void watch_expect(struct watch *watch, struct span boundary);

void watch_add(struct watch *watch, struct span text);

/* Was anything found? The last line needs no end. */
bool watch_finish(struct watch *watch);
