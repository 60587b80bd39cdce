/* test_transcript.c: what a session hands to its listener: nothing while nobody watches and all
 * goes well, each line while somebody does, the whole at a failure, and never a secret. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/smtp/transcript.h"

static volatile uint32_t watched;
static int ends[2];

static struct transcript *begin(void)
{
	static const struct hello_port port = { .tls = false };
	struct transcript *t = calloc(1, sizeof *t);
	watched = 0;
	assert_int_equal(socket_pair(&ends[0], &ends[1]), 0);
	transcript_init(t, ends[0], &watched, &port);
	return t;
}

static void end(struct transcript *t)
{
	close(ends[0]);
	close(ends[1]);
	free(t);
}

static void hear(struct transcript *t, const char *text)
{
	size_t size = strlen(text);
	transcript_hear(t, &text, &size);
}

static void say(struct transcript *t, const char *text)
{
	transcript_say(t, text, strlen(text));
}

/* The next message, its lines as "d:EHLO|a:250|n:note|"; NULL: there is none. */
static const struct dialogue *take(char lines[DIALOGUE_MAX * 2])
{
	static union {
		struct dialogue dialogue;
		char room[DIALOGUE_MAX];
	} m;
	struct dialogue_line line;
	ssize_t size = recv(ends[1], &m, sizeof m, MSG_DONTWAIT);
	if (size < 0)
		return NULL;
	assert_true(dialogue_valid(&m, (size_t)size));
	const char *text = m.room + sizeof m.dialogue;
	size_t used = 0, at = 0;
	for (size_t length; (length = dialogue_next(text + at, m.dialogue.size - at, &line)) > 0;
	     at += length)
		used += (size_t)sprintf(lines + used, "%c:%.*s|", "?dan"[line.voice], line.size,
					line.text);
	assert_int_equal(at, m.dialogue.size);
	lines[used] = '\0';
	return &m.dialogue;
}

static char lines[DIALOGUE_MAX * 2];

static void test_unwatched(void **state)
{
	struct transcript *t = begin();
	(void)state;
	say(t, "220 gw");
	hear(t, "QUIT");
	say(t, "221 bye");
	transcript_close(t);
	assert_null(take(lines));
	end(t);
}

static void test_failed(void **state)
{
	struct transcript *t = begin();
	(void)state;
	say(t, "220 gw");
	hear(t, "EHLO x");
	say(t, "250 gw");
	hear(t, "AUTH PLAIN c2VjcmV0");
	say(t, "502 no");
	transcript_mail(t, 12);
	transcript_end(t, ENDING_HUNG_UP);
	transcript_end(t, ENDING_IDLE); /* comes too late */
	assert_null(take(lines));
	transcript_close(t);
	const struct dialogue *dialogue = take(lines);
	assert_int_equal(dialogue->kind, DIALOGUE_END);
	assert_int_equal(dialogue->outcome, DIALOGUE_FAILED);
	assert_non_null(strstr(dialogue->diagnosis, "no login is offered"));
	assert_string_equal(lines, "a:220 gw|d:EHLO x|a:250 gw|d:AUTH PLAIN (not shown)|a:502 no|"
				   "d:(12 octets of a mail)|");
	assert_null(take(lines));
	end(t);
}

/* Who comes in the middle is told what was before, once; who comes later again, too. */
static void test_watched(void **state)
{
	struct transcript *t = begin();
	(void)state;
	say(t, "220 gw");
	watched = 1;
	hear(t, "EHLO x");
	assert_int_equal(take(lines)->kind, DIALOGUE_LINES);
	assert_string_equal(lines, "a:220 gw|d:EHLO x|");
	say(t, "250 gw");
	assert_non_null(take(lines));
	assert_string_equal(lines, "a:250 gw|");
	watched = 0;
	hear(t, "NOOP");
	assert_null(take(lines));
	watched = 1;
	say(t, "250 ok");
	assert_non_null(take(lines));
	assert_string_equal(lines, "a:220 gw|d:EHLO x|a:250 gw|d:NOOP|a:250 ok|");
	hear(t, "QUIT");
	say(t, "221 bye");
	transcript_close(t);
	assert_non_null(take(lines));
	assert_non_null(take(lines));
	assert_int_equal(take(lines)->kind, DIALOGUE_END);
	assert_null(take(lines));
	end(t);
}

