/* address.h: addresses of From, To and Cc (RFC 5322 section 3.4, RFC 6532). Room extract; pure.
 *
 * An address is normalised: comments and folding out, a quoted local part without its quotes where
 * it needs none, the domain in lower case. Encoded words are never decoded: an address is located
 * in the bytes as they came. */
#pragma once
#include <stdbool.h>
#include "extract/frame.h"
#include "extract/span.h"

/* Reads one From field, strictly. FRAME_FROM_ONE puts the address; any other puts nothing. `out`
 * has FRAME_ADDRESS_MAX octets and is emptied first. */
enum frame_from address_read_from(struct span value, struct text *out);

/* Takes the next address of a To or Cc field off the front of *rest, leniently: what is no address
 * is passed over. `out` has FRAME_ADDRESS_MAX octets and is emptied first. false: there is none. */
bool address_next(struct span *rest, struct text *out);
