/* decide.c: which routes a message goes to, what becomes of each part, and whether all of it is
 * delivered. Never looks at content, only at facts; the order of the rules is visible in route_stop
 * and in decide_part. */
#include "policy/decide.h"
#include <assert.h>
#include <string.h>
#include <strings.h>
#include "policy/filename.h"

/* --- one route -------------------------------------------------------------------------------- */

/* The conditions of a route, in the order in which they are asked. */
enum stop {
	STOP_SOURCE,
	STOP_TO,
	STOP_PEERS,
	STOP_LOGIN,
	STOP_FROM,
	STOP_SUBJECT,
	STOP_AUTH,
	STOP_NONE, /* the route takes the message */
};

/* What a message hears that got as far as this. */
static const enum reason stop_reasons[] = {
	[STOP_SOURCE] = REASON_ROUTE, [STOP_TO] = REASON_ROUTE,    [STOP_PEERS] = REASON_PEER,
	[STOP_LOGIN] = REASON_LOGIN,  [STOP_FROM] = REASON_SENDER, [STOP_SUBJECT] = REASON_ROUTE,
	[STOP_AUTH] = REASON_PROOF,   [STOP_NONE] = REASON_NONE,
};

/* Early, the header is not there: what depends on it is taken to be as good as it can be. */
enum when { WHEN_EARLY, WHEN_HEADER };

static bool allows(const struct glob_list *list, const char *text)
{
	return list->count == 0 || (text && glob_list_match(list, text));
}

/* The one address of From; without a From field the envelope sender; NULL where there is
 * neither. */
static const char *from_of(const struct facts *facts)
{
	if (facts->from_state == FACTS_FROM_ONE)
		return facts->from;
	bool stands_in = facts->from_state == FACTS_FROM_NONE && facts->sender && *facts->sender;
	return stands_in ? facts->sender : NULL;
}

/* Which proofs hold on this route. Proofs about the From field need one. */
static unsigned proofs_of(const struct rules_route *route, const struct facts *facts,
			  enum when when)
{
	unsigned about_from = PROOF_RESULTS | PROOF_DKIM | PROOF_DKIM_RELATED;
	unsigned proofs = facts->proofs & ~(unsigned)PROOF_PEER;
	if (when == WHEN_EARLY)
		proofs |= about_from;
	else if (facts->from_state != FACTS_FROM_ONE)
		proofs &= ~about_from;
	if (route->align == RULES_ALIGN_RELAXED && proofs & PROOF_DKIM_RELATED)
		proofs |= PROOF_DKIM;
	if (facts->peer_allowed || network_is_loopback(&facts->peer) ||
	    network_match(&route->peers, &facts->peer))
		proofs |= PROOF_PEER;
	return proofs;
}

/* The first condition that the message does not meet. `to`: the recipient; NULL: there is none, and
 * at WHEN_EARLY there may come any. */
static enum stop route_stop(const struct rules_route *route, const struct facts *facts,
			    const char *to, enum when when)
{
	bool early = when == WHEN_EARLY;
	if (!allows(&route->sources, facts->source))
		return STOP_SOURCE;
	if (!allows(&route->to, to) && !(early && !to))
		return STOP_TO;
	if (route->peers.count && !network_match(&route->peers, &facts->peer))
		return STOP_PEERS;
	if (!allows(&route->logins, facts->login))
		return STOP_LOGIN;
	if (!early && !allows(&route->from, from_of(facts)))
		return STOP_FROM;
	if (!early && route->has_subject && !glob_match(&route->subject, facts->subject))
		return STOP_SUBJECT;
	if (route->auth && !(route->auth & proofs_of(route, facts, when)))
		return STOP_AUTH;
	return STOP_NONE;
}

/* The first route that takes the recipient; else the reason of the one that got furthest. */
static struct verdict find_route(const struct rules *rules, const struct facts *facts,
				 const char *to, enum when when, uint16_t *route_out)
{
	enum stop furthest = STOP_SOURCE;
	for (size_t i = 0; i < rules->routes_count; i++) {
		enum stop stop = route_stop(&rules->routes[i], facts, to, when);
		furthest = stop > furthest ? stop : furthest;
		if (stop != STOP_NONE)
			continue;
		*route_out = (uint16_t)i;
		break;
	}
	return (struct verdict){ stop_reasons[furthest] };
}

/* --- the message ------------------------------------------------------------------------------ */

