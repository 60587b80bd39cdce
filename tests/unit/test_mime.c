/* test_mime.c: delimiters, the stack of boundaries, and windows that are too small for what
 * comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <stdio.h>
#include "extract/mime.h"

struct source {
	struct span rest;
	size_t step;
};

static ssize_t read_source(void *context, char *at, size_t size)
{
	struct source *source = context;
	struct span piece = span_first(source->rest, size < source->step ? size : source->step);
	memcpy(at, piece.at, piece.size);
	source->rest = span_after(source->rest, piece.size);
	return (ssize_t)piece.size;
}

static struct mime_stack stack;
static struct mime_layer layer;
static char buffer[2 * LIMIT_BOUNDARY_MAX];

static void start(struct source *source, enum frame_reading reading)
{
	mime_stack_init(&stack, 1000, reading);
	window_init(&layer.window, buffer, sizeof buffer, read_source, source);
	mime_layer_init(&layer, &stack);
}

/* What a line is with the boundaries "b", "bc", "b--" and "cc" open, and "x" open and closed. */
static const struct {
	const char *line;
	int level; /* -1: content */
	enum mime_stop stop;
	bool ambiguous;
} lines[] = {
	{ "--b", 0, MIME_OPEN, false },      { "--b \t\r", 0, MIME_OPEN, false },
	{ "--bc", 1, MIME_OPEN, false },     { "--bc--", 1, MIME_CLOSE, false },
	{ "--bc-- ", 1, MIME_CLOSE, false }, { "--b--", 2, MIME_OPEN, false },
	{ "--b----", 2, MIME_CLOSE, false }, { "--cc", 3, MIME_OPEN, false },
	{ "--ccc", -1, MIME_OPEN, true },    { "--cc--x", -1, MIME_OPEN, true },
	{ "--bx", -1, MIME_OPEN, true },     { "--x", -1, MIME_OPEN, true },
	{ "--x--", -1, MIME_OPEN, false },   { "--xx", -1, MIME_OPEN, false },
	{ "--d", -1, MIME_OPEN, false },     { "--", -1, MIME_OPEN, false },
	{ "-- ", -1, MIME_OPEN, false },     { " --b", -1, MIME_OPEN, false },
	{ "-b", -1, MIME_OPEN, false },      { "---b", -1, MIME_OPEN, false },
};

static void push_all(void)
{
	static const char *const boundaries[] = { "b", "bc", "b--", "cc", "x" };
	for (size_t i = 0; i < 5; i++)
		assert_true(
			mime_push(&stack, span_of(boundaries[i], strlen(boundaries[i])), false));
	stack.levels[4].closed = true;
}

static void line_kinds(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		char text[64];
		snprintf(text, sizeof text, "ab\n%s\nrest", lines[i].line);
		struct source source = { span_of(text, strlen(text)), 1 };
		struct span piece;
		size_t size = 0;
		start(&source, FRAME_READ_FIRST);
		push_all();
		while (mime_read_body(&layer, &piece))
			size += piece.size;
		bool found = layer.stop != MIME_END;
		if (found != (lines[i].level >= 0) || stack.ambiguous != lines[i].ambiguous ||
		    (found &&
		     (layer.stop != lines[i].stop || stack.depth != (unsigned)lines[i].level + 1)))
			fail_msg("%s: stop %d, depth %u, ambiguous %d", lines[i].line,
				 (int)layer.stop, stack.depth, stack.ambiguous);
		assert_int_equal(size, found ? 2 : strlen(text));
	}
}

static void same_boundary(void **state)
{
	struct source source = { SPAN("--b--\n--b--\n--b\n"), 100 };
	struct span piece;
	(void)state;
	start(&source, FRAME_READ_FIRST);
	mime_push(&stack, SPAN("b"), false);
	mime_push(&stack, SPAN("b"), false);
	assert_false(mime_read_body(&layer, &piece));
	assert_true(stack.levels[1].closed && !stack.levels[0].closed && stack.depth == 2);
	layer.stopped = false;
	assert_false(mime_read_body(&layer, &piece));
	assert_true(stack.levels[0].closed && stack.depth == 1);
	layer.stopped = false;
	while (mime_read_body(&layer, &piece))
		continue;
	assert_true(layer.stop == MIME_END && stack.ambiguous);
}

