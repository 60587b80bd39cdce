/* fuzz_address.c: any bytes as a From and as a To field. What is one address of From must be read
 * as the same one again. */
#include <assert.h>
#include <stdint.h>
#include <string.h>
#include "extract/address.h"
#include "extract/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(struct span address)
{
	char bytes[FRAME_ADDRESS_MAX];
	struct text again = text_in(bytes, sizeof bytes);
	assert(address.size > 0 && span_has(address, '@') && span_is_utf8(address) &&
	       !span_has(address, '\0'));
	assert(address_read_from(address, &again) == FRAME_FROM_ONE);
	assert(span_equal(text_span(&again), address));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span value = span_of((const char *)data, size);
	char bytes[FRAME_ADDRESS_MAX];
	struct text address = text_in(bytes, sizeof bytes);
	int64_t seconds;
	bool local;
	if (address_read_from(value, &address) == FRAME_FROM_ONE)
		check_again(text_span(&address));
	for (struct span rest = value; address_next(&rest, &address);)
		check_again(text_span(&address));
	/* the other field of the top header that has a grammar */
	date_read(value, &seconds, &local);
	return 0;
}
