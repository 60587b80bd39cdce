/* fuzz_message.c: any bytes as a message, in both readings, in one piece and in small ones. The
 * frames must come in the order that extract/frame.h promises, with sizes that add up, and must not
 * depend on how the message came in (but for damaged text: where iconv goes on behind that depends
 * on what it was given at a time). */
#define _GNU_SOURCE
#include <assert.h>
#include <stdint.h>
#include <string.h>
#include "extract/charset.h"
#include "extract/decode.h"
#include "extract/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct filter filter;

/* ---- a message in ---- */

struct source {
	struct span rest;
	size_t step; /* octets of one read at most */
};

static ssize_t read_source(void *context, char *at, size_t size)
{
	struct source *source = context;
	struct span piece = span_first(source->rest, size < source->step ? size : source->step);
	memcpy(at, piece.at, piece.size);
	source->rest = span_after(source->rest, piece.size);
	return (ssize_t)piece.size;
}

/* ---- frames out ---- */

static int append(void *context, const char *bytes, size_t size)
{
	text_put(context, span_of(bytes, size));
	return 0;
}

enum state { HEADER, LEAVES, CONTENT, SHOWN, OVER };

struct reader {
	enum state state;
	uint32_t parts, addresses, results;
	uint64_t size;
	bool text_body;
	struct text text; /* of a text body, to see that it is UTF-8 */
};

