/* fuzz_hello.c: any bytes as a TLS hello. The words fit and are fit to be shown; what was cut reads
 * on. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/smtp/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_words(const char *words)
{
	require(strnlen(words, HELLO_WORDS_MAX) < HELLO_WORDS_MAX);
	for (; *words; words++)
		require(*words >= ' ' && *words <= '~');
}

static void check_port(const struct hello *hello, unsigned which)
{
	const struct hello_port port = { .tls = (which & 3) != 0,
					 .compat = (which >> 2) % 3,
					 .at_once = which & 16 };
	char words[HELLO_WORDS_MAX];
	require(hello_judge(hello, &port, words) == (*words != '\0'));
	check_words(words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hello hello;
	char words[HELLO_WORDS_MAX];
	if (hello_read(data, size, &hello) != HELLO_OK)
		return 0;
	require(hello.suites_count <= HELLO_SUITES && hello.groups_count <= HELLO_GROUPS);
	check_words(hello.server_name);
	hello_describe(&hello, words);
	check_words(words);
	for (unsigned which = 0; which < 32; which++)
		check_port(&hello, which);
	/* what lies behind it changes nothing */
	uint8_t *longer = malloc(size + 16);
	struct hello again;
	memcpy(longer, data, size);
	memset(longer + size, 0x16, 16);
	require(hello_read(longer, size + 16, &again) == HELLO_OK);
	require(again.newest == hello.newest && again.suites_count == hello.suites_count);
	free(longer);
	return 0;
}
