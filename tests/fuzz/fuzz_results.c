/* fuzz_results.c: any octets as an Authentication-Results field. What is said of it must be
 * well-formed, fit for checkpoint.c, and the same where the field is unfolded or has more comments
 * and empty elements around it. */
#include <assert.h>
#include <stdint.h>
#include <string.h>
#include "extract/header.h"
#include "extract/results.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends, is zero from there on, and has nothing but what `more` allows beside domains. */
static void check_text(const char *text, const char *more)
{
	size_t size = strnlen(text, FRAME_DOMAIN_MAX + 1);
	assert(size <= FRAME_DOMAIN_MAX);
	for (size_t i = 0; i < size; i++)
		assert((text[i] >= 'a' && text[i] <= 'z') || span_is_digit(text[i]) ||
		       strchr("-_.", text[i]) || strchr(more, text[i]));
	for (size_t i = size; i <= FRAME_DOMAIN_MAX; i++)
		assert(text[i] == '\0');
}

static void check_results(const struct frame_results *results)
{
	static const struct frame_results nothing;
	assert(results->form <= FRAME_RESULTS_MICROSOFT && results->signers <= FRAME_SIGNERS_MAX);
	assert(results->form != FRAME_RESULTS_BAD ||
	       memcmp(results, &nothing, sizeof nothing) == 0);
	assert((results->form == FRAME_RESULTS_RFC) == (results->id[0] != '\0'));
	assert(results->dmarc_pass <= 1 && (!results->dmarc_pass || results->dmarc == 1));
	assert(results->dmarc == 1 || results->dmarc_from[0] == '\0');
	check_text(results->id, "!#$%&'*+^`{|}~");
	check_text(results->dmarc_from, "");
	for (uint32_t i = 0; i < FRAME_SIGNERS_MAX; i++) {
		assert((i < results->signers) == (results->signer[i][0] != '\0'));
		check_text(results->signer[i], "");
	}
}

static bool is_said_by(struct span value, const struct frame_results *results)
{
	static struct frame_results other;
	memset(&other, 0xff, sizeof other);
	results_read(value, &other);
	return memcmp(&other, results, sizeof other) == 0;
}

static bool is_folded_well(struct span value)
{
	for (size_t i = 0; i + 1 < value.size; i++)
		if (value.at[i] == '\n' && value.at[i + 1] != ' ' && value.at[i + 1] != '\t')
			return false;
	return !header_has_bare_cr(value);
}

static void check_unfolded(struct span value, const struct frame_results *results)
{
	static char bytes[1 << 16];
	struct text text = text_in(bytes, sizeof bytes);
	header_unfold(value, &text);
	assert(!is_folded_well(value) || is_said_by(text_span(&text), results));
}

/* A field that is good is as good with this around it, and one that is bad is no better. */
static void check_more(struct span value, const struct frame_results *results)
{
	static const char *const more[][2] = {
		{ "(c)", "" },        { "", "(;(dmarc=pass header.from=a))" },
		{ "", ";" },          { " \t", " ; (c) ;" },
		{ "\r\n ", "\r\n " },
	};
	static char bytes[1 << 16];
	for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
		struct text text = text_in(bytes, sizeof bytes);
		text_put(&text, span_of(more[i][0], strlen(more[i][0])));
		text_put(&text, value);
		text_put(&text, span_of(more[i][1], strlen(more[i][1])));
		assert(results->form == FRAME_RESULTS_BAD || is_said_by(text_span(&text), results));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct frame_results results;
	struct span value = span_of((const char *)data, size);
	if (size > 1 << 15)
		return 0;
	memset(&results, 0xff, sizeof results);
	results_read(value, &results);
	check_results(&results);
	check_unfolded(value, &results);
	/* at the end a CR is a line end, within it is none */
	if (size == 0 || value.at[size - 1] != '\r')
		check_more(value, &results);
	return 0;
}
