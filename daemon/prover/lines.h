/* lines.h: the octets of a message -> the same with CRLF at the end of each line, as they were when
 * they were signed. Room daemon/prover; pure, fuzzed. Holds nothing but where it stands. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* All zero at the start of a message. */
struct lines {
	bool after_cr, within_line;
};

/* Octets that become of `size` of them at most. */
#define LINES_ROOM(size) (2 * (size))

/* An LF without a CR before it becomes CRLF; a CR stays what it is. Returns octets in `out`. */
size_t lines_run(struct lines *lines, const char *in, size_t size, char *out);

/* The end of the message: completes the last line. `out` holds 2 octets. Returns how many. */
size_t lines_finish(struct lines *lines, char out[2]);
