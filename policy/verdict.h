/* verdict.h: why a message is refused or postponed, and what each source says then. Room policy:
 * pure.
 *
 * The reasons are a closed list (`letterchute explain --reasons`). One table turns a reason into an
 * outcome, an SMTP reply (RFC 5321 section 4.2, RFC 3463) and words for a two-line panel: ASCII,
 * under 60 characters, saying what to do, without one foreign byte. */
#pragma once
#include <stdbool.h>

enum outcome { OUTCOME_DELIVERED, OUTCOME_REFUSED, OUTCOME_LATER, OUTCOME_HELD, OUTCOME_COUNT };

enum reason {
	REASON_NONE, /* nothing against it: delivered */
	REASON_TYPE,
	REASON_NAME,
	REASON_SIZE,
	REASON_PARTS,
	REASON_DEPTH,
	REASON_HEADER,
	REASON_SENDER,
	REASON_PEER,
	REASON_LOGIN,
	REASON_PROOF,
	REASON_ROUTE,
	REASON_NO_PARTS,
	REASON_AMBIGUOUS,
	REASON_SUSPICIOUS,
	REASON_CRASH,
	REASON_SCAN,
	REASON_SHARE,
	REASON_FULL,
	REASON_IO,
	REASON_DNS,
	REASON_DEADLINE,
	REASON_SPOOL,
	REASON_SHUTDOWN,
	REASON_COUNT
};

struct verdict {
	enum reason reason;
};

struct verdict_row {
	const char *name; /* as in the log and on the command line */
	enum outcome outcome;
	int code;             /* SMTP reply code */
	const char *enhanced; /* RFC 3463 */
	const char *words;
};

/* The row of a reason; never NULL. `reason` below REASON_COUNT. */
const struct verdict_row *verdict_row(enum reason reason);

/* "delivered", "refused", "later", "held"; `outcome` below OUTCOME_COUNT. */
const char *verdict_outcome_name(enum outcome outcome);
