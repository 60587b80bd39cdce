/* base64.h: the encodings of SASL exchanges and tokens (RFC 4648). Ground of daemon. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Room for the text of so many octets, its NUL included. */
#define BASE64_SIZE(octets) (((octets) + 2) / 3 * 4 + 1)

/* Section 4, padded, on one line. */
void base64_write(const void *octets, size_t size, char *text_out);

/* Section 5, without padding. */
void base64_write_url(const void *octets, size_t size, char *text_out);

/* What the whole text says; blanks and a missing padding are borne. False: it is none, or more than
 * `max` octets. */
bool base64_read(const char *text, size_t size, void *octets_out, size_t max, size_t *size_out);

/* What the beginning of a text says, up to the first character that is none of section 4 or `max`
 * octets. Returns octets. */
size_t base64_read_beginning(const char *text, void *octets_out, size_t max);
