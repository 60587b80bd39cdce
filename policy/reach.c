/* reach.c: who gets in, whatever he writes into his mail. Never looks at a message. */
#include "policy/reach.h"
#include <string.h>

/* The last is RFC 6598: a carrier's, or a VPN's. */
static const char *const own[] = { "private", "loopback", "100.64.0.0/10" };

#define OWN_MAX 8 /* networks of one of these */

static bool is_within(const struct network *inner, struct network *outer)
{
	const struct network_list list = { outer, 1 };
	struct facts_peer first = { .known = true };
	memcpy(first.address, inner->address, sizeof first.address);
	return inner->prefix >= outer->prefix && network_match(&list, &first);
}

static bool is_own(const struct network *network)
{
	struct network found[OWN_MAX];
	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
		size_t count = network_parse(own[i], found, OWN_MAX);
		for (size_t n = 0; n < count; n++)
			if (is_within(network, &found[n]))
				return true;
	}
	return false;
}

bool reach_is_wide(const struct network_list *peers)
{
	for (size_t i = 0; i < peers->count; i++)
		if (peers->networks[i].prefix < 128 && !is_own(&peers->networks[i]))
			return true;
	return false;
}

/* What a mail brings may prove something there, or nothing ever does. A route that wants a peer or
 * a login takes no mail from a mailbox. */
static bool takes_mail(const struct rules_route *route)
{
	return route->auth == 0 && route->peers.count == 0;
}

static bool takes_peers(const struct rules_route *route, const struct reach_source *source)
{
	bool wide = reach_is_wide(source->peers) &&
		    (route->peers.count == 0 || reach_is_wide(&route->peers));
	return wide && !source->login && (route->auth == 0 || (route->auth & PROOF_PEER));
}

bool reach_is_open(const struct rules_route *route, const struct reach_source *source)
{
	bool taken = route->sources.count == 0 || glob_list_match(&route->sources, source->name);
	if (!taken || route->logins.count > 0)
		return false;
	return source->mail ? takes_mail(route) : takes_peers(route, source);
}
