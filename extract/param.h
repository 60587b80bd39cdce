/* param.h: the parameters of a structured field (RFC 2045 section 5.1, RFC 2231). Room extract;
 * pure but for charset.h.
 *
 * Reads what devices write: blanks, colons, brackets and comments in values without quotes, a quote
 * that never closes, `;;`, backslashes of Windows paths, encoded words in quotes, raw 8-bit. */
#pragma once
#include <stdbool.h>
#include "extract/frame.h"
#include "extract/span.h"

/* Takes the value proper off the front of a field (`text/plain`, `attachment`) and leaves the
 * parameters in *rest. Comments are left out of it; `word_out` is empty where the field starts with
 * a parameter. */
void param_split(struct span field, struct text *word_out, struct span *rest);

struct param {
	struct span name;  /* without the `*`s of RFC 2231 */
	struct span value; /* as written, without quotes; backslashes still in it */
	bool quoted;
	bool encoded; /* it ends in `*`: percent escapes, and in section 0 charset and language */
	int section;  /* number of the section; -1: it has none */
};

/* Where a reading of parameters stands; starts as { .rest = params }. */
struct param_cursor {
	struct span rest;
	bool unclosed; /* no quote closes from here on: not to be looked for again and again */
};

/* Takes the next parameter off the front. false: there is none. */
bool param_next(struct param_cursor *cursor, struct param *param_out);

enum param_result {
	PARAM_NONE,
	PARAM_FOUND,
	PARAM_DIFFERS /* found, but it is there again with another value: `reading` chose */
};

/* What a backslash in quotes means where neither a quote nor a backslash follows. */
enum param_backslash {
	PARAM_BACKSLASH_PAIR, /* a quoted pair (RFC 5322 section 3.2.1): it goes */
	PARAM_BACKSLASH_PATH  /* a folder of Windows, whose programs do not escape it: it stays */
};

/* Everything below takes the parameters as param_split leaves them.
 *
 * The value of a parameter as UTF-8, for people: sections joined, words, escapes and charsets
 * decoded. The form of RFC 2231 counts more than the plain one; having both is normal. */
enum param_result param_text(struct span params, struct span name, enum frame_reading reading,
			     enum param_backslash backslash, struct text *out);

/* The same for machines (boundary, charset): no encoded words, no charset. */
enum param_result param_token(struct span params, struct span name, enum frame_reading reading,
			      struct text *out);

/* More parameters than LIMIT_PARAMS_MAX? */
bool param_too_many(struct span params);
