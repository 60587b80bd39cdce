/* fuzz_keys.c: a file of keys. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/prover/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char record[64], *text = malloc(size + 1);
	memcpy(text, data, size);
	text[size] = '\0';
	keys_find_fault(text);
	if (keys_find(text, "sel._domainkey.example.org", record, sizeof record) && !*record)
		abort();
	free(text);
	return 0;
}
