/* fuzz_ask.c: a question from a source that may have been taken over. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/ask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static _Alignas(8) char again[ASK_MAX];
	struct ask ask;
	/* as it comes off the socket: aligned */
	void *message = malloc(size ? size : 1);
	memcpy(message, data, size);
	if (ask_read(message, size, &ask)) {
		ssize_t written = ask_write(ask.head, ask.sender, ask.recipients, again);
		if (written != (ssize_t)size || memcmp(again, message, size) != 0)
			abort();
	}
	ask_answer_valid(message, size);
	free(message);
	return 0;
}
