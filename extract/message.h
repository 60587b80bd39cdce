/* message.h: the top header of a message -> frames (RFC 5322 section 3.6). Room extract. */
#pragma once
#include "extract/frame_writer.h"
#include "extract/span.h"

/* Puts the ADDRESS frames of To and Cc and the RESULTS frames of Authentication-Results, in the
 * order of the fields, then the MESSAGE frame. */
void message_put(struct frame_writer *writer, struct span block);
