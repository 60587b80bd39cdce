/* frame_writer.h: packs frames (frame.h) into one buffer and writes it when it is full. Room
 * extract.
 *
 * Content is decoded straight into the buffer: ask for room, fill some of it, say how much. A small
 * message goes out in one write. */
#pragma once
#include <stdbool.h>
#include "extract/frame.h"
#include "extract/span.h"

#define FRAME_SLACK 64 /* octets behind the room that a decoder may write over */

/* Writes all of it. 0 or -errno; after an error it is not called again. */
typedef int frame_write(void *context, const char *bytes, size_t size);

struct frame_writer {
	frame_write *write;
	void *context;
	int error; /* 0 or -errno of the first write that failed */
	size_t used;
	size_t bytes; /* where the open BYTES frame starts */
	bool open;
	char buffer[sizeof(struct frame_head) + FRAME_BYTES_MAX + 32 * 1024 + FRAME_SLACK];
};

void frame_writer_init(struct frame_writer *writer, frame_write *write_out, void *context);

/* Writes to the descriptor that `context` points to; blocks. */
int frame_write_fd(void *context, const char *bytes, size_t size);

/* Puts a frame with a payload of `size` octets and `more` behind it. Not for BYTES. */
void frame_put(struct frame_writer *writer, enum frame_type type, const void *payload, size_t size,
	       struct span more);

/* Room for content, `wanted` octets at least (32 KiB at most) and FRAME_SLACK behind *room_out. */
char *frame_bytes_room(struct frame_writer *writer, size_t wanted, size_t *room_out);
void frame_bytes_add(struct frame_writer *writer, size_t size);

/* Writes what is there. */
void frame_flush(struct frame_writer *writer);
