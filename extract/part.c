/* part.c: puts one leaf after the other. Never decodes and never chooses a name. */
#include "extract/part.h"
#include <string.h>

void parts_init(struct parts *parts, struct frame_writer *writer, uint32_t max)
{
	parts->writer = writer;
	parts->count = 0;
	parts->max = max < LIMIT_PARTS_MAX ? max : LIMIT_PARTS_MAX;
	parts->open = false;
	parts->full = false;
	/* a set of 32 KiB that few messages touch */
	if (parts->shown.count > 0)
		parts->shown = (struct cid_set){ 0 };
}

static uint32_t part_flags(const struct content *content, bool text_body)
{
	return (text_body ? FRAME_PART_TEXT_BODY : 0u) |
	       (content->name_size > 0 ? FRAME_PART_HAS_NAME : 0u) |
	       (content->ambiguous ? FRAME_PART_AMBIGUOUS : 0u);
}

bool part_open(struct parts *parts, const struct content *content, bool text_body)
{
	if (parts->count >= parts->max) {
		parts->full = true;
		return false;
	}
	struct span id = span_of(content->cid, content->cid_size);
	struct frame_part part = {
		.number = parts->count + 1,
		.disposition = content->disposition,
		.flags = part_flags(content, text_body),
		.name_length = (uint32_t)content->name_size,
	};
	memcpy(part.declared, content->type, strlen(content->type));
	parts->ids[parts->count++] = id.size > 0 ? span_hash(id) : 0;
	parts->open = true;
	parts->text_body = text_body;
	parts->html = content->html;
	sniff_init(&parts->sniff);
	sniff_expect(&parts->sniff, span_of(content->type, strlen(content->type)),
		     span_of(content->name, content->name_size));
	frame_put(parts->writer, FRAME_PART, &part, sizeof part,
		  span_of(content->name, content->name_size));
	return true;
}

char *part_room(struct parts *parts, size_t *room_out)
{
	return frame_bytes_room(parts->writer, 2 * DECODE_ROOM_MIN, room_out);
}

void part_add(struct parts *parts, size_t size)
{
	const struct frame_writer *writer = parts->writer;
	if (parts->text_body)
		parts->sniff.size += size;
	else
		sniff_add(&parts->sniff, span_of(writer->buffer + writer->used, size));
	frame_bytes_add(parts->writer, size);
}

/* The text of a message is text by what was done to it; libmagic, which is slow with text, is not
 * asked. */
static void put_type(const struct parts *parts, char type_out[FRAME_TYPE_MAX])
{
	struct text type = text_in(type_out, FRAME_TYPE_MAX - 1);
	if (parts->text_body)
		text_put(&type, parts->html ? SPAN("text/html") : SPAN("text/plain"));
	else
		sniff_type(&parts->sniff, type_out);
}

void part_close(struct parts *parts, uint32_t flags)
{
	struct frame_end end = { .size = parts->sniff.size, .flags = flags };
	put_type(parts, end.mime);
	frame_put(parts->writer, FRAME_END, &end, sizeof end, span_of(NULL, 0));
	parts->open = false;
}

void parts_put_shown(struct parts *parts)
{
	for (uint32_t i = 0; i < parts->count && parts->shown.count > 0; i++) {
		struct frame_shown shown = { i + 1 };
		if (parts->ids[i] && cid_set_has(&parts->shown, parts->ids[i]))
			frame_put(parts->writer, FRAME_SHOWN, &shown, sizeof shown,
				  span_of(NULL, 0));
	}
}
