/* fuzz_prove.c: a question from a courier, and an answer from a prover, that may have been taken
 * over. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/prove.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* as it comes off the socket: aligned */
	void *message = malloc(size ? size : 1);
	memcpy(message, data, size);
	const struct prove_question *question = message;
	const struct prove_answer *answer = message;
	if (prove_question_valid(message, size) && strlen(question->domain) > PROVE_DOMAIN_MAX)
		abort();
	if (prove_answer_valid(message, size) && strlen(answer->text) > PROVE_TEXT_MAX)
		abort();
	free(message);
	return 0;
}
