/* verify.h: who signed a message (RFC 6376). Room daemon/prover; the only file that knows
 * libopendkim, whose every trap is closed here.
 *
 * A signature proves the domain of From if its header is one that everybody reads alike (fields.h),
 * with one From field and none of those twice that say what is in the message; its domain is
 * aligned with that of From (policy/align.h); it covers the whole body, and what says how the body
 * is to be read; and its key is no key for tests, and strong enough. Anything else proves nothing.
 */
#pragma once
#include <stdbool.h>
#include "daemon/config.h"
#include "daemon/prove.h"

/* What there is for all messages. */
struct verify_settings {
	struct config_resolver resolver;
	const char *keys; /* the file of keys (keys.h), "": none */
	uint32_t header_bytes;
};

/* Once, before any jail is closed. False: no memory. */
bool verify_prepare(void);

/* Reads the message and answers. Blocks for disk and DNS. May end the process: the library has its
 * assertions compiled in. */
void verify_message(const struct verify_settings *settings, const struct prove_question *question,
		    int message_fd, struct prove_answer *answer_out);

/* Does whoever knows names answer? PROVE_LOOK. */
void verify_look(const struct verify_settings *settings, struct prove_answer *answer_out);
