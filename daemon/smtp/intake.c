/* intake.c: the way of the octets from connection to spill. Never refuses a message. */
#include "daemon/smtp/intake.h"
#include "daemon/smtp/data.h"

enum wire_event intake_data(struct wire *wire, bool lenient, uint64_t enough, struct spill *spill,
			    struct intake_flaws *flaws_out)
{
	static char decoded[DATA_ROOM(WIRE_INPUT)];
	struct data data;
	data_init(&data, lenient);
	for (bool done = false; !done && spill->bytes <= enough;) {
		const char *bytes;
		size_t size, used, put;
		enum wire_event event = wire_bytes(wire, &bytes, &size);
		if (event != WIRE_OK)
			return event;
		done = data_feed(&data, bytes, size, &used, decoded, &put);
		wire_give_back(wire, size - used);
		spill_add(spill, decoded, put);
	}
	*flaws_out = (struct intake_flaws){ .bare_lf = data.bare_lf, .bare_cr = data.bare_cr };
	return WIRE_OK;
}

enum wire_event intake_chunk(struct wire *wire, uint64_t octets, struct spill *spill)
{
	while (octets > 0) {
		const char *bytes;
		size_t size;
		enum wire_event event = wire_bytes(wire, &bytes, &size);
		if (event != WIRE_OK)
			return event;
		size_t used = size < octets ? size : (size_t)octets;
		wire_give_back(wire, size - used);
		if (spill)
			spill_add(spill, bytes, used);
		octets -= used;
	}
	return WIRE_OK;
}
