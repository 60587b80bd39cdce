/* frame.c: packs frames and writes them in large pieces. Never looks into what they say. */
#include "extract/frame_writer.h"
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

void frame_writer_init(struct frame_writer *writer, frame_write *write_out, void *context)
{
	writer->write = write_out;
	writer->context = context;
	writer->used = 0;
	writer->bytes = 0;
	writer->open = false;
	writer->error = 0;
}

int frame_write_fd(void *context, const char *bytes, size_t size)
{
	int fd = *(const int *)context;
	while (size > 0) {
		ssize_t written = write(fd, bytes, size);
		if (written < 0 && errno != EINTR)
			return -errno;
		if (written > 0) {
			bytes += written;
			size -= (size_t)written;
		}
	}
	return 0;
}

/* Gives the open BYTES frame its length; an empty one is taken back. */
static void close_bytes(struct frame_writer *writer)
{
	if (!writer->open)
		return;
	struct frame_head head = { FRAME_BYTES,
				   (uint32_t)(writer->used - writer->bytes - sizeof head) };
	if (head.length > 0)
		memcpy(writer->buffer + writer->bytes, &head, sizeof head);
	else
		writer->used = writer->bytes;
	writer->open = false;
}

void frame_flush(struct frame_writer *writer)
{
	close_bytes(writer);
	if (writer->used > 0 && !writer->error)
		writer->error = writer->write(writer->context, writer->buffer, writer->used);
	writer->used = 0;
}

static void put(struct frame_writer *writer, const void *at, size_t size)
{
	if (size > 0)
		memcpy(writer->buffer + writer->used, at, size);
	writer->used += size;
}

void frame_put(struct frame_writer *writer, enum frame_type type, const void *payload, size_t size,
	       struct span more)
{
	struct frame_head head = { type, (uint32_t)(size + more.size) };
	close_bytes(writer);
	assert(sizeof head + size + more.size <= sizeof writer->buffer);
	if (sizeof writer->buffer - writer->used < sizeof head + size + more.size)
		frame_flush(writer);
	put(writer, &head, sizeof head);
	put(writer, payload, size);
	put(writer, more.at, more.size);
}

/* The octets that the open frame may still take. */
static size_t bytes_left(const struct frame_writer *writer)
{
	size_t room = sizeof writer->buffer - FRAME_SLACK - writer->used;
	size_t frame = FRAME_BYTES_MAX - (writer->used - writer->bytes - sizeof(struct frame_head));
	return room < frame ? room : frame;
}

static void open_bytes(struct frame_writer *writer)
{
	writer->open = true;
	writer->bytes = writer->used;
	writer->used += sizeof(struct frame_head);
}

char *frame_bytes_room(struct frame_writer *writer, size_t wanted, size_t *room_out)
{
	if (writer->open && bytes_left(writer) < wanted)
		frame_flush(writer);
	if (!writer->open) {
		if (sizeof writer->buffer - FRAME_SLACK - writer->used <
		    wanted + sizeof(struct frame_head))
			frame_flush(writer);
		open_bytes(writer);
	}
	*room_out = bytes_left(writer);
	return writer->buffer + writer->used;
}

void frame_bytes_add(struct frame_writer *writer, size_t size)
{
	writer->used += size;
}
