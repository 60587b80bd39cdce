/* dialogue.c: packs and unpacks lines of a dialogue. Never sends, prints or decides what is said.
 */
#include "daemon/dialogue.h"
#include <string.h>

/* In front of each line; packed octet by octet, so lines need no alignment. */
struct head {
	uint32_t at_ms;
	uint8_t voice, cut;
	uint16_t size;
};

static bool ends_inside(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

bool dialogue_valid(const void *message, size_t size)
{
	const struct dialogue *dialogue = message;
	return size >= sizeof *dialogue && size <= DIALOGUE_MAX &&
	       dialogue->kind >= DIALOGUE_LINES && dialogue->kind <= DIALOGUE_WELCOME &&
	       dialogue->size == size - sizeof *dialogue && dialogue->outcome <= DIALOGUE_FAILED &&
	       ends_inside(dialogue->source, sizeof dialogue->source) &&
	       ends_inside(dialogue->diagnosis, sizeof dialogue->diagnosis);
}

bool dialogue_put(char *text, size_t room, size_t *used_io, const struct dialogue_line *line)
{
	bool cut = line->cut || line->size > DIALOGUE_LINE_MAX;
	size_t size = line->size > DIALOGUE_LINE_MAX ? DIALOGUE_LINE_MAX : line->size;
	const struct head head = { line->at_ms, line->voice, cut, (uint16_t)size };
	if (*used_io > room || room - *used_io < sizeof head + size)
		return false;
	memcpy(text + *used_io, &head, sizeof head);
	memcpy(text + *used_io + sizeof head, line->text, size);
	*used_io += sizeof head + size;
	return true;
}

size_t dialogue_next(const char *text, size_t size, struct dialogue_line *line_out)
{
	struct head head;
	if (size < sizeof head)
		return 0;
	memcpy(&head, text, sizeof head);
	if (head.size > DIALOGUE_LINE_MAX || head.size > size - sizeof head ||
	    head.voice < DIALOGUE_DEVICE || head.voice > DIALOGUE_NOTE)
		return 0;
	*line_out = (struct dialogue_line){ .at_ms = head.at_ms,
					    .voice = head.voice,
					    .cut = head.cut != 0,
					    .size = head.size,
					    .text = text + sizeof head };
	return sizeof head + head.size;
}
