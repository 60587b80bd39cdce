/* test_proxied.c: routes as the kernel prints them, and when it is said that all devices are one.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "daemon/proxied.h"

#define ZERO "00000000000000000000000000000000"

static const struct {
	const char *line;
	const char *router; /* NULL: none */
	bool v6;
} lines[] = {
	{ "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
	  NULL, false },
	{ "eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0", "172.17.0.1", false },
	{ "eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0", NULL, false },
	{ "eth0\t0000000A\t010011AC\t0003\t0\t0\t0\t000000FF\t0\t0\t0", NULL, false },
	{ "eth0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0", NULL, false },
	{ "", NULL, false },
	{ "eth0 00000000", NULL, false },
	{ ZERO " 00 " ZERO
	       " 00 fe800000000000000000000000000001 00000400 00000001 00000000 00450003 eth0",
	  "fe80::1", true },
	{ ZERO " 00 " ZERO " 00 " ZERO " ffffffff 00000001 00000000 00200200 lo", NULL, true },
	{ "fd000000000000000000000000000000 40 " ZERO
	  " 00 fe800000000000000000000000000001 00000400",
	  NULL, true },
	{ ZERO " 08 " ZERO " 00 fe800000000000000000000000000001 00000400", NULL, true },
	{ ZERO " 00 " ZERO " 00 fe80000000000000000000000000000x 00000400", NULL, true },
	{ ZERO " 00 short 00 fe80", NULL, true },
	{ "", NULL, true },
};

static struct facts_peer peer_of(const char *text)
{
	struct facts_peer peer = { .known = true, .address = { [10] = 0xff, 0xff } };
	if (inet_pton(AF_INET, text, peer.address + 12) != 1)
		assert_int_equal(inet_pton(AF_INET6, text, peer.address), 1);
	return peer;
}

static void routes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		struct facts_peer router = { .known = false };
		char text[46];
		bool found =
			(lines[i].v6 ? proxied_read_v6 : proxied_read_v4)(lines[i].line, &router);
		network_print(&router, text);
		if (found != (lines[i].router != NULL) ||
		    strcmp(text, lines[i].router ? lines[i].router : "-") != 0)
			fail_msg("%s: %s", lines[i].line, text);
	}
}

static void counts(void **state)
{
	(void)state;
	static const struct {
		const char *peers[8];
		const char *warned; /* a digit a peer */
	} rows[] = {
		{ { "172.17.0.1", "172.17.0.1", "172.17.0.1", "172.17.0.1" }, "0010" },
		{ { "172.17.0.1", "127.0.0.1", "::1", "172.17.0.1", "172.17.0.1" }, "00001" },
		{ { "172.17.0.1", "172.17.0.2", "172.17.0.1", "172.17.0.1", "172.17.0.1" },
		  "00000" },
		{ { "172.17.0.1", "fe80::1", "172.17.0.1" }, "001" },
		{ { "172.17.0.2", "172.17.0.2", "172.17.0.2" }, "000" },
		{ { "127.0.0.1", "127.0.0.1", "127.0.0.1" }, "000" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct proxied proxied = { .routers = { peer_of("172.17.0.1"), peer_of("fe80::1") },
					   .count = 2 };
		for (size_t p = 0; rows[i].peers[p]; p++) {
			struct facts_peer peer = peer_of(rows[i].peers[p]);
			if (proxied_count(&proxied, &peer) != (rows[i].warned[p] == '1'))
				fail_msg("row %zu, peer %zu", i, p);
		}
	}
}

static void admitted(void **state)
{
	(void)state;
	static const struct {
		const char *peers[3];
		bool only;
	} rows[] = {
		{ { NULL }, false },
		{ { "172.17.0.1" }, true },
		{ { "172.17.0.1", "127.0.0.1" }, true },
		{ { "172.17.0.1", "172.17.0.2" }, false },
		{ { "172.17.0.0/16" }, false },
		{ { "172.17.0.2" }, false },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct proxied proxied = { .routers = { peer_of("172.17.0.1") }, .count = 1 };
		struct network found[3];
		struct network_list list = { found, 0 };
		for (size_t p = 0; p < 3 && rows[i].peers[p]; p++)
			list.count += network_parse(rows[i].peers[p], found + p, 1);
		if (proxied_admits_only(&proxied, &list) != rows[i].only)
			fail_msg("row %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(routes), cmocka_unit_test(counts),
					    cmocka_unit_test(admitted) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
