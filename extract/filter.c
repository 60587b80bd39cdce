/* filter.c: walks over one message and hands each thing to the module that knows it. Never parses
 * anything itself. */
#define _GNU_SOURCE
#include "extract/filter.h"
#include <string.h>
#include "extract/message.h"

static void hit_cap(struct filter *filter, enum frame_cap_kind cap)
{
	if (!filter->cap)
		filter->cap = cap;
}

/* Is there nothing more to do? */
static bool is_over(const struct filter *filter)
{
	return filter->cap || filter->writer.error || filter->layers[0].mime.window.error;
}

/* ---- what is no part ---- */

/* Preambles and epilogues: read over, but looked at. */
static void skip(struct filter *filter, struct filter_layer *layer)
{
	struct watch watch;
	struct span piece;
	watch_init(&watch);
	watch_expect(&watch, mime_boundary(&filter->stack));
	layer->mime.glued = false;
	while (!is_over(filter) && mime_read_body(&layer->mime, &piece))
		watch_add(&watch, piece);
	filter->encoded |= watch_finish(&watch);
	filter->damaged |= watch.spoiled;
}

/* ---- leaves ---- */

/* Did the mail end within the body that was just read? */
static bool is_truncated(const struct filter_layer *layer)
{
	return layer->mime.stop == MIME_END && layer->mime.cut;
}

static uint32_t end_flags(bool damaged, bool truncated)
{
	return (damaged ? FRAME_END_DAMAGED : 0u) | (truncated ? FRAME_END_TRUNCATED : 0u);
}

static void put_text(struct filter *filter, struct filter_layer *layer)
{
	struct decoder decoder;
	struct span piece;
	char made[4 * DECODE_ROOM_MIN + DECODE_SLACK];
	if (!body_open(&filter->body, &filter->parts, &filter->content)) {
		hit_cap(filter, FRAME_CAP_PARTS);
		return;
	}
	watch_expect(&filter->body.watch, mime_boundary(&filter->stack));
	decode_init(&decoder, filter->content.encoding);
	layer->mime.glued = filter->content.encoding == DECODE_BASE64;
	while (!is_over(filter) && mime_read_body(&layer->mime, &piece))
		while (piece.size > 0)
			body_add(&filter->body,
				 span_of(made, decode_run(&decoder, &piece, made,
							  sizeof made - DECODE_SLACK)));
	bool truncated = is_truncated(layer);
	body_add(&filter->body, span_of(made, decode_finish(&decoder, !layer->mime.cut, made)));
	/* a text that lost some of its own octets is a text all the same */
	filter->encoded |= body_close(&filter->body, end_flags(decoder.hides, truncated));
	filter->damaged |= filter->body.watch.spoiled;
}

static void add_content(struct filter *filter, struct cid_scan *scan, const char *at, size_t size)
{
	if (scan)
		cid_scan_add(scan, span_of(at, size));
	part_add(&filter->parts, size);
}

static void put_file(struct filter *filter, struct filter_layer *layer)
{
	struct decoder decoder;
	struct span piece;
	size_t room;
	struct cid_scan html, *scan = NULL;
	if (!part_open(&filter->parts, &filter->content, false)) {
		hit_cap(filter, FRAME_CAP_PARTS);
		return;
	}
	if (filter->content.html && filter->content.disposition != FRAME_DISPOSITION_ATTACHMENT) {
		scan = &html;
		cid_scan_init(scan, &filter->parts.shown);
	}
	decode_init(&decoder, filter->content.encoding);
	layer->mime.glued = filter->content.encoding == DECODE_BASE64;
	while (!is_over(filter) && mime_read_body(&layer->mime, &piece))
		while (piece.size > 0) {
			char *at = part_room(&filter->parts, &room);
			add_content(filter, scan, at, decode_run(&decoder, &piece, at, room));
		}
	bool truncated = is_truncated(layer), cut = truncated && decode_is_within_line(&decoder);
	char *at = part_room(&filter->parts, &room);
	add_content(filter, scan, at, decode_finish(&decoder, !layer->mime.cut, at));
	part_close(&filter->parts, end_flags(decoder.damaged || cut, truncated));
}

/* ---- looking ahead ---- */

/* What comes next in the layer, as far as there is something left to look at. */
static struct span look(struct filter *filter, struct filter_layer *layer, size_t wanted)
{
	struct span text =
		mime_peek(&layer->mime, wanted < filter->look_left ? wanted : filter->look_left);
	filter->look_left -= text.size;
	return text;
}

