/* window.h: the HTTP server: /healthz, /metrics, /api/status. Room daemon/after; the only file that
 * knows libmicrohttpd.
 *
 * One thread, and a connection lives for ten seconds at most, whatever its peer does; when there
 * are too many the oldest goes. Nobody who only holds connections keeps another from an answer. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "daemon/after/view.h"

#define WINDOW_SOCKETS 16 /* at most */

struct window {
	struct view view;
	const char *token;                      /* NULL: none is asked for */
	int tally_fd, signals_fd, listening_fd; /* the first of `listening_count` */
	size_t listening_count;
};

/* What has to be done before the jail is closed. False: said. */
bool window_prepare(struct window *window);

/* Until a signal comes. Returns the exit status. */
int window_run(struct window *window);
