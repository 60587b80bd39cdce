/* window.h: a fixed piece of memory that moves over a message of any size. Room extract.
 *
 * What is between `start` and `end` is there to be read; whoever has used octets moves `start`. A
 * message that has only CR for line ends (a few old devices) gets them changed to LF on the way
 * in. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>
#include "extract/span.h"

/* Reads at most `size` octets to `at`: how many, 0 at the end, or -errno. */
typedef ssize_t window_read(void *context, char *at, size_t size);

struct window {
	window_read *read;
	void *context;
	char *buffer; /* borrowed; `size` octets */
	size_t size, start, end;
	bool ended; /* nothing comes after what is there */
	bool started;
	bool cr_lines; /* CR is the line end */
	bool cr_break; /* a CR breaks the line before two dashes: the other reading of a bare CR */
	int error;     /* 0 or -errno */
};

void window_init(struct window *window, char *buffer, size_t size, window_read *read,
		 void *context);

/* Gets more behind `end`, moving the rest to the front where it must. false: nothing came, since
 * the message ended or the window is full. */
bool window_more(struct window *window);

static inline struct span window_span(const struct window *window)
{
	return span_of(window->buffer + window->start, window->end - window->start);
}
