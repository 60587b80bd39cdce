/* fuzz_param.c: any bytes as a structured field. Parameters must lie in the field, in order; a
 * value for people must be UTF-8; and a value that is not said to differ must be the same in both
 * readings. */
#include <assert.h>
#include <stdint.h>
#include <string.h>
#include "extract/charset.h"
#include "extract/decode.h"
#include "extract/param.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_cursor(struct span params)
{
	struct param_cursor cursor = { .rest = params };
	struct param param;
	const char *last = params.at;
	while (param_next(&cursor, &param)) {
		assert(param.name.size > 0 && param.name.at >= last);
		assert(param.value.at + param.value.size <= cursor.rest.at);
		assert(cursor.rest.at + cursor.rest.size == params.at + params.size);
		last = cursor.rest.at;
	}
	param_too_many(params);
}

static void check_text(struct span params, enum param_backslash backslash)
{
	static char first[2 * FRAME_NAME_MAX], last[2 * FRAME_NAME_MAX];
	struct text one = text_in(first, sizeof first), other = text_in(last, sizeof last);
	enum param_result result =
		param_text(params, SPAN("name"), FRAME_READ_FIRST, backslash, &one);
	assert(param_text(params, SPAN("name"), FRAME_READ_LAST, backslash, &other) == result);
	assert(result == PARAM_DIFFERS || span_equal(text_span(&one), text_span(&other)));
	text_finish(&one, FRAME_NAME_MAX);
	assert(one.size <= FRAME_NAME_MAX && span_is_utf8(text_span(&one)) &&
	       !span_has(text_span(&one), '\0'));
}

static void check_token(struct span params)
{
	static char first[100], last[100];
	struct text one = text_in(first, sizeof first), other = text_in(last, sizeof last);
	enum param_result result = param_token(params, SPAN("boundary"), FRAME_READ_FIRST, &one);
	assert(param_token(params, SPAN("boundary"), FRAME_READ_LAST, &other) == result);
	assert(result == PARAM_DIFFERS || span_equal(text_span(&one), text_span(&other)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool prepared;
	char bytes[FRAME_TYPE_MAX];
	struct text word = text_in(bytes, sizeof bytes);
	struct span field = span_of((const char *)data, size), params;
	if (!prepared)
		assert(charset_prepare() == 0);
	prepared = true;
	decode_prepare();
	param_split(field, &word, &params);
	assert(params.at >= field.at && params.at + params.size == field.at + field.size);
	check_cursor(params);
	check_text(params, PARAM_BACKSLASH_PAIR);
	check_text(params, PARAM_BACKSLASH_PATH);
	check_token(params);
	return 0;
}
