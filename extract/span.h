/* span.h: borrowed bytes, and bounded text that is put together from them. Room extract; pure.
 *
 * A span is a pointer and a length: never freed, never NUL-terminated, valid as long as what it was
 * cut from. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
	const char *at;
	size_t size; /* octets */
};

/* The span of a text constant. */
#define SPAN(constant) ((struct span){ constant, sizeof(constant) - 1 })

static inline struct span span_of(const char *at, size_t size)
{
	return (struct span){ at, size };
}

static inline struct span span_between(const char *from, const char *to)
{
	return (struct span){ from, (size_t)(to - from) };
}

/* The span without its first `count` octets, of which it has at least as many. */
static inline struct span span_after(struct span span, size_t count)
{
	return (struct span){ span.at + count, span.size - count };
}

static inline struct span span_first(struct span span, size_t count)
{
	return (struct span){ span.at, count < span.size ? count : span.size };
}

/* Space, tab, CR and LF: what folding may leave in a field (RFC 5322 section 2.2.3). */
static inline bool span_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline char span_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static inline bool span_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The value of a hexadecimal digit; -1: it is none. */
int span_hex(char c);

struct span span_trim(struct span span);
struct span span_trim_left(struct span span);
struct span span_trim_right(struct span span);

bool span_equal(struct span a, struct span b);

/* Without regard to the case of ASCII letters. */
bool span_alike(struct span a, struct span b);
bool span_starts_alike(struct span span, struct span start);

/* The octets before the first `c`; the whole span where there is none. */
struct span span_before(struct span span, char c);

bool span_has(struct span span, char c);

/* Is it UTF-8 (RFC 3629: no overlong forms, no surrogates)? */
bool span_is_utf8(struct span span);

/* The length of the UTF-8 character at the start of the span; 0: none is there, or it is cut
 * off. */
size_t span_utf8_character(struct span span);

/* How many octets at the start are ASCII. */
size_t span_ascii_size(struct span span);

/* 64 bits of FNV-1a, to be continued: start with SPAN_HASH_START. */
#define SPAN_HASH_START 0xcbf29ce484222325ULL
static inline uint64_t span_hash_octet(uint64_t hash, char c)
{
	return (hash ^ (uint8_t)c) * 0x100000001b3ULL;
}
uint64_t span_hash(struct span span);

/* Text that grows up to `max` octets; further ones are dropped and `cut` is set. */
struct text {
	char *at; /* borrowed; `max` octets */
	size_t size, max;
	bool cut;
};

static inline struct text text_in(char *at, size_t max)
{
	return (struct text){ at, 0, max, false };
}

static inline struct span text_span(const struct text *text)
{
	return (struct span){ text->at, text->size };
}

void text_put(struct text *text, struct span span);

static inline void text_put_octet(struct text *text, char c)
{
	if (text->size < text->max)
		text->at[text->size++] = c;
	else
		text->cut = true;
}

/* Puts a character as UTF-8, wholly or not at all. */
void text_put_character(struct text *text, uint32_t character);

/* Takes NUL octets out and shortens to at most `max` octets, never within a UTF-8 character. */
void text_finish(struct text *text, size_t max);
