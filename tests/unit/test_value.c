/* test_value.c: what a configuration line may say, and what it may not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "policy/value.h"

#define WRONG UINT64_MAX

struct number_row {
	const char *text;
	uint64_t number; /* WRONG: refused */
};

static void check_numbers(bool (*read)(const char *, uint64_t *), const struct number_row *rows,
			  size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t number = 77;
		bool good = read(rows[i].text, &number);
		if (good != (rows[i].number != WRONG) || number != (good ? rows[i].number : 77))
			fail_msg("`%s` gave %d and %llu", rows[i].text, good,
				 (unsigned long long)number);
	}
}

static void sizes(void **state)
{
	(void)state;
	static const struct number_row rows[] = {
		{ "0", 0 },
		{ "17", 17 },
		{ "64k", 65536 },
		{ "64K", 65536 },
		{ "100M", 100ull << 20 },
		{ "2m", 2ull << 20 },
		{ "1G", 1ull << 30 },
		{ "3g", 3ull << 30 },
		{ "  8k\t", 8192 },
		{ "18446744073709551614", UINT64_MAX - 1 },
		{ "18446744073709551616", WRONG },
		{ "99999999999999999999999", WRONG },
		{ "17179869184G", WRONG },
		{ "", WRONG },
		{ " ", WRONG },
		{ "k", WRONG },
		{ "-1", WRONG },
		{ "+1", WRONG },
		{ "1.5M", WRONG },
		{ "1kB", WRONG },
		{ "1 k", WRONG },
		{ "1k 2", WRONG },
		{ "0x10", WRONG },
		{ "10s", WRONG },
	};
	check_numbers(value_size, rows, sizeof rows / sizeof *rows);
}

static void seconds(void **state)
{
	(void)state;
	static const struct number_row rows[] = {
		{ "90", 90 },
		{ "90s", 90 },
		{ "10m", 600 },
		{ "24h", 86400 },
		{ "7d", 604800 },
		{ " 1h ", 3600 },
		{ "1w", WRONG },
		{ "1M", WRONG },
		{ "1h30m", WRONG },
		{ "", WRONG },
		{ "213503982334602d", WRONG },
	};
	check_numbers(value_seconds, rows, sizeof rows / sizeof *rows);
}

static void modes(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool good;
		uint32_t mode;
	} rows[] = {
		{ "0640", true, 0640 },  { "640", true, 0640 },  { "2770", true, 02770 },
		{ "7777", true, 07777 }, { "0", true, 0 },       { " 0600 ", true, 0600 },
		{ "10000", false, 0 },   { "0648", false, 0 },   { "rw-r-----", false, 0 },
		{ "", false, 0 },        { "0640 0", false, 0 }, { "0o640", false, 0 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint32_t mode = 0;
		assert_int_equal(value_mode(rows[i].text, &mode), rows[i].good);
		assert_int_equal(mode, rows[i].mode);
	}
}

static void yes_and_no(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int result; /* -1: refused */
	} rows[] = { { "yes", 1 }, { "no", 0 },    { "True", 1 }, { "FALSE", 0 },  { "on", 1 },
		     { "off", 0 }, { "1", 1 },     { "0", 0 },    { " yes ", 1 },  { "y", -1 },
		     { "", -1 },   { "yess", -1 }, { "2", -1 },   { "yes no", -1 } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		bool yes = i % 2;
		assert_int_equal(value_bool(rows[i].text, &yes), rows[i].result >= 0);
		assert_int_equal(yes, rows[i].result >= 0 ? rows[i].result : (int)(i % 2));
	}
}

static void numbers(void **state)
{
	(void)state;
	uint64_t number = 5;
	assert_false(value_number("9", 10, 20, &number));
	assert_false(value_number("21", 10, 20, &number));
	assert_false(value_number("1k", 0, 2000, &number));
	assert_false(value_number("", 0, 2000, &number));
	assert_int_equal(number, 5);
	assert_true(value_number(" 10", 10, 20, &number));
	assert_int_equal(number, 10);
	assert_true(value_number("20\n", 10, 20, &number));
	assert_int_equal(number, 20);
}

static void words(void **state)
{
	(void)state;
	static const char *const list[] = { "off", "starttls", "require", NULL };
	assert_int_equal(value_word("off", list), 0);
	assert_int_equal(value_word(" StartTLS ", list), 1);
	assert_int_equal(value_word("require", list), 2);
	assert_int_equal(value_word("requir", list), -1);
	assert_int_equal(value_word("required", list), -1);
	assert_int_equal(value_word("", list), -1);
}

static void lists(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *items; /* each in <>; ! for one that is too long */
	} rows[] = {
		{ "", "" },
		{ " , ,", "" },
		{ "a", "<a>" },
		{ "a,b", "<a><b>" },
		{ " a b ,\tc\n,, d ", "<a b><c><d>" },
		{ "1234567", "<1234567>" },
		{ "12345678", "!" },
		{ "a,12345678,b", "<a>!<b>" },
		{ "1234567 ,b", "<1234567><b>" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char item[8], all[80] = "";
		bool fits = false;
		for (const char *cursor = rows[i].text;
		     value_next(&cursor, item, sizeof item, &fits);)
			snprintf(all + strlen(all), sizeof all - strlen(all), fits ? "<%s>" : "!%s",
				 item);
		assert_string_equal(all, rows[i].items);
	}
}

static void distances(void **state)
{
	(void)state;
	static const struct {
		const char *one, *other;
		unsigned most, distance;
	} rows[] = {
		{ "types", "types", 2, 0 }, { "TYPES", "types", 2, 0 },
		{ "type", "types", 2, 1 },  { "tpyes", "types", 2, 1 },
		{ "tyqes", "types", 2, 1 }, { "ttypes", "types", 2, 1 },
		{ "typ", "types", 2, 2 },   { "ty", "types", 2, 3 },
		{ "", "", 2, 0 },           { "", "abc", 2, 3 },
		{ "abc", "", 5, 3 },        { "part_max", "part_min", 2, 2 },
		{ "ca", "abc", 5, 3 },      { "completely", "different", 1, 2 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(value_distance(rows[i].one, rows[i].other, rows[i].most),
				 rows[i].distance);
	char longest[VALUE_WORD_MAX + 2];
	memset(longest, 'a', sizeof longest);
	longest[VALUE_WORD_MAX + 1] = '\0';
	assert_int_equal(value_distance(longest, longest, 3), 4);
	assert_int_equal(value_distance(longest + 1, longest + 1, 3), 0);
}

/* Each octet there is. */
static void octets(void **state)
{
	static const char digits[] = "0123456789abcdef", capitals[] = "0123456789ABCDEF";
	(void)state;
	for (int octet = 1; octet < 256; octet++) {
		const char text[] = { 'a', (char)octet, 'b', '\0' };
		const char *small = strchr(digits, octet), *capital = strchr(capitals, octet);
		int hex = small ? (int)(small - digits) : capital ? (int)(capital - capitals) : -1;
		assert_int_equal(value_is_printable(text), octet >= 0x20 && octet < 0x7F);
		assert_int_equal(value_hex((char)octet), hex);
	}
	assert_true(value_is_printable(""));
	assert_int_equal(value_hex('\0'), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),      cmocka_unit_test(seconds),   cmocka_unit_test(modes),
		cmocka_unit_test(yes_and_no), cmocka_unit_test(numbers),   cmocka_unit_test(words),
		cmocka_unit_test(lists),      cmocka_unit_test(distances), cmocka_unit_test(octets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