/* A link that takes no more: nothing waits, and how much was missed is told. */
static void test_full(void **state)
{
	struct transcript *t = begin();
	(void)state;
	watched = 1;
	for (int i = 0; i < 5000; i++)
		hear(t, "NOOP");
	int taken = 0;
	while (take(lines))
		taken++;
	assert_true(taken > 1 && taken < 5000);
	hear(t, "NOOP");
	const struct dialogue *dialogue = take(lines);
	assert_int_equal(dialogue->missed, 5000 - taken);
	end(t);
}

/* A device that talks for ever: the beginning and the end are kept, the middle is counted. */
static void test_bounded(void **state)
{
	struct transcript *t = begin();
	char line[64];
	(void)state;
	say(t, "220 gw");
	for (int i = 0; i < 10000; i++) {
		snprintf(line, sizeof line, "NOOP %d", i);
		hear(t, line);
		if (i == 5000) {
			char longer[9000];
			memset(longer, 'x', sizeof longer);
			memcpy(longer, "EHLO ", 5);
			longer[sizeof longer - 1] = '\0';
			hear(t, longer);
		}
	}
	transcript_end(t, ENDING_LOST);
	transcript_close(t);
	const struct dialogue *dialogue = take(lines);
	assert_int_equal(dialogue->kind, DIALOGUE_END);
	assert_true(strncmp(lines, "a:220 gw|d:NOOP 0|d:NOOP 1|", 27) == 0);
	assert_non_null(strstr(lines, " lines are left out here|"));
	assert_non_null(strstr(lines, "|d:NOOP 9999|"));
	assert_null(strstr(lines, "|d:NOOP 5001|"));
	end(t);
}

static void test_tls(void **state)
{
	static const char hello[] = "\x16\x03\x00\x00\x31\x01\x00\x00\x2d\x03\x00"
				    "12345678901234567890123456789012"
				    "\x00\x00\x06\x00\x05\x00\x04\x00\x0a\x01\x00";
	struct transcript *t = begin();
	(void)state;
	t->course.port.tls = true;
	transcript_tls_hello(t, hello, sizeof hello - 1);
	transcript_tls_failed(t, "no version", 70);
	transcript_end(t, ENDING_CUT);
	transcript_close(t);
	const struct dialogue *dialogue = take(lines);
	assert_string_equal(lines,
			    "n:TLS: it offers SSL 3.0 only, with RSA key exchange: RC4, 3DES|"
			    "n:TLS failed: no version|");
	assert_non_null(strstr(dialogue->diagnosis, "speaks SSL 3.0 only, which is not available"));
	end(t);
	t = begin();
	transcript_tls_hello(t, "nonsense", 8);
	transcript_tls_done(t, "TLS 1.2");
	transcript_end(t, ENDING_HUNG_UP);
	transcript_close(t);
	assert_non_null(take(lines));
	assert_string_equal(lines, "n:TLS: its hello can't be read|n:TLS: TLS 1.2|");
	end(t);
}

/* A session that nobody hears: no listener, or one that is gone. */
static void test_alone(void **state)
{
	static const struct hello_port port = { .tls = false };
	struct transcript *t = begin();
	const char *text = "AUTH PLAIN c2VjcmV0";
	size_t size = strlen(text);
	(void)state;
	transcript_init(t, -1, NULL, &port);
	transcript_hear(t, &text, &size);
	assert_int_equal(size, strlen("AUTH PLAIN (not shown)"));
	assert_memory_equal(text, "AUTH PLAIN (not shown)", size);
	transcript_close(t);
	end(t);
	t = begin();
	close(ends[1]);
	ends[1] = -1;
	watched = 1;
	hear(t, "EHLO x");
	transcript_close(t);
	end(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unwatched), cmocka_unit_test(test_failed),
		cmocka_unit_test(test_watched),   cmocka_unit_test(test_full),
		cmocka_unit_test(test_bounded),   cmocka_unit_test(test_tls),
		cmocka_unit_test(test_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
