/* checkpoint.h: what the extractor *said* -> the facts policy may trust. Room daemon/courier; pure,
 * fuzzed.
 *
 * frames.h has seen to it that texts end and are UTF-8. Here nothing is let through that a
 * taken-over extractor could use to reach further than its own message: control characters in texts
 * that are logged or matched, addresses that are none, types that are none. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include "extract/frame.h"
#include "policy/facts.h"

/* The texts that facts of a message point into. */
struct checkpoint_texts {
	char from[FRAME_ADDRESS_MAX + 1];
	char subject[FRAME_SUBJECT_MAX + 1];
	struct facts_results results[FACTS_RESULTS_MAX];
};

/* Fills from_state, from, subject, date and the has_… of `facts`. `facts->received` must be set. */
void checkpoint_message(const struct frame_message *message, struct checkpoint_texts *texts,
			struct facts *facts);

/* Adds one field to the results of `facts`, of which there may be FACTS_RESULTS_MAX; a further one
 * is dropped. An id or a domain that is none makes the field as good as malformed. */
void checkpoint_results(const struct frame_results *results, struct checkpoint_texts *texts,
			struct facts *facts);

/* Is it fit to be an address that rules are matched against? */
bool checkpoint_address(const char *address);

/* Fills disposition and text_body of `facts`; `declared` (FRAME_TYPE_MAX) takes the declared type.
 */
void checkpoint_part(const struct frame_part *part, char *declared, struct facts_part *facts);

/* A type/subtype in lower case, or "application/octet-stream" for what is none. */
void checkpoint_type(const char *mime, char *type_out);
