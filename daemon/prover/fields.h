/* fields.h: the header of a message -> its fields. Room daemon/prover; pure, fuzzed.
 *
 * Strict, where the extractor is lenient: a header that another reader could see other fields in
 * than a signature covers is refused. Each line of it is a field, NAME: with no blank before the
 * colon, or it starts with a blank and goes on with the field above; none is blank, has a NUL or a
 * CR of its own; it ends with an empty line (RFC 5322 section 2.2, without section 4). */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum fields_state {
	FIELDS_MORE,  /* the input is used up */
	FIELDS_FIELD, /* fields->text has one, of fields->size octets, without its last CRLF */
	FIELDS_END,   /* the header is over; the input that is left is the body */
	FIELDS_BAD    /* fields->why */
};

struct fields {
	char *text; /* owned: the field, then the line that comes behind it */
	size_t size;
	const char *why;

	/* internal */
	size_t max, total; /* octets of a header; so far */
	size_t field, end; /* of the text: up to where it is the field, and where it ends */
	bool given, over;
};

/* `max`: octets that a header may have. False: no memory. */
bool fields_init(struct fields *fields, size_t max);
void fields_done(struct fields *fields);

/* Takes octets whose lines end with CRLF (lines.h) off the front of *at_io. To be called again as
 * long as it returns FIELDS_FIELD. */
enum fields_state fields_take(struct fields *fields, const char **at_io, size_t *left_io);

/* Is that the name of the field? Blind to case. */
bool fields_is(const struct fields *fields, const char *name);

/* What is behind the colon; *size_out octets. */
const char *fields_value(const struct fields *fields, size_t *size_out);
