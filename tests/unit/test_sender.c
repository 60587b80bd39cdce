/* test_sender.c: globs over addresses and names, networks over peers. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "policy/sender.h"

static void globs(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *text;
		bool match;
	} rows[] = {
		{ "", "", true },
		{ "", "a", false },
		{ "*", "", true },
		{ "*", "anything", true },
		{ "**", "x", true },
		{ "?", "", false },
		{ "?", "x", true },
		{ "?", "xy", false },
		{ "?", "\xc3\xbc", true }, /* ü is one character */
		{ "??", "\xc3\xbc", false },
		{ "*??", "\xc3\xbc", false },
		{ "*?", "\xe2\x82\xac", true },
		{ "f?r", "f\xc3\xbcr", true },
		{ "scanner@example.org", "scanner@example.org", true },
		{ "scanner@example.org", "Scanner@EXAMPLE.org", true },
		{ "scanner@example.org", "scanner@example.org.evil.example", false },
		{ "scanner@example.org", "xscanner@example.org", false },
		{ "scanner@example.org", "scanner@example.or", false },
		{ "*@example.org", "a@example.org", true },
		{ "*@example.org", "a@b@example.org", true },
		{ "*@example.org", "a@example.org.evil", false },
		{ "*@example.org", "a@sub.example.org", false },
		{ "*@*.example.org", "a@sub.example.org", true },
		{ "*@*.example.org", "a@example.org", false },
		{ "invoices@*", "invoices@anything", true },
		{ "invoices@*", "my-invoices@anything", false },
		{ "*+invoices@*", "scan+invoices@x", true },
		{ "*+invoices@*", "scan+invoices+2@x", false },
		{ "*+*@*", "scan+a@x", true },
		{ "*.pdf", "scan.PDF", true },
		{ "*.pdf", "scan.pdf.exe", false },
		{ "*.pdf", ".pdf", true },
		{ "a*b*c", "abc", true },
		{ "a*b*c", "aXbXbXc", true },
		{ "a*b*c", "aXbX", false },
		{ "*aab", "aaaaaab", true },
		{ "*a?b", "aaaxb", true },
		{ "[ab]", "a", false },
		{ "[ab]", "[ab]", true },
		{ "a*", "A", true },
		{ "*\xc3\xa4*", "\xc3\xa4", true },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct glob glob = { rows[i].pattern };
		if (glob_match(&glob, rows[i].text) != rows[i].match)
			fail_msg("`%s` over `%s`: %d expected", rows[i].pattern, rows[i].text,
				 rows[i].match);
	}
}

/* Written the other way round, by recursion, to compare with; short texts only. */
static bool slow_match(const char *pattern, const char *text)
{
	if (*pattern == '*')
		return slow_match(pattern + 1, text) || (*text && slow_match(pattern, text + 1));
	if (!*pattern || !*text)
		return *pattern == *text;
	return (*pattern == '?' || *pattern == *text) && slow_match(pattern + 1, text + 1);
}

static void globs_as_by_recursion(void **state)
{
	(void)state;
	unsigned random = 1;
	for (int round = 0; round < 200000; round++) {
		char pattern[8], text[10];
		for (size_t i = 0; i < sizeof pattern; i++)
			pattern[i] = "ab*?\0ab*"[(random = random * 1103515245 + 12345) >> 16 & 7];
		for (size_t i = 0; i < sizeof text; i++)
			text[i] = "abba\0bab"[(random = random * 1103515245 + 12345) >> 16 & 7];
		pattern[sizeof pattern - 1] = text[sizeof text - 1] = '\0';
		struct glob glob = { pattern };
		if (glob_match(&glob, text) != slow_match(pattern, text))
			fail_msg("`%s` over `%s`", pattern, text);
	}
}

/* What would take for ever if every star were tried again. */
static void hostile_text_is_fast(void **state)
{
	(void)state;
	static char text[4097];
	struct glob glob = { "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b" };
	memset(text, 'a', sizeof text - 1);
	clock_t start = clock();
	for (int i = 0; i < 20; i++)
		assert_false(glob_match(&glob, text));
	assert_true((clock() - start) / CLOCKS_PER_SEC < 5);
}

static void glob_lists(void **state)
{
	(void)state;
	struct glob globs[] = { { "a@*" }, { "*@b" } };
	struct glob_list list = { globs, 2 }, empty = { NULL, 0 };
	assert_true(glob_list_match(&list, "a@x"));
	assert_true(glob_list_match(&list, "x@b"));
	assert_false(glob_list_match(&list, "x@c"));
	assert_false(glob_list_match(&empty, "a@x"));
}

static struct facts_peer peer_of(const char *text)
{
	struct facts_peer peer = { .known = true, .address = { [10] = 0xff, 0xff } };
	if (inet_pton(AF_INET, text, peer.address + 12) != 1)
		assert_int_equal(inet_pton(AF_INET6, text, peer.address), 1);
	return peer;
}

