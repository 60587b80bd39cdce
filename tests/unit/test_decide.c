/* test_decide.c: routes, parts and the end, row by row; and that what is refused early is refused
 * at the end, whatever the rest turns out to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "policy/decide.h"
#include "tests/unit/load_rules.h"

#define SHARE "[share]\npath = /srv\n"

static void load(struct rules *rules, const char *text)
{
	struct rules_error error;
	if (!load_rules(rules, text, &error))
		fail_msg("line %u: %s", error.at, error.text);
}

static struct facts_peer peer_of(uint8_t first, uint8_t last)
{
	return (struct facts_peer){ true, { [10] = 0xff, 0xff, first, 0, 0, last } };
}

static const char *name_of(struct verdict verdict)
{
	return verdict_row(verdict.reason)->name;
}

/* --- which routes ----------------------------------------------------------------------------- */

/* A message from scan@example.org over lan, peer 10.0.0.7, to in@x, changed by `change`. */
static struct facts usual_facts(const char *const *recipients)
{
	struct facts facts = { .source = "lan",
			       .peer = peer_of(10, 7),
			       .has_envelope = true,
			       .sender = "env@example.org",
			       .recipients = recipients,
			       .from_state = FACTS_FROM_ONE,
			       .from = "scan@example.org",
			       .subject = "Scan from office",
			       .bytes = 1000 };
	for (; recipients && recipients[facts.recipients_count]; facts.recipients_count++)
		;
	return facts;
}

static void one_condition(void **state)
{
	(void)state;
	static const struct {
		const char *key; /* of the one route */
		const char *reason;
	} rows[] = {
		{ "", "none" },
		{ "source = lan", "none" },
		{ "source = office, lan", "none" },
		{ "source = office", "route" },
		{ "to = in@*", "none" },
		{ "to = IN@X", "none" },
		{ "to = out@*", "route" },
		{ "peers = 10.0.0.0/8", "none" },
		{ "peers = private", "none" },
		{ "peers = 10.0.0.8", "peer" },
		{ "from = *@example.org", "none" },
		{ "from = env@example.org", "sender" },
		{ "from = *@example.com", "sender" },
		{ "login = scan", "login" },
		{ "login = *", "login" },
		{ "subject = scan*", "none" },
		{ "subject = fax*", "route" },
		{ "auth = none", "none" },
		{ "auth = peer", "proof" },
		{ "auth = login", "proof" },
		{ "auth = peer, login", "proof" },
		{ "auth = peer\npeers = 10.0.0.0/24", "none" },
		{ "auth = peer, login\npeers = 10.0.0.0/24", "none" },
		{ "auth = login\npeers = 10.0.0.0/24", "proof" },
	};
	static const char *const recipients[] = { "in@x", NULL };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[300];
		struct rules rules;
		struct decide_route routes[DECIDE_ROUTES_MAX];
		size_t count = 99;
		struct facts facts = usual_facts(recipients);
		snprintf(text, sizeof text, SHARE "[route a]\n%s\n", rows[i].key);
		load(&rules, text);
		struct verdict verdict = decide_routes(&rules, &facts, routes, &count);
		if (strcmp(name_of(verdict), rows[i].reason) != 0)
			fail_msg("`%s`: %s", rows[i].key, name_of(verdict));
		assert_int_equal(count, verdict.reason == REASON_NONE ? 1 : 99);
		rules_done(&rules);
	}
}

/* Conditions are asked in one order; the reason is that of the first that fails. */
static void order_of_conditions(void **state)
{
	(void)state;
	static const struct {
		const char *failing, *reason;
	} rows[] = {
		{ "source = office", "route" },  { "to = out@*", "route" },
		{ "peers = 192.0.2.1", "peer" }, { "login = x", "login" },
		{ "from = x@y", "sender" },      { "subject = x", "route" },
		{ "auth = login", "proof" },
	};
	static const char *const recipients[] = { "in@x", NULL };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[600] = SHARE "[route a]\n";
		struct rules rules;
		struct decide_route routes[DECIDE_ROUTES_MAX];
		size_t count;
		struct facts facts = usual_facts(recipients);
		for (size_t j = i; j < sizeof rows / sizeof *rows; j++)
			snprintf(text + strlen(text), sizeof text - strlen(text), "%s\n",
				 rows[j].failing);
		load(&rules, text);
		assert_string_equal(name_of(decide_routes(&rules, &facts, routes, &count)),
				    rows[i].reason);
		rules_done(&rules);
	}
}

