/* mime.h: the walk through the structure of a message (RFC 2046 section 5.1): header blocks,
 * bodies, delimiters, and the stack of what is open. Room extract; pure.
 *
 * A delimiter is "--", a boundary, blanks, the end of the line (with "--" behind the boundary it
 * closes). Every line that starts with "--" is looked up once, by hash, in the boundaries that are
 * open, so the cost does not grow with the depth. Innermost first: devices nest multiparts with the
 * same boundary.
 *
 * A device that forgets the line end before a delimiter is understood where no other reading makes
 * sense: behind base64, which has no dashes.
 *
 * Other readers see a delimiter where a boundary is only the start of the line, where the multipart
 * was closed before, or behind a bare CR. These are `soft`: we see them only in the other reading
 * (FRAME_READ_LAST), and either reading says that the mail is ambiguous. */
#pragma once
#include <stdbool.h>
#include "extract/frame.h"
#include "extract/limits.h"
#include "extract/span.h"
#include "extract/window.h"

struct mime_level {
	uint64_t hash;
	size_t size; /* of the boundary; 0: a message or a multipart without one */
	bool closed; /* its closing delimiter was seen */
	bool digest; /* its parts are messages unless they say otherwise (RFC 2046 section 5.1.5) */
	int next;    /* the level below with the same hash slot; -1: none */
	char boundary[LIMIT_BOUNDARY_MAX];
};

#define MIME_SLOTS 256

/* What is open, of all layers. */
struct mime_stack {
	unsigned depth, depth_max;
	enum frame_reading reading;
	bool ambiguous;
	int slots[MIME_SLOTS];
	uint16_t sizes[LIMIT_BOUNDARY_MAX + 1]; /* how many open boundaries have this size */
	size_t longest;
	struct mime_level levels[LIMIT_DEPTH_MAX];
};

void mime_stack_init(struct mime_stack *stack, unsigned depth_max, enum frame_reading reading);

/* Opens a level; an empty boundary is a message's. false: the depth is used up. The boundary is at
 * most LIMIT_BOUNDARY_MAX long. */
bool mime_push(struct mime_stack *stack, struct span boundary, bool digest);

/* Closes all levels from `depth` on. */
void mime_pop(struct mime_stack *stack, unsigned depth);

/* Is the level that a part belongs to now a digest? */
bool mime_in_digest(const struct mime_stack *stack);

/* The boundary of the innermost multipart that is not closed; empty: there is none. Borrowed from
 * its level. */
struct span mime_boundary(const struct mime_stack *stack);

enum mime_stop {
	MIME_END,  /* the message (or the layer) is over */
	MIME_OPEN, /* a delimiter: a part of the top level follows */
	MIME_CLOSE /* a closing delimiter: what follows belongs to no part */
};

/* One run of bytes with a structure: the message, or an encoded message inside it. */
struct mime_layer {
	struct mime_stack *stack;
	struct window window;
	unsigned base; /* levels below it belong to outer layers */
	bool fresh;    /* nothing was read yet */
	bool line_start;
	bool glued;   /* the body is base64: a delimiter may stand behind it in its line */
	bool sealed;  /* the field above is one that no junk behind it may be joined to */
	bool stopped; /* at `stop` */
	enum mime_stop stop;
	bool cut; /* ... within a multipart that was not closed: its last part may not be whole */
};

void mime_layer_init(struct mime_layer *layer, struct mime_stack *stack);

enum mime_header {
	MIME_HEADER_OK,
	MIME_HEADER_STOPPED, /* a delimiter or the end came before the blank line: no body */
	MIME_HEADER_CAP      /* longer than `max` */
};

/* Collects a header block. It ends at the blank line, and where the body starts without one. */
enum mime_header mime_read_header(struct mime_layer *layer, struct text *block);

/* The next piece of the body, valid until the next call. false: layer->stop says where it stopped;
 * the levels inside the one whose delimiter came are popped, the level itself is marked as
 * closed. */
bool mime_read_body(struct mime_layer *layer, struct span *piece_out);

/* The body as far as it is in the window already, for a look ahead. */
struct span mime_peek(struct mime_layer *layer, size_t wanted);
