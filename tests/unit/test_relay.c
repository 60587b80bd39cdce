/* test_relay.c: what sessions say about themselves, at the listener: who they are is written by us,
 * they say once how they ended, and anything else cuts them off. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/smtp/notice.h"
#include "daemon/smtp/relay.h"
#include "policy/verdict.h"

#define HEARD_MAX 300

static struct relay relay;
static struct config config;
static int queue[2], ends[2];
static struct dialogue heard[HEARD_MAX];
static char said[64];
static size_t heard_count, settled_count, counted_count;
static struct tally counted;

static void hear(void *context, const struct dialogue *dialogue, const char *text)
{
	assert_ptr_equal(context, &config);
	heard[heard_count++] = *dialogue;
	memcpy(said, text, dialogue->size);
}

static void hear_settled(void *context, const struct relay_link *link)
{
	assert_ptr_equal(context, &config);
	assert_int_equal(link->origin.peer[15], 7);
	settled_count++;
}

static void hear_count(void *context, const struct tally *tally)
{
	assert_ptr_equal(context, &config);
	counted = *tally;
	counted_count++;
}

static int set_up(void **state)
{
	struct ask_origin origin = {
		.kind = ASK_SOURCE_SMTP, .source = "lan", .peer_known = 1, .peer = { [15] = 7 }
	};
	(void)state;
	heard_count = settled_count = counted_count = 0;
	if (socket_pair(&queue[0], &queue[1]) || socket_pair(&ends[0], &ends[1]) ||
	    relay_init(&relay, &config, queue[0], 4))
		return 1;
	relay.ears = (struct relay_ears){ &config, hear, hear_count, hear_settled };
	return relay_add(&relay, ends[0], -1, &origin);
}

static int tear_down(void **state)
{
	(void)state;
	relay_done(&relay);
	close(queue[0]);
	close(queue[1]);
	close(ends[1]);
	return 0;
}

static void put(const void *message, size_t size)
{
	int listening;
	assert_int_equal(send(ends[1], message, size, 0), size);
	assert_false(relay_wait(&relay, 1000, &listening));
}

static void put_dialogue(struct dialogue *dialogue, const char *text)
{
	struct {
		struct dialogue dialogue;
		char text[64];
	} message = { .dialogue = *dialogue };
	message.dialogue.size = (uint32_t)strlen(text);
	memcpy(message.text, text, strlen(text));
	put(&message, sizeof *dialogue + strlen(text));
}

/* A session of somebody who would be somebody else. */
static void test_lies(void **state)
{
	struct dialogue lie = { .kind = DIALOGUE_LINES,
				.session = 99,
				.began_ms = 1,
				.since_ms = 1,
				.source = "wan",
				.peer = { [15] = 8 } };
	(void)state;
	put_dialogue(&lie, "words");
	assert_int_equal(heard_count, 1);
	assert_string_equal(heard[0].source, "lan");
	assert_int_equal(heard[0].peer_known, 1);
	assert_int_equal(heard[0].peer[15], 7);
	assert_int_equal(heard[0].session, 1);
	assert_int_equal(heard[0].since_ms, 0);
	assert_true(heard[0].began_ms > 1000);
	assert_memory_equal(said, "words", 5);
	assert_int_equal(relay.links_count, 1);
}

static void test_ends_once(void **state)
{
	struct dialogue end = { .kind = DIALOGUE_END, .outcome = DIALOGUE_FAILED };
	(void)state;
	put_dialogue(&end, "");
	assert_int_equal(relay.links_count, 1);
	put_dialogue(&end, "");
	assert_int_equal(heard_count, 1);
	assert_int_equal(relay.links_count, 0);
}

/* What only a watcher or we may say; what is none; lines after the end. */
static void test_cut_off(void **state)
{
	static const struct dialogue none[] = {
		{ .kind = DIALOGUE_WATCH },
		{ .kind = DIALOGUE_WELCOME },
		{ .kind = DIALOGUE_LINES, .outcome = 9 },
		{ .kind = DIALOGUE_WELCOME + 1 },
	};
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
		struct dialogue dialogue = none[i];
		if (i > 0)
			assert_int_equal(set_up(state), 0);
		put_dialogue(&dialogue, "");
		assert_int_equal(heard_count, 0);
		assert_int_equal(relay.links_count, 0);
		if (i + 1 < sizeof none / sizeof none[0])
			tear_down(state);
	}
}

/* It answers for its own listener alone, and never says that something was delivered. */
static void test_counts(void **state)
{
	struct tally tally = { .kind = TALLY_MESSAGE,
			       .reason = REASON_ROUTE,
			       .bytes = 5,
			       .source = "wan",
			       .route = "safe" };
	(void)state;
	put(&tally, sizeof tally);
	assert_int_equal(counted_count, 1);
	assert_string_equal(counted.source, "lan");
	assert_string_equal(counted.route, "-");
	assert_int_equal(counted.reason, REASON_ROUTE);
	assert_int_equal(counted.bytes, 5);
	assert_int_equal(relay.links_count, 1);
	tally.reason = REASON_NONE;
	put(&tally, sizeof tally);
	assert_int_equal(counted_count, 1);
	assert_int_equal(relay.links_count, 0);
}

/* Nor how a share looks. */
static void test_counts_no_shares(void **state)
{
	struct tally_share share = { .kind = TALLY_SHARE, .look = TALLY_UP };
	(void)state;
	put(&share, sizeof share);
	assert_int_equal(counted_count, 0);
	assert_int_equal(relay.links_count, 0);
}

/* The couriers take nothing: what is said is heard all the same. */
static void test_full_queue(void **state)
{
	struct dialogue lines = { .kind = DIALOGUE_LINES };
	(void)state;
	while (send(queue[0], &lines, sizeof lines, MSG_DONTWAIT) > 0)
		;
	put_dialogue(&lines, "");
	assert_int_equal(heard_count, 1);
	assert_false(relay.waiting);
}

/* A question is none of ours, and a mark that comes back says that the device knows. */
static void test_settled(void **state)
{
	struct ask_head head = { .kind = ASK_SETTLE };
	char message[ASK_MAX];
	int fds[2] = { 0, 1 }, listening;
	(void)state;
	ssize_t size = ask_write(&head, "", NULL, message);
	assert_int_equal(pass_fds(ends[1], message, (size_t)size, fds, 2), 0);
	assert_false(relay_wait(&relay, 1000, &listening));
	assert_int_equal(settled_count, 1);
	assert_int_equal(heard_count, 0);
	assert_true(recv(queue[1], message, sizeof message, MSG_DONTWAIT) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lies, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ends_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_counts_no_shares, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cut_off, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_full_queue, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_settled, set_up, tear_down),
	};
	notice_prepare();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
