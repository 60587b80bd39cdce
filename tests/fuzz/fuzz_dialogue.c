/* fuzz_dialogue.c: any bytes as the lines of a dialogue, as a hostile session may hand them on:
 * each lies inside, and what is read can be written again as it was. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/dialogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	static struct dialogue aligned[DIALOGUE_MAX / sizeof(struct dialogue) + 1];
	struct dialogue_line line, again;
	for (size_t at = 0, length; (length = dialogue_next(text + at, size - at, &line)) > 0;
	     at += length) {
		char copy[DIALOGUE_LINE_MAX + 64];
		size_t used = 0;
		require(length <= size - at && line.size <= DIALOGUE_LINE_MAX);
		require(line.text >= text + at && line.text + line.size <= text + size);
		require(dialogue_put(copy, sizeof copy, &used, &line) && used == length);
		require(dialogue_next(copy, used, &again) == used && again.at_ms == line.at_ms);
		require(memcmp(again.text, line.text, line.size) == 0);
	}
	if (size <= DIALOGUE_MAX) {
		memcpy(aligned, data, size);
		if (dialogue_valid(aligned, size))
			require(aligned[0].size <= DIALOGUE_TEXT_MAX);
	}
	return 0;
}