/* Who logged in sends as himself: in the envelope, and once that is known in From. */
static bool is_himself(const struct rules *rules, const struct facts *facts, enum when when)
{
	const struct login *login =
		facts->login ? login_find(&rules->logins, facts->source, facts->login) : NULL;
	if (!login)
		return true;
	if (facts->sender && *facts->sender &&
	    !login_may_send(&rules->logins, login, facts->sender))
		return false;
	if (when == WHEN_EARLY || facts->from_state == FACTS_FROM_NONE)
		return true;
	if (facts->from_state == FACTS_FROM_ONE)
		return login_may_send(&rules->logins, login, facts->from);
	return login->addresses.count == 0;
}

struct verdict decide_early(const struct rules *rules, const struct facts *facts)
{
	uint16_t route;
	if (facts->bytes > rules->limits.message_bytes)
		return (struct verdict){ REASON_SIZE };
	if (!is_himself(rules, facts, WHEN_EARLY))
		return (struct verdict){ REASON_SENDER };
	if (facts->recipients_count == 0)
		return find_route(rules, facts, NULL, WHEN_EARLY, &route);
	for (size_t i = 0; i < facts->recipients_count; i++) {
		struct verdict verdict =
			find_route(rules, facts, facts->recipients[i], WHEN_EARLY, &route);
		if (verdict.reason != REASON_NONE)
			return verdict;
	}
	return (struct verdict){ REASON_NONE };
}

/* False: there is no room for one more. */
static bool add_route(struct decide_route routes[DECIDE_ROUTES_MAX], size_t *count, uint16_t route,
		      size_t to)
{
	for (size_t i = 0; i < *count; i++)
		if (routes[i].route == route)
			return true;
	if (*count == DECIDE_ROUTES_MAX)
		return false;
	routes[(*count)++] = (struct decide_route){ route, (uint16_t)to };
	return true;
}

struct verdict decide_routes(const struct rules *rules, const struct facts *facts,
			     struct decide_route routes_out[DECIDE_ROUTES_MAX], size_t *count_out)
{
	size_t count = 0;
	struct decide_route routes[DECIDE_ROUTES_MAX];
	struct verdict missed = { REASON_NONE };
	size_t recipients = facts->recipients_count ? facts->recipients_count : 1;
	if (facts->bytes > rules->limits.message_bytes)
		return (struct verdict){ REASON_SIZE };
	if (facts->from_state == FACTS_FROM_MANY || !is_himself(rules, facts, WHEN_HEADER))
		return (struct verdict){ REASON_SENDER };
	for (size_t i = 0; i < recipients; i++) {
		uint16_t route = 0;
		const char *to = facts->recipients_count ? facts->recipients[i] : NULL;
		struct verdict verdict = find_route(rules, facts, to, WHEN_HEADER, &route);
		if (verdict.reason != REASON_NONE) {
			missed = missed.reason != REASON_NONE ? missed : verdict;
			continue;
		}
		if (!add_route(routes, &count, route, i))
			return (struct verdict){ REASON_ROUTE };
	}
	if (missed.reason != REASON_NONE && (count == 0 || !facts->recipients_copied))
		return missed;
	memcpy(routes_out, routes, count * sizeof *routes);
	*count_out = count;
	return (struct verdict){ REASON_NONE };
}

/* --- what is worth proving -------------------------------------------------------------------- */

static bool would_take(const struct rules_route *route, const struct facts *facts, const char *to,
		       unsigned proof)
{
	struct facts would = *facts;
	would.proofs |= proof;
	return route_stop(route, &would, to, WHEN_HEADER) == STOP_NONE;
}

/* Routes come in order: what follows one that takes the recipient without it does not count. */
static unsigned wanted_for(const struct rules *rules, const struct facts *facts, const char *to)
{
	unsigned wanted = 0;
	for (size_t i = 0; i < rules->routes_count; i++) {
		const struct rules_route *route = &rules->routes[i];
		if (would_take(route, facts, to, 0))
			break;
		unsigned proof =
			route->align == RULES_ALIGN_RELAXED ? PROOF_DKIM_RELATED : PROOF_DKIM;
		if ((route->auth & PROOF_DKIM) && would_take(route, facts, to, proof))
			wanted |= proof;
	}
	return wanted;
}

