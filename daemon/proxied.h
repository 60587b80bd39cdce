/* proxied.h: does somebody stand between us and the devices, so that all of them have his address?
 * Ground of daemon.
 *
 * A container engine's proxy, or a router that translates addresses, connects in place of every
 * device from the address of the default route. Then `peers` admits all of them or none. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "policy/sender.h"

#define PROXIED_ROUTERS_MAX 8
#define PROXIED_ENOUGH      3 /* connections after which it is no chance any more */

struct proxied {
	struct facts_peer routers[PROXIED_ROUTERS_MAX]; /* of the default routes */
	size_t count;
	unsigned seen;  /* connections from a router */
	bool elsewhere; /* one came from elsewhere, loopback apart */
};

/* Reads the routes of this machine, or container; before any jail. */
void proxied_init(struct proxied *proxied);

/* One line of /proc/net/route or of /proc/net/ipv6_route: the router of a default route. False: it
 * is none. */
bool proxied_read_v4(const char *line, struct facts_peer *router_out);
bool proxied_read_v6(const char *line, struct facts_peer *router_out);

bool proxied_is_router(const struct proxied *proxied, const struct facts_peer *peer);

/* A connection came. True: it is time to warn, once. */
bool proxied_count(struct proxied *proxied, const struct facts_peer *peer);

/* Do these networks admit routers alone? Somebody has seen their address and allowed it. */
bool proxied_admits_only(const struct proxied *proxied, const struct network_list *peers);

/* Docker, Podman and their kin leave a mark. */
bool proxied_in_container(void);

/* What is wrong, behind "..., which is the router of this network: ", and what helps. */
extern const char proxied_fault[], proxied_remedy[];
