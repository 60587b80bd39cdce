/* rules_keys.h: between the two files that read the policy: rules.c (sections, the whole) and
 * rules_keys.c (the table, see rules_keys in rules.h). Nobody else includes it. */
#pragma once
#include "policy/rules.h"

#define RULES_KEYS_MAX 64 /* rows of the table: a set of them is a uint64_t */

/* Says what is wrong with the key in hand. Always false. */
__attribute__((format(printf, 2, 3))) bool rules_fail(struct rules *rules, const char *format, ...);

/* Zeroed memory that lives until rules_done; NULL with the error said: there is none. */
void *rules_keep(struct rules *rules, size_t size);
const char *rules_keep_text(struct rules *rules, const char *text);

/* A comma list. */
bool rules_keep_globs(struct rules *rules, const char *text, struct glob_list *list_out);
