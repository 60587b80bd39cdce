/* filter.h: the walk over one message, from bytes to frames. Room extract.
 *
 * Multiparts and messages are entered, also where the message is encoded; leaves become parts.
 * Nothing is kept but what limits.h allows, whatever the size of the message. */
#pragma once
#include "extract/body.h"
#include "extract/frame_writer.h"
#include "extract/mime.h"
#include "extract/part.h"

/* A layer and what decodes it. */
struct filter_layer {
	struct mime_layer mime;
	struct filter_layer *outer; /* NULL: the message itself */
	struct decoder decoder;
	struct span piece; /* of the outer body, not yet decoded */
	bool finished;
	size_t made_from, made_to; /* decoded octets that the window had no room for */
	char made[2 * DECODE_ROOM_MIN + DECODE_SLACK];
	char window[LIMIT_LAYER_WINDOW];
};

/* Large: to be static. What a message does not need is not touched. */
struct filter {
	struct frame_writer writer;
	enum frame_reading reading;
	size_t header_max;
	enum frame_cap_kind cap;  /* 0: none was hit */
	uint64_t containers_left; /* multiparts and messages that may still be entered */
	size_t look_left;         /* octets that may still be looked at ahead (LIMIT_LOOK_ALL) */
	bool encoded, damaged, has_message;
	struct mime_stack stack;
	struct parts parts;
	struct body body;
	struct content content;
	struct filter_layer layers[1 + LIMIT_LAYERS_MAX];
	unsigned layer; /* the one being walked */
	char window[LIMIT_WINDOW];
	char header[LIMIT_HEADER_MAX];
};

/* Reads at most `size` octets of the message to `at`: how many, 0 at the end, or -errno. */
typedef window_read filter_read;

/* Reads a message from its start and writes its frames. 0: with DONE or CAP as the last one; else
 * -errno of a read or a write that failed. */
int filter_run(struct filter *filter, enum frame_reading reading, const struct frame_limits *limits,
	       filter_read *read_in, void *read_context, frame_write *write_out,
	       void *write_context);
