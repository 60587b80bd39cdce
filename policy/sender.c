/* sender.c: globs over addresses and names, and networks over peers. Never asks the network
 * anything, and takes no longer for a hostile text than for an honest one. */
#include "policy/sender.h"
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>
#include "policy/value.h"

static const uint8_t mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static char lower(char letter)
{
	return letter >= 'A' && letter <= 'Z' ? (char)(letter + ('a' - 'A')) : letter;
}

/* The next character: `?` stands for a whole one of UTF-8. */
static const char *next_character(const char *text)
{
	text++;
	while (((unsigned char)*text & 0xc0) == 0x80)
		text++;
	return text;
}

/* One character of the pattern against the text: where the text goes on, NULL where they differ. */
static const char *match_one(const char *pattern, const char *text)
{
	if (*text && *pattern == '?')
		return next_character(text);
	if (*text && *pattern && lower(*pattern) == lower(*text))
		return text + 1;
	return NULL;
}

/* Only the last star that was met is ever tried again: whatever an earlier one could take, the last
 * one can take too. So the work is at most pattern times text. */
bool glob_match(const struct glob *glob, const char *text)
{
	const char *pattern = glob->pattern, *star = NULL, *retry = NULL;
	while (*pattern || *text) {
		const char *next = match_one(pattern, text);
		if (*pattern == '*') {
			star = ++pattern;
			retry = text;
		} else if (next) {
			pattern++;
			text = next;
		} else if (star && *retry) {
			pattern = star;
			text = retry = next_character(retry);
		} else {
			return false;
		}
	}
	return true;
}

bool glob_list_match(const struct glob_list *list, const char *text)
{
	for (size_t i = 0; i < list->count; i++)
		if (glob_match(&list->globs[i], text))
			return true;
	return false;
}

/* --- logins ----------------------------------------------------------------------------------- */

const struct login *login_find(const struct login_list *list, const char *source, const char *name)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct login *login = &list->logins[i];
		if (strcmp(login->source, source) == 0 && strcmp(login->name, name) == 0)
			return login;
	}
	return NULL;
}

bool login_may_send(const struct login_list *list, const struct login *login, const char *address)
{
	if (login->addresses.count > 0)
		return glob_list_match(&login->addresses, address);
	for (size_t i = 0; i < list->count; i++) {
		const struct login *other = &list->logins[i];
		if (strcmp(other->source, login->source) == 0 &&
		    glob_list_match(&other->addresses, address))
			return false;
	}
	return true;
}

/* The words that stand for several networks. IPv4 prefixes count within the mapped address: 96
 * more. */
static const struct named_network {
	const char *word;
	struct network network;
} named_networks[] = {
	{ "private", { { [10] = 0xff, 0xff, 10 }, 96 + 8 } },
	{ "private", { { [10] = 0xff, 0xff, 172, 16 }, 96 + 12 } },
	{ "private", { { [10] = 0xff, 0xff, 192, 168 }, 96 + 16 } },
	{ "private", { { [10] = 0xff, 0xff, 169, 254 }, 96 + 16 } },
	{ "private", { { 0xfc }, 7 } },
	{ "private", { { 0xfe, 0x80 }, 10 } },
	{ "loopback", { { [10] = 0xff, 0xff, 127 }, 96 + 8 } },
	{ "loopback", { { [15] = 1 }, 128 } },
};

static size_t find_named(const char *word, struct network *networks, size_t room)
{
	size_t count = 0;
	for (size_t i = 0; i < sizeof named_networks / sizeof *named_networks; i++) {
		if (strcasecmp(word, named_networks[i].word) != 0)
			continue;
		if (count == room)
			return 0;
		networks[count++] = named_networks[i].network;
	}
	return count;
}

static bool parse_address(const char *text, struct network *network_out, unsigned *bits_out)
{
	memcpy(network_out->address, mapped_prefix, sizeof mapped_prefix);
	*bits_out = 32;
	if (inet_pton(AF_INET, text, network_out->address + sizeof mapped_prefix) == 1)
		return true;
	*bits_out = 128;
	return inet_pton(AF_INET6, text, network_out->address) == 1;
}

static uint8_t prefix_mask(unsigned octet, unsigned prefix)
{
	if (prefix >= 8 * (octet + 1))
		return 0xff;
	return prefix <= 8 * octet ? 0 : (uint8_t)(0xff << (8 - prefix % 8));
}

static bool has_bits_beyond(const struct network *network)
{
	for (unsigned i = 0; i < sizeof network->address; i++)
		if (network->address[i] & ~prefix_mask(i, network->prefix))
			return true;
	return false;
}

static bool parse_network(const char *text, struct network *network_out)
{
	char address[INET6_ADDRSTRLEN];
	size_t length = strcspn(text, "/");
	if (length >= sizeof address || strpbrk(text, " \t\r\n"))
		return false;
	memcpy(address, text, length);
	address[length] = '\0';
	unsigned bits = 0;
	if (!parse_address(address, network_out, &bits))
		return false;
	uint64_t prefix = bits;
	if (text[length] == '/' && !value_number(text + length + 1, 0, bits, &prefix))
		return false;
	network_out->prefix = (uint8_t)(128 - bits + prefix);
	return !has_bits_beyond(network_out);
}

size_t network_parse(const char *text, struct network *networks, size_t room)
{
	struct network network = { .prefix = 0 };
	size_t named = find_named(text, networks, room);
	if (named)
		return named;
	if (room == 0 || !parse_network(text, &network))
		return 0;
	networks[0] = network;
	return 1;
}

static bool network_holds(const struct network *network, const struct facts_peer *peer)
{
	for (unsigned i = 0; i < sizeof network->address; i++)
		if ((network->address[i] ^ peer->address[i]) & prefix_mask(i, network->prefix))
			return false;
	return true;
}

bool network_match(const struct network_list *list, const struct facts_peer *peer)
{
	for (size_t i = 0; peer->known && i < list->count; i++)
		if (network_holds(&list->networks[i], peer))
			return true;
	return false;
}

bool network_is_loopback(const struct facts_peer *peer)
{
	struct network networks[2];
	struct network_list loopback = { networks, find_named("loopback", networks, 2) };
	return network_match(&loopback, peer);
}

void network_print(const struct facts_peer *peer, char *text)
{
	bool mapped = memcmp(peer->address, mapped_prefix, sizeof mapped_prefix) == 0;
	strcpy(text, "-");
	if (peer->known && mapped)
		inet_ntop(AF_INET, peer->address + sizeof mapped_prefix, text, INET6_ADDRSTRLEN);
	else if (peer->known)
		inet_ntop(AF_INET6, peer->address, text, INET6_ADDRSTRLEN);
}
