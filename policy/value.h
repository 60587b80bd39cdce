/* value.h: the values that a configuration line can have -> numbers. Room policy: pure. The ground
 * of daemon reads its own keys with these too, so that a size is a size everywhere.
 *
 * Each returns false and leaves *_out alone if the text is not exactly one such value; blanks
 * around it are allowed. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 17, 64k, 100M, 1G (1024); octets. */
bool value_size(const char *text, uint64_t *octets_out);

/* 90, 90s, 10m, 24h, 7d; a bare number is seconds. */
bool value_seconds(const char *text, uint64_t *seconds_out);

/* yes, no, true, false, on, off, 1, 0; case-blind. */
bool value_bool(const char *text, bool *yes_out);

/* 0640, 2770: octal, at most 07777. */
bool value_mode(const char *text, uint32_t *mode_out);

bool value_number(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *number_out);

/* The index of `text` in a list of words that ends with NULL; case-blind; -1: not in it. */
int value_word(const char *text, const char *const *words);

/* Is all of it ASCII that can be seen, and blanks? */
bool value_is_printable(const char *text);

/* What a hexadecimal digit stands for, of either case; -1: it is none. */
int value_hex(char digit);

/* Walks a comma list: copies the next item, trimmed, into `item` (cut short never: false in
 * *fits_out instead). `*cursor` starts as the text and is moved on. Returns false at the end. Empty
 * items are skipped. */
bool value_next(const char **cursor, char *item, size_t item_size, bool *fits_out);

/* How many letters must be added, dropped, changed or swapped with their neighbour to turn one word
 * into the other; `most` + 1 where it is more than that. For "did you mean": words of up to
 * VALUE_WORD_MAX octets, ASCII case-blind. */
#define VALUE_WORD_MAX 40
unsigned value_distance(const char *one, const char *other, unsigned most);