/* Boundaries that share a slot of the hash table, pushed and popped. */
static void many_levels(void **state)
{
	struct source source = { SPAN(""), 1 };
	(void)state;
	start(&source, FRAME_READ_FIRST);
	for (unsigned i = 0; i < LIMIT_DEPTH_MAX; i++) {
		char name[16];
		snprintf(name, sizeof name, "b%u", i % 150);
		assert_true(
			mime_push(&stack, span_of(name, i % 10 == 0 ? 0 : strlen(name)), i % 2));
		assert_int_equal(mime_in_digest(&stack), i % 2);
	}
	assert_false(mime_push(&stack, SPAN("x"), false));
	mime_pop(&stack, 10);
	assert_int_equal(stack.longest, 2);
	mime_pop(&stack, 0);
	assert_int_equal(stack.longest, 0);
	assert_false(mime_in_digest(&stack));
	for (unsigned i = 0; i < MIME_SLOTS; i++)
		assert_int_equal(stack.slots[i], -1);
}

/* Boundaries of an outer layer mean nothing inside an inner one. */
static void layers(void **state)
{
	struct source source = { SPAN("--b\n--c\n"), 100 };
	struct span piece;
	(void)state;
	start(&source, FRAME_READ_FIRST);
	mime_push(&stack, SPAN("b"), false);
	mime_layer_init(&layer, &stack);
	mime_push(&stack, SPAN("c"), false);
	size_t size = 0;
	while (mime_read_body(&layer, &piece))
		size += piece.size;
	assert_int_equal(size, 3); /* the line end belongs to the delimiter */
	assert_int_equal(layer.stop, MIME_OPEN);
	assert_int_equal(stack.depth, 2);
}

/* Lines that are longer than anything that is looked at, at every place of the window. */
static void long_lines(void **state)
{
	static char text[8 * LIMIT_BOUNDARY_MAX];
	char boundary[LIMIT_BOUNDARY_MAX];
	(void)state;
	memset(boundary, 'x', sizeof boundary);
	for (size_t before = 0; before < 3 * LIMIT_BOUNDARY_MAX; before += 97) {
		memset(text, 'x', sizeof text);
		memset(text, 'a', before);
		text[before] = '\n';
		memset(text + before + 1, '-', 2);
		text[before + 3 + LIMIT_BOUNDARY_MAX] = '\n';
		struct source source = { span_of(text, sizeof text), 1000 };
		struct span piece;
		size_t size = 0;
		start(&source, FRAME_READ_FIRST);
		mime_push(&stack, span_of(boundary, sizeof boundary), false);
		while (mime_read_body(&layer, &piece))
			size += piece.size;
		assert_int_equal(layer.stop, MIME_OPEN);
		assert_int_equal(size, before);
		/* one octet more is the start of a line only */
		text[before + 3 + LIMIT_BOUNDARY_MAX] = 'x';
		source = (struct source){ span_of(text, sizeof text), 1000 };
		start(&source, FRAME_READ_FIRST);
		mime_push(&stack, span_of(boundary, sizeof boundary), false);
		for (size = 0; mime_read_body(&layer, &piece);)
			size += piece.size;
		assert_true(layer.stop == MIME_END && stack.ambiguous);
		assert_int_equal(size, sizeof text);
	}
}

/* ---- header blocks ---- */