static void the_furthest_route_gives_the_reason(void **state)
{
	(void)state;
	static const struct {
		const char *routes, *reason;
	} rows[] = {
		{ "", "route" },
		{ "[route a]\nto = out@*\n[route b]\nfrom = x@y\n", "sender" },
		{ "[route a]\nfrom = x@y\n[route b]\nto = out@*\n", "sender" },
		{ "[route a]\npeers = 192.0.2.1\n[route b]\nlogin = x\n", "login" },
		{ "[route a]\nauth = login\n[route b]\npeers = 192.0.2.1\n", "proof" },
		{ "[route a]\nsubject = x\n[route b]\nfrom = x@y\n", "route" },
		{ "[route a]\nsource = office\n[route b]\nto = out@*\n", "route" },
		{ "[route a]\nauth = login\n[route b]\n", "none" },
	};
	static const char *const recipients[] = { "in@x", NULL };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[300];
		struct rules rules;
		struct decide_route routes[DECIDE_ROUTES_MAX];
		size_t count;
		struct facts facts = usual_facts(recipients);
		snprintf(text, sizeof text, SHARE "%s", rows[i].routes);
		load(&rules, text);
		assert_string_equal(name_of(decide_routes(&rules, &facts, routes, &count)),
				    rows[i].reason);
		rules_done(&rules);
	}
}

/* The From field, and what stands in for it. */
static void from_fields(void **state)
{
	(void)state;
	static const struct {
		enum facts_from from_state;
		const char *sender;
		const char *with_from, *without; /* reasons on a route with `from`, and without */
	} rows[] = {
		{ FACTS_FROM_ONE, "", "none", "none" },
		{ FACTS_FROM_NONE, "scan@example.org", "none", "none" },
		{ FACTS_FROM_NONE, "evil@example.com", "sender", "none" },
		{ FACTS_FROM_NONE, "", "sender", "none" },
		{ FACTS_FROM_NONE, NULL, "sender", "none" },
		{ FACTS_FROM_BAD, "scan@example.org", "sender", "none" },
		{ FACTS_FROM_MANY, "scan@example.org", "sender", "sender" },
	};
	static const char *const recipients[] = { "in@x", NULL };
	struct rules with, without;
	load(&with, SHARE "[route a]\nfrom = *@example.org\n");
	load(&without, SHARE "[route a]\n");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct decide_route routes[DECIDE_ROUTES_MAX];
		size_t count;
		struct facts facts = usual_facts(recipients);
		facts.from_state = rows[i].from_state;
		facts.from = rows[i].from_state == FACTS_FROM_ONE ? "scan@example.org" : NULL;
		facts.sender = rows[i].sender;
		assert_string_equal(name_of(decide_routes(&with, &facts, routes, &count)),
				    rows[i].with_from);
		assert_string_equal(name_of(decide_routes(&without, &facts, routes, &count)),
				    rows[i].without);
	}
	rules_done(&with);
	rules_done(&without);
}

static void proofs(void **state)
{
	(void)state;
	static const struct {
		unsigned asked, held;
		bool peer_allowed, loopback;
		enum facts_from from_state;
		const char *reason;
	} rows[] = {
		{ 0, 0, false, false, FACTS_FROM_NONE, "none" },
		{ PROOF_PEER, 0, false, false, FACTS_FROM_ONE, "proof" },
		{ PROOF_PEER, PROOF_PEER, false, false, FACTS_FROM_ONE, "proof" },
		{ PROOF_PEER, 0, true, false, FACTS_FROM_ONE, "none" },
		{ PROOF_PEER, 0, false, true, FACTS_FROM_ONE, "none" },
		{ PROOF_LOGIN, PROOF_LOGIN, false, false, FACTS_FROM_ONE, "none" },
		{ PROOF_LOGIN, PROOF_DKIM, true, true, FACTS_FROM_ONE, "proof" },
		{ PROOF_LOGIN | PROOF_PEER, 0, true, false, FACTS_FROM_BAD, "none" },
		{ PROOF_DKIM, PROOF_DKIM, false, false, FACTS_FROM_ONE, "none" },
		{ PROOF_DKIM, PROOF_DKIM, false, false, FACTS_FROM_NONE, "proof" },
		{ PROOF_DKIM, PROOF_DKIM, false, false, FACTS_FROM_BAD, "proof" },
		{ PROOF_RESULTS, PROOF_RESULTS, false, false, FACTS_FROM_NONE, "proof" },
		{ PROOF_RESULTS | PROOF_DKIM, PROOF_RESULTS, false, false, FACTS_FROM_ONE, "none" },
		{ PROOF_DKIM, PROOF_DKIM_RELATED, false, false, FACTS_FROM_ONE, "proof" },
	};
	static const char *const recipients[] = { "in@x", NULL };
	struct rules rules;
	load(&rules, SHARE "[route a]\n");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct decide_route routes[DECIDE_ROUTES_MAX];
		size_t count;
		struct facts facts = usual_facts(recipients);
		rules.routes[0].auth = rows[i].asked;
		facts.proofs = rows[i].held;
		facts.peer_allowed = rows[i].peer_allowed;
		facts.peer = rows[i].loopback ? peer_of(127, 1) : facts.peer;
		facts.from_state = rows[i].from_state;
		assert_string_equal(name_of(decide_routes(&rules, &facts, routes, &count)),
				    rows[i].reason);
	}
	rules_done(&rules);
}

