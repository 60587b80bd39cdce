/* frames.c: a state machine over the frames of one message. Never reads ahead, never allocates,
 * never logs. */
#include "daemon/frames.h"
#include <errno.h>
#include <string.h>
#include "daemon/unicode.h"

void frames_init(struct frames *frames)
{
	frames->state = FRAMES_HEADER;
	frames->head_have = 0;
	frames->have = 0;
	frames->parts = 0;
	frames->addresses = 0;
	frames->results = 0;
	frames->cap = 0;
}

static bool is_utf8(const char *text, size_t size)
{
	for (size_t i = 0; i < size;) {
		bool ascii = (uint8_t)text[i] < 0x80;
		size_t length = ascii ? text[i] != '\0' : utf8_length(text + i, size - i);
		if (length == 0)
			return false;
		i += length;
	}
	return true;
}

/* A text in a field of fixed size: ends inside it, and is UTF-8 up to there. */
static bool is_text(const char *text, size_t size)
{
	return memchr(text, '\0', size) && is_utf8(text, strlen(text));
}

static int take_address(struct frames *frames, const struct frames_sink *sink)
{
	if (!is_utf8((const char *)frames->gathered, frames->head.length) ||
	    ++frames->addresses > FRAME_ADDRESSES_MAX)
		return -EPROTO;
	frames->gathered[frames->head.length] = '\0';
	return sink->address(sink->context, (const char *)frames->gathered);
}

static bool are_texts(const struct frame_results *results)
{
	for (uint32_t i = 0; i < FRAME_SIGNERS_MAX; i++) {
		if (!is_text(results->signer[i], sizeof results->signer[i]))
			return false;
	}
	return is_text(results->id, sizeof results->id) &&
	       is_text(results->dmarc_from, sizeof results->dmarc_from);
}

static int take_results(struct frames *frames, const struct frames_sink *sink)
{
	const struct frame_results *results = (const void *)frames->gathered;
	if (results->form > FRAME_RESULTS_MICROSOFT || results->signers > FRAME_SIGNERS_MAX ||
	    results->dmarc_pass > 1 || results->dmarc < results->dmarc_pass ||
	    !are_texts(results) || ++frames->results > FRAME_RESULTS_MAX)
		return -EPROTO;
	return sink->results(sink->context, results);
}

static int take_message(struct frames *frames, const struct frames_sink *sink)
{
	const struct frame_message *message = (const void *)frames->gathered;
	if (message->from_state > FRAME_FROM_BAD || !is_text(message->from, sizeof message->from) ||
	    !is_text(message->subject, sizeof message->subject))
		return -EPROTO;
	frames->state = FRAMES_LEAVES;
	return sink->message(sink->context, message);
}

static int take_part(struct frames *frames, const struct frames_sink *sink)
{
	const struct frame_part *part = (const void *)frames->gathered;
	const char *name = (const char *)frames->gathered + sizeof *part;
	if (frames->head.length != sizeof *part + part->name_length ||
	    part->number != frames->parts + 1 || part->disposition > FRAME_DISPOSITION_ATTACHMENT ||
	    !is_text(part->declared, sizeof part->declared) || !is_utf8(name, part->name_length))
		return -EPROTO;
	frames->gathered[frames->head.length] = '\0';
	frames->parts++;
	frames->part_size = 0;
	frames->state = FRAMES_CONTENT;
	return sink->part(sink->context, part, name);
}

static int take_end(struct frames *frames, const struct frames_sink *sink)
{
	const struct frame_end *end = (const void *)frames->gathered;
	if (end->size != frames->part_size || !is_text(end->mime, sizeof end->mime))
		return -EPROTO;
	frames->state = FRAMES_LEAVES;
	return sink->end(sink->context, end);
}

static int take_shown(struct frames *frames, const struct frames_sink *sink)
{
	const struct frame_shown *shown = (const void *)frames->gathered;
	if (shown->number < 1 || shown->number > frames->parts)
		return -EPROTO;
	frames->state = FRAMES_SHOWN;
	return sink->shown(sink->context, shown->number);
}

