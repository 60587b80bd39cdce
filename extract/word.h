/* word.h: encoded words -> UTF-8 (RFC 2047). Room extract; pure but for charset.h.
 *
 * Reads what devices write, not only what the RFC allows: words inside quoted strings and inside
 * other text, without blanks around them, with blanks inside, base64 without padding, the language
 * of RFC 2231. */
#pragma once
#include "extract/span.h"

/* Puts the text with its words decoded. Line ends go; blanks between two words go, and words of one
 * charset are joined before they are decoded, since some cut a character in two. What is not in a
 * word is raw 8-bit (charset.h). */
void word_decode(struct span text, struct text *out);

/* Takes percent escapes out (RFC 2231 section 4); one that is none stays. */
void word_unescape(struct span text, struct text *out);