static void logins(void **state)
{
	(void)state;
	static const char *const recipients[] = { "in@x", NULL };
	struct rules rules;
	struct decide_route routes[DECIDE_ROUTES_MAX];
	size_t count;
	struct facts facts = usual_facts(recipients);
	load(&rules, SHARE "[route a]\nlogin = scan*, fax\n");
	facts.login = "Scanner";
	assert_string_equal(name_of(decide_routes(&rules, &facts, routes, &count)), "none");
	facts.login = "faxes";
	assert_string_equal(name_of(decide_routes(&rules, &facts, routes, &count)), "login");
	rules_done(&rules);
}

/* Each recipient is routed by itself; the result is written route:recipient. */
static void recipients(void **state)
{
	(void)state;
	static const struct {
		const char *recipients[5];
		const char *result,
			*copied; /* the other where they are To and Cc; NULL: the same */
	} rows[] = {
		{ { "a@x" }, "none 0:0", "none 0:0" },
		{ { "b@x" }, "none 1:0", "none 1:0" },
		{ { "a@x", "b@x" }, "none 0:0 1:1", "none 0:0 1:1" },
		{ { "b@x", "a@x" }, "none 1:0 0:1", "none 1:0 0:1" },
		{ { "a@x", "a@x", "A@X" }, "none 0:0", "none 0:0" },
		{ { "b@x", "b+tag@x", "a@x", "b@x" }, "none 1:0 0:2", "none 1:0 0:2" },
		{ { "a@x", "c@x" }, "route", "none 0:0" },
		{ { "c@x", "a@x" }, "route", "none 0:1" },
		{ { "a@x", "late@x" }, "proof", "none 0:0" },
		{ { "c@x", "late@x" }, "route", "route" },
		{ { NULL }, "none 3:0", "none 3:0" },
	};
	struct rules rules;
	load(&rules, SHARE "[route a]\nto = a@*\n[route b]\nto = b@*, b+*@*\n"
			   "[route late]\nto = late@*\nauth = login\n"
			   "[route nobody]\nsource = drop\n");
	for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
		struct decide_route routes[DECIDE_ROUTES_MAX];
		size_t count = 0, row = i / 2;
		char result[100];
		bool copied = i % 2;
		struct facts facts = usual_facts(rows[row].recipients);
		facts.recipients_copied = copied;
		facts.source = rows[row].recipients[0] ? "lan" : "drop";
		struct verdict verdict = decide_routes(&rules, &facts, routes, &count);
		snprintf(result, sizeof result, "%s", name_of(verdict));
		for (size_t j = 0; j < count; j++)
			snprintf(result + strlen(result), sizeof result - strlen(result), " %u:%u",
				 routes[j].route, routes[j].to);
		assert_string_equal(result, copied ? rows[row].copied : rows[row].result);
	}
	rules_done(&rules);
}

static void too_many_routes(void **state)
{
	(void)state;
	char text[2000] = SHARE, addresses[DECIDE_ROUTES_MAX + 1][16];
	const char *list[DECIDE_ROUTES_MAX + 2] = { NULL };
	struct decide_route routes[DECIDE_ROUTES_MAX];
	size_t count = 99;
	struct rules rules;
	for (int i = 0; i <= DECIDE_ROUTES_MAX; i++) {
		snprintf(text + strlen(text), sizeof text - strlen(text),
			 "[route r%d]\nto = r%d@x\n", i, i);
		snprintf(addresses[i], sizeof addresses[i], "r%d@x", i);
		list[i] = addresses[i];
	}
	load(&rules, text);
	struct facts facts = usual_facts(list);
	assert_string_equal(name_of(decide_routes(&rules, &facts, routes, &count)), "route");
	assert_int_equal(count, 99);
	list[DECIDE_ROUTES_MAX] = list[0];
	assert_string_equal(name_of(decide_routes(&rules, &facts, routes, &count)), "none");
	assert_int_equal(count, DECIDE_ROUTES_MAX);
	rules_done(&rules);
}

static void sizes_of_messages(void **state)
{
	(void)state;
	static const char *const list[] = { "in@x", NULL };
	struct rules rules;
	struct decide_route routes[DECIDE_ROUTES_MAX];
	size_t count;
	load(&rules, "[limits]\nmessage = 1k\n" SHARE "[route a]\n");
	struct facts facts = usual_facts(list);
	facts.bytes = 1024;
	assert_string_equal(name_of(decide_early(&rules, &facts)), "none");
	assert_string_equal(name_of(decide_routes(&rules, &facts, routes, &count)), "none");
	facts.bytes = 1025;
	assert_string_equal(name_of(decide_early(&rules, &facts)), "size");
	assert_string_equal(name_of(decide_routes(&rules, &facts, routes, &count)), "size");
	facts.bytes = 0;
	assert_string_equal(name_of(decide_early(&rules, &facts)), "none");
	rules_done(&rules);
}

/* --- early ------------------------------------------------------------------------------------ */

