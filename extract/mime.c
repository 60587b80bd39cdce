/* mime.c: finds header blocks, bodies and delimiters in one pass. Never holds more than its window
 * and never looks at a line twice. */
#include "extract/mime.h"
#include <assert.h>
#include <string.h>
#include "extract/header.h"

/* ---- what is open ---- */

void mime_stack_init(struct mime_stack *stack, unsigned depth_max, enum frame_reading reading)
{
	stack->depth = 0;
	stack->depth_max = depth_max < LIMIT_DEPTH_MAX ? depth_max : LIMIT_DEPTH_MAX;
	stack->reading = reading;
	stack->ambiguous = false;
	stack->longest = 0;
	memset(stack->sizes, 0, sizeof stack->sizes);
	for (unsigned i = 0; i < MIME_SLOTS; i++)
		stack->slots[i] = -1;
}

bool mime_push(struct mime_stack *stack, struct span boundary, bool digest)
{
	assert(boundary.size <= LIMIT_BOUNDARY_MAX);
	if (stack->depth >= stack->depth_max)
		return false;
	int number = (int)stack->depth++;
	struct mime_level *level = &stack->levels[number];
	level->size = boundary.size;
	level->closed = false;
	level->digest = digest;
	if (boundary.size == 0)
		return true;
	memcpy(level->boundary, boundary.at, boundary.size);
	level->hash = span_hash(boundary);
	level->next = stack->slots[level->hash % MIME_SLOTS];
	stack->slots[level->hash % MIME_SLOTS] = number;
	stack->sizes[boundary.size]++;
	if (boundary.size > stack->longest)
		stack->longest = boundary.size;
	return true;
}

void mime_pop(struct mime_stack *stack, unsigned depth)
{
	while (stack->depth > depth) {
		const struct mime_level *level = &stack->levels[--stack->depth];
		if (level->size == 0)
			continue;
		/* the last one pushed is the first of its slot */
		stack->slots[level->hash % MIME_SLOTS] = level->next;
		stack->sizes[level->size]--;
	}
	while (stack->longest > 0 && stack->sizes[stack->longest] == 0)
		stack->longest--;
}

bool mime_in_digest(const struct mime_stack *stack)
{
	return stack->depth > 0 && stack->levels[stack->depth - 1].digest;
}

struct span mime_boundary(const struct mime_stack *stack)
{
	for (unsigned i = stack->depth; i-- > 0;)
		if (stack->levels[i].size > 0 && !stack->levels[i].closed)
			return span_of(stack->levels[i].boundary, stack->levels[i].size);
	return span_of("", 0);
}

/* ---- delimiters ---- */

struct match {
	int level; /* -1: none */
	enum mime_stop stop;
	bool soft;
};

/* The innermost open level of this layer with the boundary, else the innermost closed one; -1:
 * none. */
static int find_level(const struct mime_layer *layer, uint64_t hash, struct span boundary)
{
	const struct mime_stack *stack = layer->stack;
	int closed = -1;
	for (int i = stack->slots[hash % MIME_SLOTS]; i >= (int)layer->base;
	     i = stack->levels[i].next) {
		const struct mime_level *level = &stack->levels[i];
		if (level->hash != hash ||
		    !span_equal(span_of(level->boundary, level->size), boundary))
			continue;
		if (!level->closed)
			return i;
		if (closed < 0)
			closed = i;
	}
	return closed;
}

/* What a line is whose start is the boundary of a level; `text` is the line behind "--",
 * trimmed. */
static struct match judge_match(const struct mime_layer *layer, int level, size_t boundary,
				struct span text)
{
	bool closed = layer->stack->levels[level].closed;
	bool closes = text.size >= boundary + 2 && memcmp(text.at + boundary, "--", 2) == 0;
	bool exact = text.size <= boundary || (closes && text.size == boundary + 2);
	if (closed && (closes || !exact))
		return (struct match){ -1, MIME_END, false };
	return (struct match){ level, closes ? MIME_CLOSE : MIME_OPEN, closed || !exact };
}

/* Looks a line up that starts with "--"; the longest boundary that fits exactly wins. */
static struct match match_line(const struct mime_layer *layer, struct span line)
{
	const struct mime_stack *stack = layer->stack;
	struct match best = { -1, MIME_END, false };
	struct span text = span_trim_right(span_after(line, 2));
	uint64_t hash = SPAN_HASH_START;
	/* a boundary has no CR in it: behind one the next line may start, and be looked at again */
	size_t most = span_before(span_first(text, stack->longest), '\r').size;
	for (size_t size = 1; size <= most; size++) {
		hash = span_hash_octet(hash, text.at[size - 1]);
		if (stack->sizes[size] == 0)
			continue;
		int level = find_level(layer, hash, span_first(text, size));
		if (level < 0)
			continue;
		struct match match = judge_match(layer, level, size, text);
		if (match.level >= 0 && (best.level < 0 || !match.soft || best.soft))
			best = match;
	}
	return best;
}

