/* resolve.h: TXT records by name. Room daemon/prover; the only file that knows the C library's
 * resolver. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/config.h"

enum resolve_result {
	RESOLVE_FOUND,
	RESOLVE_ABSENT,   /* there is no such record, or not one that is one */
	RESOLVE_NOT_KNOWN /* nobody who knows answered: it may be there */
};

/* Looks up the only TXT record of a name; its strings are joined. `who`: whom to ask; `left_ms`:
 * for how long, in whole seconds; with less than one nobody is asked. */
enum resolve_result resolve_text(const struct config_resolver *who, const char *name,
				 int64_t left_ms, char *text_out, size_t room);

/* Takes the text out of an answer (RFC 1035 section 4). False: it holds none, several, or one that
 * does not fit or has a NUL in it. Pure, fuzzed. */
bool resolve_read(const uint8_t *answer, size_t size, char *text_out, size_t room);