static void early(void **state)
{
	(void)state;
	static const struct {
		const char *key;
		const char *at_mail, *at_rcpt;
	} rows[] = {
		{ "", "none", "none" },
		{ "source = office", "route", "route" },
		{ "to = in@*", "none", "none" },
		{ "to = out@*", "none", "route" },
		{ "peers = 10.0.0.8", "peer", "peer" },
		{ "login = scan", "login", "login" },
		{ "from = nobody@else", "none", "none" },
		{ "subject = fax", "none", "none" },
		{ "auth = login", "proof", "proof" },
		{ "auth = peer", "proof", "proof" },
		{ "auth = peer\npeers = private", "none", "none" },
		{ "to = out@*\npeers = 10.0.0.8", "peer", "route" },
	};
	static const char *const list[] = { "in@x", NULL };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[300];
		struct rules rules;
		struct facts at_mail = usual_facts(NULL), at_rcpt = usual_facts(list);
		snprintf(text, sizeof text, SHARE "[route a]\n%s\n", rows[i].key);
		load(&rules, text);
		assert_string_equal(name_of(decide_early(&rules, &at_mail)), rows[i].at_mail);
		assert_string_equal(name_of(decide_early(&rules, &at_rcpt)), rows[i].at_rcpt);
		rules_done(&rules);
	}
}

/* A proof that comes with the header may still come. */
static void early_proofs(void **state)
{
	(void)state;
	struct rules rules;
	struct facts facts = usual_facts(NULL);
	load(&rules, SHARE "[route a]\n");
	rules.routes[0].auth = PROOF_DKIM;
	assert_string_equal(name_of(decide_early(&rules, &facts)), "none");
	rules.routes[0].auth = PROOF_LOGIN | PROOF_RESULTS;
	assert_string_equal(name_of(decide_early(&rules, &facts)), "none");
	rules_done(&rules);
}

static unsigned random_state;

static unsigned random_below(unsigned limit)
{
	random_state = random_state * 1103515245 + 12345;
	return (random_state >> 16) % limit;
}

#define PICK(array) array[random_below(sizeof array / sizeof *array)]

static void random_rules(struct rules *rules)
{
	static const char *const conditions[] = {
		"source = lan",       "source = office",     "source = o*, drop",
		"to = a@x",           "to = *+t@x, b@*",     "to = ?@x",
		"peers = 10.0.0.0/8", "peers = 192.168.0.1", "peers = private",
		"login = a",          "login = *",           "from = a@x",
		"from = *@x, b@y",    "subject = a*",        "subject = ?b",
		"auth = peer",        "auth = login",        "auth = login, peer",
	};
	char text[2000];
	static const char *const logins[] = { "", "@lan a a@x, *@y\n", "@lan a\n@lan b b@x\n",
					      "@office a b@*\n@lan b a@x\n" };
	unsigned count = random_below(5);
	snprintf(text, sizeof text, "[limits]\nmessage = %u\n" SHARE "%s", 1 + random_below(100),
		 PICK(logins));
	for (unsigned i = 0; i < count; i++) {
		snprintf(text + strlen(text), sizeof text - strlen(text), "[route r%u]\n", i);
		for (unsigned key = 0; key < 6; key++) /* of each kind one at most */
			if (random_below(3) == 0)
				snprintf(text + strlen(text), sizeof text - strlen(text), "%s\n",
					 conditions[key * 3 + random_below(3)]);
	}
	/* `from` and `subject` share a kind with their neighbours: a key may come twice */
	struct rules_error error;
	while (!load_rules(rules, text, &error)) {
		assert_non_null(strstr(error.text, "given twice"));
		rules_done(rules);
		snprintf(text, sizeof text, SHARE "[route only]\n%s\n", PICK(conditions));
	}
	for (size_t i = 0; i < rules->routes_count; i++)
		if (random_below(4) == 0)
			rules->routes[i].auth = random_below(16);
}

static void random_facts(struct facts *facts, const char *recipients[4])
{
	static const char *const sources[] = { "lan", "office", "drop", "else" };
	static const char *const words[] = { "a@x", "b@x", "a+t@x", "b@y", "a", "ab", "", "A@X" };
	static const char *const logins[] = { NULL, NULL, "a", "b" };
	*facts = (struct facts){ .source = PICK(sources),
				 .peer = peer_of(random_below(2) ? 10 : 192, 1),
				 .login = PICK(logins),
				 .proofs = random_below(32),
				 .peer_allowed = random_below(3) == 0,
				 .has_envelope = random_below(2),
				 .sender = PICK(words),
				 .recipients = recipients,
				 .recipients_count = random_below(4),
				 .from_state = random_below(4),
				 .from = PICK(words),
				 .subject = PICK(words),
				 .bytes = random_below(120) };
	if (random_below(2))
		facts->peer.address[13] = 168;
	facts->peer.known = random_below(4) != 0;
	for (size_t i = 0; i < 4; i++)
		recipients[i] = PICK(words);
}

/* What is known at MAIL or RCPT: the header is not there, and of the recipients none or one. */
static struct facts early_facts(const struct facts *facts, const char *const *recipients,
				size_t count)
{
	return (struct facts){ .source = facts->source,
			       .peer = facts->peer,
			       .peer_allowed = facts->peer_allowed,
			       .login = facts->login,
			       .proofs = facts->proofs & (PROOF_PEER | PROOF_LOGIN),
			       .has_envelope = true,
			       .sender = facts->sender,
			       .recipients = recipients,
			       .recipients_count = count,
			       .subject = "",
			       .bytes = random_below(2) ? facts->bytes : 0 };
}