/* The first line that is not blank. */
static struct span first_line(struct span text)
{
	return span_trim_right(span_before(span_trim_left(text), '\n'));
}

/* Is the body really base64? Some label what they did not encode. */
static bool looks_base64(struct span text)
{
	return decode_is_base64_line(first_line(text));
}

/* Is the body really quoted-printable? Then each `=` is followed by two digits or a line end. */
static bool looks_qp(struct span text)
{
	for (size_t i = 0; i + 2 < text.size; i++) {
		bool hex = span_hex(text.at[i + 1]) >= 0 && span_hex(text.at[i + 2]) >= 0;
		if (text.at[i] == '=' && !hex && !span_is_blank(text.at[i + 1]))
			return false;
	}
	return true;
}

static bool looks_uu(struct span text)
{
	return span_starts_alike(first_line(text), SPAN("begin "));
}

static const struct {
	size_t octets;
	bool (*looks)(struct span text);
} proofs[] = {
	[DECODE_BASE64] = { 4096, looks_base64 },
	[DECODE_QP] = { LIMIT_LOOK, looks_qp },
	[DECODE_UU] = { 4096, looks_uu },
};

/* Is the body of a container encoded as its header says? */
static bool is_encoded(struct filter *filter, struct filter_layer *layer)
{
	enum decode_kind encoding = filter->content.encoding;
	return encoding != DECODE_IDENTITY &&
	       proofs[encoding].looks(look(filter, layer, proofs[encoding].octets));
}

/* The boundary of a multipart that does not name one: of the first line of dashes that has a
 * Content- field below it. */
static bool guess_boundary(struct filter *filter, struct filter_layer *layer)
{
	struct content *content = &filter->content;
	struct span text = look(filter, layer, LIMIT_LOOK);
	while (text.size > 0) {
		struct span line = span_before(text, '\n');
		text = span_after(text, line.size < text.size ? line.size + 1 : line.size);
		line = span_trim_right(line);
		if (line.size > 2 && line.size - 2 <= LIMIT_BOUNDARY_MAX &&
		    memcmp(line.at, "--", 2) == 0 && span_starts_alike(text, SPAN("content-"))) {
			content->boundary_size = line.size - 2;
			memcpy(content->boundary, line.at + 2, line.size - 2);
			return true;
		}
	}
	return false;
}

/* Is there nothing in the rest of the message that could be a delimiter of this multipart? Only the
 * outermost one is looked at, and only where the rest is short: what it has is then one part, not a
 * preamble that nobody sees. */
static bool is_undivided(struct filter *filter, struct filter_layer *layer)
{
	const struct content *content = &filter->content;
	if (filter->stack.depth > 0)
		return false;
	struct span text = look(filter, layer, LIMIT_LOOK);
	return layer->mime.window.ended && text.size == window_span(&layer->mime.window).size &&
	       span_trim(text).size > 0 &&
	       !memmem(text.at, text.size, content->boundary, content->boundary_size);
}

/* ---- which kind of leaf ---- */

/* A text that is a file: some devices send a PDF as text/plain without a name. */
static bool is_disguised(struct filter *filter, struct filter_layer *layer)
{
	struct decoder decoder;
	char made[DECODE_ROOM_MIN + DECODE_SLACK];
	if (layer->mime.stopped || filter->content.kind != CONTENT_LEAF)
		return false;
	struct span text = look(filter, layer, LIMIT_LOOK_START);
	decode_init(&decoder, filter->content.encoding);
	return sniff_is_file(span_of(made, decode_run(&decoder, &text, made, DECODE_ROOM_MIN)));
}

static void put_leaf(struct filter *filter, struct filter_layer *layer)
{
	const struct content *content = &filter->content;
	/* a container that has nothing in it to be entered */
	bool container = content->kind == CONTENT_MESSAGE ||
			 (content->kind == CONTENT_MULTIPART && content->name_size == 0);
	bool text = container || content_is_text_body(content);
	if (text && !is_disguised(filter, layer))
		put_text(filter, layer);
	else
		put_file(filter, layer);
}

/* ---- encoded containers ---- */

