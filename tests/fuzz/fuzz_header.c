/* fuzz_header.c: any bytes as a header block, and as what mime.h makes one of. Fields must lie in
 * the block, in order, and what they say of their part must be well-formed. */
#include <assert.h>
#include <stdint.h>
#include <string.h>
#include "extract/charset.h"
#include "extract/content.h"
#include "extract/header.h"
#include "extract/mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_fields(struct span block)
{
	struct span rest = block;
	struct header_field field;
	const char *last = block.at;
	while (header_next(&rest, &field)) {
		assert(field.name.size > 0 && field.name.at >= last);
		assert(field.value.at + field.value.size <= rest.at);
		assert(rest.at + rest.size == block.at + block.size);
		last = rest.at;
		header_has_bare_cr(field.value);
	}
}

static void check_content(struct span block, enum frame_reading reading)
{
	static struct content content;
	content_read(block, block.size % 2, reading, &content);
	assert(strchr(content.type, '/') && strlen(content.type) < FRAME_TYPE_MAX);
	assert(content.name_size <= FRAME_NAME_MAX && content.boundary_size <= LIMIT_BOUNDARY_MAX);
	assert(span_is_utf8(span_of(content.name, content.name_size)));
	assert(!span_has(span_of(content.name, content.name_size), '\0'));
}

static ssize_t read_source(void *context, char *at, size_t size)
{
	struct span *rest = context, piece = span_first(*rest, size < 50 ? size : 50);
	memcpy(at, piece.at, piece.size);
	*rest = span_after(*rest, piece.size);
	return (ssize_t)piece.size;
}

static size_t count_lines(struct span text)
{
	size_t lines = 1;
	for (size_t i = 0; i < text.size; i++)
		lines += text.at[i] == '\n' || text.at[i] == '\r';
	return lines;
}

/* The header block of a message: what is taken of it comes from it, but for the blank that a fold
 * lacked, and the rest is left. */
static void check_block(struct span message)
{
	static struct mime_stack stack;
	static char buffer[1 << 14], bytes[1 << 16];
	struct span rest = message;
	struct mime_layer layer;
	struct text block = text_in(bytes, sizeof bytes);
	mime_stack_init(&stack, 10, FRAME_READ_FIRST);
	mime_push(&stack, SPAN("b"), false);
	window_init(&layer.window, buffer, sizeof buffer, read_source, &rest);
	mime_layer_init(&layer, &stack);
	enum mime_header result = mime_read_header(&layer, &block);
	assert((result == MIME_HEADER_STOPPED) == layer.stopped);
	assert(result == MIME_HEADER_CAP ||
	       block.size + window_span(&layer.window).size + rest.size <=
		       message.size + count_lines(message));
	check_fields(text_span(&block));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool prepared;
	struct span block = span_of((const char *)data, size);
	if (!prepared)
		assert(charset_prepare() == 0);
	prepared = true;
	if (size > 1 << 15)
		return 0;
	check_fields(block);
	check_content(block, FRAME_READ_FIRST);
	check_content(block, FRAME_READ_LAST);
	check_block(block);
	return 0;
}
