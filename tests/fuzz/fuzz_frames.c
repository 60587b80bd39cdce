/* fuzz_frames.c: whatever a taken-over extractor may say. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/courier/checkpoint.h"
#include "daemon/frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the frames of a message have come to so far; broken promises end the target. */
struct told {
	uint64_t bytes;
	uint32_t parts;
	bool in_part, message, done;
	struct checkpoint_texts texts;
	struct facts facts;
};

static void promise(bool kept)
{
	if (!kept)
		abort();
}

static int take_address(void *context, const char *address)
{
	struct told *told = context;
	promise(!told->message && strlen(address) <= FRAME_ADDRESS_MAX);
	checkpoint_address(address);
	return 0;
}

static bool is_plain(const char *text)
{
	for (; *text; text++) {
		if (*text <= ' ' || *text > '~' || (*text >= 'A' && *text <= 'Z'))
			return false;
	}
	return true;
}

static int take_results(void *context, const struct frame_results *results)
{
	struct told *told = context;
	size_t before = told->facts.results_count;
	promise(!told->message);
	checkpoint_results(results, &told->texts, &told->facts);
	promise(told->facts.results_count == before + 1 && before < FACTS_RESULTS_MAX);
	const struct facts_results *field = &told->facts.results[before];
	promise(is_plain(field->id) && is_plain(field->dmarc_from));
	promise((field->form == FACTS_RESULTS_RFC) == (field->id[0] != '\0'));
	promise(field->signers <= FACTS_SIGNERS_MAX);
	for (size_t i = 0; i < field->signers; i++)
		promise(field->signer[i][0] && is_plain(field->signer[i]));
	return 0;
}

static int take_message(void *context, const struct frame_message *message)
{
	struct told *told = context;
	promise(!told->message);
	told->message = true;
	checkpoint_message(message, &told->texts, &told->facts);
	promise((told->facts.from_state == FACTS_FROM_ONE) == (told->facts.from != NULL));
	return 0;
}

static int take_part(void *context, const struct frame_part *part, const char *name)
{
	struct told *told = context;
	struct facts_part facts = { 0 };
	char declared[FRAME_TYPE_MAX];
	promise(told->message && !told->in_part && !told->done && part->number == told->parts + 1);
	promise(strlen(name) == part->name_length);
	told->parts++;
	told->in_part = true;
	told->bytes = 0;
	checkpoint_part(part, declared, &facts);
	return 0;
}

static int take_bytes(void *context, const uint8_t *bytes, size_t size)
{
	struct told *told = context;
	promise(told->in_part && size > 0 && bytes[size - 1] == bytes[size - 1]);
	told->bytes += size;
	return 0;
}

static int take_end(void *context, const struct frame_end *end)
{
	struct told *told = context;
	char type[FRAME_TYPE_MAX];
	promise(told->in_part && end->size == told->bytes);
	told->in_part = false;
	checkpoint_type(end->mime, type);
	promise(strchr(type, '/') != NULL);
	return 0;
}

static int take_shown(void *context, uint32_t number)
{
	struct told *told = context;
	promise(!told->in_part && number >= 1 && number <= told->parts);
	return 0;
}

static int take_done(void *context, const struct frame_done *done)
{
	struct told *told = context;
	promise(!told->in_part && !told->done && done->parts == told->parts);
	told->done = true;
	return 0;
}

/* The first octet says how the rest is cut into reads. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct frames frames;
	static struct told told;
	memset(&told, 0, sizeof told);
	struct frames_sink sink = { &told,      take_address, take_results, take_message, take_part,
				    take_bytes, take_end,     take_shown,   take_done };
	if (size < 1)
		return 0;
	size_t step = data[0] ? data[0] : size;
	frames_init(&frames);
	for (size_t at = 1; at < size; at += step) {
		size_t length = size - at < step ? size - at : step;
		if (frames_feed(&frames, data + at, length, &sink) != 0)
			return 0;
	}
	promise((frames.state == FRAMES_COMPLETE) == told.done);
	return 0;
}