static const struct {
	const char *cause, *in, *block, *rest;
	enum mime_header result;
} headers[] = {
	{ "fields and a body", "A: b\r\nC: d\r\n e\r\n\r\nbody", "A: b\r\nC: d\r\n e\r\n", "body",
	  MIME_HEADER_OK },
	{ "no fields", "\r\nbody", "", "body", MIME_HEADER_OK },
	{ "no body", "A: b\r\n", "A: b\r\n", "", MIME_HEADER_STOPPED },
	{ "nothing", "", "", "", MIME_HEADER_STOPPED },
	{ "blank lines above", "\r\n\n \nA: b\n\nbody", "A: b\n", "body", MIME_HEADER_OK },
	{ "a body that starts with blank lines", "\n\nbody", "", "body", MIME_HEADER_OK },
	{ "a body that is indented", "\n  body\nA: b\n", "", "  body\nA: b\n", MIME_HEADER_OK },
	{ "junk above", "From a b\nA: b\n\nbody", "A: b\n", "body", MIME_HEADER_OK },
	{ "a body without a header", "body\nis text\n", "", "body\nis text\n", MIME_HEADER_OK },
	{ "junk between", "A: b\njunk\nC: d\n\nbody", "A: b\nC: d\n", "body", MIME_HEADER_OK },
	{ "junk before the blank line", "A: b\njunk\n\nbody", "A: b\n", "body", MIME_HEADER_OK },
	{ "a blank line among folds", "A: b\n\t\n\tc\n \nbody", "A: b\n\tc\n", "body",
	  MIME_HEADER_OK },
	{ "a parameter without a blank before it", "A: b;\nname=x;\nfilename=y\nC: d\n\nbody",
	  "A: b;\n name=x;\n filename=y\nC: d\n", "body", MIME_HEADER_OK },
	{ "the same, but the field above is over", "A: b\nname=x\nC: d\n\nbody", "A: b\nC: d\n",
	  "body", MIME_HEADER_OK },
	{ "the same, but this is no name", "A: b;\nmy name=x\nC: d\n\nbody", "A: b;\nC: d\n",
	  "body", MIME_HEADER_OK },
	{ "junk before a fold", "A: b\njunk\n fold\n\nbody", "A: b\n fold\n", "body",
	  MIME_HEADER_OK },
	{ "the body without a blank line", "A: b\nbody\nbody\n", "A: b\n", "body\nbody\n",
	  MIME_HEADER_OK },
	{ "junk at the end", "A: b\nbody", "A: b\n", "body", MIME_HEADER_OK },
	{ "dashes end the header", "A: b\n--x\nC: d\n", "A: b\n", "--x\nC: d\n", MIME_HEADER_OK },
	{ "blanks end the header", "A: b\n \nbody", "A: b\n", "body", MIME_HEADER_OK },
	{ "blanks between fields", "A: b\n \nC: d\n\nbody", "A: b\nC: d\n", "body",
	  MIME_HEADER_OK },
	{ "a delimiter ends it", "A: b\n--b\nrest", "A: b\n", "rest", MIME_HEADER_STOPPED },
	{ "a cap", "A: 12345678901234567890123456789012345678901234567890\n\nbody", NULL, NULL,
	  MIME_HEADER_CAP },
	{ "a mark above",
	  "\xef\xbb\xbf"
	  "A: b\n\nbody",
	  "A: b\n", "body", MIME_HEADER_OK },
};

static void header_blocks(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
		for (size_t step = 1; step < 100; step += 30) {
			char bytes[50];
			struct text block = text_in(bytes, sizeof bytes);
			struct source source = { span_of(headers[i].in, strlen(headers[i].in)),
						 step };
			start(&source, FRAME_READ_FIRST);
			mime_push(&stack, SPAN("b"), false);
			enum mime_header result = mime_read_header(&layer, &block);
			if (result != headers[i].result)
				fail_msg("%s: %d", headers[i].cause, (int)result);
			if (result == MIME_HEADER_CAP)
				continue;
			while (window_more(&layer.window))
				continue;
			struct span rest = window_span(&layer.window);
			if (!span_equal(text_span(&block),
					span_of(headers[i].block, strlen(headers[i].block))) ||
			    !span_equal(rest, span_of(headers[i].rest, strlen(headers[i].rest))))
				fail_msg("%s: %.*s | %.*s", headers[i].cause, (int)block.size,
					 bytes, (int)rest.size, rest.at);
		}
}

/* A line that is longer than the window: taken whole where it is a field, passed over where it is
 * none. */
static void long_header_lines(void **state)
{
	static char text[3 * sizeof buffer], bytes[4 * sizeof buffer];
	(void)state;
	for (int junk = 0; junk < 2; junk++) {
		memset(text, 'x', sizeof text);
		memcpy(text, junk ? "A b" : "A: ", 3);
		memcpy(text + sizeof text - 12, "\nC: d\n\nbody!", 12);
		struct source source = { span_of(text, sizeof text), 1000 };
		struct text block = text_in(bytes, sizeof bytes);
		start(&source, FRAME_READ_FIRST);
		enum mime_header result = mime_read_header(&layer, &block);
		/* what follows half a line of junk is not known: it is the body then */
		assert_int_equal(result, MIME_HEADER_OK);
		assert_int_equal(block.size, junk ? 0 : sizeof text - 6);
	}
}

static void peek(void **state)
{
	struct source source = { SPAN("hello"), 1 };
	(void)state;
	start(&source, FRAME_READ_FIRST);
	assert_int_equal(mime_peek(&layer, 3).size, 3);
	assert_int_equal(mime_peek(&layer, 100).size, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_kinds),        cmocka_unit_test(same_boundary),
		cmocka_unit_test(many_levels),       cmocka_unit_test(layers),
		cmocka_unit_test(long_lines),        cmocka_unit_test(header_blocks),
		cmocka_unit_test(long_header_lines), cmocka_unit_test(peek),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
