/* test_results.c: Authentication-Results fields as receivers write them, and as an attacker would.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "extract/limits.h"
#include "extract/results.h"

/* What a field becomes: `rfc ID` or `microsoft`, then ` dmarc=COUNT`, ` pass`, ` from=DOMAIN`, and
 * ` dkim=DOMAIN` for each; or `bad`. */
static const struct row {
	const char *cause, *field, *said;
} rows[] = {
	/* what receivers write */
	{ "Gmail",
	  "mx.google.com;\r\n       dkim=pass header.i=@example.org header.s=s1 header.b=\"k4k4P0Z/\";\r\n"
	  "       spf=pass (google.com: domain of a@example.org designates 192.0.2.7 as permitted "
	  "sender) smtp.mailfrom=a@example.org;\r\n"
	  "       dmarc=pass (p=NONE sp=NONE dis=NONE) header.from=example.org",
	  "rfc mx.google.com dmarc=1 pass from=example.org dkim=example.org" },
	{ "Gmail, a sender without DMARC, a bounce address and IPv6",
	  "mx.google.com; spf=neutral (google.com: 2001:db8::1 is neither permitted nor denied by "
	  "best guess record for domain of prvs=1=a@example.org) "
	  "smtp.mailfrom=\"prvs=1=a@example.org\"",
	  "rfc mx.google.com dmarc=0" },
	{ "Microsoft",
	  "spf=pass (sender IP is 192.0.2.7)\r\n smtp.mailfrom=example.org; dkim=pass (signature was "
	  "verified)\r\n header.d=example.org;dmarc=pass action=none\r\n "
	  "header.from=example.org;compauth=pass reason=100",
	  "microsoft dmarc=1 pass from=example.org dkim=example.org" },
	{ "Microsoft, the older form",
	  "spf=pass (sender IP is 192.0.2.7)\r\n smtp.mailfrom=example.org; rcpt.example; dkim=pass "
	  "(signature was\r\n verified) header.d=example.org;rcpt.example; dmarc=pass\r\n action=none "
	  "header.from=example.org;compauth=pass reason=100",
	  "microsoft dmarc=1 pass from=example.org dkim=example.org" },
	{ "Microsoft, a guess",
	  "spf=none (sender IP is 192.0.2.7) smtp.mailfrom=example.org; dkim=none (message not "
	  "signed) header.d=none;dmarc=bestguesspass action=none header.from=example.org;",
	  "microsoft dmarc=1 from=example.org" },
	{ "Fastmail, the first field",
	  "mx1.messagingengine.com;\r\n    x-csa=none;\r\n    x-me-sender=none;\r\n    x-ptr=pass "
	  "smtp.helo=mail.example.org\r\n      policy.ptr=mail.example.org",
	  "rfc mx1.messagingengine.com dmarc=0" },
	{ "Fastmail, the second",
	  "mx1.messagingengine.com;\r\n    bimi=skipped (DMARC Policy is not at enforcement)",
	  "rfc mx1.messagingengine.com dmarc=0" },
	{ "Fastmail, the third", "mx1.messagingengine.com;\r\n    arc=none (no signatures found)",
	  "rfc mx1.messagingengine.com dmarc=0" },
	{ "Fastmail, the fourth",
	  "mx1.messagingengine.com;\r\n    dkim=pass (2048-bit rsa key sha256) header.d=example.org\r\n"
	  "      header.i=@example.org header.b=cynWU+nU header.a=rsa-sha256\r\n"
	  "      header.s=fm1 x-bits=2048;\r\n    dmarc=pass policy.published-domain-policy=none\r\n"
	  "      policy.applied-disposition=none policy.evaluated-disposition=none\r\n"
	  "      (p=none,d=none,d.eval=none) policy.policy-from=p\r\n      header.from=example.org;\r\n"
	  "    iprev=pass smtp.remote-ip=192.0.2.7 (mail.example.org);\r\n"
	  "    spf=pass smtp.mailfrom=a@example.org smtp.helo=mail.example.org",
	  "rfc mx1.messagingengine.com dmarc=1 pass from=example.org dkim=example.org" },
	{ "Fastmail, of old",
	  "mx1.messagingengine.com; x-return-mx=pass header.domain=example.org policy.is_org=yes (MX "
	  "Record found); x-tls=pass smtp.version=TLSv1.3 smtp.bits=256/256; x-vs=clean score=0 "
	  "state=0",
	  "rfc mx1.messagingengine.com dmarc=0" },
	{ "iCloud, BIMI", "bimi.icloud.com; bimi=skipped reason=\"insufficient dmarc\"",
	  "rfc bimi.icloud.com dmarc=0" },
	{ "iCloud, DMARC", "dmarc.icloud.com; dmarc=pass header.from=example.org",
	  "rfc dmarc.icloud.com dmarc=1 pass from=example.org" },
	{ "iCloud, DKIM",
	  "dkim-verifier.icloud.com;\r\n\tdkim=pass (1024-bit key) header.d=example.org "
	  "header.i=@example.org header.b=iBgqeTn7",
	  "rfc dkim-verifier.icloud.com dmarc=0 dkim=example.org" },
	{ "iCloud, SPF",
	  "spf.icloud.com; spf=pass (spf.icloud.com: domain of a@example.org designates 192.0.2.7 as "
	  "permitted sender) smtp.mailfrom=a@example.org",
	  "rfc spf.icloud.com dmarc=0" },
	{ "Yahoo",
	  "atlas216.free.mail.bf1.yahoo.com;\r\n dkim=pass header.i=@example.org header.s=s1;\r\n "
	  "spf=pass smtp.mailfrom=example.org;\r\n dmarc=pass(p=NONE,sp=QUARANTINE) "
	  "header.from=example.org;",
	  "rfc atlas216.free.mail.bf1.yahoo.com dmarc=1 pass from=example.org dkim=example.org" },
	{ "Yahoo, an unsigned mail",
	  "atlas216.free.mail.bf1.yahoo.com; dkim=unknown; spf=none "
	  "smtp.mailfrom=example.org; dmarc=unknown header.from=example.org;",
	  "rfc atlas216.free.mail.bf1.yahoo.com dmarc=1 from=example.org" },
	{ "GMX", "gmx.net; dkim=pass header.i=@example.org",
	  "rfc gmx.net dmarc=0 dkim=example.org" },
	{ "Posteo, DMARC", "posteo.de; dmarc=pass (p=none dis=none) header.from=example.org",
	  "rfc posteo.de dmarc=1 pass from=example.org" },
	{ "Posteo, SPF", "posteo.de; spf=tempfail smtp.mailfrom=example.org",
	  "rfc posteo.de dmarc=0" },
	{ "Posteo, DKIM",
	  "posteo.de;\r\n\tdkim=pass (2048-bit key) header.d=example.org header.i=@example.org "
	  "header.b=SJjarA70;\r\n\tdkim-atps=neutral",
	  "rfc posteo.de dmarc=0 dkim=example.org" },
	{ "Infomaniak, a semicolon in a comment",
	  "mx.infomaniak.com;\r\n\tdkim=pass (2048-bit key; unprotected) header.d=example.org "
	  "header.i=@example.org header.b=\"HII5/JV8\";\r\n\tdkim-atps=neutral",
	  "rfc mx.infomaniak.com dmarc=0 dkim=example.org" },
	{ "rspamd",
	  "mail.example.com;\r\n\tdkim=pass header.d=example.org header.s=s1 header.b=\"x/y\";\r\n"
	  "\tdmarc=pass (policy=none) header.from=example.org;\r\n\tspf=pass (mail.example.com: domain "
	  "of a@example.org designates 192.0.2.7 as permitted sender) smtp.mailfrom=a@example.org",
	  "rfc mail.example.com dmarc=1 pass from=example.org dkim=example.org" },
	{ "Mail.ru",
	  "mxs.mail.ru; spf=pass (mx273.i.mail.ru: domain of example.org designates 192.0.2.7 as "
	  "permitted sender) smtp.mailfrom=a@example.org smtp.helo=mail.example.org;\r\n\t "
	  "dkim=pass header.d=example.org; dmarc=pass header.from=a@example.org",
	  "rfc mxs.mail.ru dmarc=1 pass from=example.org dkim=example.org" },
	{ "Zoho",
	  "mx.zohomail.eu;\r\n\tdkim=pass;\r\n\tspf=pass (zohomail.eu: domain of example.org "
	  "designates 192.0.2.7 as permitted sender)  smtp.mailfrom=a@example.org;\r\n\tarc=pass (i=1 "
	  "dmarc=pass fromdomain=example.org);\r\n\tdmarc=pass(p=none dis=none)  "
	  "header.from=example.org",
	  "rfc mx.zohomail.eu dmarc=1 pass from=example.org" },
	{ "Yandex",
	  "vla1-f55d97afef99.qloud-c.yandex.net; spf=pass (vla1-f55d97afef99.qloud-c.yandex.net: "
	  "domain of example.org designates 2001:db8::443 as permitted sender, "
	  "rule=[ip6:2001:db8::/36]) smtp.mail=a@example.org; dkim=pass header.i=@example.org",
	  "rfc vla1-f55d97afef99.qloud-c.yandex.net dmarc=0 dkim=example.org" },
	{ "riseup",
	  "mx1.riseup.net;\r\n\tdkim=pass (2048-bit key; unprotected) header.d=example.org "
	  "header.i=@example.org header.a=rsa-sha256 header.s=s1 header.b=kUOVASbW;\r\n"
	  "\tdkim-atps=neutral",
	  "rfc mx1.riseup.net dmarc=0 dkim=example.org" },

	/* the authserv-id */
	{ "no results", "id.example; none", "rfc id.example dmarc=0" },
	{ "no results, NONE, and an empty element", "id.example; (c) NONE ;",
	  "rfc id.example dmarc=0" },
	{ "an id and nothing else", "id.example;", "rfc id.example dmarc=0" },
	{ "an id without a semicolon", "id.example", "bad" },
	{ "upper case", "ID.Example; DMARC=pass Header.From=EXAMPLE.Org",
	  "rfc id.example dmarc=1 pass from=example.org" },
	{ "quoted", "\"id.example\"; dmarc=pass header.from=example.org",
	  "rfc id.example dmarc=1 pass from=example.org" },
	{ "quoted, with more in it than a token", "\"id.example; dmarc=pass\"; none", "bad" },
	{ "quoted, with a backslash", "\"id\\.example\"; none", "bad" },
	{ "quoted and empty", "\"\"; none", "bad" },
	{ "quoted and not closed", "\"id.example; dmarc=pass header.from=example.org", "bad" },
	{ "a version", "id.example 1; none", "rfc id.example dmarc=0" },
	{ "a version between comments", "(a)id.example(b)1(c);(d)none(e)",
	  "rfc id.example dmarc=0" },
	{ "a version that nobody knows", "id.example 2; dmarc=pass header.from=example.org",
	  "bad" },
	{ "a version glued to the id", "\"id.example\"1; none", "bad" },
	{ "two ids", "id.example other.example; none", "bad" },
	{ "8-bit", "id.ex\xc3\xa4mple; none", "bad" },
	{ "nothing", "", "bad" },
	{ "blanks", " \r\n ", "bad" },
	{ "a semicolon", ";", "bad" },
	{ "no id, and no result either", "; dmarc=pass header.from=example.org", "bad" },

	/* results */
	{ "a version of the method", "id; dmarc/1=pass header.from=example.org",
	  "rfc id dmarc=1 pass from=example.org" },
	{ "a version that nobody knows", "id; dmarc/2=pass header.from=example.org",
	  "rfc id dmarc=1 from=example.org" },
	{ "no version", "id; dmarc/=pass header.from=example.org", "bad" },
	{ "comments wherever they may be",
	  "(a) id (b) ; (c) dmarc (d) / (e) 1 (f) = (g) pass (h) header (i) . (j) from (k) = (l) "
	  "example.org (m) ; (n)",
	  "rfc id dmarc=1 pass from=example.org" },
	{ "a comment in place of the blank", "id; dmarc=pass(a)header.from=example.org(b)",
	  "rfc id dmarc=1 pass from=example.org" },
	{ "comments inside each other, and a closing one that is none",
	  "id; dmarc=pass (a (b \\) (c) d) e) header.from=example.org",
	  "rfc id dmarc=1 pass from=example.org" },
	{ "a result in a comment", "id; (dmarc=pass header.from=example.org)", "rfc id dmarc=0" },
	{ "a comment that never closes", "id; dmarc=pass header.from=example.org (", "bad" },
	{ "a comment that is closed once too often", "id; dmarc=pass header.from=example.org (a))",
	  "bad" },
	{ "a comment whose end is taken by a backslash",
	  "id; dmarc=pass (a\\) header.from=b.example", "bad" },
	{ "a backslash at the end", "id; dmarc=pass (a\\", "bad" },
	{ "empty elements", "id;; ;(a); dmarc=pass header.from=example.org;;",
	  "rfc id dmarc=1 pass from=example.org" },
	{ "PASS", "id; dmarc=PASS header.from=example.org", "rfc id dmarc=1 from=example.org" },
	{ "almost a pass", "id; dmarc=passed header.from=example.org",
	  "rfc id dmarc=1 from=example.org" },
	{ "a pass that is quoted", "id; dmarc=\"pass\" header.from=example.org", "bad" },
	{ "no result", "id; dmarc= header.from=example.org", "bad" },
	{ "no result, no blank", "id; dmarc=", "bad" },
	{ "no method", "id; =pass", "bad" },
	{ "a method with a dot", "id; x.dmarc=pass header.from=example.org", "bad" },
	{ "a method that ends in dmarc", "id; x-dmarc=pass header.from=example.org",
	  "rfc id dmarc=0" },
	{ "two results",
	  "id; dmarc=pass header.from=example.org; dmarc=fail header.from=example.org",
	  "rfc id dmarc=2" },
	{ "two results that agree",
	  "id; dmarc=pass header.from=example.org; DMARC/1=pass header.from=example.org",
	  "rfc id dmarc=2" },
	{ "trailing junk", "id; dmarc=pass header.from=example.org x", "bad" },
	{ "junk between", "id; dmarc=pass x header.from=example.org", "bad" },
	{ "an element that is a word", "id; dmarc; dmarc=pass header.from=example.org", "bad" },
	{ "an element that is a domain", "id; rcpt.example; dmarc=pass header.from=example.org",
	  "bad" },
	{ "none, and then some", "id; none; dmarc=pass header.from=example.org", "bad" },
	{ "some, and then none", "id; dmarc=pass header.from=example.org; none", "bad" },

	/* properties */
	{ "a value glued to the next property",
	  "id; dmarc=pass header.b=\"x\"header.from=example.org", "bad" },
	{ "a blank in a value", "id; dmarc=pass header.from=example.org, b.example", "bad" },
	{ "no value", "id; dmarc=pass header.from=; spf=pass", "bad" },
	{ "no name", "id; dmarc=pass header.=example.org", "bad" },
	{ "no type, but its dot", "id; dmarc=pass .from=example.org", "bad" },
	{ "two dots", "id; dmarc=pass header.from.x=example.org", "bad" },
	{ "a reason", "id; dmarc=pass reason=\"it is; so (\" header.from=example.org",
	  "rfc id dmarc=1 pass from=example.org" },
	{ "a property in quotes",
	  "id; spf=pass smtp.mailfrom=\"; dmarc=pass header.from=b.example\"", "rfc id dmarc=0" },
	{ "a quote that ends it", "id; spf=pass smtp.mailfrom=\"x\\\"; dmarc=pass (\"",
	  "rfc id dmarc=0" },
	{ "header.from twice", "id; dmarc=pass header.from=example.org header.from=b.example",
	  "rfc id dmarc=1 pass" },
	{ "another type", "id; dmarc=pass smtp.from=example.org", "rfc id dmarc=1 pass" },
	{ "no type", "id; dmarc=pass from=example.org", "rfc id dmarc=1 pass" },
	{ "an address in quotes", "id; dmarc=pass header.from=\"a@b.example@example.org\"",
	  "rfc id dmarc=1 pass from=example.org" },
	{ "a local part in quotes", "id; dmarc=pass header.from=\"a@b.example\"@example.org",
	  "rfc id dmarc=1 pass from=example.org" },
	{ "an address in angle brackets", "id; dmarc=pass header.from=<a@example.org>", "bad" },
	{ "no domain: empty labels", "id; dmarc=pass header.from=example..org",
	  "rfc id dmarc=1 pass" },
	{ "no domain: a trailing dot", "id; dmarc=pass header.from=example.org.",
	  "rfc id dmarc=1 pass" },
	{ "no domain: a literal", "id; dmarc=pass header.from=[192.0.2.7]", "rfc id dmarc=1 pass" },
	{ "no domain: 8-bit", "id; dmarc=pass header.from=ex\xc3\xa4mple.org",
	  "rfc id dmarc=1 pass" },
	{ "no domain: a fold in quotes", "id; dmarc=pass header.from=\"example.\r\n org\"",
	  "rfc id dmarc=1 pass" },
	{ "header.d before header.i", "id; dkim=pass header.i=@b.example header.d=example.org",
	  "rfc id dmarc=0 dkim=example.org" },
	{ "header.d that is no domain", "id; dkim=pass header.d=a@example.org header.i=@b.example",
	  "rfc id dmarc=0" },
	{ "header.d twice",
	  "id; dkim=pass header.d=example.org header.d=b.example header.i=@c.example",
	  "rfc id dmarc=0" },
	{ "header.i twice", "id; dkim=pass header.i=@example.org header.i=@b.example",
	  "rfc id dmarc=0" },
	{ "header.i without an @", "id; dkim=pass header.i=example.org", "rfc id dmarc=0" },
	{ "header.i in full", "id; dkim=pass header.i=\"a b\"@Example.ORG",
	  "rfc id dmarc=0 dkim=example.org" },
	{ "a signature that failed", "id; dkim=fail header.d=example.org", "rfc id dmarc=0" },
	{ "several signatures",
	  "id; dkim=pass header.d=a.example; dkim=fail header.d=b.example; dkim=pass header.d=c.example",
	  "rfc id dmarc=0 dkim=a.example dkim=c.example" },

	/* Microsoft's dialect is one of its own */
	{ "a domain in front is an id", "rcpt.example; dkim=pass header.d=example.org",
	  "rfc rcpt.example dmarc=0 dkim=example.org" },
	{ "none within", "spf=pass smtp.mailfrom=example.org; none", "bad" },
	{ "a word that is no domain", "spf=pass smtp.mailfrom=example.org; rcpt; dmarc=pass",
	  "bad" },
	{ "a domain with a property",
	  "spf=pass smtp.mailfrom=b.example; rcpt.example header.from=example.org", "bad" },
	{ "a version", "dmarc/1=pass header.from=example.org",
	  "microsoft dmarc=1 pass from=example.org" },
	{ "two results", "dmarc=pass header.from=b.example; dmarc=pass header.from=example.org",
	  "microsoft dmarc=2" },
	{ "a comment that never closes", "dmarc=pass header.from=example.org; (", "bad" },

	/* octets that no field has */
	{ "a bare CR", "id; dmarc=pass\rheader.from=example.org", "bad" },
	{ "an escape", "id; dmarc=pass (\x1b) header.from=example.org", "bad" },
	{ "a delete", "id; dmarc=pass (\x7f) header.from=example.org", "bad" },
	{ "8-bit in a comment", "id; dmarc=pass (\xe4) header.from=example.org",
	  "rfc id dmarc=1 pass from=example.org" },
};

