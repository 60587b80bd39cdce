/* test_dialogue.c: lines go in and come out; what is none is refused. And the places where failed
 * sessions are kept: one a peer, strangers apart. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/failures.h"

static void test_lines(void **state)
{
	char text[200], longer[DIALOGUE_LINE_MAX + 50];
	struct dialogue_line line = {
		.at_ms = 7, .voice = DIALOGUE_DEVICE, .size = 4, .text = "EHLO"
	};
	size_t used = 0;
	(void)state;
	memset(longer, 'x', sizeof longer);
	assert_true(dialogue_put(text, sizeof text, &used, &line));
	line.voice = DIALOGUE_ANSWER;
	line.size = 0;
	assert_true(dialogue_put(text, sizeof text, &used, &line));
	line.size = 400;
	line.text = longer;
	assert_false(dialogue_put(text, sizeof text, &used, &line));
	size_t first = dialogue_next(text, used, &line);
	assert_true(first > 4 && line.at_ms == 7 && line.size == 4 && !line.cut);
	assert_memory_equal(line.text, "EHLO", 4);
	assert_int_equal(dialogue_next(text, first - 1, &line), 0);
	assert_true(dialogue_next(text + first, used - first, &line) > 0);
	assert_int_equal(line.voice, DIALOGUE_ANSWER);
	assert_int_equal(dialogue_next(text + used, 0, &line), 0);
	text[4] = 9; /* a voice that nobody has */
	assert_int_equal(dialogue_next(text, used, &line), 0);
}

static void test_cut(void **state)
{
	static char text[1000], longer[DIALOGUE_LINE_MAX + 50];
	struct dialogue_line line = { .voice = DIALOGUE_NOTE,
				      .size = sizeof longer,
				      .text = longer };
	size_t used = 0;
	(void)state;
	assert_true(dialogue_put(text, sizeof text, &used, &line));
	assert_int_equal(dialogue_next(text, used, &line), used);
	assert_true(line.cut);
	assert_int_equal(line.size, DIALOGUE_LINE_MAX);
}

static void test_valid(void **state)
{
	static union {
		struct dialogue dialogue;
		char room[DIALOGUE_MAX + 1];
	} m;
	const size_t head = sizeof m.dialogue;
	(void)state;
	m.dialogue = (struct dialogue){ .kind = DIALOGUE_END, .size = 5 };
	assert_true(dialogue_valid(&m, head + 5));
	assert_false(dialogue_valid(&m, head + 4));
	assert_false(dialogue_valid(&m, head - 1));
	m.dialogue.size = DIALOGUE_MAX + 1 - head;
	assert_false(dialogue_valid(&m, DIALOGUE_MAX + 1));
	m.dialogue.size = 0;
	m.dialogue.outcome = 9;
	assert_false(dialogue_valid(&m, head));
	m.dialogue.outcome = 0;
	memset(m.dialogue.diagnosis, 'x', sizeof m.dialogue.diagnosis);
	assert_false(dialogue_valid(&m, head));
	m.dialogue.diagnosis[9] = '\0';
	assert_true(dialogue_valid(&m, head));
	memset(m.dialogue.source, 'x', sizeof m.dialogue.source);
	assert_false(dialogue_valid(&m, head));
	m.dialogue.source[0] = '\0';
	m.dialogue.kind = 1; /* a question */
	assert_false(dialogue_valid(&m, head));
}

/* --- what is kept ----------------------------------------------------------------------------- */

static struct dialogue failed_by(int peer, int64_t began_ms, enum dialogue_outcome outcome)
{
	struct dialogue dialogue = { .kind = DIALOGUE_END,
				     .outcome = outcome,
				     .began_ms = began_ms,
				     .peer_known = 1,
				     .size = 4 };
	dialogue.peer[14] = (uint8_t)(peer >> 8);
	dialogue.peer[15] = (uint8_t)peer;
	snprintf(dialogue.diagnosis, sizeof dialogue.diagnosis, "%lld", (long long)began_ms);
	return dialogue;
}

static void keep(struct failures *failures, int peer, int64_t began_ms,
		 enum dialogue_outcome outcome, bool stranger)
{
	struct dialogue dialogue = failed_by(peer, began_ms, outcome);
	failures_put(failures, &dialogue, "text", stranger);
}

