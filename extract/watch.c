/* watch.c: looks for structure in what is text. Never changes it and never says what the structure
 * is. */
#include "extract/watch.h"
#include <string.h>
#include "extract/decode.h"

/* So many lines of base64 of one width, this wide at least, are no accident. */
#define BASE64_LINES 3
#define BASE64_WIDTH 56
/* ... nor is one line of it that is so long. */
#define BASE64_LONG 400

/* Behind this comes a file that HTML holds in a URL (RFC 2397). A small one is an ornament. */
static const char url_mark[] = ";base64,";
#define URL_MARK_SIZE (sizeof url_mark - 1)
#define URL_LONG      400

void watch_init(struct watch *watch)
{
	watch->found = watch->spoiled = watch->close = false;
	watch->boundary = span_of("", 0);
	watch->armour = false;
	watch->dashes = false;
	watch->begin = false;
	watch->same = 0;
	watch->width = 0;
	watch->line_size = 0;
	watch->mark = 0;
	watch->data = 0;
}

void watch_expect(struct watch *watch, struct span boundary)
{
	watch->boundary = boundary;
}

/* Without the dashes and blanks around it. */
static struct span core_of(struct span line)
{
	while (line.size > 0 && (span_is_blank(line.at[0]) || line.at[0] == '-'))
		line = span_after(line, 1);
	while (line.size > 0 &&
	       (span_is_blank(line.at[line.size - 1]) || line.at[line.size - 1] == '-'))
		line.size--;
	return line;
}

static void look_for_spoiled(struct watch *watch, struct span line)
{
	struct span core = core_of(watch->boundary);
	watch->spoiled |= watch->close && span_starts_alike(line, SPAN("Content-"));
	watch->close = core.size > 0 && span_alike(core_of(line), core);
}

/* Base64 of anything but text in one case has letters of both, and digits. */
static bool is_mixed(struct span line)
{
	bool upper = false, lower = false, digit = false;
	for (size_t i = 0; i < line.size; i++) {
		upper |= line.at[i] >= 'A' && line.at[i] <= 'Z';
		lower |= line.at[i] >= 'a' && line.at[i] <= 'z';
		digit |= span_is_digit(line.at[i]);
	}
	return upper && lower && digit;
}

static void count_base64(struct watch *watch, struct span line)
{
	bool base64 = line.size >= BASE64_WIDTH && decode_is_base64_line(line) && is_mixed(line);
	if (!base64)
		watch->same = 0;
	else if (watch->same > 0 && watch->line_size == watch->width)
		watch->same++;
	else
		watch->same = 1;
	watch->width = watch->line_size;
	watch->found |= watch->same >= BASE64_LINES || (base64 && watch->line_size >= BASE64_LONG);
}

/* A delimiter and the first field of a part. `-----Original Message-----` is followed by other
 * fields. */
static void look_for_fields(struct watch *watch, struct span line)
{
	watch->found |= watch->dashes && span_starts_alike(line, SPAN("Content-"));
	watch->dashes = line.size > 2 && memcmp(line.at, "--", 2) == 0 && line.at[2] != ' ';
}

/* `begin 644 name` */
static bool is_begin(struct span line)
{
	size_t digits = 6;
	if (!span_starts_alike(line, SPAN("begin ")))
		return false;
	while (digits < line.size && line.at[digits] >= '0' && line.at[digits] <= '7')
		digits++;
	return digits >= 9 && digits + 1 < line.size && line.at[digits] == ' ';
}

static void look_for_files(struct watch *watch, struct span line)
{
	char out[DECODE_UU_LINE_MAX + 3];
	int size = watch->begin ? decode_uu_line(line, out) : 0;
	/* as long as its first character says, but for blanks that got lost */
	watch->found |= size > 0 && line.size + 3 >= (size_t)(size + 2) / 3 * 4;
	watch->found |= span_starts_alike(line, SPAN("=ybegin "));
	watch->begin = is_begin(line);
}

static void end_line(struct watch *watch)
{
	struct span line = span_first(span_of(watch->line, WATCH_LINE), watch->line_size);
	if (line.size > 0 && line.at[line.size - 1] == '\r')
		line.size--;
	look_for_spoiled(watch, line);
	if (line.size == 0)
		watch->dashes = watch->begin = false;
	else if (span_starts_alike(line, SPAN("-----BEGIN ")))
		watch->armour = true;
	else if (span_starts_alike(line, SPAN("-----END ")))
		watch->armour = false;
	else if (!watch->armour) {
		look_for_fields(watch, line);
		look_for_files(watch, line);
		count_base64(watch, line);
	}
	watch->line_size = 0;
}

/* One character, which may belong to such a URL; blanks do not end it. */
static void look_for_url(struct watch *watch, char c)
{
	char lower = span_lower(c);
	if (watch->mark < URL_MARK_SIZE) {
		bool next = lower == url_mark[watch->mark];
		watch->mark = next ? watch->mark + 1 : c == ';';
		watch->data = 0;
	} else if ((lower >= 'a' && lower <= 'z') || span_is_digit(c) || c == '+' || c == '/') {
		watch->found |= ++watch->data >= URL_LONG;
	} else if (!span_is_blank(c)) {
		watch->mark = c == ';';
	}
}

/* Is there nothing more that it could find? */
static bool is_settled(const struct watch *watch)
{
	return watch->found && (watch->spoiled || watch->boundary.size == 0);
}

void watch_add(struct watch *watch, struct span text)
{
	for (size_t i = 0; i < text.size && !watch->found; i++)
		look_for_url(watch, text.at[i]);
	while (text.size > 0 && !is_settled(watch)) {
		struct span line = span_before(text, '\n');
		bool ended = line.size < text.size;
		if (watch->line_size < WATCH_LINE) {
			struct span kept = span_first(line, WATCH_LINE - watch->line_size);
			memcpy(watch->line + watch->line_size, kept.at, kept.size);
		}
		watch->line_size += line.size;
		text = span_after(text, ended ? line.size + 1 : line.size);
		if (ended)
			end_line(watch);
	}
}

bool watch_finish(struct watch *watch)
{
	if (watch->line_size > 0)
		end_line(watch);
	return watch->found;
}