static const char *describe(const struct frame_results *results)
{
	static const char *const forms[] = { "bad", "rfc ", "microsoft" };
	static char text[8192];
	if (results->form == FRAME_RESULTS_BAD)
		return "bad";
	size_t size =
		(size_t)snprintf(text, sizeof text, "%s%s dmarc=%u%s%s%s", forms[results->form],
				 results->id, results->dmarc, results->dmarc_pass ? " pass" : "",
				 results->dmarc_from[0] ? " from=" : "", results->dmarc_from);
	for (uint32_t i = 0; i < results->signers; i++)
		size += (size_t)snprintf(text + size, sizeof text - size, " dkim=%s",
					 results->signer[i]);
	return text;
}

static const char *read_field(const char *field, size_t size)
{
	static struct frame_results results;
	memset(&results, 0xff, sizeof results);
	results_read(span_of(field, size), &results);
	return describe(&results);
}

static void all_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *said = read_field(rows[i].field, strlen(rows[i].field));
		if (strcmp(said, rows[i].said) != 0)
			fail_msg("%s: %s\nis: %s\nnot: %s", rows[i].cause, rows[i].field, said,
				 rows[i].said);
	}
}

static void nul(void **state)
{
	static const char field[] = "id; dmarc=pass header.from=example.org\0.b.example";
	(void)state;
	assert_string_equal(read_field(field, sizeof field - 1), "bad");
}

