/* test_frames.c: the order of frames, and everything an extractor could say that is not so. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "daemon/frames.h"

/* Frames being put together, and what came out of them as one word each. */
struct stream {
	uint8_t bytes[64 * 1024];
	size_t size;
};

struct told {
	char words[4096];
	int stop_at; /* the sink stops at this call; 0: never */
	int calls;
};

static int tell(void *context, const char *word)
{
	struct told *told = context;
	strcat(told->words, word);
	return ++told->calls == told->stop_at ? 7 : 0;
}

static int tell_address(void *context, const char *address)
{
	char word[400];
	snprintf(word, sizeof word, "a(%s) ", address);
	return tell(context, word);
}

static int tell_results(void *context, const struct frame_results *results)
{
	char word[300];
	snprintf(word, sizeof word, "r(%.255s) ", results->id);
	return tell(context, word);
}

static int tell_message(void *context, const struct frame_message *message)
{
	(void)message;
	return tell(context, "m ");
}

static int tell_part(void *context, const struct frame_part *part, const char *name)
{
	char word[200];
	snprintf(word, sizeof word, "p%u(%.100s) ", part->number, name);
	return tell(context, word);
}

static int tell_bytes(void *context, const uint8_t *bytes, size_t size)
{
	(void)bytes;
	struct told *told = context;
	/* how content is cut is nobody's business */
	return size > 0 && strlen(told->words) > 0 ? 0 : 1;
}

static int tell_end(void *context, const struct frame_end *end)
{
	char word[40];
	snprintf(word, sizeof word, "e%llu ", (unsigned long long)end->size);
	return tell(context, word);
}

static int tell_shown(void *context, uint32_t number)
{
	char word[20];
	snprintf(word, sizeof word, "s%u ", number);
	return tell(context, word);
}

static int tell_done(void *context, const struct frame_done *done)
{
	(void)done;
	return tell(context, "d ");
}

static void put(struct stream *stream, uint32_t type, const void *payload, uint32_t length)
{
	struct frame_head head = { type, length };
	memcpy(stream->bytes + stream->size, &head, sizeof head);
	memcpy(stream->bytes + stream->size + sizeof head, payload, length);
	stream->size += sizeof head + length;
}

static void put_message(struct stream *stream)
{
	struct frame_message message = { .from_state = FRAME_FROM_ONE,
					 .from = "a@b",
					 .subject = "s" };
	put(stream, FRAME_MESSAGE, &message, sizeof message);
}

static struct frame_results some_results(void)
{
	return (struct frame_results){ .form = FRAME_RESULTS_RFC, .id = "mx" };
}

static void put_results(struct stream *stream, const struct frame_results *results)
{
	put(stream, FRAME_RESULTS, results, sizeof *results);
}

static void put_part(struct stream *stream, uint32_t number, const char *name)
{
	uint8_t payload[sizeof(struct frame_part) + 100];
	struct frame_part part = { .number = number,
				   .flags = FRAME_PART_HAS_NAME,
				   .name_length = (uint32_t)strlen(name),
				   .declared = "application/pdf" };
	memcpy(payload, &part, sizeof part);
	memcpy(payload + sizeof part, name, strlen(name));
	put(stream, FRAME_PART, payload, (uint32_t)(sizeof part + strlen(name)));
}

static void put_end(struct stream *stream, uint64_t size)
{
	struct frame_end end = { .size = size, .mime = "application/pdf" };
	put(stream, FRAME_END, &end, sizeof end);
}

static void put_number(struct stream *stream, uint32_t type, uint32_t number)
{
	put(stream, type, &number, sizeof number);
}

static void put_done(struct stream *stream, uint32_t parts)
{
	struct frame_done done = { .parts = parts };
	put(stream, FRAME_DONE, &done, sizeof done);
}

static int feed(const struct stream *stream, size_t step, struct told *told,
		enum frames_state *state_out)
{
	struct frames_sink sink = { told,       tell_address, tell_results, tell_message, tell_part,
				    tell_bytes, tell_end,     tell_shown,   tell_done };
	static struct frames frames;
	frames_init(&frames);
	int stop = 0;
	for (size_t at = 0; !stop && at < stream->size; at += step) {
		size_t size = stream->size - at < step ? stream->size - at : step;
		stop = frames_feed(&frames, stream->bytes + at, size, &sink);
	}
	*state_out = frames.state;
	return stop;
}

