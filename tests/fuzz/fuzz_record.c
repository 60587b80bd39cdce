/* fuzz_record.c: an answer about a name, from whoever sent it. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/prover/resolve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[300];
	if (resolve_read(data, size, text, sizeof text) &&
	    (!*text || !memchr(text, '\0', sizeof text)))
		abort();
	return 0;
}