/* A field that is cut says less, not more. */
static void prefixes(void **state)
{
	static const char field[] = "id; dmarc=pass (a) header.from=example.org";
	(void)state;
	for (size_t size = 0; size < sizeof field - 1; size++) {
		const char *said = read_field(field, size);
		assert_null(strstr(said, "from=example.org"));
	}
}

/* Every octet that is not used is zero: nothing of our memory leaves with a frame. */
static void zeros(void **state)
{
	static struct frame_results results, same;
	(void)state;
	memset(&results, 0xff, sizeof results);
	results_read(SPAN("bad"), &results);
	assert_memory_equal(&results, &same, sizeof results);
	memset(&results, 0xff, sizeof results);
	results_read(SPAN("ID; dkim=pass header.d=a.example; dkim=fail header.d=b.example"),
		     &results);
	same.form = FRAME_RESULTS_RFC;
	same.signers = 1;
	strcpy(same.id, "id");
	strcpy(same.signer[0], "a.example");
	assert_memory_equal(&results, &same, sizeof results);
}

static void put(struct text *text, const char *words, unsigned times)
{
	while (times-- > 0)
		text_put(text, span_of(words, strlen(words)));
}

/* As much as may be, and more. */
static void bounds(void **state)
{
	static char bytes[1 << 20];
	struct text field = text_in(bytes, sizeof bytes);
	(void)state;
	put(&field, "id; dmarc=pass ", 1);
	put(&field, "(", LIMIT_COMMENTS_MAX);
	put(&field, ")", LIMIT_COMMENTS_MAX);
	put(&field, " header.from=a.example", 1);
	assert_string_equal(read_field(bytes, field.size), "rfc id dmarc=1 pass from=a.example");

	field.size = 0;
	put(&field, "id; dmarc=pass ", 1);
	put(&field, "(", LIMIT_COMMENTS_MAX + 1);
	put(&field, ")", LIMIT_COMMENTS_MAX + 1);
	assert_string_equal(read_field(bytes, field.size), "bad");

	field.size = 0;
	put(&field, "x", FRAME_DOMAIN_MAX);
	put(&field, "; dmarc=pass header.from=", 1);
	put(&field, "y", FRAME_DOMAIN_MAX);
	assert_non_null(strstr(read_field(bytes, field.size), " pass from=yyy"));
	put(&field, "y", 1);
	assert_null(strstr(read_field(bytes, field.size), "from="));

	field.size = 0;
	put(&field, "x", FRAME_DOMAIN_MAX + 1);
	put(&field, "; none", 1);
	assert_string_equal(read_field(bytes, field.size), "bad");

	field.size = 0;
	put(&field, "id", 1);
	put(&field, "; dkim=pass header.d=a", FRAME_SIGNERS_MAX + 1);
	assert_string_equal(
		read_field(bytes, field.size),
		"rfc id dmarc=0 dkim=a dkim=a dkim=a dkim=a dkim=a dkim=a dkim=a dkim=a dkim=a dkim=a");
}