static void put_whole(struct stream *stream)
{
	struct frame_results results = some_results();
	put_results(stream, &results);
	put(stream, FRAME_ADDRESS, "x@y", 3);
	put_message(stream);
	put_part(stream, 1, "one.pdf");
	put(stream, FRAME_BYTES, "abc", 3);
	put(stream, FRAME_BYTES, "de", 2);
	put_end(stream, 5);
	put_part(stream, 2, "");
	put_end(stream, 0);
	put_number(stream, FRAME_SHOWN, 2);
	put_done(stream, 2);
}

/* However the bytes are cut, the same is told. */
static void test_whole(void **state)
{
	static struct stream stream;
	(void)state;
	put_whole(&stream);
	for (size_t step = 1; step <= stream.size; step = step * 3 / 2 + 1) {
		struct told told = { "", 0, 0 };
		enum frames_state end;
		assert_int_equal(feed(&stream, step, &told, &end), 0);
		assert_string_equal(told.words, "r(mx) a(x@y) m p1(one.pdf) e5 p2() e0 s2 d ");
		assert_int_equal(end, FRAMES_COMPLETE);
	}
}

static void test_stop(void **state)
{
	static struct stream stream;
	(void)state;
	put_whole(&stream);
	for (int at = 1; at <= 9; at++) {
		struct told told = { "", at, 0 };
		enum frames_state end;
		assert_int_equal(feed(&stream, 100, &told, &end), 7);
	}
}

static void make_cap(struct stream *s)
{
	put_message(s);
	put_part(s, 1, "x");
	put_number(s, FRAME_CAP, FRAME_CAP_PARTS);
}

static void test_cap(void **state)
{
	static struct stream stream;
	struct told told = { "", 0, 0 };
	enum frames_state end;
	(void)state;
	make_cap(&stream);
	assert_int_equal(feed(&stream, 7, &told, &end), 0);
	assert_int_equal(end, FRAMES_CAPPED);
	put_end(&stream, 0);
	assert_int_equal(feed(&stream, 7, &told, &end), -EPROTO);
}

static void bad_part_first(struct stream *s)
{
	put_part(s, 1, "x");
}
static void bad_number(struct stream *s)
{
	put_message(s);
	put_part(s, 2, "x");
}
static void bad_bytes_outside(struct stream *s)
{
	put_message(s);
	put(s, FRAME_BYTES, "x", 1);
}
static void bad_size(struct stream *s)
{
	put_message(s);
	put_part(s, 1, "x");
	put(s, FRAME_BYTES, "abc", 3);
	put_end(s, 4);
}
static void bad_two_messages(struct stream *s)
{
	put_message(s);
	put_message(s);
}
static void bad_done_early(struct stream *s)
{
	put_message(s);
	put_part(s, 1, "x");
	put_done(s, 1);
}
static void bad_done_count(struct stream *s)
{
	put_message(s);
	put_done(s, 1);
}
static void bad_after_done(struct stream *s)
{
	put_message(s);
	put_done(s, 0);
	put_done(s, 0);
}
static void bad_shown(struct stream *s)
{
	put_message(s);
	put_number(s, FRAME_SHOWN, 1);
}
static void bad_part_after_shown(struct stream *s)
{
	put_message(s);
	put_part(s, 1, "");
	put_end(s, 0);
	put_number(s, FRAME_SHOWN, 1);
	put_part(s, 2, "");
}
static void bad_type(struct stream *s)
{
	put(s, 99, "", 0);
}
static void bad_type_zero(struct stream *s)
{
	put(s, 0, "", 0);
}
static void bad_length(struct stream *s)
{
	put(s, FRAME_MESSAGE, "short", 5);
}
static void bad_name_length(struct stream *s)
{
	struct frame_part part = { .number = 1, .name_length = 5 };
	put_message(s);
	put(s, FRAME_PART, &part, sizeof part);
}
static void bad_name_nul(struct stream *s)
{
	uint8_t payload[sizeof(struct frame_part) + 3];
	struct frame_part part = { .number = 1, .name_length = 3 };
	memcpy(payload, &part, sizeof part);
	memcpy(payload + sizeof part, "a\0b", 3);
	put_message(s);
	put(s, FRAME_PART, payload, sizeof payload);
}
static void bad_name_utf8(struct stream *s)
{
	put_message(s);
	put_part(s, 1, "\xC3(");
}
static void bad_name_overlong(struct stream *s)
{
	put_message(s);
	put_part(s, 1, "\xE0\x80\xAF");
}
static void bad_name_surrogate(struct stream *s)
{
	put_message(s);
	put_part(s, 1, "\xED\xA0\x80");
}
static void bad_text(struct stream *s)
{
	struct frame_message message;
	memset(&message, 'x', sizeof message);
	message.from_state = FRAME_FROM_ONE;
	put(s, FRAME_MESSAGE, &message, sizeof message);
}
static void bad_from_state(struct stream *s)
{
	struct frame_message message = { .from_state = 9 };
	put(s, FRAME_MESSAGE, &message, sizeof message);
}
static void bad_disposition(struct stream *s)
{
	struct frame_part part = { .number = 1, .disposition = 3 };
	put_message(s);
	put(s, FRAME_PART, &part, sizeof part);
}
static void bad_cap(struct stream *s)
{
	put_number(s, FRAME_CAP, 77);
}
static void bad_addresses(struct stream *s)
{
	for (int i = 0; i <= FRAME_ADDRESSES_MAX; i++)
		put(s, FRAME_ADDRESS, "a@b", 3);
}
static void bad_results_form(struct stream *s)
{
	struct frame_results results = some_results();
	results.form = 3;
	put_results(s, &results);
}
static void bad_results_signers(struct stream *s)
{
	struct frame_results results = some_results();
	results.signers = FRAME_SIGNERS_MAX + 1;
	put_results(s, &results);
}
static void bad_results_pass(struct stream *s)
{
	struct frame_results results = some_results();
	results.dmarc_pass = 1;
	put_results(s, &results);
}
static void bad_results_two_passes(struct stream *s)
{
	struct frame_results results = some_results();
	results.dmarc = results.dmarc_pass = 2;
	put_results(s, &results);
}
static void bad_results_text(struct stream *s)
{
	struct frame_results results = some_results();
	memset(results.signer[FRAME_SIGNERS_MAX - 1], 'x', FRAME_DOMAIN_MAX + 1);
	put_results(s, &results);
}
static void bad_results_id(struct stream *s)
{
	struct frame_results results = some_results();
	memset(results.id, 'x', sizeof results.id);
	put_results(s, &results);
}
static void bad_results_from(struct stream *s)
{
	struct frame_results results = some_results();
	memcpy(results.dmarc_from, "\xC3(", 2);
	put_results(s, &results);
}
static void bad_results_short(struct stream *s)
{
	struct frame_results results = some_results();
	put(s, FRAME_RESULTS, &results, sizeof results - 1);
}
static void bad_results_late(struct stream *s)
{
	struct frame_results results = some_results();
	put_message(s);
	put_results(s, &results);
}
static void bad_results_many(struct stream *s)
{
	struct frame_results results = some_results();
	for (int i = 0; i <= FRAME_RESULTS_MAX; i++)
		put_results(s, &results);
}

