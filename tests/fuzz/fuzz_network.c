/* fuzz_network.c: two texts, cut at the first NUL: a list of networks or a glob, and an address or
 * what it is matched against. What was understood must mean the same when it is printed and read
 * again. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "policy/sender.h"
#include "policy/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_network(const struct network *network)
{
	struct facts_peer peer = { .known = true };
	struct network copy = *network, again;
	struct network_list list = { &copy, 1 };
	char text[46], whole[64];
	assert(network->prefix <= 128);
	memcpy(peer.address, network->address, sizeof peer.address);
	assert(network_match(&list, &peer));
	network_print(&peer, text);
	bool four = !strchr(text, ':');
	if (four && network->prefix < 96)
		return;
	snprintf(whole, sizeof whole, "%s/%d", text, network->prefix - (four ? 96 : 0));
	assert(network_parse(whole, &again, 1) == 1);
	assert(again.prefix == network->prefix);
	assert(memcmp(again.address, network->address, sizeof again.address) == 0);
}

static void check_networks(const char *text)
{
	char item[64];
	bool fits = true;
	for (const char *cursor = text; value_next(&cursor, item, sizeof item, &fits);) {
		struct network networks[8];
		size_t count = network_parse(item, networks, 8);
		assert(count <= 8);
		for (size_t i = 0; i < count; i++)
			check_network(&networks[i]);
	}
}

static void check_values(const char *text)
{
	uint64_t number;
	uint32_t mode;
	bool yes;
	if (value_mode(text, &mode))
		assert(mode <= 07777);
	if (value_number(text, 5, 500, &number))
		assert(number >= 5 && number <= 500);
	value_size(text, &number);
	value_seconds(text, &number);
	value_bool(text, &yes);
	assert(value_distance(text, "private", 2) <= 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 2);
	memcpy(text, data, size);
	text[size] = text[size + 1] = '\0';
	const char *other = text + strlen(text) + 1;
	struct glob glob = { text }, star = { "*" };
	check_networks(text);
	check_values(text);
	glob_match(&glob, other);
	assert(glob_match(&star, other));
	free(text);
	return 0;
}
