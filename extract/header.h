/* header.h: a header block -> fields (RFC 5322 section 2.2, RFC 2822 section 4). Room extract;
 * pure.
 *
 * A header block is what mime.h collected up to the blank line: whole lines with their ends, as
 * they came. */
#pragma once
#include <stdbool.h>
#include "extract/span.h"

enum header_line {
	HEADER_BLANK, /* nothing but its end: the header is over */
	HEADER_FIELD, /* a name and a colon */
	HEADER_FOLD,  /* begins with a blank: goes on with the field above */
	HEADER_JUNK   /* nothing of that */
};

/* What a line is; `line` with or without its end. */
enum header_line header_line_kind(struct span line);

struct header_field {
	struct span name;  /* without the blanks before the colon, which old devices write */
	bool spaced;       /* they were there */
	struct span value; /* everything behind the colon, folds included, trimmed */
};

/* Takes the next field off the front of *rest; lines of junk are passed over. false: there is
 * none. */
bool header_next(struct span *rest, struct header_field *field_out);

/* Might another reader see a field of this name at the start of the line: one that drops what is no
 * printable ASCII? */
bool header_may_name(struct span line, struct span name);

/* Puts the value without the line ends of its folds (RFC 5322 section 2.2.3); a tab that folded
 * becomes a space. */
void header_unfold(struct span value, struct text *out);

/* Is there a CR that is not part of a line end? (`\r\r\n` counts as a line end: a device's text
 * mode.) */
bool header_has_bare_cr(struct span value);