/* Fields that would take long if any of it were looked at twice. */
static void much(void **state)
{
	static const struct {
		const char *start, *again, *said;
	} fields[] = {
		{ "id; x=", "(", "bad" },
		{ "id", "(\\)(", "bad" },
		{ "id; x=y", "()", "rfc id dmarc=0" },
		{ "id", ";", "rfc id dmarc=0" },
		{ "id; x=y", " a.b=\"(\"", "rfc id dmarc=0" },
		{ "id; x=y a.b=\"", "\\\"", "bad" },
		{ "id", ";dmarc=pass header.from=a", "rfc id dmarc=41942" },
		{ "x=y", ";a.b", "microsoft dmarc=0" },
		{ "x=y", " ", "microsoft dmarc=0" },
		{ "", "a", "bad" },
	};
	static char bytes[1 << 20];
	(void)state;
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		struct text field = text_in(bytes, sizeof bytes);
		size_t again = strlen(fields[i].again);
		put(&field, fields[i].start, 1);
		put(&field, fields[i].again, (unsigned)((sizeof bytes - field.size) / again));
		assert_string_equal(read_field(bytes, field.size), fields[i].said);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_rows), cmocka_unit_test(nul),    cmocka_unit_test(prefixes),
		cmocka_unit_test(zeros),    cmocka_unit_test(bounds), cmocka_unit_test(much),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
