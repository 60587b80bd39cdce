/* charsets.h: for tests of what decodes: everything is prepared before the first and freed after
 * the last. Header only. */
#pragma once
#include "extract/charset.h"
#include "extract/decode.h"

static int charsets_prepare(void **state)
{
	(void)state;
	decode_prepare();
	return charset_prepare();
}

static int charsets_finish(void **state)
{
	(void)state;
	charset_done();
	return 0;
}
