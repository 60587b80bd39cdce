/* intake.h: reads the octets of one message from the connection into a spill. Room daemon/smtp.
 *
 * Whoever sends must get on (wire.h), else it is a timeout. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "daemon/spill.h"
#include "daemon/smtp/wire.h"

/* Line ends that are none (data.h). */
struct intake_flaws {
	bool bare_lf, bare_cr;
};

/* After DATA: up to its end, or until the message has more than `enough` octets. Whatever is wrong
 * with it, it is read on: a device must be heard out. Other events than WIRE_OK: it did not end. */
enum wire_event intake_data(struct wire *wire, bool lenient, uint64_t enough, struct spill *spill,
			    struct intake_flaws *flaws_out);

/* After BDAT: `octets`, as they are. `spill` may be NULL: nobody wants them. */
enum wire_event intake_chunk(struct wire *wire, uint64_t octets, struct spill *spill);