/* What is kept of a peer: when it began; 0: nothing, or -1 with a delivery since. */
static int64_t kept_of(int fd, int peer)
{
	static char text[DIALOGUE_TEXT_MAX];
	struct dialogue dialogue;
	int64_t found = 0;
	for (size_t i = 0; i < FAILURES_MAX; i++) {
		if (!failures_read(fd, i, &dialogue, text) ||
		    dialogue.peer[15] + dialogue.peer[14] * 256 != peer)
			continue;
		assert_int_equal(found, 0);
		assert_memory_equal(text, "text", 4);
		found = dialogue.since_ms ? -1 : dialogue.began_ms;
	}
	return found;
}

static void test_places(void **state)
{
	static struct failures failures, again;
	int fd = memfd_create("state", MFD_CLOEXEC);
	struct stat found;
	(void)state;
	failures_load(&failures, fd);
	assert_int_equal(kept_of(fd, 1), 0);
	keep(&failures, 1, 100, DIALOGUE_FAILED, false);
	keep(&failures, 1, 200, DIALOGUE_FAILED, false);
	keep(&failures, 2, 300, DIALOGUE_SILENT, false);
	keep(&failures, 3, 400, DIALOGUE_WELL, false);
	assert_int_equal(kept_of(fd, 1), 200);
	assert_int_equal(kept_of(fd, 2), 300);
	assert_int_equal(kept_of(fd, 3), 0);
	/* who said nothing takes no place of who did, unless that is over */
	keep(&failures, 1, 500, DIALOGUE_SILENT, false);
	assert_int_equal(kept_of(fd, 1), 200);
	failures_forgive(&failures, failed_by(1, 0, 0).peer);
	assert_int_equal(kept_of(fd, 1), -1);
	keep(&failures, 1, 600, DIALOGUE_SILENT, false);
	assert_int_equal(kept_of(fd, 1), 600);
	/* the next writer knows all this */
	failures_load(&again, fd);
	keep(&again, 2, 700, DIALOGUE_FAILED, false);
	assert_int_equal(kept_of(fd, 2), 700);
	assert_int_equal(kept_of(fd, 1), 600);
	/* a thousand peers: the last 32 stay, and no octet more is used */
	for (int peer = 1000; peer < 2000; peer++)
		keep(&again, peer, 1000 + peer, DIALOGUE_FAILED, false);
	assert_int_equal(kept_of(fd, 1), 0);
	assert_int_equal(kept_of(fd, 1967), 0);
	assert_int_equal(kept_of(fd, 1968), 2968);
	assert_int_equal(kept_of(fd, 1999), 2999);
	/* strangers push nobody out but each other */
	for (int peer = 3000; peer < 4000; peer++)
		keep(&again, peer, 10000 + peer, DIALOGUE_SILENT, true);
	assert_int_equal(kept_of(fd, 1968), 2968);
	assert_int_equal(kept_of(fd, 3999), 13999);
	assert_int_equal(kept_of(fd, 3991), 0);
	assert_int_equal(fstat(fd, &found), 0);
	assert_true(found.st_size <= 4096 + FAILURES_MAX * DIALOGUE_MAX);
	close(fd);
}

/* A file that somebody spoiled, or none at all. */
static void test_spoiled(void **state)
{
	static struct failures failures;
	static char text[DIALOGUE_TEXT_MAX], noise[3 * DIALOGUE_MAX];
	int fd = memfd_create("state", MFD_CLOEXEC);
	struct dialogue dialogue;
	(void)state;
	memset(noise, 0x64, sizeof noise);
	assert_int_equal(write(fd, noise, sizeof noise), sizeof noise);
	failures_load(&failures, fd);
	assert_false(failures_read(fd, 0, &dialogue, text));
	keep(&failures, 1, 100, DIALOGUE_FAILED, false);
	assert_int_equal(kept_of(fd, 1), 100);
	failures_load(&failures, -1);
	keep(&failures, 2, 100, DIALOGUE_FAILED, false);
	failures_forgive(&failures, failed_by(2, 0, 0).peer);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),   cmocka_unit_test(test_cut),
		cmocka_unit_test(test_valid),   cmocka_unit_test(test_places),
		cmocka_unit_test(test_spoiled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