static bool ends(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static void take_message(struct reader *reader, struct span payload)
{
	struct frame_message message;
	assert(reader->state == HEADER && payload.size == sizeof message);
	memcpy(&message, payload.at, sizeof message);
	assert(message.from_state <= FRAME_FROM_BAD);
	assert(ends(message.from, sizeof message.from) &&
	       ends(message.subject, sizeof message.subject));
	assert((message.from_state == FRAME_FROM_ONE) == (message.from[0] != '\0'));
	assert(span_is_utf8(span_of(message.from, strlen(message.from))));
	assert(span_is_utf8(span_of(message.subject, strlen(message.subject))));
	reader->state = LEAVES;
}

static void take_address(struct reader *reader, struct span payload)
{
	assert(reader->state == HEADER && payload.size > 0 && payload.size <= FRAME_ADDRESS_MAX);
	assert(!span_has(payload, '\0') && ++reader->addresses <= FRAME_ADDRESSES_MAX);
}

static void take_results(struct reader *reader, struct span payload)
{
	struct frame_results results;
	assert(reader->state == HEADER && payload.size == sizeof results);
	memcpy(&results, payload.at, sizeof results);
	assert(results.form <= FRAME_RESULTS_MICROSOFT && results.signers <= FRAME_SIGNERS_MAX);
	assert(++reader->results <= FRAME_RESULTS_MAX);
}

static void take_part(struct reader *reader, struct span payload)
{
	struct frame_part part;
	assert(reader->state == LEAVES && payload.size >= sizeof part);
	memcpy(&part, payload.at, sizeof part);
	struct span name = span_after(payload, sizeof part);
	assert(part.number == ++reader->parts && part.disposition <= FRAME_DISPOSITION_ATTACHMENT);
	assert(name.size == part.name_length && name.size <= FRAME_NAME_MAX &&
	       !span_has(name, '\0'));
	assert(span_is_utf8(name) && (name.size > 0) == !!(part.flags & FRAME_PART_HAS_NAME));
	assert(ends(part.declared, sizeof part.declared) && strchr(part.declared, '/'));
	reader->text_body = part.flags & FRAME_PART_TEXT_BODY;
	reader->text.size = 0;
	reader->size = 0;
	reader->state = CONTENT;
}

static void take_bytes(struct reader *reader, struct span payload)
{
	assert(reader->state == CONTENT && payload.size > 0 && payload.size <= FRAME_BYTES_MAX);
	reader->size += payload.size;
	if (reader->text_body)
		text_put(&reader->text, payload);
}

static void take_end(struct reader *reader, struct span payload)
{
	struct frame_end end;
	assert(reader->state == CONTENT && payload.size == sizeof end);
	memcpy(&end, payload.at, sizeof end);
	assert(end.size == reader->size && ends(end.mime, sizeof end.mime) &&
	       strchr(end.mime, '/'));
	assert(!reader->text_body || reader->text.cut || span_is_utf8(text_span(&reader->text)));
	reader->state = LEAVES;
}

static void take_shown(struct reader *reader, struct span payload)
{
	struct frame_shown shown;
	assert((reader->state == LEAVES || reader->state == SHOWN) && payload.size == sizeof shown);
	memcpy(&shown, payload.at, sizeof shown);
	assert(shown.number >= 1 && shown.number <= reader->parts);
	reader->state = SHOWN;
}

static void take_cap(struct reader *reader, struct span payload)
{
	struct frame_cap cap;
	assert(reader->state <= CONTENT && payload.size == sizeof cap);
	memcpy(&cap, payload.at, sizeof cap);
	assert(cap.cap >= FRAME_CAP_PARTS && cap.cap <= FRAME_CAP_HEADER);
	reader->state = OVER;
}

static void take_done(struct reader *reader, struct span payload)
{
	struct frame_done done;
	assert((reader->state == LEAVES || reader->state == SHOWN) && payload.size == sizeof done);
	memcpy(&done, payload.at, sizeof done);
	assert(done.parts == reader->parts);
	reader->state = OVER;
}

typedef void take_frame(struct reader *reader, struct span payload);
static take_frame *const takes[FRAME_TYPE_COUNT] = {
	[FRAME_ADDRESS] = take_address, [FRAME_MESSAGE] = take_message,
	[FRAME_PART] = take_part,       [FRAME_BYTES] = take_bytes,
	[FRAME_END] = take_end,         [FRAME_SHOWN] = take_shown,
	[FRAME_CAP] = take_cap,         [FRAME_DONE] = take_done,
	[FRAME_RESULTS] = take_results,
};

static void check_frames(struct span frames)
{
	static char text[1 << 16];
	struct reader reader = { .text = text_in(text, sizeof text) };
	while (frames.size > 0) {
		struct frame_head head;
		assert(frames.size >= sizeof head && reader.state != OVER);
		memcpy(&head, frames.at, sizeof head);
		frames = span_after(frames, sizeof head);
		assert(head.type > 0 && head.type < FRAME_TYPE_COUNT && head.length <= frames.size);
		takes[head.type](&reader, span_first(frames, head.length));
		frames = span_after(frames, head.length);
	}
	assert(reader.state == OVER);
}

static void read_message(struct span message, size_t step, enum frame_reading reading,
			 struct text *frames)
{
	const struct frame_limits limits = { 40, 12, 8192 };
	struct source source = { message, step };
	assert(filter_run(&filter, reading, &limits, read_source, &source, append, frames) == 0);
}

static bool is_damaged(const struct text *frames)
{
	return memmem(frames->at, frames->size, "\xef\xbf\xbd", 3) != NULL;
}

static void check(struct span message, enum frame_reading reading)
{
	static char whole[1 << 22], pieces[1 << 22];
	struct text one = text_in(whole, sizeof whole), other = text_in(pieces, sizeof pieces);
	read_message(message, SIZE_MAX, reading, &one);
	assert(!one.cut);
	check_frames(text_span(&one));
	read_message(message, 1 + message.size % 97, reading, &other);
	check_frames(text_span(&other));
	assert(is_damaged(&one) || is_damaged(&other) ||
	       span_equal(text_span(&one), text_span(&other)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool prepared;
	if (!prepared) {
		decode_prepare();
		assert(charset_prepare() == 0);
		prepared = true;
	}
	if (size > 1 << 18)
		return 0;
	check(span_of((const char *)data, size), FRAME_READ_FIRST);
	check(span_of((const char *)data, size), FRAME_READ_LAST);
	return 0;
}
