/* frames.h: the extractor's frames -> calls. Ground of daemon; pure, fuzzed: these are foreign
 * bytes.
 *
 * Checks everything that frame.h promises: order, sizes, texts that end, numbers that count. What
 * it hands on is well-formed; whether it is true is daemon/courier/checkpoint.h's business. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "extract/frame.h"

/* Each returns 0; a positive number to stop: frames_feed returns it; or -EPROTO, for what is in
 * order and yet can't be true. `context` is the caller's. */
struct frames_sink {
	void *context;
	int (*address)(void *context, const char *address);
	int (*results)(void *context, const struct frame_results *results);
	int (*message)(void *context, const struct frame_message *message);
	/* `name` ends in NUL; "" where the part has none */
	int (*part)(void *context, const struct frame_part *part, const char *name);
	int (*bytes)(void *context, const uint8_t *bytes, size_t size);
	int (*end)(void *context, const struct frame_end *end);
	int (*shown)(void *context, uint32_t number);
	int (*done)(void *context, const struct frame_done *done);
};

enum frames_state {
	FRAMES_HEADER,
	FRAMES_LEAVES,
	FRAMES_CONTENT,
	FRAMES_SHOWN,
	FRAMES_CAPPED,
	FRAMES_COMPLETE
};

/* A part frame with its name is the longest that is gathered before it is handed on. */
#define FRAMES_GATHER_MAX \
	(sizeof(struct frame_message) + sizeof(struct frame_part) + FRAME_NAME_MAX)

struct frames {
	enum frames_state state;
	struct frame_head head; /* of the frame being read */
	size_t head_have;
	size_t have; /* octets of its payload that have come */
	uint64_t part_size;
	uint32_t parts, addresses, results;
	uint32_t cap; /* enum frame_cap_kind, with FRAMES_CAPPED */
	_Alignas(8) uint8_t gathered[FRAMES_GATHER_MAX + 1];
};

void frames_init(struct frames *frames);

/* Takes what came. 0; -EPROTO for bytes that are not frames in order; or what the sink returned. */
int frames_feed(struct frames *frames, const uint8_t *bytes, size_t size,
		const struct frames_sink *sink);