/* Gets the next octets into layer->made; false: there are no more. */
static bool decode_more(struct filter_layer *layer, bool whole)
{
	layer->made_from = layer->made_to = 0;
	while (layer->made_to == 0 && !layer->finished) {
		if (layer->piece.size > 0 || mime_read_body(&layer->outer->mime, &layer->piece)) {
			layer->made_to = decode_run(&layer->decoder, &layer->piece, layer->made,
						    sizeof layer->made - DECODE_SLACK);
		} else {
			layer->finished = true;
			layer->made_to = decode_finish(&layer->decoder, whole, layer->made);
		}
	}
	return layer->made_to > 0;
}

static ssize_t read_layer(void *context, char *at, size_t size)
{
	struct filter_layer *layer = context;
	if (layer->made_from == layer->made_to && !decode_more(layer, true))
		return 0;
	size_t there = layer->made_to - layer->made_from;
	if (size > there)
		size = there;
	memcpy(at, layer->made + layer->made_from, size);
	layer->made_from += size;
	return (ssize_t)size;
}

static void walk(struct filter *filter, struct filter_layer *layer, bool multipart);

/* Walks over the decoded body as a layer of its own. */
static void enter_layer(struct filter *filter, struct filter_layer *outer, bool multipart)
{
	if (filter->layer == LIMIT_LAYERS_MAX) {
		hit_cap(filter, FRAME_CAP_DEPTH);
		return;
	}
	struct filter_layer *layer = &filter->layers[++filter->layer];
	layer->outer = outer;
	layer->piece = span_of(NULL, 0);
	layer->finished = false;
	layer->made_from = layer->made_to = 0;
	decode_init(&layer->decoder, filter->content.encoding);
	outer->mime.glued = filter->content.encoding == DECODE_BASE64;
	window_init(&layer->mime.window, layer->window, sizeof layer->window, read_layer, layer);
	layer->mime.window.cr_break = filter->reading == FRAME_READ_LAST;
	mime_layer_init(&layer->mime, &filter->stack);
	walk(filter, layer, multipart);
	filter->damaged |= layer->decoder.damaged;
	filter->layer--;
}

/* ---- containers ---- */

static bool push(struct filter *filter, struct span boundary, bool digest)
{
	if (filter->containers_left == 0)
		hit_cap(filter, FRAME_CAP_PARTS);
	else if (!mime_push(&filter->stack, boundary, digest))
		hit_cap(filter, FRAME_CAP_DEPTH);
	else
		filter->containers_left--;
	return !filter->cap;
}

static void put_multipart(struct filter *filter, struct filter_layer *layer)
{
	const struct content *content = &filter->content;
	if (push(filter, span_of(content->boundary, content->boundary_size), content->digest))
		skip(filter, layer);
}

/* RFC 2045 forbids an encoded multipart: some readers decode it all the same, others see no
 * parts. */
static bool is_encoded_multipart(struct filter *filter, struct filter_layer *layer)
{
	if (filter->content.encoding == DECODE_IDENTITY || filter->content.encoding == DECODE_QP ||
	    !is_encoded(filter, layer))
		return false;
	filter->stack.ambiguous = true;
	return filter->reading == FRAME_READ_FIRST;
}

static void enter_multipart(struct filter *filter, struct filter_layer *layer)
{
	struct content *content = &filter->content;
	bool named = content->name_size > 0 || content->disposition == FRAME_DISPOSITION_ATTACHMENT;
	if (content->boundary_cut)
		hit_cap(filter, FRAME_CAP_HEADER);
	else if (content->boundary_size > 0 && is_encoded_multipart(filter, layer))
		enter_layer(filter, layer, true);
	else if (content->boundary_size > 0 && is_undivided(filter, layer))
		put_leaf(filter, layer);
	else if (content->boundary_size > 0 || (!named && guess_boundary(filter, layer)))
		put_multipart(filter, layer);
	else if (named)
		put_file(filter, layer);
	else
		put_text(filter, layer);
}

/* ---- the walk ---- */

enum entered { ENTERED_BODY, ENTERED_MESSAGE };