static void refused_early_is_refused_at_the_end(void **state)
{
	(void)state;
	unsigned refused = 0, accepted = 0, delivered = 0;
	random_state = 20240506;
	for (int round = 0; round < 3000; round++) {
		struct rules rules;
		random_rules(&rules);
		for (int message = 0; message < 20; message++) {
			struct facts facts, early;
			struct decide_route routes[DECIDE_ROUTES_MAX];
			size_t count = 0;
			const char *recipients[4];
			random_facts(&facts, recipients);
			struct verdict end = decide_routes(&rules, &facts, routes, &count);
			delivered += end.reason == REASON_NONE;
			assert_int_equal(count > 0, end.reason == REASON_NONE);
			early = early_facts(&facts, NULL, 0);
			bool refuses = decide_early(&rules, &early).reason != REASON_NONE;
			assert_false(refuses && end.reason == REASON_NONE);
			for (size_t i = 0; i < facts.recipients_count; i++) {
				early = early_facts(&facts, &recipients[i], 1);
				bool refused_now =
					decide_early(&rules, &early).reason != REASON_NONE;
				assert_false(refused_now && end.reason == REASON_NONE);
				refused += refused_now;
				accepted += !refused_now;
			}
		}
		rules_done(&rules);
	}
	/* the test means something: all three happen often */
	assert_true(refused > 5000 && accepted > 5000 && delivered > 5000);
}

/* --- what is worth proving -------------------------------------------------------------------- */

#define BOTH (PROOF_DKIM | PROOF_DKIM_RELATED)

static void proofs_wanted(void **state)
{
	(void)state;
	static const struct {
		const char *routes;
		unsigned held;
		enum facts_from from_state;
		unsigned wanted;
	} rows[] = {
		{ "[route a]\n", 0, FACTS_FROM_ONE, 0 },
		{ "[route a]\nauth = dkim\n", 0, FACTS_FROM_ONE, PROOF_DKIM },
		{ "[route a]\nauth = dkim\nalign = strict\n", 0, FACTS_FROM_ONE, PROOF_DKIM },
		{ "[route a]\nauth = dkim\nalign = relaxed\n", 0, FACTS_FROM_ONE,
		  PROOF_DKIM_RELATED },
		{ "[route a]\nauth = login, dkim\n", 0, FACTS_FROM_ONE, PROOF_DKIM },
		{ "[route a]\nauth = login, dkim\n", PROOF_LOGIN, FACTS_FROM_ONE, 0 },
		{ "[route a]\nauth = dkim\n", BOTH, FACTS_FROM_ONE, 0 },
		{ "[route a]\nauth = dkim\n", PROOF_DKIM_RELATED, FACTS_FROM_ONE, PROOF_DKIM },
		{ "[route a]\nauth = dkim\nalign = relaxed\n", PROOF_DKIM_RELATED, FACTS_FROM_ONE,
		  0 },
		{ "[route a]\nauth = dkim\n", 0, FACTS_FROM_NONE, 0 },
		{ "[route a]\nauth = dkim\n", 0, FACTS_FROM_MANY, 0 },
		{ "[route a]\nauth = dkim\n", 0, FACTS_FROM_BAD, 0 },
		{ "[route a]\nauth = dkim\nfrom = x@y\n", 0, FACTS_FROM_ONE, 0 },
		{ "[route a]\nauth = dkim\nto = x@y\n", 0, FACTS_FROM_ONE, 0 },
		{ "[route a]\nauth = dkim\nsource = office\n", 0, FACTS_FROM_ONE, 0 },
		{ "[route a]\n[route b]\nauth = dkim\n", 0, FACTS_FROM_ONE, 0 },
		{ "[route a]\nauth = dkim\n[route b]\n", 0, FACTS_FROM_ONE, PROOF_DKIM },
		{ "[route a]\nauth = dkim\n[route b]\nauth = dkim\nalign = relaxed\n", 0,
		  FACTS_FROM_ONE, BOTH },
		{ "[route a]\nto = in@*\n[route b]\nauth = dkim\n", 0, FACTS_FROM_ONE, PROOF_DKIM },
	};
	static const char *const recipients[] = { "in@x", "out@x", NULL };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[300];
		struct rules rules;
		struct facts facts = usual_facts(recipients);
		snprintf(text, sizeof text, SHARE "%s", rows[i].routes);
		load(&rules, text);
		facts.proofs = rows[i].held;
		facts.from_state = rows[i].from_state;
		if (decide_proofs_wanted(&rules, &facts) != rows[i].wanted)
			fail_msg("row %zu: %u", i, decide_proofs_wanted(&rules, &facts));
		rules_done(&rules);
	}
}

/* Where the message goes, as a text. */
static void print_way(const struct rules *rules, const struct facts *facts, char text[300])
{
	struct decide_route routes[DECIDE_ROUTES_MAX];
	size_t count = 0, used;
	struct verdict verdict = decide_routes(rules, facts, routes, &count);
	used = (size_t)snprintf(text, 300, "%d", verdict.reason != REASON_NONE);
	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(text + used, 300 - used, " %u", routes[i].route);
}

