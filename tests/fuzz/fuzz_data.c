/* fuzz_data.c: any bytes as the data of a mail, in any pieces. The first byte chooses mode and
 * pieces. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/smtp/data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX 65536

static void require(bool holds)
{
	if (!holds)
		abort();
}

struct outcome {
	bool end;
	size_t used, put;
	struct data data;
};

static struct outcome run(const char *in, size_t size, bool lenient, size_t piece, char *out)
{
	struct outcome o = { .end = false };
	data_init(&o.data, lenient);
	while (o.used < size && !o.end) {
		size_t left = size - o.used, used, put;
		size_t give = piece < left ? piece : left;
		/* blocks of exactly the promised sizes, so that the sanitizer sees a step beyond */
		char *room = malloc(DATA_ROOM(give));
		char *bytes = malloc(give);
		memcpy(bytes, in + o.used, give);
		o.end = data_feed(&o.data, bytes, give, &used, room, &put);
		require(put <= DATA_ROOM(give) && used <= give && (o.end || used == give));
		memcpy(out + o.put, room, put);
		free(room);
		free(bytes);
		o.used += used;
		o.put += put;
	}
	return o;
}

/* The end is the first CR LF . CR LF, counting the start as a line. */
static size_t find_end(const char *in, size_t size)
{
	if (size >= 3 && memcmp(in, ".\r\n", 3) == 0)
		return 3;
	const char *end = size ? memmem(in, size, "\r\n.\r\n", 5) : NULL;
	return end ? (size_t)(end - in) + 5 : 0;
}

static void check_lenient(const char *out, size_t put)
{
	for (size_t i = 0; i < put; i++)
		require(out[i] != '\n' || (i > 0 && out[i - 1] == '\r'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char whole[DATA_ROOM(INPUT_MAX)], pieces[DATA_ROOM(INPUT_MAX)];
	if (size < 1 || size > INPUT_MAX)
		return 0;
	bool lenient = data[0] & 1;
	size_t piece = 1 + (data[0] >> 1);
	const char *in = (const char *)data + 1;
	size--;
	struct outcome a = run(in, size, lenient, size ? size : 1, whole);
	struct outcome b = run(in, size, lenient, piece, pieces);
	require(a.end == b.end && a.used == b.used && a.put == b.put &&
		memcmp(whole, pieces, a.put) == 0);
	require(a.data.bare_lf == b.data.bare_lf && a.data.bare_cr == b.data.bare_cr);
	require(a.end == (find_end(in, size) > 0) && a.used == (a.end ? find_end(in, size) : size));
	if (lenient)
		check_lenient(whole, a.put);
	else
		require(a.put <= a.used);
	return 0;
}
