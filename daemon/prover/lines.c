/* lines.c: makes every line end CRLF. Never looks at what a line says. */
#include "daemon/prover/lines.h"
#include <string.h>

static void note_last(struct lines *lines, const char *at, size_t size)
{
	if (size == 0)
		return;
	lines->after_cr = at[size - 1] == '\r';
	lines->within_line = at[size - 1] != '\n';
}

size_t lines_run(struct lines *lines, const char *in, size_t size, char *out)
{
	const char *end = in + size;
	size_t used = 0;
	while (in < end) {
		const char *lf = memchr(in, '\n', (size_t)(end - in));
		size_t before = (size_t)((lf ? lf : end) - in);
		memcpy(out + used, in, before);
		used += before;
		note_last(lines, in, before);
		in += before;
		if (!lf)
			break;
		if (!lines->after_cr)
			out[used++] = '\r';
		out[used++] = '\n';
		note_last(lines, in, 1);
		in++;
	}
	return used;
}

size_t lines_finish(struct lines *lines, char out[2])
{
	if (!lines->within_line)
		return 0;
	lines->within_line = false;
	memcpy(out, "\r\n", 2);
	return 2;
}