/* What is not wanted makes no difference. */
static void what_is_not_wanted_changes_nothing(void **state)
{
	(void)state;
	unsigned wanted_ones = 0, unwanted = 0, made_a_difference = 0;
	random_state = 20261122;
	for (int round = 0; round < 3000; round++) {
		struct rules rules;
		random_rules(&rules);
		for (size_t i = 0; i < rules.routes_count; i++) {
			rules.routes[i].auth |= random_below(2) ? PROOF_DKIM : 0;
			rules.routes[i].align =
				random_below(2) ? RULES_ALIGN_RELAXED : RULES_ALIGN_STRICT;
		}
		for (int message = 0; message < 20; message++) {
			struct facts facts;
			const char *recipients[4];
			char before[300], after[300];
			random_facts(&facts, recipients);
			facts.proofs &= ~(unsigned)BOTH;
			unsigned wanted = decide_proofs_wanted(&rules, &facts);
			print_way(&rules, &facts, before);
			facts.proofs |= BOTH & ~wanted;
			print_way(&rules, &facts, after);
			if (wanted == 0)
				assert_string_equal(before, after);
			facts.proofs |= BOTH;
			print_way(&rules, &facts, after);
			made_a_difference += strcmp(before, after) != 0;
			wanted_ones += wanted != 0;
			unwanted += wanted == 0;
		}
		rules_done(&rules);
	}
	assert_true(wanted_ones > 1000 && unwanted > 1000 && made_a_difference > 1000);
}

/* --- parts ------------------------------------------------------------------------------------ */

static void parts(void **state)
{
	(void)state;
	static const struct {
		const char *keys;
		struct facts_part part;
		enum decide_action action;
		const char *reason, *type;
		bool wanted;
	} rows[] = {
#define PDF  .mime = "application/pdf"
#define PNG  .mime = "image/png"
#define GIF  .mime = "image/gif"
#define EXE  .mime = "application/x-dosexec"
#define SEEN .shown = true, .shown_known = true
		{ "", { PDF, .size = 1 }, DECIDE_KEEP, "none", "pdf", true },
		{ "", { PDF, .name = "x.exe" }, DECIDE_KEEP, "none", "pdf", true },
		{ "", { EXE, .name = "x.pdf" }, DECIDE_REFUSE, "type", "exe", true },
		{ "bad_part = skip", { EXE }, DECIDE_SKIP, "type", "exe", true },
		{ "bad_part = quarantine", { EXE }, DECIDE_QUARANTINE, "type", "exe", true },
		{ "types = any", { EXE }, DECIDE_KEEP, "none", "exe", true },
		{ "types = any", { .mime = "x/y" }, DECIDE_KEEP, "none", "other", true },
		{ "types = pdf, png",
		  { .mime = "application/x-empty" },
		  DECIDE_REFUSE,
		  "type",
		  "other",
		  true },
		{ "", { PDF, .text_body = true }, DECIDE_SKIP, "none", "pdf", false },
		{ "types = any",
		  { .mime = "text/plain", .text_body = true },
		  DECIDE_SKIP,
		  "none",
		  "text",
		  false },
		/* sizes */
		{ "", { PDF, .size = 50 << 20 }, DECIDE_KEEP, "none", "pdf", true },
		{ "", { PDF, .size = (50 << 20) + 1 }, DECIDE_REFUSE, "size", "pdf", true },
		{ "part_max = 1k", { PDF, .size = 1024 }, DECIDE_KEEP, "none", "pdf", true },
		{ "part_max = 1k", { PDF, .size = 1025 }, DECIDE_REFUSE, "size", "pdf", true },
		{ "part_max = 1G", { PDF, .size = 60 << 20 }, DECIDE_REFUSE, "size", "pdf", true },
		{ "part_min = 1k", { PDF, .size = 1023 }, DECIDE_REFUSE, "size", "pdf", true },
		{ "part_min = 1k\nbad_part = skip",
		  { PDF, .size = 9 },
		  DECIDE_SKIP,
		  "size",
		  "pdf",
		  true },
		{ "part_min = 1k", { PDF, .size = 1024 }, DECIDE_KEEP, "none", "pdf", true },
		/* names */
		{ "names = *.pdf", { PDF, .name = "Scan.PDF" }, DECIDE_KEEP, "none", "pdf", true },
		{ "names = *.pdf",
		  { PDF, .name = "/tmp/x\\Scan.pdf" },
		  DECIDE_KEEP,
		  "none",
		  "pdf",
		  true },
		{ "names = scan*",
		  { PDF, .name = "dir/scan/other" },
		  DECIDE_REFUSE,
		  "name",
		  "pdf",
		  true },
		{ "names = *.pdf", { PDF }, DECIDE_REFUSE, "name", "pdf", true },
		{ "names = *", { PDF }, DECIDE_KEEP, "none", "pdf", true },
		{ "not_names = *.exe, logo*",
		  { PDF, .name = "a/LOGO.pdf" },
		  DECIDE_REFUSE,
		  "name",
		  "pdf",
		  true },
		{ "not_names = *.exe", { PDF, .name = "a.pdf" }, DECIDE_KEEP, "none", "pdf", true },
		{ "names = *.pdf\nbad_part = skip",
		  { PDF, .name = "x" },
		  DECIDE_SKIP,
		  "name",
		  "pdf",
		  false },
		{ "names = *.pdf\nbad_part = quarantine",
		  { PDF, .name = "x" },
		  DECIDE_QUARANTINE,
		  "name",
		  "pdf",
		  true },
		/* type before name */
		{ "names = *.pdf", { EXE, .name = "x" }, DECIDE_REFUSE, "type", "exe", true },
		/* pictures */
		{ "", { PNG, SEEN }, DECIDE_SKIP, "none", "png", true },
		{ "", { GIF, SEEN }, DECIDE_SKIP, "none", "gif", true },
		{ "", { GIF, SEEN, .size = 1 << 30 }, DECIDE_SKIP, "none", "gif", true },
		{ "inline = keep", { PNG, SEEN }, DECIDE_KEEP, "none", "png", true },
		{ "inline = keep", { GIF, SEEN }, DECIDE_REFUSE, "type", "gif", true },
		{ "", { PDF, SEEN }, DECIDE_KEEP, "none", "pdf", true },
		{ "", { EXE, SEEN }, DECIDE_REFUSE, "type", "exe", true },
		{ "",
		  { PNG, .shown_known = true, .disposition = FACTS_DISPOSITION_INLINE },
		  DECIDE_KEEP,
		  "none",
		  "png",
		  true },
		{ "",
		  { GIF, .shown_known = true, .disposition = FACTS_DISPOSITION_INLINE },
		  DECIDE_REFUSE,
		  "type",
		  "gif",
		  true },
		{ "", { GIF }, DECIDE_KEEP, "none", "gif", true },
		{ "", { GIF, .shown = true }, DECIDE_KEEP, "none", "gif", true },
		{ "bad_part = skip", { GIF }, DECIDE_SKIP, "type", "gif", true },
		{ "bad_part = quarantine", { GIF }, DECIDE_KEEP, "none", "gif", true },
		{ "inline = keep", { GIF }, DECIDE_REFUSE, "type", "gif", true },
		{ "", { EXE }, DECIDE_REFUSE, "type", "exe", true },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[300];
		struct rules rules;
		snprintf(text, sizeof text, SHARE "[route a]\n%s\n", rows[i].keys);
		load(&rules, text);
		struct decide_part part = decide_part(&rules, 0, &rows[i].part);
		if (part.action != rows[i].action ||
		    strcmp(verdict_row(part.reason)->name, rows[i].reason) != 0 ||
		    strcmp(part.type->name, rows[i].type) != 0)
			fail_msg("row %zu: %u %s %s (%s)", i, part.action,
				 verdict_row(part.reason)->name, part.type->name, part.why);
		assert_true(*part.why);
		assert_int_equal(decide_part_wanted(&rules, 0, &rows[i].part), rows[i].wanted);
		rules_done(&rules);
	}
}

