/* window.c: reads ahead into a fixed buffer. Never grows and never keeps what was used. */
#include "extract/window.h"
#include <string.h>

void window_init(struct window *window, char *buffer, size_t size, window_read *read, void *context)
{
	*window =
		(struct window){ .read = read, .context = context, .buffer = buffer, .size = size };
}

/* CR alone ends the lines if there is no LF at all in the first windowful. */
static void look_at_line_ends(struct window *window)
{
	struct span seen = window_span(window);
	window->started = true;
	window->cr_lines = span_has(seen, '\r') && !span_has(seen, '\n');
}

static void change_cr(char *at, size_t size)
{
	for (char *cr = at; (cr = memchr(cr, '\r', size - (size_t)(cr - at))) != NULL;)
		*cr++ = '\n';
}

static void break_at_cr(char *at, size_t size)
{
	for (char *cr = at; (cr = memchr(cr, '\r', size - (size_t)(cr - at))) != NULL; cr++)
		if (span_starts_alike(span_between(cr + 1, at + size), SPAN("--")))
			*cr = '\n';
}

static bool read_more(struct window *window)
{
	ssize_t got = window->read(window->context, window->buffer + window->end,
				   window->size - window->end);
	if (got <= 0) {
		window->ended = true;
		window->error = (int)got;
		return false;
	}
	window->end += (size_t)got;
	return true;
}

bool window_more(struct window *window)
{
	if (window->ended)
		return false;
	if (window->start > 0) {
		memmove(window->buffer, window->buffer + window->start,
			window->end - window->start);
		window->end -= window->start;
		window->start = 0;
	}
	if (window->end == window->size)
		return false;
	size_t before = window->end;
	if (!read_more(window))
		return false;
	/* CR may be the line end as long as no LF came */
	while (!window->started && !span_has(window_span(window), '\n') &&
	       window->end < window->size && read_more(window))
		continue;
	if (!window->started)
		look_at_line_ends(window);
	if (window->cr_lines)
		change_cr(window->buffer + before, window->end - before);
	if (window->cr_break)
		break_at_cr(window->buffer + window->start, window->end - window->start);
	return true;
}
