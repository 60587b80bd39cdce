/* test_aside.c: entries are found, read, held and removed; a question is asked again as it was. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include "daemon/aside.h"
#include "daemon/keep.h"
#include "tests/unit/place.h"

#define KEY   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ONE   "00000000000000a1"
#define OTHER "00000000000000b2"

static void add(const struct place_room *room, const char *id, const char *file, const char *facts)
{
	char path[64];
	close(place_folder(room->fd, id));
	snprintf(path, sizeof path, "%s/%s", id, file);
	place_file(room->fd, path, "0123456789");
	snprintf(path, sizeof path, "%s/%s", id, ASIDE_FACTS);
	if (facts)
		place_file(room->fd, path, facts);
}

static const struct {
	const char *prefix;
	int error;
	const char *id;
} finds[] = {
	{ ONE, 0, ONE },
	{ "00000000000000a", 0, ONE },
	{ OTHER, 0, OTHER },
	{ "00000000000000", -ENOTUNIQ, NULL },
	{ "", -ENOENT, NULL },
	{ "1", -ENOENT, NULL },
	{ ONE "0", -ENOENT, NULL },
	{ ".new-", -ENOENT, NULL },
	{ "..", -ENOENT, NULL },
};

static void test_find(void **state)
{
	const struct place_room *room = *state;
	add(room, ONE, ASIDE_MESSAGE, "{}");
	add(room, OTHER, ASIDE_PART, "{}");
	add(room, ".new-00000000000000a1", ASIDE_MESSAGE, "{}");
	for (size_t i = 0; i < sizeof finds / sizeof finds[0]; i++) {
		char id[ASIDE_ID_SIZE];
		print_message("%s\n", finds[i].prefix);
		assert_int_equal(aside_find(room->fd, finds[i].prefix, id), finds[i].error);
		if (finds[i].id)
			assert_string_equal(id, finds[i].id);
	}
}

static void test_read(void **state)
{
	const struct place_room *room = *state;
	struct aside aside;
	add(room, ONE, ASIDE_PART, "{\"reason\":\"type\",\"received_ms\":77000}");
	assert_int_equal(aside_read(room->fd, ONE, &aside), 0);
	assert_string_equal(aside.id, ONE);
	assert_string_equal(aside.file, ASIDE_PART);
	assert_string_equal(json_text(aside.facts, "reason"), "type");
	assert_int_equal(aside.bytes, 10);
	assert_int_equal(aside.time_ms, 77000);
	aside_done(&aside);
	assert_int_equal(aside_read(room->fd, OTHER, &aside), -ENOENT);
}

/* Whatever is wrong with it, it can be shown and removed. */
static void test_damaged(void **state)
{
	static const char *const facts[] = { NULL, "", "[]", "{\"reason\":" };
	const struct place_room *room = *state;
	for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
		struct aside aside;
		struct ask_head head;
		struct ask ask;
		add(room, ONE, ASIDE_MESSAGE, facts[i]);
		assert_int_equal(aside_read(room->fd, ONE, &aside), 0);
		assert_null(json_text(aside.facts, "reason"));
		assert_true(aside.time_ms > 0);
		assert_false(aside_take_question(aside.facts, &head, &ask));
		aside_done(&aside);
		auto_close int entry_fd = -1;
		assert_int_equal(aside_hold(room->fd, ONE, &entry_fd), 0);
		assert_int_equal(aside_remove(room->fd, ONE, entry_fd), 0);
	}
}

/* Nothing that hangs, and nothing that lies elsewhere. */
static void test_strange(void **state)
{
	const struct place_room *room = *state;
	struct aside aside;
	int entry_fd;
	assert_int_equal(symlinkat("/", room->fd, ONE), 0);
	assert_true(aside_read(room->fd, ONE, &aside) < 0);
	assert_true(aside_hold(room->fd, ONE, &entry_fd) < 0);
	close(place_folder(room->fd, OTHER));
	assert_int_equal(mkfifoat(room->fd, OTHER "/" ASIDE_FACTS, 0600), 0);
	assert_int_equal(aside_read(room->fd, OTHER, &aside), 0);
	assert_null(aside.file);
	aside_done(&aside);
}

