/* decode.h: content transfer encodings -> bytes (RFC 2045 section 6; uuencode). Room extract; pure.
 *
 * A decoder is fed pieces of any size and keeps what a cut went through. It never fails: what can't
 * be read is left out, and `damaged` says so if it may have meant something. Quoted-printable
 * leaves nothing out: what is no escape is text.
 *
 * base64 skips whatever is not of the alphabet. Where it ends is decided like this:
 *  - `=` ends a group. The same line may go on behind it with nothing but base64, and so may a
 *    later line that has only base64 in it: that is how devices glue two encoded pieces together.
 *    Anything else behind it is a footer, and ends the data.
 *  - A line shorter than the ones before that ends with a whole group is probably the last one: a
 *    line behind it that is not purely base64 ends the data too (a footer that a mail server
 *    added).
 *  - A footer is no damage, unless it looks like a piece of another part, whose delimiter was
 *    spoiled: `hides` says so too.
 *  - A group that is cut is kept only if the part is known to be whole, i.e. its closing boundary
 *    came; a lone character carries less than an octet and is always dropped. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "extract/span.h"

enum decode_kind { DECODE_IDENTITY, DECODE_BASE64, DECODE_QP, DECODE_UU };

/* The room that decode_run wants at least, and the octets behind it that it may write over
 * (octets). */
#define DECODE_ROOM_MIN 2048
#define DECODE_SLACK    32

#define DECODE_LINE_MAX 1024

struct decoder {
	enum decode_kind kind;
	bool damaged; /* something was lost */
	bool hides;   /* what was lost looks like another part */
	unsigned state;
	uint32_t group;      /* base64: the open group; QP: the first hexadecimal digit */
	unsigned count;      /* base64: how many */
	size_t line, widest; /* base64: characters of this line, and of the widest so far */
	bool mark;           /* base64: a `!` came, which a line end must follow */
	bool padded;         /* base64: the last line before the one in doubt was */
	size_t held;         /* octets in `hold` */
	char hold[DECODE_LINE_MAX];
};

/* Chooses the fastest way that this CPU has; to be called once before any decoder runs. */
void decode_prepare(void);

/* Switches to the portable way, for the tests. */
void decode_prepare_portable(void);

void decode_init(struct decoder *decoder, enum decode_kind kind);

/* Decodes from the start of *in, which moves on, into `out`, which has `room` octets
 * (DECODE_ROOM_MIN at least) and DECODE_SLACK more. Returns the octets made; call again while *in
 * is not empty. */
size_t decode_run(struct decoder *decoder, struct span *in, char *out, size_t room);

/* What was still held back; `whole`: the end of the part was seen. `out` has DECODE_ROOM_MIN
 * octets. */
size_t decode_finish(struct decoder *decoder, bool whole, char *out);

/* Would base64 end within a line that is not padded, if nothing more came? To be asked before
 * decode_finish. */
bool decode_is_within_line(const struct decoder *decoder);

/* Does a line (without its end) have nothing but base64 in it, in whole groups? */
bool decode_is_base64_line(struct span line);

/* One line of uuencode (without its end) -> at most 63 octets; -1: it is none. 0 octets: the last
 * line before `end`. */
#define DECODE_UU_LINE_MAX 63
int decode_uu_line(struct span line, char out[DECODE_UU_LINE_MAX + 3]);