/* Reads a header block. false: there is no body to look at. */
static bool read_header(struct filter *filter, struct filter_layer *layer, bool in_digest)
{
	struct text block = text_in(filter->header, filter->header_max);
	enum mime_header result = mime_read_header(&layer->mime, &block);
	if (result == MIME_HEADER_CAP) {
		hit_cap(filter, FRAME_CAP_HEADER);
		return false;
	}
	if (!filter->has_message)
		message_put(&filter->writer, text_span(&block), layer->mime.window.cr_lines);
	filter->has_message = true;
	content_read(text_span(&block), in_digest, filter->reading, &filter->content);
	filter->stack.ambiguous |= filter->content.ambiguous;
	if (filter->content.too_many)
		hit_cap(filter, FRAME_CAP_HEADER);
	/* a delimiter at the end of a cut mail starts no part */
	bool nothing =
		result == MIME_HEADER_STOPPED && block.size == 0 && layer->mime.stop == MIME_END;
	return !filter->cap && !nothing;
}

/* One part, or the message: its header and what follows it up to the next delimiter. */
static enum entered read_entity(struct filter *filter, struct filter_layer *layer, bool in_digest)
{
	struct content *content = &filter->content;
	if (!read_header(filter, layer, in_digest))
		return ENTERED_BODY;
	if (content->kind == CONTENT_MULTIPART && !layer->mime.stopped) {
		enter_multipart(filter, layer);
	} else if (content->kind == CONTENT_MESSAGE && !layer->mime.stopped) {
		if (is_encoded(filter, layer))
			enter_layer(filter, layer, false);
		else if (push(filter, span_of("", 0), false))
			return ENTERED_MESSAGE;
	} else {
		put_leaf(filter, layer);
	}
	return ENTERED_BODY;
}

/* A part, and the message that it may be. */
static void read_part(struct filter *filter, struct filter_layer *layer)
{
	bool in_digest = mime_in_digest(&filter->stack);
	while (!is_over(filter) && read_entity(filter, layer, in_digest) == ENTERED_MESSAGE)
		in_digest = false;
}

/* What follows a closing delimiter. */
static void skip_epilogue(struct filter *filter, struct filter_layer *layer)
{
	layer->mime.stopped = false;
	skip(filter, layer);
}

/* Reads a layer from its start to its end. `multipart`: it has no header, the content that was read
 * last is its own. */
static void walk(struct filter *filter, struct filter_layer *layer, bool multipart)
{
	if (multipart)
		put_multipart(filter, layer);
	else
		read_part(filter, layer);
	while (!is_over(filter) && layer->mime.stop != MIME_END) {
		if (layer->mime.stop == MIME_CLOSE)
			skip_epilogue(filter, layer);
		else
			read_part(filter, layer);
	}
	mime_pop(&filter->stack, layer->mime.base);
}

static void put_last(struct filter *filter)
{
	struct frame_cap cap = { filter->cap };
	struct frame_done done = {
		.parts = filter->parts.count,
		.flags = (filter->stack.ambiguous ? FRAME_DONE_AMBIGUOUS : 0u) |
			 (filter->encoded ? FRAME_DONE_ENCODED : 0u) |
			 (filter->damaged ? FRAME_DONE_DAMAGED : 0u),
	};
	if (filter->cap) {
		frame_put(&filter->writer, FRAME_CAP, &cap, sizeof cap, span_of(NULL, 0));
	} else {
		parts_put_shown(&filter->parts);
		frame_put(&filter->writer, FRAME_DONE, &done, sizeof done, span_of(NULL, 0));
	}
	frame_flush(&filter->writer);
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

int filter_run(struct filter *filter, enum frame_reading reading, const struct frame_limits *limits,
	       filter_read *read_in, void *read_context, frame_write *write_out,
	       void *write_context)
{
	struct filter_layer *layer = &filter->layers[0];
	filter->reading = reading;
	filter->header_max = smaller(limits->header_bytes, LIMIT_HEADER_MAX);
	filter->cap = 0;
	filter->encoded = filter->damaged = filter->has_message = false;
	filter->layer = 0;
	filter->look_left = LIMIT_LOOK_ALL;
	filter->containers_left = (uint64_t)limits->parts * LIMIT_CONTAINERS;
	frame_writer_init(&filter->writer, write_out, write_context);
	mime_stack_init(&filter->stack, limits->depth, reading);
	parts_init(&filter->parts, &filter->writer, limits->parts);
	layer->outer = NULL;
	window_init(&layer->mime.window, filter->window, sizeof filter->window, read_in,
		    read_context);
	layer->mime.window.cr_break = reading == FRAME_READ_LAST;
	mime_layer_init(&layer->mime, &filter->stack);
	walk(filter, layer, false);
	if (layer->mime.window.error)
		return layer->mime.window.error;
	put_last(filter);
	return filter->writer.error;
}
