/* test_reach.c: which routes strangers can reach, row by row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "policy/reach.h"
#include "policy/value.h"
#include "tests/unit/load_rules.h"

#define ROOM 32

static struct network_list read_peers(const char *text, struct network networks[ROOM])
{
	struct network_list list = { networks, 0 };
	char item[64];
	bool fits;
	while (value_next(&text, item, sizeof item, &fits)) {
		size_t more = network_parse(item, networks + list.count, ROOM - list.count);
		assert_true(fits && more > 0);
		list.count += more;
	}
	return list;
}

static void wide(void **state)
{
	(void)state;
	static const struct {
		const char *peers;
		bool wide;
	} rows[] = {
		{ "", false },
		{ "private", false },
		{ "loopback", false },
		{ "private, loopback", false },
		{ "192.168.10.0/24, 10.1.2.3, fd12::/48", false },
		{ "100.64.0.0/10", false },
		{ "fe80::/64", false },
		{ "203.0.113.7", false },
		{ "2001:db8::1", false },
		{ "private, 203.0.113.7", false },
		{ "0.0.0.0/0", true },
		{ "::/0", true },
		{ "private, 203.0.113.0/24", true },
		{ "192.0.0.0/8", true },
		{ "10.0.0.0/7", true },
		{ "172.0.0.0/8", true },
		{ "fc00::/6", true },
		{ "2001:db8::/64", true },
		{ "203.0.113.6/31", true },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct network networks[ROOM];
		struct network_list list = read_peers(rows[i].peers, networks);
		if (reach_is_wide(&list) != rows[i].wide)
			fail_msg("`%s`", rows[i].peers);
	}
}

static void open_routes(void **state)
{
	(void)state;
	static const struct {
		const char *route;  /* keys of it */
		const char *peers;  /* of the listener lan */
		bool lan, required; /* the same where a login is required */
		bool mail;          /* of the mailbox office */
	} rows[] = {
		{ "", "private", false, false, true },
		{ "", "0.0.0.0/0", true, false, true },
		{ "source = lan", "0.0.0.0/0", true, false, false },
		{ "source = office", "0.0.0.0/0", false, false, true },
		{ "source = drop", "0.0.0.0/0", false, false, false },
		{ "from = a@b\nto = c@d\nsubject = x", "::/0", true, false, true },
		{ "peers = private", "0.0.0.0/0", false, false, false },
		{ "peers = 203.0.113.7", "0.0.0.0/0", false, false, false },
		{ "peers = 0.0.0.0/0", "0.0.0.0/0", true, false, false },
		{ "peers = 0.0.0.0/0", "private", false, false, false },
		{ "login = *", "0.0.0.0/0", false, false, false },
		{ "auth = none", "0.0.0.0/0", true, false, true },
		{ "auth = peer", "private", false, false, false },
		{ "auth = peer", "0.0.0.0/0", true, false, false },
		{ "auth = peer\npeers = private", "0.0.0.0/0", false, false, false },
		{ "auth = login", "0.0.0.0/0", false, false, false },
		{ "auth = login, peer", "0.0.0.0/0", true, false, false },
		{ "auth = login, peer", "private", false, false, false },
		{ "auth = results", "0.0.0.0/0", false, false, false },
		{ "auth = results, peer", "0.0.0.0/0", true, false, false },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[300];
		struct rules rules;
		struct rules_error error;
		struct network networks[ROOM];
		struct network_list peers = read_peers(rows[i].peers, networks);
		struct reach_source lan = { .name = "lan", .peers = &peers };
		struct reach_source required = { .name = "lan", .peers = &peers, .login = true };
		struct reach_source office = { .name = "office", .mail = true };
		snprintf(text, sizeof text, "[share]\npath = /srv\n[route a]\n%s\n", rows[i].route);
		if (!load_rules(&rules, text, &error))
			fail_msg("row %zu: %s", i, error.text);
		if (reach_is_open(&rules.routes[0], &lan) != rows[i].lan ||
		    reach_is_open(&rules.routes[0], &required) != rows[i].required ||
		    reach_is_open(&rules.routes[0], &office) != rows[i].mail)
			fail_msg("row %zu: `%s` with peers `%s`", i, rows[i].route, rows[i].peers);
		rules_done(&rules);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(wide), cmocka_unit_test(open_routes) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