static bool is_open_from(const struct mime_stack *stack, unsigned depth)
{
	for (unsigned i = depth; i < stack->depth; i++)
		if (stack->levels[i].size > 0 && !stack->levels[i].closed)
			return true;
	return false;
}

static void stop(struct mime_layer *layer, enum mime_stop where, unsigned depth)
{
	layer->stopped = true;
	layer->stop = where;
	layer->cut = is_open_from(layer->stack, depth);
}

/* A delimiter that counts in this reading stops the layer there. */
static bool accept(struct mime_layer *layer, struct match match)
{
	struct mime_stack *stack = layer->stack;
	if (match.level < 0)
		return false;
	stack->ambiguous |= match.soft;
	if (match.soft && stack->reading != FRAME_READ_LAST)
		return false;
	stop(layer, match.stop, (unsigned)match.level + 1);
	mime_pop(stack, (unsigned)match.level + 1);
	stack->levels[match.level].closed = match.stop == MIME_CLOSE;
	return true;
}

/* ---- lines ---- */

void mime_layer_init(struct mime_layer *layer, struct mime_stack *stack)
{
	layer->stack = stack;
	layer->base = stack->depth;
	layer->fresh = true;
	layer->line_start = true;
	layer->glued = false;
	layer->sealed = false;
	layer->stopped = false;
	layer->stop = MIME_END;
	layer->cut = false;
}

/* A line this long is no delimiter; that much of it is looked at. */
#define LINE_LOOK (LIMIT_BOUNDARY_MAX + 64)

/* The line that starts `offset` octets behind the start of the window, with its end, or the first
 * `most` octets of it. Empty: the layer is over. */
static struct span line_at(struct mime_layer *layer, size_t offset, size_t most)
{
	for (;;) {
		struct span there = window_span(&layer->window);
		if (there.size > offset) {
			struct span line = span_first(span_after(there, offset), most);
			const char *end = memchr(line.at, '\n', line.size);
			if (end)
				return span_between(line.at, end + 1);
			if (line.size == most)
				return line;
		}
		if (!window_more(&layer->window)) {
			there = window_span(&layer->window);
			return there.size > offset ? span_first(span_after(there, offset), most)
						   : span_of(there.at, 0);
		}
	}
}

struct span mime_peek(struct mime_layer *layer, size_t wanted)
{
	while (window_span(&layer->window).size < wanted && window_more(&layer->window))
		continue;
	return span_first(window_span(&layer->window), wanted);
}

/* ---- header blocks ---- */

/* A line that starts with a blank and has nothing else: devices end a header with it, others fold
 * with it (RFC 5322 section 4.2); then a fold or a field follows. */
static bool is_blank_fold(struct span line)
{
	return span_trim(line).size == 0;
}

/* What follows the line that starts the window; a body where nothing does. */
static enum header_line kind_behind(struct mime_layer *layer, size_t size, bool *blank_out)
{
	struct span next = line_at(layer, size, LINE_LOOK);
	*blank_out = next.size > 0 && is_blank_fold(next);
	return next.size > 0 ? header_line_kind(next) : HEADER_JUNK;
}

enum step {
	STEP_TAKE,
	STEP_FOLD, /* take it as a fold, though it has no blank before it */
	STEP_DROP,
	STEP_END,
	STEP_BODY
};

/* Blank lines above a message came in on the way; above a part's body they are its whole header. */
static enum step judge_blank(struct mime_layer *layer, size_t size, const struct text *block)
{
	bool blank;
	if (!layer->fresh || block->size > 0)
		return STEP_END;
	return kind_behind(layer, size, &blank) == HEADER_FIELD || blank ? STEP_DROP : STEP_END;
}

static enum step judge_fold(struct mime_layer *layer, struct span line, const struct text *block)
{
	bool blank;
	if (!is_blank_fold(line))
		return block->size > 0 ? STEP_TAKE : STEP_DROP;
	enum header_line kind = kind_behind(layer, line.size, &blank);
	bool goes_on = kind == HEADER_FIELD || (kind == HEADER_FOLD && !blank && block->size > 0);
	return goes_on ? STEP_DROP : judge_blank(layer, line.size, block);
}

/* Does the line hold the next parameter of the field above, which ended with a semicolon? Devices
 * forget the blank that a fold needs. */
