/* test_data.c: where the data ends, and what the message is, however the bytes are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "daemon/smtp/data.h"

struct result {
	bool end, bare_lf, bare_cr;
	size_t used, put;
	char out[4096];
};

/* Feeds `size` bytes in two pieces (the cut may lie at either end), or in single bytes when `cut`
 * is beyond the end. */
static void feed(const char *in, size_t size, size_t cut, bool lenient, struct result *result)
{
	struct data data;
	data_init(&data, lenient);
	*result = (struct result){ .end = false };
	for (size_t at = 0; at < size && !result->end;) {
		size_t piece = cut > size ? 1 : at < cut ? cut - at : size - at;
		size_t used, put;
		result->end =
			data_feed(&data, in + at, piece, &used, result->out + result->put, &put);
		assert_true(put <= DATA_ROOM(piece));
		assert_true(result->end || used == piece);
		at += used;
		result->used += used;
		result->put += put;
	}
	result->bare_lf = data.bare_lf;
	result->bare_cr = data.bare_cr;
}

struct row {
	const char *in;
	bool end;
	size_t used;
	const char *strict, *lenient;
	bool bare_lf, bare_cr;
};

/* clang-format off */
static const struct row rows[] = {
	{ ".\r\n", true, 3, "", "", false, false },
	{ "a\r\n.\r\n", true, 6, "a\r\n", "a\r\n", false, false },
	{ "a\r\n.\r\nQUIT\r\n", true, 6, "a\r\n", "a\r\n", false, false },
	{ "\r\n.\r\n", true, 5, "\r\n", "\r\n", false, false },
	{ "..\r\n.\r\n", true, 7, ".\r\n", ".\r\n", false, false },
	{ "a\r\n..b\r\n...\r\n.c\r\n.\r\n", true, 20, "a\r\n.b\r\n..\r\nc\r\n", "a\r\n.b\r\n..\r\nc\r\n", false, false },
	{ "a.\r\nb.c\r\n.\r\n", true, 12, "a.\r\nb.c\r\n", "a.\r\nb.c\r\n", false, false },
	{ "a", false, 1, "a", "a", false, false },
	{ "a\r", false, 2, "a", "a", false, false },
	{ "a\r\n.", false, 4, "a\r\n", "a\r\n", false, false },
	{ "a\r\n.\r", false, 5, "a\r\n", "a\r\n", false, false },
	{ "a\n.\nb", false, 5, "a\n.\nb", "a\r\n.\r\nb", true, false },
	{ "a\n.\r\nb", false, 6, "a\n.\r\nb", "a\r\n.\r\nb", true, false },
	{ "a\r\n.\nb", false, 6, "a\r\n\nb", "a\r\n\r\nb", true, false },
	{ "a\r.\rb", false, 5, "a\r.\rb", "a\r.\rb", false, true },
	{ "a\r\n.\rb", false, 6, "a\r\n\rb", "a\r\n\rb", false, true },
	{ "a\r.\r\nb", false, 6, "a\r.\r\nb", "a\r.\r\nb", false, true },
	{ "a\n..\nb", false, 6, "a\n..\nb", "a\r\n..\r\nb", true, false },
	{ "a\n.b\r\n", false, 6, "a\n.b\r\n", "a\r\n.b\r\n", true, false },
	{ "a\r\r\n.\r\r\nb", false, 9, "a\r\r\n\r\r\nb", "a\r\r\n\r\r\nb", false, true },
	{ "a\r\r\n.\r\nb", true, 7, "a\r\r\n", "a\r\r\n", false, true },
	{ "a\n\r\n.\r\n", true, 7, "a\n\r\n", "a\r\n\r\n", true, false },
	{ "\n", false, 1, "\n", "\r\n", true, false },
	{ "\n.\r\n", false, 4, "\n.\r\n", "\r\n.\r\n", true, false },
	{ "a\r\n.\r\r\n.\r\nb", true, 10, "a\r\n\r\r\n", "a\r\n\r\r\n", false, true },
};
/* clang-format on */

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		for (int lenient = 0; lenient < 2; lenient++) {
			const struct row *row = &rows[i];
			const char *expected = lenient ? row->lenient : row->strict;
			size_t size = strlen(row->in);
			for (size_t cut = 0; cut <= size + 1; cut++) {
				struct result got;
				feed(row->in, size, cut, lenient, &got);
				if (got.end != row->end || got.used != row->used ||
				    got.put != strlen(expected) ||
				    memcmp(got.out, expected, got.put) != 0)
					fail_msg("row %zu cut at %zu, lenient %d: %.*s", i, cut,
						 lenient, (int)got.put, got.out);
				assert_int_equal(got.bare_lf, row->bare_lf);
				assert_int_equal(got.bare_cr, row->bare_cr);
			}
		}
	}
}

