/* fuzz_decode.c: any bytes in any encoding. First octet: the encoding, and whether the end was
 * seen; second: the size of a piece. The fast way and the portable one must agree, and it must not
 * matter how the bytes come in. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "extract/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t decode(struct span in, enum decode_kind kind, bool whole, size_t step, char *out,
		     bool *damaged_out)
{
	static struct decoder decoder;
	size_t made = 0;
	decode_init(&decoder, kind);
	while (in.size > 0) {
		struct span piece = span_first(in, step);
		in = span_after(in, piece.size);
		while (piece.size > 0)
			made += decode_run(&decoder, &piece, out + made, DECODE_ROOM_MIN);
	}
	made += decode_finish(&decoder, whole, out + made);
	*damaged_out = decoder.damaged;
	return made;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > 1 << 16)
		return 0;
	enum decode_kind kind = data[0] & 3;
	bool whole = data[0] & 4, damaged, damaged_other;
	struct span in = span_of((const char *)data + 2, size - 2);
	/* a line of uuencode may have lost its blanks, so that it stands for more than it has */
	size_t most = kind == DECODE_UU ? (in.size + 1) * DECODE_UU_LINE_MAX : in.size + 2;
	char *out = malloc(most + 2 * DECODE_ROOM_MIN), *other = malloc(most + 2 * DECODE_ROOM_MIN);
	decode_prepare();
	size_t made = decode(in, kind, whole, size, out, &damaged);
	assert(made <= most);
	decode_prepare_portable();
	assert(decode(in, kind, whole, 1 + data[1], other, &damaged_other) == made);
	assert(memcmp(out, other, made) == 0 && damaged == damaged_other);
	free(out);
	free(other);
	return 0;
}
