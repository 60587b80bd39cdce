/* test_frame.c: frames are packed in order, whole, and in large pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <unistd.h>
#include "extract/frame_writer.h"

static struct frame_writer writer;

/* What was written: its frames are counted and summed up as they come. */
struct seen {
	char bytes[1 << 21];
	size_t size, writes;
};
static struct seen seen;

static int take(void *context, const char *bytes, size_t size)
{
	assert_ptr_equal(context, &seen);
	assert_true(size <= sizeof seen.bytes - seen.size);
	memcpy(seen.bytes + seen.size, bytes, size);
	seen.size += size;
	seen.writes++;
	return 0;
}

static void start(void)
{
	seen.size = seen.writes = 0;
	frame_writer_init(&writer, take, &seen);
}

static void put_bytes(size_t size)
{
	while (size > 0) {
		size_t room;
		char *at = frame_bytes_room(&writer, 100, &room);
		assert_true(room >= 100 && room <= FRAME_BYTES_MAX);
		size_t used = size < room ? size : room;
		memset(at, 'x', used);
		frame_bytes_add(&writer, used);
		size -= used;
	}
}

/* The number of frames and the octets of BYTES in them. */
static size_t count_frames(size_t *bytes_out)
{
	size_t count = 0;
	*bytes_out = 0;
	for (size_t at = 0; at < seen.size; count++) {
		struct frame_head head;
		memcpy(&head, seen.bytes + at, sizeof head);
		assert_true(head.type > 0 && head.type < FRAME_TYPE_COUNT && head.length > 0);
		if (head.type == FRAME_BYTES)
			*bytes_out += head.length;
		assert_true(head.length <= FRAME_BYTES_MAX);
		at += sizeof head + head.length;
		assert_true(at <= seen.size);
	}
	return count;
}

static void small_message_in_one_write(void **state)
{
	struct frame_done done = { 1, 0 };
	size_t bytes;
	(void)state;
	start();
	frame_put(&writer, FRAME_DONE, &done, 4, SPAN("more"));
	put_bytes(500);
	put_bytes(500);
	frame_put(&writer, FRAME_DONE, &done, sizeof done, span_of(NULL, 0));
	assert_int_equal(seen.writes, 0);
	frame_flush(&writer);
	assert_int_equal(seen.writes, 1);
	assert_int_equal(count_frames(&bytes), 3);
	assert_int_equal(bytes, 1000);
	assert_memory_equal(seen.bytes + 12, "more", 4);
}

static void large_content(void **state)
{
	size_t bytes;
	(void)state;
	start();
	put_bytes(3 * FRAME_BYTES_MAX + 5);
	frame_flush(&writer);
	assert_int_equal(count_frames(&bytes), 4);
	assert_int_equal(bytes, 3 * FRAME_BYTES_MAX + 5);
	assert_true(seen.writes <= 5);
}

static void many_frames(void **state)
{
	struct frame_shown shown = { 1 };
	size_t bytes;
	(void)state;
	start();
	for (int i = 0; i < 100000; i++)
		frame_put(&writer, FRAME_SHOWN, &shown, sizeof shown, span_of(NULL, 0));
	put_bytes(10);
	frame_flush(&writer);
	assert_int_equal(count_frames(&bytes), 100001);
	assert_true(seen.writes < 10);
}

static void asked_for_room_and_left_it(void **state)
{
	size_t room, bytes;
	struct frame_done done = { 0, 0 };
	(void)state;
	start();
	frame_bytes_room(&writer, 100, &room);
	frame_put(&writer, FRAME_DONE, &done, sizeof done, span_of(NULL, 0));
	frame_flush(&writer);
	frame_flush(&writer);
	assert_int_equal(count_frames(&bytes), 1);
	assert_int_equal(seen.writes, 1);
}

static int broken(void *context, const char *bytes, size_t size)
{
	(void)bytes;
	(void)size;
	++*(int *)context;
	return -EPIPE;
}

static void first_error_stays(void **state)
{
	int calls = 0;
	(void)state;
	frame_writer_init(&writer, broken, &calls);
	put_bytes(2 * FRAME_BYTES_MAX);
	frame_flush(&writer);
	assert_int_equal(writer.error, -EPIPE);
	assert_int_equal(calls, 1);
}

static void to_a_descriptor(void **state)
{
	int ends[2];
	char got[5];
	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(frame_write_fd(&ends[1], "hello", 5), 0);
	assert_int_equal(read(ends[0], got, sizeof got), 5);
	assert_memory_equal(got, "hello", 5);
	close(ends[0]);
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(frame_write_fd(&ends[1], "hello", 5), -EPIPE);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_message_in_one_write),
		cmocka_unit_test(large_content),
		cmocka_unit_test(many_frames),
		cmocka_unit_test(asked_for_room_and_left_it),
		cmocka_unit_test(first_error_stays),
		cmocka_unit_test(to_a_descriptor),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
