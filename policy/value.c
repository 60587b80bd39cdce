/* value.c: reads one value of a configuration line as a size, a time, a mode, a word or a list.
 * Never guesses: what is not exactly one such value is refused. */
#include "policy/value.h"
#include <string.h>
#include <strings.h>

#define VALUE_BLANKS " \t\r\n"

struct unit {
	char letter;
	uint64_t factor;
};

static const struct unit size_units[] = {
	{ 'k', 1024 },
	{ 'K', 1024 },
	{ 'M', 1024 * 1024 },
	{ 'm', 1024 * 1024 },
	{ 'G', 1024 * 1024 * 1024 },
	{ 'g', 1024 * 1024 * 1024 },
	{ 0, 0 },
};

static const struct unit time_units[] = {
	{ 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 0, 0 },
};

static char lower(char letter)
{
	return letter >= 'A' && letter <= 'Z' ? (char)(letter + ('a' - 'A')) : letter;
}

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, VALUE_BLANKS);
}

static bool at_end(const char *text)
{
	return *skip_blanks(text) == '\0';
}

/* Digits of a base up to ten; NULL where there is none, or too many of them. */
static const char *read_digits(const char *text, unsigned base, uint64_t *number_out)
{
	uint64_t number = 0;
	const char *next = text;
	for (; *next >= '0' && *next < (char)('0' + base); next++) {
		if (__builtin_mul_overflow(number, base, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*next - '0'), &number))
			return NULL;
	}
	if (next == text)
		return NULL;
	*number_out = number;
	return next;
}

static const struct unit *find_unit(const struct unit *units, char letter)
{
	for (; units->letter; units++)
		if (units->letter == letter)
			return units;
	return NULL;
}

static bool read_with_unit(const char *text, const struct unit *units, uint64_t *number_out)
{
	uint64_t number = 0;
	const char *next = read_digits(skip_blanks(text), 10, &number);
	if (!next)
		return false;
	const struct unit *unit = find_unit(units, *next);
	if (unit && __builtin_mul_overflow(number, unit->factor, &number))
		return false;
	if (!at_end(unit ? next + 1 : next))
		return false;
	*number_out = number;
	return true;
}

bool value_size(const char *text, uint64_t *octets_out)
{
	return read_with_unit(text, size_units, octets_out);
}

bool value_seconds(const char *text, uint64_t *seconds_out)
{
	return read_with_unit(text, time_units, seconds_out);
}

bool value_bool(const char *text, bool *yes_out)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off",
					     "on", "0",   "1",     NULL };
	int word = value_word(text, words);
	if (word < 0)
		return false;
	*yes_out = word % 2;
	return true;
}

bool value_mode(const char *text, uint32_t *mode_out)
{
	uint64_t mode = 0;
	const char *next = read_digits(skip_blanks(text), 8, &mode);
	if (!next || !at_end(next) || mode > 07777)
		return false;
	*mode_out = (uint32_t)mode;
	return true;
}

bool value_number(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *number_out)
{
	uint64_t number = 0;
	const char *next = read_digits(skip_blanks(text), 10, &number);
	if (!next || !at_end(next) || number < minimum || number > maximum)
		return false;
	*number_out = number;
	return true;
}

int value_word(const char *text, const char *const *words)
{
	const char *start = skip_blanks(text);
	for (int i = 0; words[i]; i++) {
		size_t length = strlen(words[i]);
		if (strncasecmp(start, words[i], length) == 0 && at_end(start + length))
			return i;
	}
	return -1;
}

bool value_is_printable(const char *text)
{
	for (; *text; text++) {
		if (*text < 0x20 || *text > 0x7E)
			return false;
	}
	return true;
}

int value_hex(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	char small = lower(digit);
	return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

/* The length of an item without the blanks after it. */
static size_t trimmed_length(const char *item, size_t length)
{
	while (length && strchr(VALUE_BLANKS, item[length - 1]))
		length--;
	return length;
}

bool value_next(const char **cursor, char *item, size_t item_size, bool *fits_out)
{
	const char *start = *cursor + strspn(*cursor, VALUE_BLANKS ",");
	if (!*start)
		return false;
	size_t whole = strcspn(start, ",");
	size_t length = trimmed_length(start, whole);
	bool fits = length < item_size;
	memcpy(item, start, fits ? length : 0);
	item[fits ? length : 0] = '\0';
	*fits_out = fits;
	*cursor = start + whole;
	return true;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Optimal string alignment; of the table only the row in work and the two before it are kept. */
unsigned value_distance(const char *one, const char *other, unsigned most)
{
	unsigned rows[3][VALUE_WORD_MAX + 1];
	unsigned *row = rows[0], *before = rows[1], *earlier = rows[2];
	size_t height = strlen(one), width = strlen(other);
	if (height > VALUE_WORD_MAX || width > VALUE_WORD_MAX)
		return most + 1;
	for (size_t x = 0; x <= width; x++)
		row[x] = (unsigned)x;
	for (size_t y = 1; y <= height; y++) {
		unsigned *reused = earlier;
		earlier = before;
		before = row;
		row = reused;
		row[0] = (unsigned)y;
		for (size_t x = 1; x <= width; x++) {
			bool same = lower(one[y - 1]) == lower(other[x - 1]);
			row[x] = least(least(before[x], row[x - 1]) + 1, before[x - 1] + !same);
			if (y > 1 && x > 1 && lower(one[y - 1]) == lower(other[x - 2]) &&
			    lower(one[y - 2]) == lower(other[x - 1]))
				row[x] = least(row[x], earlier[x - 2] + 1);
		}
	}
	return least(row[width], most + 1);
}
