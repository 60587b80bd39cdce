/* body.c: puts the text of a message. Never looks for a name in it and never makes parts of it. */
#include "extract/body.h"

bool body_open(struct body *body, struct parts *parts, const struct content *content)
{
	if (!part_open(parts, content, true))
		return false;
	body->parts = parts;
	body->html = content->html;
	charset_stream_init(&body->stream, content->charset);
	cid_scan_init(&body->scan, &parts->shown);
	watch_init(&body->watch);
	return true;
}

void body_add(struct body *body, struct span text)
{
	watch_add(&body->watch, text);
	if (body->html)
		cid_scan_add(&body->scan, text);
	while (text.size > 0) {
		size_t room;
		char *at = part_room(body->parts, &room);
		struct text out = text_in(at, room);
		charset_stream_run(&body->stream, &text, &out);
		part_add(body->parts, out.size);
	}
}

bool body_close(struct body *body, uint32_t flags)
{
	size_t room;
	char *at = part_room(body->parts, &room);
	struct text out = text_in(at, room);
	charset_stream_finish(&body->stream, &out);
	part_add(body->parts, out.size);
	part_close(body->parts, flags);
	return watch_finish(&body->watch);
}