/* What is not wanted is skipped, whatever its bytes are; what is not KEEP before it is known
 * whether the part is shown is the same after. */
static void parts_at_random(void **state)
{
	(void)state;
	static const char *const keys[] = { "names = a*",    "not_names = b*", "types = gif, pdf",
					    "part_min = 10", "part_max = 20",  "inline = keep" };
	static const char *const bad[] = { "refuse", "skip", "quarantine" };
	static const char *const names[] = { NULL, "a", "b", "ab", "x/a", "" };
	static const char *const mimes[] = { "image/gif", "image/png", "application/pdf", "x/y" };
	random_state = 42;
	for (int round = 0; round < 10000; round++) {
		char text[400];
		struct rules rules;
		struct facts_part part = { .name = PICK(names),
					   .mime = PICK(mimes),
					   .size = random_below(30),
					   .text_body = random_below(8) == 0 };
		snprintf(text, sizeof text, SHARE "[route a]\nbad_part = %s\n", PICK(bad));
		for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
			if (random_below(2))
				snprintf(text + strlen(text), sizeof text - strlen(text), "%s\n",
					 keys[i]);
		load(&rules, text);
		bool wanted = decide_part_wanted(&rules, 0, &part);
		struct decide_part before = decide_part(&rules, 0, &part);
		part.shown_known = true;
		for (int shown = 0; shown < 2; shown++) {
			part.shown = shown;
			struct decide_part after = decide_part(&rules, 0, &part);
			assert_true(before.action == DECIDE_KEEP || before.action == after.action);
			assert_true(wanted || after.action == DECIDE_SKIP);
		}
		assert_true(wanted || before.action == DECIDE_SKIP);
		rules_done(&rules);
	}
}

/* --- the end ---------------------------------------------------------------------------------- */