static int take_cap(struct frames *frames, const struct frames_sink *sink)
{
	const struct frame_cap *cap = (const void *)frames->gathered;
	(void)sink;
	if (cap->cap < FRAME_CAP_PARTS || cap->cap > FRAME_CAP_HEADER)
		return -EPROTO;
	frames->cap = cap->cap;
	frames->state = FRAMES_CAPPED;
	return 0;
}

static int take_done(struct frames *frames, const struct frames_sink *sink)
{
	const struct frame_done *done = (const void *)frames->gathered;
	if (done->parts != frames->parts)
		return -EPROTO;
	frames->state = FRAMES_COMPLETE;
	return sink->done(sink->context, done);
}

#define IN(state) (1u << (state))

/* Which frame may come when, and how long it is. BYTES are handed on as they come. */
static const struct frame_rule {
	unsigned states;
	uint32_t minimum, maximum;
	int (*take)(struct frames *frames, const struct frames_sink *sink);
} rules[FRAME_TYPE_COUNT] = {
	[FRAME_ADDRESS] = { IN(FRAMES_HEADER), 1, FRAME_ADDRESS_MAX, take_address },
	[FRAME_RESULTS] = { IN(FRAMES_HEADER), sizeof(struct frame_results),
			    sizeof(struct frame_results), take_results },
	[FRAME_MESSAGE] = { IN(FRAMES_HEADER), sizeof(struct frame_message),
			    sizeof(struct frame_message), take_message },
	[FRAME_PART] = { IN(FRAMES_LEAVES), sizeof(struct frame_part),
			 sizeof(struct frame_part) + FRAME_NAME_MAX, take_part },
	[FRAME_BYTES] = { IN(FRAMES_CONTENT), 1, FRAME_BYTES_MAX, NULL },
	[FRAME_END] = { IN(FRAMES_CONTENT), sizeof(struct frame_end), sizeof(struct frame_end),
			take_end },
	[FRAME_SHOWN] = { IN(FRAMES_LEAVES) | IN(FRAMES_SHOWN), sizeof(struct frame_shown),
			  sizeof(struct frame_shown), take_shown },
	[FRAME_CAP] = { IN(FRAMES_HEADER) | IN(FRAMES_LEAVES) | IN(FRAMES_CONTENT),
			sizeof(struct frame_cap), sizeof(struct frame_cap), take_cap },
	[FRAME_DONE] = { IN(FRAMES_LEAVES) | IN(FRAMES_SHOWN), sizeof(struct frame_done),
			 sizeof(struct frame_done), take_done },
};

/* The rule of the frame whose head has come; NULL: it may not come now. */
static const struct frame_rule *find_rule(const struct frames *frames)
{
	const struct frame_head *head = &frames->head;
	if (head->type == 0 || head->type >= FRAME_TYPE_COUNT)
		return NULL;
	const struct frame_rule *rule = &rules[head->type];
	bool fits = head->length >= rule->minimum && head->length <= rule->maximum;
	return fits && (rule->states & IN(frames->state)) ? rule : NULL;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static int feed_payload(struct frames *frames, const uint8_t *bytes, size_t size,
			const struct frames_sink *sink)
{
	const struct frame_rule *rule = &rules[frames->head.type];
	int stop = 0;
	if (rule->take)
		memcpy(frames->gathered + frames->have, bytes, size);
	else {
		frames->part_size += size;
		stop = sink->bytes(sink->context, bytes, size);
	}
	frames->have += size;
	if (stop || frames->have < frames->head.length)
		return stop;
	frames->head_have = 0;
	frames->have = 0;
	return rule->take ? rule->take(frames, sink) : 0;
}

int frames_feed(struct frames *frames, const uint8_t *bytes, size_t size,
		const struct frames_sink *sink)
{
	while (size > 0) {
		size_t used;
		if (frames->head_have < sizeof frames->head) {
			used = least(size, sizeof frames->head - frames->head_have);
			memcpy((uint8_t *)&frames->head + frames->head_have, bytes, used);
			frames->head_have += used;
			if (frames->head_have == sizeof frames->head && !find_rule(frames))
				return -EPROTO;
		} else {
			used = least(size, frames->head.length - frames->have);
			int stop = feed_payload(frames, bytes, used, sink);
			if (stop)
				return stop;
		}
		bytes += used;
		size -= used;
	}
	return 0;
}
