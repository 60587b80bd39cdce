/* test_ask.c: questions and answers between programs. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include "daemon/ask.h"

#define KEY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static _Alignas(8) char message[ASK_MAX];

static size_t make(uint32_t recipients)
{
	static const char *const to[ASK_RECIPIENTS_MAX] = { "a@x", "b@x" };
	struct ask_head head = { .kind = ASK_DELIVER, .recipients = recipients, .bytes = 9 };
	strcpy(head.origin.source, "lan");
	ssize_t size = ask_write(&head, "s@x", to, message);
	assert_true(size > 0);
	return (size_t)size;
}

static void test_round_trip(void **state)
{
	struct ask ask;
	(void)state;
	size_t size = make(2);
	assert_true(ask_read(message, size, &ask));
	assert_string_equal(ask.head->origin.source, "lan");
	assert_string_equal(ask.sender, "s@x");
	assert_string_equal(ask.recipients[0], "a@x");
	assert_string_equal(ask.recipients[1], "b@x");
}

static void test_cut(void **state)
{
	struct ask ask;
	(void)state;
	size_t size = make(2);
	for (size_t cut = 0; cut < size; cut++)
		assert_false(ask_read(message, cut, &ask));
	assert_false(ask_read(message, size + 1, &ask));
}

static void test_lies(void **state)
{
	struct ask ask;
	struct ask_head *head = (struct ask_head *)message;
	(void)state;
	size_t size = make(2);
	head->recipients = 3;
	assert_false(ask_read(message, size, &ask));
	head->recipients = ASK_RECIPIENTS_MAX + 1;
	assert_false(ask_read(message, size, &ask));
	size = make(2);
	head->kind = 0;
	assert_false(ask_read(message, size, &ask));
	head->kind = ASK_RECALL + 1;
	assert_false(ask_read(message, size, &ask));
	size = make(2);
	memset(head->origin.source, 'x', sizeof head->origin.source);
	assert_false(ask_read(message, size, &ask));
	size = make(2);
	memset(head->login, 'x', sizeof head->login);
	assert_false(ask_read(message, size, &ask));
}

/* A key comes with the one kind that needs it, and is one. */
static const struct {
	const char *name;
	uint32_t kind;
	const char *key;
	bool good;
} keys[] = {
	{ "delivery", ASK_DELIVER, "", true },
	{ "delivery with a key", ASK_DELIVER, KEY, false },
	{ "settlement with a key", ASK_SETTLE, KEY, false },
	{ "retry", ASK_RETRY, KEY, true },
	{ "retry without a key", ASK_RETRY, "", false },
	{ "retry with half a key", ASK_RETRY, "0123456789abcdef", false },
	{ "retry with a path", ASK_RETRY,
	  "../3456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", false },
	{ "retry with a key and more", ASK_RETRY, KEY "0", false },
};

static void test_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		struct ask ask;
		size_t size = make(2);
		struct ask_head *head = (struct ask_head *)message;
		print_message("%s\n", keys[i].name);
		head->kind = keys[i].kind;
		strcpy(head->key, keys[i].key);
		assert_int_equal(ask_read(message, size, &ask), keys[i].good);
	}
	size_t size = make(2);
	struct ask ask;
	memset(((struct ask_head *)message)->key, '0', ASK_KEY_SIZE);
	assert_false(ask_read(message, size, &ask));
}

static void test_too_long(void **state)
{
	static char sender[ASK_MAX];
	struct ask_head head = { .kind = ASK_DELIVER };
	(void)state;
	memset(sender, 's', sizeof sender - 1);
	assert_int_equal(ask_write(&head, sender, NULL, message), -E2BIG);
	head.recipients = ASK_RECIPIENTS_MAX + 1;
	assert_int_equal(ask_write(&head, "", NULL, message), -E2BIG);
}

static void test_answer(void **state)
{
	struct ask_answer answer = { .kind = ASK_FINAL, .job = "0badcafe" };
	(void)state;
	assert_true(ask_answer_valid(&answer, sizeof answer));
	assert_false(ask_answer_valid(&answer, sizeof answer - 1));
	answer.kind = ASK_UNKNOWN + 1;
	assert_false(ask_answer_valid(&answer, sizeof answer));
	answer.kind = ASK_PROMISED;
	memset(answer.text, 'x', sizeof answer.text);
	assert_false(ask_answer_valid(&answer, sizeof answer));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_cut),
		cmocka_unit_test(test_lies),       cmocka_unit_test(test_keys),
		cmocka_unit_test(test_too_long),   cmocka_unit_test(test_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