static bool is_unfolded(struct span line, const struct text *block)
{
	struct span above = span_trim_right(text_span(block));
	struct span name = span_before(line, '=');
	if (above.size == 0 || above.at[above.size - 1] != ';' || name.size == line.size)
		return false;
	for (size_t i = 0; i < name.size; i++)
		if ((uint8_t)name.at[i] <= ' ' || (uint8_t)name.at[i] > '~' ||
		    strchr("()<>@,;:\\\"/[]?", name.at[i]))
			return false;
	return name.size > 0;
}

/* Junk is passed over where the header goes on behind it; else it is the first line of the body.
 * Behind a sealed field it is kept as junk: what is folded onto it must not come to be folded onto
 * the field. */
static enum step judge_junk(struct mime_layer *layer, struct span line, const struct text *block)
{
	bool blank;
	if (line.size >= 2 && memcmp(line.at, "--", 2) == 0)
		return STEP_BODY;
	/* who sent the message is not to be hidden in junk (message.h) */
	if (header_may_name(line, SPAN("From")))
		return STEP_TAKE;
	if (is_unfolded(line, block))
		return layer->sealed ? STEP_TAKE : STEP_FOLD;
	enum header_line kind = kind_behind(layer, line.size, &blank);
	if (kind != HEADER_FIELD && (block->size == 0 || kind == HEADER_JUNK))
		return STEP_BODY;
	return layer->sealed ? STEP_TAKE : STEP_DROP;
}

/* The last field that a receiver put on top may say who sent the message (results.h). The sender's
 * own first lines follow it, and he would make them a part of it. */
static enum step judge_field(struct mime_layer *layer, struct span line)
{
	layer->sealed = span_starts_alike(line, SPAN("authentication-results"));
	return STEP_TAKE;
}

static enum step judge_header_line(struct mime_layer *layer, struct span line,
				   const struct text *block)
{
	switch (header_line_kind(line)) {
	case HEADER_BLANK: return judge_blank(layer, line.size, block);
	case HEADER_FIELD: return judge_field(layer, line);
	case HEADER_FOLD: return judge_fold(layer, line, block);
	default: return judge_junk(layer, line, block);
	}
}

/* The rest of a line of which LINE_LOOK octets were judged. */
static void take_rest_of_line(struct mime_layer *layer, struct text *block, bool take)
{
	for (bool ended = false; !ended && !block->cut;) {
		struct span piece = line_at(layer, 0, layer->window.size);
		ended = piece.size == 0 || piece.at[piece.size - 1] == '\n';
		if (take)
			text_put(block, piece);
		layer->window.start += piece.size;
	}
}

/* A bare CR before a Content- field is a line end to some readers: in the other reading to us
 * too. */
static void look_for_bare_cr(struct mime_stack *stack, struct text *block)
{
	for (size_t i = 0; i < block->size; i++) {
		struct span behind = span_after(text_span(block), i + 1);
		if (block->at[i] != '\r' || !span_starts_alike(behind, SPAN("content-")))
			continue;
		stack->ambiguous = true;
		if (stack->reading == FRAME_READ_LAST)
			block->at[i] = '\n';
	}
}

static enum mime_header end_header(struct mime_layer *layer, struct text *block, bool stopped)
{
	look_for_bare_cr(layer->stack, block);
	layer->fresh = false;
	layer->line_start = true;
	if (block->cut)
		return MIME_HEADER_CAP;
	return stopped ? MIME_HEADER_STOPPED : MIME_HEADER_OK;
}

/* The byte order mark that an editor put before a message. */
static void skip_mark(struct mime_layer *layer)
{
	if (layer->fresh && span_equal(mime_peek(layer, 3), SPAN("\xef\xbb\xbf")))
		layer->window.start += 3;
}

enum mime_header mime_read_header(struct mime_layer *layer, struct text *block)
{
	layer->sealed = false;
	layer->stopped = false;
	skip_mark(layer);
	while (!block->cut) {
		struct span line = line_at(layer, 0, LINE_LOOK);
		if (line.size == 0) {
			stop(layer, MIME_END, 0);
			return end_header(layer, block, true);
		}
		size_t size = line.size;
		bool whole = line.at[size - 1] == '\n';
		if (size > 2 && memcmp(line.at, "--", 2) == 0 &&
		    accept(layer, match_line(layer, line))) {
			layer->window.start += size;
			return end_header(layer, block, true);
		}
		enum step step = judge_header_line(layer, line, block);
		if (step == STEP_BODY)
			return end_header(layer, block, false);
		line = span_first(window_span(&layer->window),
				  size); /* a look ahead may have moved it */
		bool take = step == STEP_TAKE || step == STEP_FOLD;
		if (step == STEP_FOLD)
			text_put_octet(block, ' ');
		if (take)
			text_put(block, line);
		layer->window.start += size;
		if (!whole)
			take_rest_of_line(layer, block, take);
		if (step == STEP_END)
			return end_header(layer, block, false);
	}
	return end_header(layer, block, false);
}

