/* log.h: one line per event on standard error, `key=value`, foreign text quoted. Ground of daemon.
 *
 * A line is put together in a struct log_line and leaves in one write, so lines of several
 * processes never mix. Under systemd (JOURNAL_STREAM) it starts with a priority prefix, `<4>`, and
 * in a socket to syslog with what that wants. Values are never passwords or content. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

struct log_line {
	size_t used;
	char text[4096]; /* a longer line is cut and ends with ~ */
};

/* Once per program. `debug`: also the debug lines. */
void log_open(bool debug);
bool log_is_debug(void);
/* Is standard error the journal's or syslog's? */
bool log_is_kept(void);

/* Under inetd standard error is the connection itself: the device would read our log. Where fds 0
 * and 2 are the same, standard error becomes a socket to syslog, or nothing. */
void log_leave_connection(void);

/* `event` is the first word of the line, or "" where the keys say it all. */
void log_start(struct log_line *line, const char *event);
/* A value of ours: letters, digits, - _ . : / , only. */
void log_add(struct log_line *line, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Anybody's text, in double quotes: control characters, " and \ as escapes, bytes that are not
 * UTF-8 as \xNN. */
void log_quote(struct log_line *line, const char *key, const char *text);
/* The same for a terminal, without the quotes, into `size` octets: what is cut ends with ~. */
void log_escape(const char *text, char *out, size_t size);
void log_send(enum log_level level, struct log_line *line);

/* The common case: an event with one sentence of our own. */
void log_say(enum log_level level, const char *event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
