/* decide.h: decide(rules, facts) -> verdict. Room policy: pure. The order of the rules is visible
 * in decide.c.
 *
 * Asked three times: early, while a device is still talking (decide_early); when the top header is
 * known (decide_routes); and for each part and at the end (decide_part, decide_end). The answers of
 * the courier have authority; an early refusal is given only if no completion of the facts could be
 * accepted. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "policy/facts.h"
#include "policy/rules.h"
#include "policy/verdict.h"

#define DECIDE_ROUTES_MAX 16 /* distinct routes of one message */

/* At MAIL (no recipients yet) and at each RCPT (that one recipient). Of `facts` only source, peer,
 * peer_allowed, login, proofs, sender, recipients and bytes (0: not declared) count. */
struct verdict decide_early(const struct rules *rules, const struct facts *facts);

struct decide_route {
	uint16_t route; /* index into rules->routes */
	uint16_t to;    /* index of the first recipient that led there; 0 without recipients */
};

/* A login that sends as another refuses the message (REASON_SENDER), whatever the routes say.
 *
 * Which distinct routes the message goes to, in the order of the recipients: each recipient is
 * routed by itself, the first route that matches decides. Without any recipient the message is
 * routed once. A recipient that no route takes refuses the message, but for an address of To
 * or Cc beside one that is routed; the reason is that of the route that got furthest, in the order
 * source, to (REASON_ROUTE), peers (REASON_PEER), login (REASON_LOGIN), from (REASON_SENDER),
 * subject (REASON_ROUTE), auth (REASON_PROOF). More than DECIDE_ROUTES_MAX distinct routes:
 * REASON_ROUTE. REASON_NONE: `routes_out` holds *count_out routes, at least one; else both are
 * untouched. */
struct verdict decide_routes(const struct rules *rules, const struct facts *facts,
			     struct decide_route routes_out[DECIDE_ROUTES_MAX], size_t *count_out);

/* When the top header is known: which of PROOF_DKIM and PROOF_DKIM_RELATED, that do not hold so
 * far, would send the message elsewhere. 0: it goes where it goes, whoever signed it. */
unsigned decide_proofs_wanted(const struct rules *rules, const struct facts *facts);

enum decide_action {
	DECIDE_KEEP,
	DECIDE_SKIP,       /* not stored, and nothing wrong with that */
	DECIDE_QUARANTINE, /* bad_part = quarantine */
	DECIDE_REFUSE
};

struct decide_part {
	enum decide_action action;
	enum reason reason;          /* what is wrong with it; REASON_NONE: nothing */
	const struct filetype *type; /* of the bytes; never NULL */
	const char *why;             /* in a few words, for `explain` */
};

/* What becomes of one part on one route. While part->shown_known is false, a picture that may turn
 * out to be shown inline is KEEP, even if something else speaks against it: ask again at the end.
 * Other answers are final. */
struct decide_part decide_part(const struct rules *rules, size_t route,
			       const struct facts_part *part);

/* Can this part be kept or quarantined on this route, whatever its bytes turn out to be? False: it
 * need not be staged, decide_part will say SKIP (the text of the message; with bad_part = skip a
 * part whose name is not allowed). */
bool decide_part_wanted(const struct rules *rules, size_t route, const struct facts_part *part);

/* The end, for one route: `kept` parts are stored, `quarantined` are put aside, `attachments` parts
 * were found at all; `encoded`: a boundary or base64 was seen that is no part and no text of the
 * message (FRAME_DONE_ENCODED). REASON_SUSPICIOUS goes before `no_parts = accept`. */
struct verdict decide_end(const struct rules *rules, size_t route, size_t kept, size_t quarantined,
			  size_t attachments, bool encoded);