/* Every form in which a line with a dot has been smuggled, between two mails: none may end the
 * first. */
static const char *const forms[] = {
	"\n.\n",         "\n.\r\n",    "\r\n.\n",     "\r.\r",      "\r\n.\r",
	"\r.\r\n",       "\n.\r",      "\r.\n",       "\n\n.\n\n",  "\n\r.\n\r",
	"\r\r\n.\r\r\n", "\r\n. \r\n", "\r\n .\r\n",  "\r\n..\r\n", "\r\n.\x1a\r\n",
	"\x0b.\x0b",     "\x85.\x85",  "\r\n\r.\r\n", "\r.\r.\r\n",
};

static void test_forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		for (int lenient = 0; lenient < 2; lenient++) {
			char in[512];
			struct result got;
			int size = snprintf(in, sizeof in,
					    "first%sMAIL FROM:<evil@x>\r\nDATA\r\nsecond\r\n.\r\n",
					    forms[i]);
			for (size_t cut = 0; cut <= (size_t)size + 1; cut++) {
				feed(in, (size_t)size, cut, lenient, &got);
				assert_true(got.end);
				assert_int_equal(got.used, size);
			}
		}
	}
}

/* What the header says, written down without a state machine. */
static void expect(const char *in, size_t size, bool lenient, struct result *result)
{
	*result = (struct result){ .used = size };
	size_t start = size; /* of the dot that ends it */
	for (size_t i = 0; i + 3 <= size && !result->end; i++) {
		bool line = i == 0 || (i >= 2 && memcmp(in + i - 2, "\r\n", 2) == 0);
		if (line && memcmp(in + i, ".\r\n", 3) == 0) {
			result->end = true;
			result->used = i + 3;
			start = i;
		}
	}
	for (size_t i = 0; i < start; i++) {
		bool line = i == 0 || (i >= 2 && memcmp(in + i - 2, "\r\n", 2) == 0);
		bool bare = in[i] == '\n' && (i == 0 || in[i - 1] != '\r');
		if (line && in[i] == '.')
			continue;
		if (bare && lenient)
			result->out[result->put++] = '\r';
		result->out[result->put++] = in[i];
		result->bare_lf |= bare;
		result->bare_cr |= in[i] == '\r' && i + 1 < size && in[i + 1] != '\n';
	}
	/* what is not decided yet at the end is held back */
	if (!result->end && size > 0 && in[size - 1] == '\r')
		result->put--;
}

/* All texts of up to 8 letters of the alphabet that matters, whole and cut anywhere. */
static void test_all_short_texts(void **state)
{
	(void)state;
	static const char alphabet[4] = { '\r', '\n', '.', 'a' };
	static struct result wanted, got;
	for (size_t size = 0; size <= 8; size++) {
		for (unsigned long number = 0; number < 1UL << 2 * size; number++) {
			char in[8];
			for (size_t i = 0; i < size; i++)
				in[i] = alphabet[number >> 2 * i & 3];
			bool lenient = number % 2;
			expect(in, size, lenient, &wanted);
			for (size_t cut = 0; cut <= size + 1; cut += number % 3 + 1) {
				feed(in, size, cut, lenient, &got);
				if (got.end != wanted.end || got.used != wanted.used ||
				    got.put != wanted.put || got.bare_lf != wanted.bare_lf ||
				    got.bare_cr != wanted.bare_cr ||
				    memcmp(got.out, wanted.out, got.put) != 0)
					fail_msg("text %lu of size %zu cut at %zu", number, size,
						 cut);
			}
		}
	}
}

/* Any bytes in any pieces give the same message. */
static void test_random_pieces(void **state)
{
	(void)state;
	static char in[1500];
	static struct result whole;
	srand(7);
	for (int round = 0; round < 3000; round++) {
		size_t size = (size_t)rand() % sizeof in;
		for (size_t i = 0; i < size; i++)
			in[i] = "\r\n.\r\n.abc\0\xff"[rand() % 11];
		feed(in, size, 0, round % 2, &whole);
		struct data data;
		char out[4096];
		size_t put_all = 0, at = 0;
		bool end = false;
		data_init(&data, round % 2);
		while (at < size && !end) {
			size_t piece = 1 + (size_t)rand() % 40, used, put;
			end = data_feed(&data, in + at, piece < size - at ? piece : size - at,
					&used, out + put_all, &put);
			at += used;
			put_all += put;
		}
		assert_int_equal(end, whole.end);
		assert_int_equal(at, whole.used);
		assert_int_equal(put_all, whole.put);
		assert_memory_equal(out, whole.out, put_all);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_all_short_texts),
		cmocka_unit_test(test_random_pieces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