static void test_hold_and_remove(void **state)
{
	const struct place_room *room = *state;
	auto_close int held = -1;
	int second;
	add(room, ONE, ASIDE_MESSAGE, "{}");
	assert_int_equal(aside_hold(room->fd, ONE, &held), 0);
	assert_int_equal(aside_hold(room->fd, ONE, &second), -EWOULDBLOCK);
	assert_int_equal(aside_remove(room->fd, ONE, held), 0);
	assert_int_equal(aside_hold(room->fd, ONE, &second), -ENOENT);
	/* another of that name is not the one that is held */
	add(room, ONE, ASIDE_MESSAGE, "{}");
	assert_int_equal(aside_remove(room->fd, ONE, held), -ENOENT);
	assert_true(place_has(room->fd, ONE "/" ASIDE_MESSAGE));
}

static const struct {
	const char *name, *source, *login, *sender;
	uint32_t recipients;
	uint8_t peer_known, peer_allowed, peer[16];
} questions[] = {
	{ "drop", "drop", "", NULL, 0, 0, 1, { 0 } },
	{ "drop with recipients", "drop", "", NULL, 2, 0, 1, { 0 } },
	{ "a device", "lan", "", "scan@x", 1, 1, 1, { [10] = 0xFF, [11] = 0xFF, 192, 0, 2, 7 } },
	{ "the null sender", "lan", "", "", 1, 1, 0, { [10] = 0xFF, [11] = 0xFF, 192, 0, 2, 7 } },
	{ "a login",
	  "lan",
	  "B\xC3\xBCro",
	  "a b\"\x1b@x",
	  2,
	  1,
	  0,
	  { 0x20, 1, 0xD, 0xB8, [15] = 1 } },
};

static void test_question(void **state)
{
	static const char *const to[] = { "a@x", "\"b\\\"\"@x" };
	(void)state;
	for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
		struct ask_head head = { .kind = ASK_RETRY,
					 .origin = { .kind = ASK_SOURCE_SMTP,
						     .peer_known = questions[i].peer_known,
						     .peer_allowed = questions[i].peer_allowed },
					 .received_ms = 1795294949869,
					 .has_envelope = questions[i].sender != NULL,
					 .recipients = questions[i].recipients,
					 .key = KEY },
				again;
		struct ask ask = { .head = &head,
				   .sender = questions[i].sender ? questions[i].sender : "" },
			   asked;
		print_message("%s\n", questions[i].name);
		strcpy(head.origin.source, questions[i].source);
		strcpy(head.login, questions[i].login);
		memcpy(head.origin.peer, questions[i].peer, sizeof head.origin.peer);
		memcpy(ask.recipients, to, sizeof to);
		struct json *facts = json_object_new();
		json_put_text(facts, "key", KEY);
		aside_put_question(facts, &ask);
		auto_free char *line = json_line(facts);
		json_free(facts);
		facts = json_parse(line);
		assert_true(aside_take_question(facts, &again, &asked));
		assert_ptr_equal(asked.head, &again);
		assert_memory_equal(&again, &head, sizeof head);
		assert_string_equal(asked.sender, ask.sender);
		for (uint32_t r = 0; r < head.recipients; r++)
			assert_string_equal(asked.recipients[r], to[r]);
		json_free(facts);
	}
}

static const struct {
	const char *name, *facts;
} nonsense[] = {
	{ "no key", "{\"question\":{\"source\":\"a\",\"login\":\"\",\"recipients\":[]}}" },
	{ "no question", "{\"key\":\"" KEY "\"}" },
	{ "a key that is none",
	  "{\"key\":\"../x\",\"question\":{\"source\":\"a\",\"login\":\"\",\"recipients\":[]}}" },
	{ "no recipients", "{\"key\":\"" KEY "\",\"question\":{\"source\":\"a\",\"login\":\"\"}}" },
	{ "recipients that are none",
	  "{\"key\":\"" KEY
	  "\",\"question\":{\"source\":\"a\",\"login\":\"\",\"recipients\":[1]}}" },
	{ "a peer that is none",
	  "{\"key\":\"" KEY
	  "\",\"question\":{\"source\":\"a\",\"login\":\"\",\"recipients\":[],\"peer\":\"x\"}}" },
	{ "a source that is too long", "{\"key\":\"" KEY "\",\"question\":{\"source\":\"" KEY
				       "\",\"login\":\"\",\"recipients\":[]}}" },
};

static void test_nonsense(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++) {
		struct ask_head head;
		struct ask ask;
		struct json *facts = json_parse(nonsense[i].facts);
		print_message("%s\n", nonsense[i].name);
		assert_non_null(facts);
		assert_false(aside_take_question(facts, &head, &ask));
		json_free(facts);
	}
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, place_set_up, place_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_find),
		TEST(test_read),
		TEST(test_damaged),
		TEST(test_strange),
		TEST(test_hold_and_remove),
		cmocka_unit_test(test_question),
		cmocka_unit_test(test_nonsense),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
