/* reach.h: can strangers put files where a route leads? Room policy: pure.
 *
 * A stranger is who comes from beyond the owner's own networks and has shown nothing: no login, no
 * proof. To a mailbox anybody writes who knows its address. */
#pragma once
#include <stdbool.h>
#include "policy/rules.h"

/* A source, as far as it decides who gets in. */
struct reach_source {
	const char *name;
	bool mail;                        /* a mailbox or a Maildir */
	bool login;                       /* of a listener: it takes no mail without one */
	const struct network_list *peers; /* of a listener: who may connect, loopback aside */
};

/* Is one of the networks more than the owner's own: neither private, loopback or a carrier's shared
 * one, nor a single machine, which somebody has named on purpose? */
bool reach_is_wide(const struct network_list *peers);

/* Does this route take mail of strangers from this source? `auth = peer` is no proof where the
 * listener's `peers` are wide; `from`, `to` and `subject` never are. */
bool reach_is_open(const struct rules_route *route, const struct reach_source *source);
