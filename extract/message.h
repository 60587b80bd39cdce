/* message.h: the top header of a message -> frames (RFC 5322 section 3.6). Room extract. */
#pragma once
#include "extract/frame_writer.h"
#include "extract/span.h"

/* What another reader may take for a From field where we see none counts as one more: behind a bare
 * CR, or with NUL or the like in its name.
 *
 * Puts the ADDRESS frames of To and Cc and the RESULTS frames of Authentication-Results, in the
 * order of the fields, then the MESSAGE frame. `cr_lines`: the message has only CR for line
 * ends, which others read as one line: its From field is no proof of anything. */
void message_put(struct frame_writer *writer, struct span block, bool cr_lines);