static void networks(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t count; /* 0: refused */
		const char *in, *out;
	} rows[] = {
		{ "192.0.2.7", 1, "192.0.2.7", "192.0.2.8" },
		{ "192.0.2.7", 1, "::ffff:192.0.2.7", "::c000:207" },
		{ "10.0.0.0/8", 1, "10.255.0.1", "11.0.0.0" },
		{ "192.168.10.0/24", 1, "192.168.10.255", "192.168.11.0" },
		{ "192.168.10.128/25", 1, "192.168.10.128", "192.168.10.127" },
		{ "192.168.10.4/31", 1, "192.168.10.5", "192.168.10.6" },
		{ "192.168.10.4/32", 1, "192.168.10.4", "192.168.10.5" },
		{ "0.0.0.0/0", 1, "203.0.113.9", "2001:db8::1" },
		{ "::/0", 1, "2001:db8::1", NULL },
		{ "fd00::/8", 1, "fd12::1", "fe00::1" },
		{ "2001:db8::/33", 1, "2001:db8:7fff::1", "2001:db8:8000::1" },
		{ "::1", 1, "::1", "::2" },
		{ "private", 6, "172.31.255.255", "172.32.0.0" },
		{ "private", 6, "192.168.0.1", "192.169.0.1" },
		{ "private", 6, "10.1.2.3", "11.1.2.3" },
		{ "private", 6, "169.254.3.4", "169.253.3.4" },
		{ "private", 6, "fe80::1", "fec0::1" },
		{ "PRIVATE", 6, "fc00::1", "127.0.0.1" },
		{ "loopback", 2, "127.0.0.53", "128.0.0.1" },
		{ "loopback", 2, "::1", "::" },
		{ "10.0.0.1/8", 0, NULL, NULL },
		{ "fd00::1/8", 0, NULL, NULL },
		{ "10.0.0.0/33", 0, NULL, NULL },
		{ "::/129", 0, NULL, NULL },
		{ "10.0.0.0/", 0, NULL, NULL },
		{ "10.0.0.0/-1", 0, NULL, NULL },
		{ "10.0.0.0/ 8", 0, NULL, NULL },
		{ "10.0.0.0/8/8", 0, NULL, NULL },
		{ "10.0.0", 0, NULL, NULL },
		{ "10.0.0.256", 0, NULL, NULL },
		{ "010.0.0.1", 0, NULL, NULL },
		{ "[::1]", 0, NULL, NULL },
		{ "fe80::1%eth0", 0, NULL, NULL },
		{ "", 0, NULL, NULL },
		{ "/8", 0, NULL, NULL },
		{ "office", 0, NULL, NULL },
		{ "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/8", 0, NULL, NULL },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct network found[8];
		struct network_list list = { found, network_parse(rows[i].text, found, 8) };
		if (list.count != rows[i].count)
			fail_msg("`%s` gave %zu", rows[i].text, list.count);
		for (int out = 0; out < 2; out++) {
			const char *text = out ? rows[i].out : rows[i].in;
			if (!text)
				continue;
			struct facts_peer peer = peer_of(text);
			if (network_match(&list, &peer) != !out)
				fail_msg("`%s` in `%s`", text, rows[i].text);
		}
	}
}

static void networks_need_room(void **state)
{
	(void)state;
	struct network found[6];
	assert_int_equal(network_parse("private", found, 5), 0);
	assert_int_equal(network_parse("private", found, 6), 6);
	assert_int_equal(network_parse("loopback", found, 1), 0);
	assert_int_equal(network_parse("192.0.2.1", found, 0), 0);
}

static void unknown_peers_match_nothing(void **state)
{
	(void)state;
	struct network found[1];
	struct network_list list = { found, network_parse("::/0", found, 1) };
	struct facts_peer peer = { .known = false };
	assert_false(network_match(&list, &peer));
	assert_false(network_is_loopback(&peer));
}

static void loopback(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool loopback;
	} rows[] = { { "127.0.0.1", true }, { "127.255.255.255", true },
		     { "::1", true },       { "128.0.0.1", false },
		     { "::", false },       { "::ffff:127.0.0.1", true },
		     { "::7f00:1", false } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct facts_peer peer = peer_of(rows[i].text);
		assert_int_equal(network_is_loopback(&peer), rows[i].loopback);
	}
}

static void printing(void **state)
{
	(void)state;
	static const char *const rows[] = { "192.0.2.7", "2001:db8::1", "::1",
					    "1111:2222:3333:4444:5555:6666:7777:8888" };
	char text[46];
	struct facts_peer unknown = { .known = false };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct facts_peer peer = peer_of(rows[i]);
		network_print(&peer, text);
		assert_string_equal(text, rows[i]);
	}
	network_print(&unknown, text);
	assert_string_equal(text, "-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(globs),
		cmocka_unit_test(globs_as_by_recursion),
		cmocka_unit_test(hostile_text_is_fast),
		cmocka_unit_test(glob_lists),
		cmocka_unit_test(networks),
		cmocka_unit_test(networks_need_room),
		cmocka_unit_test(unknown_peers_match_nothing),
		cmocka_unit_test(loopback),
		cmocka_unit_test(printing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
