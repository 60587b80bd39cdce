/* results.h: an Authentication-Results field -> what it says of the sender (RFC 8601 section 2.2).
 * Room extract; pure.
 *
 * The grammar is read strictly, since what is no such field must not testify: comments nest and
 * close, quotes close, values are delimited, and nothing is left over. What receivers write beside
 * the grammar and is understood, and nothing else:
 *   a comment right behind a result (Yahoo, Zoho)             dmarc=pass(p=reject)
 *   an element with nothing in it (Yahoo ends with one)       id; dkim=pass;
 *   a property without a type (Fastmail, Microsoft)           x-bits=2048   action=none
 *   any delimited text for a value (Fastmail, rspamd)         smtp.bits=256/256
 *   the dialect of Microsoft: no authserv-id, the first element is a result at once, and elements
 *   that are a domain alone                                   spf=pass ...; rcpt.example; dkim=pass
 * None of these says anything about the sender by itself. Which dialect counts, whose field it is
 * and what follows from it is for policy/proof.h. */
#pragma once
#include "extract/frame.h"
#include "extract/span.h"

/* Reads the body of one field, folded or not; every octet of *out is set. FRAME_RESULTS_BAD: it
 * follows no grammar, and all the rest of *out is zero. Takes time linear in the field. */
void results_read(struct span value, struct frame_results *out);