static void ends(void **state)
{
	(void)state;
	static const struct {
		bool accept;
		size_t kept, quarantined, attachments;
		bool encoded;
		const char *reason;
	} rows[] = {
		{ false, 1, 0, 1, false, "none" },      { false, 1, 0, 1, true, "none" },
		{ false, 0, 1, 1, false, "none" },      { false, 0, 0, 0, false, "no_parts" },
		{ false, 0, 0, 2, false, "no_parts" },  { false, 0, 0, 2, true, "no_parts" },
		{ false, 0, 0, 0, true, "suspicious" }, { true, 0, 0, 0, false, "none" },
		{ true, 0, 0, 2, true, "none" },        { true, 0, 0, 0, true, "suspicious" },
		{ true, 2, 1, 3, true, "none" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct rules rules;
		load(&rules,
		     rows[i].accept ? SHARE "[route a]\nno_parts = accept\n" : SHARE "[route a]\n");
		assert_string_equal(name_of(decide_end(&rules, 0, rows[i].kept, rows[i].quarantined,
						       rows[i].attachments, rows[i].encoded)),
				    rows[i].reason);
		rules_done(&rules);
	}
}

/* Who logged in sends as himself, in the envelope and in From, whatever the routes say; and nobody
 * is asked who signed the mail of one who does not. */
static void sending_as(void **state)
{
	(void)state;
	static const char own[] = SHARE "@lan cam cam@x, *@cam.x\n@lan box box@x\n@lan any\n"
					"@office boss boss@x\n[route a]\nauth = dkim\n[route b]\n";
	static const struct {
		const char *login, *sender, *from;
		enum facts_from state;
		const char *early, *end;
	} rows[] = {
		{ NULL, "box@x", "box@x", FACTS_FROM_ONE, "none", "none" },
		{ "cam", "cam@x", "cam@x", FACTS_FROM_ONE, "none", "none" },
		{ "cam", "CAM@X", "one@cam.x", FACTS_FROM_ONE, "none", "none" },
		{ "cam", "", "cam@x", FACTS_FROM_ONE, "none", "none" },
		{ "cam", "cam@x", "", FACTS_FROM_NONE, "none", "none" },
		{ "cam", "cam@x", "", FACTS_FROM_BAD, "none", "sender" },
		{ "cam", "box@x", "cam@x", FACTS_FROM_ONE, "sender", "sender" },
		{ "cam", "cam@x", "box@x", FACTS_FROM_ONE, "none", "sender" },
		{ "cam", "cam@x", "who@y", FACTS_FROM_ONE, "none", "sender" },
		{ "cam", "who@y", "", FACTS_FROM_NONE, "sender", "sender" },
		{ "any", "who@y", "who@y", FACTS_FROM_ONE, "none", "none" },
		{ "any", "who@y", "", FACTS_FROM_BAD, "none", "none" },
		{ "any", "box@x", "who@y", FACTS_FROM_ONE, "sender", "sender" },
		{ "any", "who@y", "a@cam.x", FACTS_FROM_ONE, "none", "sender" },
		/* of another source's logins nothing is known here */
		{ "any", "boss@x", "boss@x", FACTS_FROM_ONE, "none", "none" },
		{ "boss", "box@x", "box@x", FACTS_FROM_ONE, "none", "none" },
	};
	static const char *const recipients[] = { "in@x", NULL };
	struct rules rules;
	load(&rules, own);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct decide_route routes[DECIDE_ROUTES_MAX];
		size_t count;
		struct facts facts = usual_facts(recipients);
		facts.login = rows[i].login;
		facts.sender = rows[i].sender;
		facts.from = rows[i].from;
		facts.from_state = rows[i].state;
		const char *early = name_of(decide_early(&rules, &facts));
		const char *end = name_of(decide_routes(&rules, &facts, routes, &count));
		if (strcmp(early, rows[i].early) != 0 || strcmp(end, rows[i].end) != 0)
			fail_msg("row %zu: early %s, end %s", i, early, end);
		unsigned wanted = decide_proofs_wanted(&rules, &facts);
		bool matters = rows[i].state == FACTS_FROM_ONE && strcmp(rows[i].end, "none") == 0;
		if (wanted != (matters ? PROOF_DKIM : 0))
			fail_msg("row %zu: wanted %u", i, wanted);
	}
	rules_done(&rules);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_condition),
		cmocka_unit_test(order_of_conditions),
		cmocka_unit_test(the_furthest_route_gives_the_reason),
		cmocka_unit_test(from_fields),
		cmocka_unit_test(proofs),
		cmocka_unit_test(logins),
		cmocka_unit_test(sending_as),
		cmocka_unit_test(recipients),
		cmocka_unit_test(too_many_routes),
		cmocka_unit_test(sizes_of_messages),
		cmocka_unit_test(early),
		cmocka_unit_test(early_proofs),
		cmocka_unit_test(refused_early_is_refused_at_the_end),
		cmocka_unit_test(proofs_wanted),
		cmocka_unit_test(what_is_not_wanted_changes_nothing),
		cmocka_unit_test(parts),
		cmocka_unit_test(parts_at_random),
		cmocka_unit_test(ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
