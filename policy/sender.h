/* sender.h: who may send: addresses, domains, networks; and the globs of every other rule. Room
 * policy: pure.
 *
 * Globs know * and ?, are blind to case (ASCII) and match the whole text. A match takes time linear
 * in the text for each * at worst: a hostile text can't make it slow. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "policy/facts.h"

struct glob {
	const char *pattern;
};

struct glob_list {
	struct glob *globs;
	size_t count; /* 0: not configured */
};

struct network {
	uint8_t address[16]; /* as in struct facts_peer */
	uint8_t prefix;      /* bits, 0..128 */
};

struct network_list {
	struct network *networks;
	size_t count;
};

/* Who can log in at a source, and as whom he may send. */
struct login {
	const char *source, *name;
	struct glob_list addresses; /* none: any but those of others */
};

struct login_list {
	struct login *logins;
	size_t count;
};

bool glob_match(const struct glob *glob, const char *text);

/* Does any of them match? False for an empty list. */
bool glob_list_match(const struct glob_list *list, const char *text);

/* NULL: none. */
const struct login *login_find(const struct login_list *list, const char *source, const char *name);

/* May this login send as this address? Who has addresses of his own: as those alone. Who has none:
 * as any that is not another's. */
bool login_may_send(const struct login_list *list, const struct login *login, const char *address);

/* `10.0.0.0/8`, `fd00::/8`, `192.0.2.7`, `private` (RFC 1918, fc00::/7, link-local), `loopback`.
 * Fills at most `room` networks and says how many; 0: not an address. Bits beyond the prefix are an
 * error. */
size_t network_parse(const char *text, struct network *networks, size_t room);

bool network_match(const struct network_list *list, const struct facts_peer *peer);

bool network_is_loopback(const struct facts_peer *peer);

/* "192.0.2.7", "2001:db8::1", or "-" where it is not known. `text` holds 46 octets. */
void network_print(const struct facts_peer *peer, char *text);