static const struct {
	const char *name;
	void (*make)(struct stream *stream);
} bad[] = {
	{ "a part before the message", bad_part_first },
	{ "a part number that skips", bad_number },
	{ "bytes outside a part", bad_bytes_outside },
	{ "an end with another size", bad_size },
	{ "two messages", bad_two_messages },
	{ "done inside a part", bad_done_early },
	{ "done with another count", bad_done_count },
	{ "anything behind done", bad_after_done },
	{ "a part shown that is not there", bad_shown },
	{ "a part behind what is shown", bad_part_after_shown },
	{ "an unknown type", bad_type },
	{ "type 0", bad_type_zero },
	{ "a message that is too short", bad_length },
	{ "a name that is longer than its frame", bad_name_length },
	{ "a NUL in a name", bad_name_nul },
	{ "a name that is no UTF-8", bad_name_utf8 },
	{ "a name with an overlong slash", bad_name_overlong },
	{ "a name with a surrogate", bad_name_surrogate },
	{ "texts that do not end", bad_text },
	{ "a state of From that is none", bad_from_state },
	{ "a disposition that is none", bad_disposition },
	{ "a cap that is none", bad_cap },
	{ "too many addresses", bad_addresses },
	{ "results of a form that is none", bad_results_form },
	{ "more signers than fit", bad_results_signers },
	{ "a pass without a result", bad_results_pass },
	{ "two passes", bad_results_two_passes },
	{ "a signer that does not end", bad_results_text },
	{ "an id that does not end", bad_results_id },
	{ "a domain that is no UTF-8", bad_results_from },
	{ "results that are too short", bad_results_short },
	{ "results behind the message", bad_results_late },
	{ "too many results", bad_results_many },
};

static void test_bad(void **state)
{
	static struct stream stream;
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct told told = { "", 0, 0 };
		enum frames_state end;
		stream.size = 0;
		print_message("%s\n", bad[i].name);
		bad[i].make(&stream);
		assert_int_equal(feed(&stream, 1000, &told, &end), -EPROTO);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_cap),
		cmocka_unit_test(test_bad),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