unsigned decide_proofs_wanted(const struct rules *rules, const struct facts *facts)
{
	unsigned wanted = 0;
	if (facts->from_state != FACTS_FROM_ONE || facts->bytes > rules->limits.message_bytes ||
	    !is_himself(rules, facts, WHEN_HEADER))
		return 0;
	if (facts->recipients_count == 0)
		return wanted_for(rules, facts, NULL);
	for (size_t i = 0; i < facts->recipients_count; i++)
		wanted |= wanted_for(rules, facts, facts->recipients[i]);
	return wanted;
}

/* --- one part --------------------------------------------------------------------------------- */

static bool is_picture(const struct facts_part *part)
{
	return strncasecmp(part->mime, "image/", strlen("image/")) == 0;
}

static bool has_bad_name(const struct rules_route *route, const struct facts_part *part)
{
	const char *base = filename_base(part->name ? part->name : "");
	/* a slash in a name may be a folder all the same: a rule means what is behind it, too */
	const char *slash = strrchr(base, '/'), *last = slash ? slash + 1 : base;
	return !(allows(&route->names, base) || allows(&route->names, last)) ||
	       glob_list_match(&route->not_names, base) || glob_list_match(&route->not_names, last);
}

struct fault {
	enum reason reason;
	const char *why;
};

/* What speaks against storing a part that is one. */
static struct fault find_fault(const struct rules *rules, const struct rules_route *route,
			       const struct facts_part *part)
{
	if (part->size > rules->limits.part_bytes)
		return (struct fault){ REASON_SIZE, "larger than limits allow" };
	if (part->size > route->part_max)
		return (struct fault){ REASON_SIZE, "larger than part_max" };
	if (part->size < route->part_min)
		return (struct fault){ REASON_SIZE, "smaller than part_min" };
	if (!filetype_in_set(filetype_of_mime(part->mime), route->types))
		return (struct fault){ REASON_TYPE, "type not in types" };
	if (has_bad_name(route, part))
		return (struct fault){ REASON_NAME, "file name not allowed" };
	return (struct fault){ REASON_NONE, "stored" };
}

static enum decide_action bad_part_action(const struct rules_route *route)
{
	static const enum decide_action actions[] = {
		[RULES_BAD_REFUSE] = DECIDE_REFUSE,
		[RULES_BAD_SKIP] = DECIDE_SKIP,
		[RULES_BAD_QUARANTINE] = DECIDE_QUARANTINE,
	};
	return actions[route->bad_part];
}

struct decide_part decide_part(const struct rules *rules, size_t index,
			       const struct facts_part *part)
{
	assert(index < rules->routes_count);
	const struct rules_route *route = &rules->routes[index];
	const struct filetype *type = filetype_of_mime(part->mime);
	bool may_be_shown = route->inline_pictures == RULES_INLINE_SKIP && is_picture(part);
	if (part->text_body)
		return (struct decide_part){ DECIDE_SKIP, REASON_NONE, type,
					     "text of the message" };
	if (may_be_shown && part->shown_known && part->shown)
		return (struct decide_part){ DECIDE_SKIP, REASON_NONE, type,
					     "picture shown in the text" };
	struct fault fault = find_fault(rules, route, part);
	if (fault.reason == REASON_NONE)
		return (struct decide_part){ DECIDE_KEEP, REASON_NONE, type, fault.why };
	enum decide_action action = bad_part_action(route);
	if (may_be_shown && !part->shown_known && action != DECIDE_SKIP)
		return (struct decide_part){ DECIDE_KEEP, REASON_NONE, type,
					     "picture, perhaps shown in the text" };
	return (struct decide_part){ action, fault.reason, type, fault.why };
}

bool decide_part_wanted(const struct rules *rules, size_t index, const struct facts_part *part)
{
	assert(index < rules->routes_count);
	const struct rules_route *route = &rules->routes[index];
	bool skipped_by_name = route->bad_part == RULES_BAD_SKIP && has_bad_name(route, part);
	return !part->text_body && !skipped_by_name;
}

/* --- the end ---------------------------------------------------------------------------------- */

struct verdict decide_end(const struct rules *rules, size_t index, size_t kept, size_t quarantined,
			  size_t attachments, bool encoded)
{
	assert(index < rules->routes_count);
	if (kept > 0 || quarantined > 0)
		return (struct verdict){ REASON_NONE };
	if (attachments == 0 && encoded)
		return (struct verdict){ REASON_SUSPICIOUS };
	if (rules->routes[index].accept_no_parts)
		return (struct verdict){ REASON_NONE };
	return (struct verdict){ REASON_NO_PARTS };
}
