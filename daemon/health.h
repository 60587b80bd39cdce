/* health.h: where roles, sources and shares stand -> is it well, and if not, why. Ground of daemon:
 * pure.
 *
 * ok: every source and every share is up. degraded: some source is not, mail still comes by others,
 * or waits; or something else of the gateway does not get going. down: nothing can be delivered, or
 * not to some share, or every source is down. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "daemon/status.h"

enum health { HEALTH_OK, HEALTH_DEGRADED, HEALTH_DOWN };

struct health_source {
	const char *name;
	enum status_state state;
	const char *why; /* "": nobody said */
};

struct health_share {
	const char *name; /* "": the one without a name; TALLY_STATE: our own folder */
	bool up;
	const char *why; /* what is wrong, and what to do */
};

#define HEALTH_SENTENCE_MAX 600

struct health_facts {
	struct health_source roles; /* of the gateway itself; its name is not told */
	const struct health_source *sources;
	size_t sources_count;
	const struct health_share *shares;
	size_t shares_count;
};

/* Tells a sentence for each that is not well, roles and shares first: what is wrong, and what to
 * do. */
enum health health_judge(const struct health_facts *facts,
			 void (*tell)(void *context, const char *sentence), void *context);

/* "ok", "degraded", "down". */
const char *health_word(enum health health);
