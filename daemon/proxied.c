/* proxied.c: compares peers with the routers that /proc/net tells of. Never looks up who they are.
 */
#include "daemon/proxied.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char proxied_fault[] =
	"a proxy or a router stands between us and the devices, so `peers` can't tell them apart and "
	"lets in all of them, or none";
const char proxied_remedy[] =
	"give the container the host's network (network_mode: host) or one of its own (macvlan), or "
	"ask for a login";

static bool read_octets(const char *text, uint8_t octets[16])
{
	if (strspn(text, "0123456789abcdef") != 32)
		return false;
	for (size_t i = 0; i < 16; i++) {
		if (sscanf(text + 2 * i, "%2hhx", &octets[i]) != 1)
			return false;
	}
	return true;
}

static bool is_zero(const uint8_t octets[16])
{
	static const uint8_t zero[16];
	return memcmp(octets, zero, sizeof zero) == 0;
}

/* The numbers are addresses as they lie in memory. */
bool proxied_read_v4(const char *line, struct facts_peer *router_out)
{
	uint32_t to, router, mask;
	if (sscanf(line, "%*s %x %x %*s %*s %*s %*s %x", &to, &router, &mask) != 3)
		return false;
	if (to != 0 || mask != 0 || router == 0)
		return false;
	*router_out = (struct facts_peer){ .known = true, .address = { [10] = 0xff, 0xff } };
	memcpy(router_out->address + 12, &router, sizeof router);
	return true;
}

bool proxied_read_v6(const char *line, struct facts_peer *router_out)
{
	char to[33], prefix[3], router[33];
	uint8_t target[16];
	struct facts_peer found = { .known = true };
	if (sscanf(line, "%32s %2s %*s %*s %32s", to, prefix, router) != 3)
		return false;
	if (!read_octets(to, target) || !is_zero(target) || strcmp(prefix, "00") != 0 ||
	    !read_octets(router, found.address) || is_zero(found.address))
		return false;
	*router_out = found;
	return true;
}

static void read_table(struct proxied *proxied, const char *path,
		       bool (*read)(const char *line, struct facts_peer *router_out))
{
	char line[512];
	FILE *table = fopen(path, "re");
	while (table && proxied->count < PROXIED_ROUTERS_MAX && fgets(line, sizeof line, table)) {
		struct facts_peer router;
		if (read(line, &router) && !proxied_is_router(proxied, &router))
			proxied->routers[proxied->count++] = router;
	}
	if (table)
		fclose(table);
}

void proxied_init(struct proxied *proxied)
{
	*proxied = (struct proxied){ .count = 0 };
	read_table(proxied, "/proc/net/route", proxied_read_v4);
	read_table(proxied, "/proc/net/ipv6_route", proxied_read_v6);
}

bool proxied_is_router(const struct proxied *proxied, const struct facts_peer *peer)
{
	for (size_t i = 0; peer->known && i < proxied->count; i++) {
		if (memcmp(proxied->routers[i].address, peer->address, sizeof peer->address) == 0)
			return true;
	}
	return false;
}

bool proxied_count(struct proxied *proxied, const struct facts_peer *peer)
{
	if (proxied->elsewhere || proxied->seen == PROXIED_ENOUGH || network_is_loopback(peer))
		return false;
	if (!proxied_is_router(proxied, peer)) {
		proxied->elsewhere = true;
		return false;
	}
	return ++proxied->seen == PROXIED_ENOUGH;
}

bool proxied_admits_only(const struct proxied *proxied, const struct network_list *peers)
{
	for (size_t i = 0; i < peers->count; i++) {
		const struct network *network = &peers->networks[i];
		struct facts_peer peer = { .known = true };
		memcpy(peer.address, network->address, sizeof peer.address);
		if (network->prefix != 128 ||
		    (!proxied_is_router(proxied, &peer) && !network_is_loopback(&peer)))
			return false;
	}
	return peers->count > 0;
}

bool proxied_in_container(void)
{
	return access("/.dockerenv", F_OK) == 0 || access("/run/.containerenv", F_OK) == 0 ||
	       getenv("container") != NULL;
}
