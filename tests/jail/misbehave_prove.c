/* misbehave_prove.c: a prover that obeys the domain that it is asked about,
 * prover.ATTEMPT@misbehave.example, and its child that obeys the message that it looks at,
 * verifier.ATTEMPT@misbehave.example. The linker puts these functions in the place of those that
 * they wrap; the program's own source knows nothing of it. */
#include <string.h>
#include <unistd.h>
#include "daemon/prove.h"
#include "daemon/prover/cage.h"
#include "daemon/prover/lines.h"
#include "tests/jail/attempts.h"

#define ALLOWED 200 /* exit status of a child that could */

bool __real_cage_enter(const struct config *config);
bool __wrap_cage_enter(const struct config *config);
bool __real_prove_question_valid(const void *message, size_t size);
bool __wrap_prove_question_valid(const void *message, size_t size);
size_t __real_lines_run(struct lines *lines, const char *in, size_t size, char *out);
size_t __wrap_lines_run(struct lines *lines, const char *in, size_t size, char *out);

bool __wrap_cage_enter(const struct config *config)
{
	attempts_prepare();
	return __real_cage_enter(config);
}

bool __wrap_prove_question_valid(const void *message, size_t size)
{
	const struct prove_question *question = message;
	bool valid = __real_prove_question_valid(message, size);
	if (valid)
		attempts_obey("prover", question->domain);
	return valid;
}

size_t __wrap_lines_run(struct lines *lines, const char *in, size_t size, char *out)
{
	char words[4096];
	size_t length = size < sizeof words ? size : sizeof words - 1;
	memcpy(words, in, length);
	words[length] = '\0';
	/* it has nobody to speak to: the exit status tells */
	int outcome = attempts_quietly("verifier", words);
	if (outcome != 0)
		_exit(outcome > 0 ? ALLOWED : -outcome);
	return __real_lines_run(lines, in, size, out);
}
