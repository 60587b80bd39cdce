/* keys.c: reads a file of keys. Never looks into a key. */
#include "daemon/prover/keys.h"
#include <string.h>
#include <strings.h>

struct line {
	const char *name, *record;
	size_t name_size, record_size; /* 0 and 0: it says nothing */
};

static bool is_blank(char octet)
{
	return octet == ' ' || octet == '\t' || octet == '\r';
}

/* Takes the next line off the front of *text_io. False: there is none. */
static bool next_line(const char **text_io, struct line *line_out)
{
	const char *at = *text_io, *end = at + strcspn(at, "\n");
	if (!*at)
		return false;
	*text_io = *end ? end + 1 : end;
	*line_out = (struct line){ 0 };
	while (at < end && is_blank(*at))
		at++;
	while (at < end && is_blank(end[-1]))
		end--;
	if (at == end || *at == '#')
		return true;
	line_out->name = at;
	while (at < end && !is_blank(*at))
		at++;
	line_out->name_size = (size_t)(at - line_out->name);
	while (at < end && is_blank(*at))
		at++;
	line_out->record = at;
	line_out->record_size = (size_t)(end - at);
	return true;
}

unsigned keys_find_fault(const char *text)
{
	static const char within[] = "._domainkey.";
	struct line line;
	for (unsigned number = 1; next_line(&text, &line); number++) {
		if (line.name_size == 0)
			continue;
		bool named = false;
		for (size_t i = 1; i + strlen(within) < line.name_size; i++)
			named |= strncasecmp(line.name + i, within, strlen(within)) == 0;
		if (!named || line.record_size == 0)
			return number;
	}
	return 0;
}

bool keys_find(const char *text, const char *name, char *record_out, size_t room)
{
	size_t size = strlen(name);
	struct line line;
	while (next_line(&text, &line)) {
		if (line.name_size == 0 || line.name_size != size ||
		    strncasecmp(line.name, name, size) != 0)
			continue;
		if (line.record_size == 0 || line.record_size >= room)
			return false;
		memcpy(record_out, line.record, line.record_size);
		record_out[line.record_size] = '\0';
		return true;
	}
	return false;
}
