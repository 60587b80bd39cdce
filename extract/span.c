/* span.c: compares, cuts and joins bytes. Never allocates and never reads past a span. */
#include "extract/span.h"
#include <string.h>

int span_hex(char c)
{
	if (span_is_digit(c))
		return c - '0';
	c = span_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct span span_trim_left(struct span span)
{
	while (span.size > 0 && span_is_blank(span.at[0]))
		span = span_after(span, 1);
	return span;
}

struct span span_trim_right(struct span span)
{
	while (span.size > 0 && span_is_blank(span.at[span.size - 1]))
		span.size--;
	return span;
}

struct span span_trim(struct span span)
{
	return span_trim_right(span_trim_left(span));
}

bool span_equal(struct span a, struct span b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.at, b.at, a.size) == 0);
}

bool span_alike(struct span a, struct span b)
{
	return a.size == b.size && span_starts_alike(a, b);
}

bool span_starts_alike(struct span span, struct span start)
{
	if (span.size < start.size)
		return false;
	for (size_t i = 0; i < start.size; i++)
		if (span_lower(span.at[i]) != span_lower(start.at[i]))
			return false;
	return true;
}

struct span span_before(struct span span, char c)
{
	const char *found = span.size ? memchr(span.at, c, span.size) : NULL;
	return found ? span_between(span.at, found) : span;
}

bool span_has(struct span span, char c)
{
	return span.size > 0 && memchr(span.at, c, span.size) != NULL;
}

/* What may follow a leading octet of UTF-8: the number of octets and the bounds of the second
 * one. */
static const struct utf8_lead {
	uint8_t first, last, size, low, high;
} utf8_leads[] = {
	{ 0x00, 0x7f, 1, 0, 0 },       { 0xc2, 0xdf, 2, 0x80, 0xbf }, { 0xe0, 0xe0, 3, 0xa0, 0xbf },
	{ 0xe1, 0xec, 3, 0x80, 0xbf }, { 0xed, 0xed, 3, 0x80, 0x9f }, { 0xee, 0xef, 3, 0x80, 0xbf },
	{ 0xf0, 0xf0, 4, 0x90, 0xbf }, { 0xf1, 0xf3, 4, 0x80, 0xbf }, { 0xf4, 0xf4, 4, 0x80, 0x8f },
};

static const struct utf8_lead *find_lead(uint8_t octet)
{
	for (size_t i = 0; i < sizeof utf8_leads / sizeof utf8_leads[0]; i++)
		if (octet >= utf8_leads[i].first && octet <= utf8_leads[i].last)
			return &utf8_leads[i];
	return NULL;
}

size_t span_utf8_character(struct span span)
{
	const struct utf8_lead *lead = span.size ? find_lead((uint8_t)span.at[0]) : NULL;
	if (!lead || lead->size > span.size)
		return 0;
	if (lead->size > 1 && ((uint8_t)span.at[1] < lead->low || (uint8_t)span.at[1] > lead->high))
		return 0;
	for (size_t i = 2; i < lead->size; i++)
		if (((uint8_t)span.at[i] & 0xc0) != 0x80)
			return 0;
	return lead->size;
}

bool span_is_utf8(struct span span)
{
	while (span.size > 0) {
		size_t size = span_utf8_character(span);
		if (size == 0)
			return false;
		span = span_after(span, size);
	}
	return true;
}

size_t span_ascii_size(struct span span)
{
	size_t size = 0;
	for (uint64_t eight; span.size - size >= sizeof eight; size += sizeof eight) {
		memcpy(&eight, span.at + size, sizeof eight);
		if (eight & 0x8080808080808080ULL)
			break;
	}
	while (size < span.size && (uint8_t)span.at[size] < 0x80)
		size++;
	return size;
}

uint64_t span_hash(struct span span)
{
	uint64_t hash = SPAN_HASH_START;
	for (size_t i = 0; i < span.size; i++)
		hash = span_hash_octet(hash, span.at[i]);
	return hash;
}

void text_put(struct text *text, struct span span)
{
	size_t room = text->max - text->size;
	if (span.size > room) {
		span.size = room;
		text->cut = true;
	}
	if (span.size > 0)
		memcpy(text->at + text->size, span.at, span.size);
	text->size += span.size;
}

void text_put_character(struct text *text, uint32_t character)
{
	static const uint8_t leads[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t size = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
	if (text->max - text->size < size) {
		text->cut = true;
		return;
	}
	char *at = text->at + text->size;
	text->size += size;
	for (size_t i = size - 1; i > 0; i--, character >>= 6)
		at[i] = (char)(0x80 | (character & 0x3f));
	at[0] = (char)(size == 1 ? character : leads[size] | character);
}

static void drop_nul(struct text *text)
{
	size_t kept = 0;
	for (size_t i = 0; i < text->size; i++)
		if (text->at[i] != '\0')
			text->at[kept++] = text->at[i];
	text->size = kept;
}

void text_finish(struct text *text, size_t max)
{
	drop_nul(text);
	if (text->size <= max && !text->cut)
		return;
	size_t size = text->size < max ? text->size : max;
	/* go back over a character that the cut went through: at most three octets and a lead */
	for (size_t back = 1; back <= 4 && back <= size; back++) {
		uint8_t octet = (uint8_t)text->at[size - back];
		if (octet < 0x80)
			break;
		if (octet >= 0xc0) {
			if (span_utf8_character(span_of(text->at + size - back, back)) != back)
				size -= back;
			break;
		}
	}
	text->size = size;
}
