/* intake.c: the way of the octets from connection to spill. Never refuses a message. */
#include "daemon/smtp/intake.h"
#include "daemon/fdio.h"
#include "daemon/smtp/data.h"

#define PACE_OCTETS 1024

struct pace {
	int64_t within_ms, deadline_ms;
	uint64_t octets;
};

static struct pace start_pace(const struct wire *wire)
{
	int64_t within_ms = wire->idle_ms / 6 * 5;
	return (struct pace){ .within_ms = within_ms, .deadline_ms = monotonic_ms() + within_ms };
}

static void count_pace(struct pace *pace, uint64_t octets)
{
	pace->octets += octets;
	if (pace->octets < PACE_OCTETS)
		return;
	pace->octets = 0;
	pace->deadline_ms = monotonic_ms() + pace->within_ms;
}

enum wire_event intake_data(struct wire *wire, bool lenient, uint64_t enough, struct spill *spill,
			    struct intake_flaws *flaws_out)
{
	static char decoded[DATA_ROOM(WIRE_INPUT)];
	struct data data;
	struct pace pace = start_pace(wire);
	data_init(&data, lenient);
	for (bool done = false; !done && spill->bytes <= enough;) {
		const char *bytes;
		size_t size, used, put;
		enum wire_event event = wire_bytes(wire, pace.deadline_ms, &bytes, &size);
		if (event != WIRE_OK)
			return event;
		done = data_feed(&data, bytes, size, &used, decoded, &put);
		wire_give_back(wire, size - used);
		spill_add(spill, decoded, put);
		count_pace(&pace, used);
	}
	*flaws_out = (struct intake_flaws){ .bare_lf = data.bare_lf, .bare_cr = data.bare_cr };
	return WIRE_OK;
}

enum wire_event intake_chunk(struct wire *wire, uint64_t octets, struct spill *spill)
{
	struct pace pace = start_pace(wire);
	while (octets > 0) {
		const char *bytes;
		size_t size;
		enum wire_event event = wire_bytes(wire, pace.deadline_ms, &bytes, &size);
		if (event != WIRE_OK)
			return event;
		size_t used = size < octets ? size : (size_t)octets;
		wire_give_back(wire, size - used);
		if (spill)
			spill_add(spill, bytes, used);
		count_pace(&pace, used);
		octets -= used;
	}
	return WIRE_OK;
}
