/* log.c: builds and writes the lines. Never allocates, never blocks on anything but standard error.
 */
#define _GNU_SOURCE
#include "daemon/log.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static bool debug_wanted;
static bool to_journal;
static bool to_syslog;

#define SYSLOG_SOCKET "/dev/log"
#define FACILITY_MAIL 2 /* RFC 5424 section 6.2.1 */

/* JOURNAL_STREAM names device and inode of the journal's socket: only if that is our standard
 * error. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat found;
	unsigned long long device, inode;
	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(2, &found) == 0 && found.st_dev == device && found.st_ino == inode;
}

/* Only log_leave_connection makes standard error a datagram socket. */
static bool stderr_is_syslog(void)
{
	int type = 0;
	socklen_t size = sizeof type;
	return getsockopt(2, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_DGRAM;
}

void log_open(bool debug)
{
	debug_wanted = debug;
	to_journal = stderr_is_journal();
	to_syslog = stderr_is_syslog();
}

void log_leave_connection(void)
{
	struct stat in, error;
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SYSLOG_SOCKET };
	if (fstat(0, &in) < 0 || fstat(2, &error) < 0 || in.st_ino != error.st_ino ||
	    in.st_dev != error.st_dev || !S_ISSOCK(in.st_mode))
		return;
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
		if (fd >= 0)
			close(fd);
		fd = open("/dev/null", O_WRONLY);
	}
	if (fd >= 0)
		dup2(fd, 2);
	if (fd > 2)
		close(fd);
	log_open(debug_wanted);
}

bool log_is_debug(void)
{
	return debug_wanted;
}

bool log_is_kept(void)
{
	return to_journal || to_syslog;
}

/* Leaves room for the mark of a cut line and the line feed. */
static void add_bytes(struct log_line *line, const char *bytes, size_t size)
{
	size_t room = sizeof line->text - 2 - line->used;
	if (size > room) {
		memcpy(line->text + line->used, bytes, room);
		line->used += room;
		line->text[line->used - 1] = '~';
		return;
	}
	memcpy(line->text + line->used, bytes, size);
	line->used += size;
}

static void add_text(struct log_line *line, const char *text)
{
	add_bytes(line, text, strlen(text));
}

void log_start(struct log_line *line, const char *event)
{
	line->used = 0;
	add_text(line, event);
}

static void add_key(struct log_line *line, const char *key)
{
	if (line->used > 0)
		add_text(line, " ");
	add_text(line, key);
	add_text(line, "=");
}

void log_add(struct log_line *line, const char *key, const char *format, ...)
{
	char value[1024];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(value, sizeof value, format, arguments);
	va_end(arguments);
	add_key(line, key);
	add_text(line, value);
}

/* Octets of the UTF-8 character at `s` that is fit to print, or 0. */
static size_t printable_utf8(const unsigned char *s)
{
	size_t length = s[0] < 0x80                   ? 1
			: s[0] >= 0xC2 && s[0] < 0xE0 ? 2
			: s[0] >= 0xE0 && s[0] < 0xF0 ? 3
						      : 0;
	if (length == 1)
		return s[0] >= 0x20 && s[0] != 0x7F;
	for (size_t i = 1; i < length; i++) {
		if ((s[i] & 0xC0) != 0x80)
			return 0;
	}
	/* C1 controls, surrogates, and what turns or hides text (U+200B..U+200F, U+2028..U+202E,
	 * U+2066..U+2069, BOM) */
	if (length == 2)
		return s[0] == 0xC2 && s[1] < 0xA0 ? 0 : 2;
	if (length == 3) {
		unsigned c = (s[0] & 0x0Fu) << 12 | (s[1] & 0x3Fu) << 6 | (s[2] & 0x3Fu);
		bool bad = c < 0x800 || (c >= 0xD800 && c < 0xE000) ||
			   (c >= 0x200B && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) ||
			   (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF || c == 0x061C;
		return bad ? 0 : 3;
	}
	return 0;
}

/* The next character of anybody's text, as it is or as an escape; `special` get a backslash.
 * Returns the octets of what is written. */
static size_t escape_next(const char **text, const char *special, char out[8])
{
	const unsigned char *s = (const unsigned char *)*text;
	size_t length = printable_utf8(s);
	*text += length > 0 ? length : 1;
	if (length == 0)
		return (size_t)sprintf(out, "\\x%02x", *s);
	if (length == 1 && strchr(special, *s))
		return (size_t)sprintf(out, "\\%c", *s);
	memcpy(out, s, length);
	return length;
}

void log_quote(struct log_line *line, const char *key, const char *text)
{
	add_key(line, key);
	add_text(line, "\"");
	while (*text) {
		char escaped[8];
		size_t size = escape_next(&text, "\"\\", escaped);
		add_bytes(line, escaped, size);
	}
	add_text(line, "\"");
}

void log_escape(const char *text, char *out, size_t size)
{
	size_t used = 0;
	while (*text) {
		char escaped[8];
		size_t length = escape_next(&text, "\\", escaped);
		if (used + length + (*text ? 2 : 1) > size) {
			out[used++] = '~';
			break;
		}
		memcpy(out + used, escaped, length);
		used += length;
	}
	out[used] = '\0';
}

void log_send(enum log_level level, struct log_line *line)
{
	if (level == LOG_DEBUG && !debug_wanted)
		return;
	static const int priorities[] = {
		[LOG_ERROR] = 3, [LOG_WARNING] = 4, [LOG_INFO] = 6, [LOG_DEBUG] = 7
	};
	char out[sizeof line->text + 32];
	size_t used = 0;
	if (to_syslog)
		used = (size_t)snprintf(
			out, 32, "<%d>letterchute: ", FACILITY_MAIL << 3 | priorities[level]);
	else if (to_journal)
		used = (size_t)snprintf(out, 32, "<%d>", priorities[level]);
	memcpy(out + used, line->text, line->used);
	used += line->used;
	out[used++] = '\n';
	/* A log that can't be written must not stop a delivery: nothing is done about an error. */
	while (write(2, out, used) < 0 && errno == EINTR)
		;
}

void log_say(enum log_level level, const char *event, const char *format, ...)
{
	char text[1024];
	va_list arguments;
	if (level == LOG_DEBUG && !debug_wanted)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	struct log_line line;
	log_start(&line, event);
	log_quote(&line, "text", text);
	log_send(level, &line);
}