/* ---- bodies ---- */

/* The first place where a delimiter may start: "--" at the start of a line, or behind a bare CR;
 * `glued`: anywhere. */
static const char *find_dashes(const char *from, const char *end, bool line_start, bool glued)
{
	for (const char *at = from;
	     at < end && (at = memchr(at, '-', (size_t)(end - at))) != NULL;) {
		bool starts = glued || (at == from ? line_start : at[-1] == '\n' || at[-1] == '\r');
		if (starts && at + 1 < end && at[1] == '-')
			return at;
		while (at < end && *at == '-')
			at++;
	}
	return NULL;
}

/* Where the line end begins that is part of the delimiter at `at` (RFC 2046 section 5.1.1). */
static const char *before_line_end(const char *from, const char *at)
{
	if (at > from && at[-1] == '\n')
		at--;
	if (at > from && at[-1] == '\r')
		at--;
	return at;
}

/* Where the end begins that must stay in the window: a delimiter may start in it. */
static const char *before_tail(const char *from, const char *end)
{
	if (end > from && end[-1] == '-')
		end--;
	return before_line_end(from, end);
}

static bool give(struct mime_layer *layer, const char *from, const char *to, struct span *piece_out)
{
	*piece_out = span_between(from, to);
	layer->window.start += (size_t)(to - from);
	layer->line_start = layer->line_start && to == from;
	return true;
}

enum found { FOUND_NOTHING, FOUND_DELIMITER, FOUND_CUT };

/* Does a line go on with a delimiter here? Base64 has no dashes, so this is one that a device wrote
 * without a line end before it. Where the first dashes are none, no others are looked at: it would
 * not be linear. */
static bool accept_glued(struct mime_layer *layer, struct match match)
{
	layer->glued = match.level >= 0 && !match.soft;
	return layer->glued && accept(layer, match);
}

/* Looks for a delimiter in the window. FOUND_CUT: at `*at_out` a line starts that may be one, but
 * its end is not there yet. */
static enum found find_delimiter(struct mime_layer *layer, const char **at_out, size_t *size_out)
{
	struct window *window = &layer->window;
	const char *from = window->buffer + window->start, *end = window->buffer + window->end,
		   *at = from;
	while ((at = find_dashes(at, end, at == from && layer->line_start, layer->glued)) != NULL) {
		struct span line = span_first(span_between(at, end), LINE_LOOK);
		const char *line_end = memchr(line.at, '\n', line.size);
		*at_out = at;
		if (!line_end && line.size < LINE_LOOK && !window->ended)
			return FOUND_CUT;
		if (line_end)
			line = span_between(at, line_end + 1);
		*size_out = line.size;
		struct match match = match_line(layer, line);
		bool starts = at > from ? at[-1] == '\n' || at[-1] == '\r' : layer->line_start;
		match.soft |= at > from && at[-1] == '\r';
		if (starts ? accept(layer, match) : accept_glued(layer, match))
			return FOUND_DELIMITER;
		at += 2;
	}
	return FOUND_NOTHING;
}

bool mime_read_body(struct mime_layer *layer, struct span *piece_out)
{
	struct window *window = &layer->window;
	if (layer->stopped)
		return false;
	for (;;) {
		const char *at = NULL, *from = window->buffer + window->start;
		size_t size = 0;
		enum found found = find_delimiter(layer, &at, &size);
		from = window->buffer + window->start;
		if (found == FOUND_DELIMITER) {
			const char *to = before_line_end(from, at);
			give(layer, from, to, piece_out);
			window->start += (size_t)(at - to) + size;
			layer->line_start = true;
			return piece_out->size > 0;
		}
		const char *end = window->buffer + window->end;
		const char *keep =
			found == FOUND_CUT ? before_line_end(from, at) : before_tail(from, end);
		if (keep > from)
			return give(layer, from, keep, piece_out);
		if (window_more(window))
			continue;
		/* nothing more comes: what was kept for a delimiter is content */
		end = window->buffer + window->end;
		from = window->buffer + window->start;
		if (window->ended && found == FOUND_CUT)
			continue;
		stop(layer, MIME_END, 0);
		give(layer, from, end, piece_out);
		return piece_out->size > 0;
	}
}
