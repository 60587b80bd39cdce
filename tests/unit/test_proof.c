/* test_proof.c: what receivers stamp and what attackers add, from the octets of the message to the
 * word that the sender is proven: the filter, its frames, the checkpoint and the rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "daemon/courier/checkpoint.h"
#include "daemon/frames.h"
#include "extract/charset.h"
#include "extract/decode.h"
#include "extract/filter.h"
#include "policy/proof.h"
#include "tests/unit/charsets.h"

/* ---- from a message to its facts ---- */

struct reading {
	struct checkpoint_texts texts;
	struct facts facts;
};

static ssize_t read_text(void *context, char *at, size_t size)
{
	struct span *rest = context, piece = span_first(*rest, size);
	memcpy(at, piece.at, piece.size);
	*rest = span_after(*rest, piece.size);
	return (ssize_t)piece.size;
}

static int append(void *context, const char *bytes, size_t size)
{
	text_put(context, span_of(bytes, size));
	return 0;
}

static int take_address(void *context, const char *address)
{
	(void)context;
	(void)address;
	return 0;
}

static int take_results(void *context, const struct frame_results *results)
{
	struct reading *reading = context;
	checkpoint_results(results, &reading->texts, &reading->facts);
	return 0;
}

static int take_message(void *context, const struct frame_message *message)
{
	struct reading *reading = context;
	checkpoint_message(message, &reading->texts, &reading->facts);
	return 0;
}

static int take_part(void *context, const struct frame_part *part, const char *name)
{
	(void)context;
	(void)part;
	(void)name;
	return 0;
}

static int take_bytes(void *context, const uint8_t *bytes, size_t size)
{
	(void)context;
	(void)bytes;
	(void)size;
	return 0;
}

static int take_end(void *context, const struct frame_end *end)
{
	(void)context;
	(void)end;
	return 0;
}

static int take_shown(void *context, uint32_t number)
{
	(void)context;
	(void)number;
	return 0;
}

static int take_done(void *context, const struct frame_done *done)
{
	(void)context;
	(void)done;
	return 0;
}

static const struct facts *read_message(struct span message)
{
	static struct filter filter;
	static struct frames frames;
	static struct reading reading;
	static char bytes[1 << 18];
	const struct frame_limits limits = { 4, 3, 1 << 20 };
	struct text out = text_in(bytes, sizeof bytes);
	struct frames_sink sink = { &reading,   take_address, take_results, take_message, take_part,
				    take_bytes, take_end,     take_shown,   take_done };
	memset(&reading, 0, sizeof reading);
	assert_int_equal(
		filter_run(&filter, FRAME_READ_FIRST, &limits, read_text, &message, append, &out),
		0);
	assert_false(out.cut);
	frames_init(&frames);
	assert_int_equal(frames_feed(&frames, (const uint8_t *)out.at, out.size, &sink), 0);
	assert_int_equal(frames.state, FRAMES_COMPLETE);
	return &reading.facts;
}

static bool is_proven(const struct proof_settings *settings, const char *message)
{
	return proof_results(settings, read_message(span_of(message, strlen(message))));
}

/* ---- receivers ---- */

#define AR "Authentication-Results: "
#define DMARC                      \
	{                          \
		PROOF_METHOD_DMARC \
	}
#define DKIM                      \
	{                         \
		PROOF_METHOD_DKIM \
	}
#define BOTH                                          \
	{                                             \
		PROOF_METHOD_DMARC, PROOF_METHOD_DKIM \
	}
#define SENDER "From: Scanner <scan@example.org>\r\nTo: a@b.example\r\n"

/* A receiver: what it writes about a mail that proves to be from example.org, and about one that
 * nobody signed. The field that decides is between what stands above it and what stands below;
 * `id` is what it starts with, up to its semicolon. */
static const struct receiver {
	const char *name;
	struct proof_settings settings;
	const char *above, *id, *proven, *unsigned_, *below;
} receivers[] = {
	{ "Gmail",
	  { "mx.google.com", 1, DMARC, PROOF_DIALECT_RFC },
	  "Delivered-To: a@b.example\r\nARC-Authentication-Results: i=1; mx.google.com; dmarc=pass "
	  "header.from=example.org\r\nReturn-Path: <scan@example.org>\r\n",
	  "mx.google.com",
	  "\r\n       dkim=pass header.i=@example.org header.s=s1 header.b=\"k4k4P0Z/\";\r\n       "
	  "spf=pass (google.com: domain of scan@example.org designates 192.0.2.7 as permitted "
	  "sender) smtp.mailfrom=scan@example.org;\r\n       dmarc=pass (p=NONE sp=NONE dis=NONE) "
	  "header.from=example.org",
	  "\r\n       spf=neutral (google.com: 192.0.2.7 is neither permitted nor denied) "
	  "smtp.mailfrom=scan@example.org",
	  "Received: from mail.example.org by mx.google.com\r\n" },
	{ "Gmail by its DKIM alone",
	  { "mx.google.com", 1, DKIM, PROOF_DIALECT_RFC },
	  "",
	  "mx.google.com",
	  "\r\n       dkim=pass header.i=@example.org header.s=s1 header.b=k4k4P0Zx;\r\n       "
	  "spf=pass smtp.mailfrom=scan@example.org",
	  "\r\n       spf=pass smtp.mailfrom=scan@example.org",
	  "" },
	{ "Microsoft 365",
	  { "", 1, DMARC, PROOF_DIALECT_MICROSOFT },
	  "Received: from x by y (2001:db8::1)\r\n",
	  NULL,
	  "spf=pass (sender IP is 192.0.2.7)\r\n smtp.mailfrom=example.org; dkim=pass (signature was "
	  "verified)\r\n header.d=example.org;dmarc=pass action=none\r\n "
	  "header.from=example.org;compauth=pass reason=100",
	  "spf=none (sender IP is 192.0.2.7)\r\n smtp.mailfrom=example.org; dkim=none (message not "
	  "signed)\r\n header.d=none;dmarc=bestguesspass action=none\r\n "
	  "header.from=example.org;compauth=fail reason=001",
	  "Received-SPF: Pass (protection.outlook.com: domain of example.org)\r\n" },
	{ "Microsoft 365, the older form",
	  { NULL, 1, DMARC, PROOF_DIALECT_MICROSOFT },
	  "",
	  NULL,
	  "spf=pass (sender IP is 192.0.2.7)\r\n smtp.mailfrom=example.org; b.example; dkim=pass "
	  "(signature was\r\n verified) header.d=example.org;b.example; dmarc=pass\r\n action=none "
	  "header.from=example.org;compauth=pass reason=100",
	  "spf=none (sender IP is 192.0.2.7)\r\n smtp.mailfrom=example.org; b.example; dkim=none "
	  "header.d=none;b.example; dmarc=none action=none header.from=example.org",
	  "" },
	{ "Fastmail",
	  { "*.messagingengine.com", 4, DMARC, PROOF_DIALECT_RFC },
	  "ARC-Authentication-Results: i=1; mx1.messagingengine.com; dmarc=pass "
	  "header.from=example.org\r\n" AR
	  "mx1.messagingengine.com;\r\n    x-csa=none;\r\n    x-me-sender=none;\r\n    x-ptr=pass "
	  "smtp.helo=mail.example.org\r\n      policy.ptr=mail.example.org\r\n" AR
	  "mx1.messagingengine.com;\r\n    bimi=skipped (DMARC Policy is not at enforcement)\r\n" AR
	  "mx1.messagingengine.com;\r\n    arc=none (no signatures found)\r\n",
	  "mx1.messagingengine.com",
	  "\r\n    dkim=pass (2048-bit rsa key sha256) header.d=example.org\r\n      "
	  "header.i=@example.org header.b=cynWU+nU header.a=rsa-sha256\r\n      header.s=fm1 "
	  "x-bits=2048;\r\n    dmarc=pass policy.published-domain-policy=none\r\n      "
	  "policy.applied-disposition=none policy.evaluated-disposition=none\r\n      "
	  "(p=none,d=none,d.eval=none) policy.policy-from=p\r\n      header.from=example.org;\r\n    "
	  "iprev=pass smtp.remote-ip=192.0.2.7 (mail.example.org);\r\n    spf=pass "
	  "smtp.mailfrom=scan@example.org smtp.helo=mail.example.org",
	  "\r\n    dkim=none (no signatures found);\r\n    dmarc=none "
	  "policy.published-domain-policy=none header.from=example.org;\r\n    spf=none "
	  "smtp.mailfrom=scan@example.org",
	  "" },
	{ "iCloud",
	  { "bimi.icloud.com, dmarc.icloud.com, dkim-verifier.icloud.com, spf.icloud.com", 4, BOTH,
	    PROOF_DIALECT_RFC },
	  AR "bimi.icloud.com; bimi=skipped reason=\"insufficient dmarc\"\r\n",
	  "dmarc.icloud.com",
	  " dmarc=pass header.from=example.org",
	  " dmarc=none header.from=example.org",
	  AR "dkim-verifier.icloud.com;\r\n\tdkim=pass (1024-bit key) header.d=other.example "
	     "header.i=@other.example header.b=iBgqeTn7\r\n" AR
	     "spf.icloud.com; spf=pass (spf.icloud.com: domain of scan@example.org designates "
	     "192.0.2.7 as permitted sender) smtp.mailfrom=scan@example.org\r\n" },
	{ "Yahoo",
	  { "*.yahoo.com", 1, DMARC, PROOF_DIALECT_RFC },
	  "",
	  "atlas216.free.mail.bf1.yahoo.com",
	  "\r\n dkim=pass header.i=@example.org header.s=s1;\r\n spf=pass "
	  "smtp.mailfrom=example.org;\r\n dmarc=pass(p=NONE,sp=QUARANTINE) header.from=example.org;",
	  "\r\n dkim=unknown;\r\n spf=none smtp.mailfrom=example.org;\r\n dmarc=unknown "
	  "header.from=example.org;",
	  "" },
	{ "GMX, two signatures",
	  { "gmx.net", 2, DKIM, PROOF_DIALECT_RFC },
	  AR "gmx.net; dkim=pass header.i=@esp.example\r\n",
	  "gmx.net",
	  " dkim=pass header.i=@example.org",
	  " dkim=none",
	  "" },
	{ "Posteo",
	  { "posteo.de", 3, BOTH, PROOF_DIALECT_RFC },
	  "",
	  "posteo.de",
	  " dmarc=pass (p=none dis=none) header.from=example.org",
	  " dmarc=none (p=none dis=none) header.from=example.org",
	  AR "posteo.de; spf=tempfail smtp.mailfrom=example.org\r\n" AR
	     "posteo.de;\r\n\tdkim=fail (2048-bit key) header.d=example.org header.i=@example.org "
	     "header.b=SJjarA70;\r\n\tdkim-atps=neutral\r\n" },
	{ "Infomaniak, a foreign field between its own",
	  { "mx.infomaniak.com", 3, DMARC, PROOF_DIALECT_RFC },
	  "",
	  "mx.infomaniak.com",
	  " dmarc=pass (p=none dis=none) header.from=example.org",
	  " dmarc=none (p=none dis=none) header.from=example.org",
	  AR "aaa.example; dkim=pass header.i=@example.org\r\n" AR
	     "mx.infomaniak.com; spf=none smtp.mailfrom=example.org\r\n" },
	{ "rspamd",
	  { "mail.example.com", 1, DMARC, PROOF_DIALECT_RFC },
	  "Return-Path: <scan@example.org>\r\nReceived: from x by mail.example.com (Postfix)\r\n",
	  "mail.example.com",
	  "\r\n\tdkim=pass header.d=example.org header.s=s1 header.b=\"x/y\";\r\n\tdmarc=pass "
	  "(policy=none) header.from=example.org;\r\n\tspf=pass (mail.example.com: domain of "
	  "scan@example.org designates 192.0.2.7 as permitted sender) smtp.mailfrom=scan@example.org",
	  "\r\n\tdkim=none;\r\n\tdmarc=none;\r\n\tspf=none (mail.example.com: domain of "
	  "scan@example.org has no SPF policy) smtp.mailfrom=scan@example.org",
	  "" },
	{ "Mail.ru",
	  { "mxs.mail.ru", 1, DMARC, PROOF_DIALECT_RFC },
	  "",
	  "mxs.mail.ru",
	  " spf=pass (mx273.i.mail.ru: domain of example.org designates 192.0.2.7 as permitted "
	  "sender) smtp.mailfrom=scan@example.org smtp.helo=mail.example.org;\r\n\t dkim=pass "
	  "header.d=example.org; dmarc=pass header.from=scan@example.org",
	  " spf=none (mx273.i.mail.ru: 192.0.2.7 is neither permitted nor denied) "
	  "smtp.mailfrom=scan@example.org smtp.helo=mail.example.org",
	  "" },
	{ "Zoho",
	  { "mx.zohomail.eu", 1, DMARC, PROOF_DIALECT_RFC },
	  "",
	  "mx.zohomail.eu",
	  "\r\n\tdkim=pass;\r\n\tspf=pass (zohomail.eu: domain of example.org designates 192.0.2.7 as "
	  "permitted sender)  smtp.mailfrom=scan@example.org;\r\n\tdmarc=pass(p=none dis=none)  "
	  "header.from=example.org",
	  "\r\n\tdkim=none;\r\n\tspf=none  smtp.mailfrom=scan@example.org",
	  "ARC-Authentication-Results: i=1; mx.zohomail.eu;\r\n\tdmarc=pass "
	  "header.from=<scan@example.org> (p=none dis=none)\r\n" },
	{ "Yandex",
	  { "*.qloud-c.yandex.net", 1, DKIM, PROOF_DIALECT_RFC },
	  "",
	  "vla1-f55d97afef99.qloud-c.yandex.net",
	  " spf=pass (vla1-f55d97afef99.qloud-c.yandex.net: domain of example.org designates "
	  "2001:db8::443 as permitted sender, rule=[ip6:2001:db8::/36]) smtp.mail=scan@example.org; "
	  "dkim=pass header.i=@example.org",
	  " spf=none smtp.mail=scan@example.org",
	  "" },
	{ "riseup",
	  { "mx1.riseup.net", 1, DKIM, PROOF_DIALECT_RFC },
	  "",
	  "mx1.riseup.net",
	  "\r\n\tdkim=pass (2048-bit key; unprotected) header.d=example.org header.i=@example.org "
	  "header.a=rsa-sha256 header.s=s1 header.b=kUOVASbW;\r\n\tdkim-atps=neutral",
	  "\r\n\tdkim=none;\r\n\tdkim-atps=neutral",
	  "" },
};

/* ---- what is done to a mail of theirs ---- */

/* What a forger claims, in a field of his own and in the receiver's words. */
#define CLAIM "dkim=pass header.d=example.org; dmarc=pass header.from=example.org"

struct mail {
	const struct receiver *receiver;
	struct text text;
};

static void put(struct mail *mail, const char *words)
{
	text_put(&mail->text, span_of(words, strlen(words)));
}

/* A field as the receiver would start it. */
static void put_field(struct mail *mail, const char *quote, const char *body)
{
	put(mail, AR);
	if (mail->receiver->id) {
		put(mail, quote);
		put(mail, mail->receiver->id);
		put(mail, quote);
		put(mail, ";");
	}
	put(mail, body);
	put(mail, "\r\n");
}

/* All that the receiver stamps; `more` goes to the end of the field that decides. */
static void put_stamp(struct mail *mail, const char *body, const char *more)
{
	char bytes[4096];
	snprintf(bytes, sizeof bytes, "%s%s", body, more);
	put(mail, mail->receiver->above);
	put_field(mail, "", bytes);
	put(mail, mail->receiver->below);
}

static void make_genuine(struct mail *mail)
{
	put_stamp(mail, mail->receiver->proven, "");
}

static void make_unsigned(struct mail *mail)
{
	put_stamp(mail, mail->receiver->unsigned_, "");
}

static void make_forged_below(struct mail *mail)
{
	make_unsigned(mail);
	put_field(mail, "", CLAIM);
	put(mail, SENDER);
	put_field(mail, "", CLAIM);
}

static void make_forged_alone(struct mail *mail)
{
	for (unsigned i = 0; i < mail->receiver->settings.ar_count - 1; i++)
		put_field(mail, "", mail->receiver->id ? " none" : "x=none");
	put_field(mail, "", CLAIM);
}

static void make_malformed(struct mail *mail)
{
	put_field(mail, "", "dkim=pass header.d=example.org x");
	make_genuine(mail);
}

static void make_malformed_forgery(struct mail *mail)
{
	make_unsigned(mail);
	put_field(mail, "", CLAIM " x");
}

static void make_two_dmarc(struct mail *mail)
{
	put_stamp(mail, mail->receiver->proven, ";dmarc=pass header.from=example.org;dmarc/1=fail");
}

static void make_foreign_first(struct mail *mail)
{
	put(mail, AR "mx.forger.example; " CLAIM "\r\n");
	make_genuine(mail);
}

static void make_foreign_alone(struct mail *mail)
{
	put(mail, AR "mx.forger.example; " CLAIM "\r\n");
}

static void make_foreign_below(struct mail *mail)
{
	make_unsigned(mail);
	put(mail, AR "mx.forger.example; " CLAIM "\r\n");
}

static void make_glued(struct mail *mail)
{
	put_stamp(mail, mail->receiver->proven, ";x-note=pass(glued)header.x=y(glued)");
}

static void make_nested(struct mail *mail)
{
	put_stamp(mail, mail->receiver->proven, "(a (b \\) (c) dmarc=fail) ;)");
}

static void make_unterminated(struct mail *mail)
{
	put_stamp(mail, mail->receiver->proven, " (a (b)");
}

static void make_claim_in_comment(struct mail *mail)
{
	put_stamp(mail, mail->receiver->unsigned_, " (; " CLAIM ")");
}

static void make_claim_in_quotes(struct mail *mail)
{
	put_stamp(mail, mail->receiver->unsigned_, " x.y=\"; " CLAIM "\"");
}

static void make_quoted_id(struct mail *mail)
{
	put(mail, mail->receiver->above);
	put_field(mail, "\"", mail->receiver->proven);
	put(mail, mail->receiver->below);
}

static void make_spaced(struct mail *mail)
{
	put(mail, "Authentication-Results : mx.forger.example; none\r\n");
	make_genuine(mail);
}

/* As short as can be: a header block has LIMIT_HEADER_MAX octets. */
static void make_many(struct mail *mail)
{
	bool dkim = mail->receiver->settings.methods[0] == PROOF_METHOD_DKIM;
	make_unsigned(mail);
	for (int i = 0; i < 10000; i++)
		put_field(mail, "",
			  dkim ? "dkim=pass header.d=example.org"
			       : "dmarc=pass header.from=example.org");
}

static void make_genuine_of_many(struct mail *mail)
{
	make_genuine(mail);
	for (int i = 0; i < 10000; i++)
		put(mail, AR "mx.forger.example; dmarc=pass\r\n");
}

/* The first lines of the sender's own header, which a lenient reader joins to what stands above. */
static void make_joined(struct mail *mail)
{
	make_unsigned(mail);
	put(mail, "junk\r\n ; " CLAIM "\r\n");
}

/* `proven`: with an id, and in the dialect of Microsoft, which has none. */
static const struct treatment {
	const char *name;
	void (*make)(struct mail *mail);
	bool proven, proven_without_id;
} treatments[] = {
	{ "genuine", make_genuine, true, true },
	{ "an unsigned mail", make_unsigned, false, false },
	{ "an unsigned mail with forgeries below", make_forged_below, false, false },
	/* nothing sets it apart: that is why the receiver must stamp every mail */
	{ "a forgery that the receiver put nothing above", make_forged_alone, true, true },
	{ "a malformed field on top", make_malformed, false, false },
	{ "a malformed forgery below", make_malformed_forgery, false, false },
	{ "more than one result for dmarc", make_two_dmarc, false, false },
	{ "a foreign field on top", make_foreign_first, false, false },
	{ "a foreign field alone", make_foreign_alone, false, false },
	{ "a foreign field below", make_foreign_below, false, false },
	{ "a comment without blanks", make_glued, true, true },
	{ "comments inside each other", make_nested, true, true },
	{ "a comment that never closes", make_unterminated, false, false },
	{ "the claim in a comment", make_claim_in_comment, false, false },
	{ "the claim in quotes", make_claim_in_quotes, false, false },
	{ "an id in quotes", make_quoted_id, true, true },
	{ "a blank before the colon, on top", make_spaced, false, false },
	{ "10000 forgeries below", make_many, false, false },
	{ "10000 foreign fields below", make_genuine_of_many, true, true },
	{ "the claim folded onto junk below", make_joined, false, false },
};

static bool treat(const struct receiver *receiver, const struct treatment *treatment,
		  const char *from, const struct proof_settings *settings)
{
	static char bytes[2 << 20];
	struct mail mail = { receiver, text_in(bytes, sizeof bytes - 1) };
	treatment->make(&mail);
	put(&mail, from);
	put(&mail, "\r\nhello\r\n");
	assert_false(mail.text.cut);
	bytes[mail.text.size] = '\0';
	return is_proven(settings, bytes);
}

static void receivers_and_treatments(void **state)
{
	(void)state;
	for (size_t r = 0; r < sizeof receivers / sizeof receivers[0]; r++) {
		const struct receiver *receiver = &receivers[r];
		for (size_t t = 0; t < sizeof treatments / sizeof treatments[0]; t++) {
			const struct treatment *treatment = &treatments[t];
			bool proven =
				receiver->id ? treatment->proven : treatment->proven_without_id;
			if (treat(receiver, treatment, SENDER, &receiver->settings) != proven)
				fail_msg("%s, %s: not %d", receiver->name, treatment->name, proven);
			/* nothing of it proves anybody else */
			if (treat(receiver, treatment, "From: a@b.example\r\n",
				  &receiver->settings) ||
			    treat(receiver, treatment, "From: a@sub.example.org\r\n",
				  &receiver->settings) ||
			    treat(receiver, treatment, "", &receiver->settings))
				fail_msg("%s, %s: somebody else", receiver->name, treatment->name);
		}
	}
}

/* A source that is set up for another receiver, or for none, believes nothing of it. */
static void other_settings(void **state)
{
	(void)state;
	for (size_t r = 0; r < sizeof receivers / sizeof receivers[0]; r++) {
		const struct receiver *receiver = &receivers[r];
		struct proof_settings settings[] = {
			receiver->settings, receiver->settings, receiver->settings,
			receiver->settings, receiver->settings,
		};
		settings[0].authserv_ids = receiver->id ? "" : "mx.google.com";
		settings[0].dialect = PROOF_DIALECT_RFC;
		settings[1].authserv_ids = NULL;
		settings[1].dialect = PROOF_DIALECT_RFC;
		settings[2].ar_count = 0;
		memset(settings[3].methods, 0, sizeof settings[3].methods);
		settings[4].dialect = receiver->id ? PROOF_DIALECT_MICROSOFT : PROOF_DIALECT_RFC;
		for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
			if (treat(receiver, &treatments[0], SENDER, &settings[i]))
				fail_msg("%s: settings %zu", receiver->name, i);
	}
}

/* ---- one thing at a time ---- */

#define ID   AR "mx.example.net; "
#define PASS ID "dmarc=pass header.from=example.org\r\n"
#define SIGN ID "dkim=pass header.d=example.org\r\n"
#define SPF  ID "spf=pass smtp.mailfrom=example.org\r\n"
#define FROM "From: scan@example.org\r\n\r\n"
#define RFC  PROOF_DIALECT_RFC

static const struct row {
	const char *cause;
	struct proof_settings settings;
	const char *message;
	bool proven;
} rows[] = {
	/* whose fields */
	{ "exact", { "mx.example.net", 1, DMARC, RFC }, PASS FROM, true },
	{ "in a list", { "a.example , mx.example.net,b.example", 1, DMARC, RFC }, PASS FROM, true },
	{ "case of the settings", { "MX.Example.NET", 1, DMARC, RFC }, PASS FROM, true },
	{ "case of the id",
	  { "mx.example.net", 1, DMARC, RFC },
	  AR "MX.EXAMPLE.NET; dmarc=pass header.from=example.org\r\n" FROM,
	  true },
	{ "case of the name",
	  { "mx.example.net", 1, DMARC, RFC },
	  "AUTHENTICATION-results:mx.example.net;DMARC=pass HEADER.From=example.org\r\n" FROM,
	  true },
	{ "case of the domains",
	  { "mx.example.net", 1, DMARC, RFC },
	  ID "dmarc=pass header.from=EXAMPLE.org\r\nFrom: scan@Example.ORG\r\n\r\n",
	  true },
	{ "a start of the id", { "mx.example", 1, DMARC, RFC }, PASS FROM, false },
	{ "an end of the id", { "example.net", 1, DMARC, RFC }, PASS FROM, false },
	{ "below a domain", { "*.example.net", 1, DMARC, RFC }, PASS FROM, true },
	{ "case below a domain", { "*.EXAMPLE.Net", 1, DMARC, RFC }, PASS FROM, true },
	{ "far below a domain", { "*.net", 1, DMARC, RFC }, PASS FROM, true },
	{ "not at a label", { "*.xample.net", 1, DMARC, RFC }, PASS FROM, false },
	{ "a domain that ends alike",
	  { "*.example.net", 1, DMARC, RFC },
	  AR "mx.forgerexample.net; dmarc=pass header.from=example.org\r\n" FROM,
	  false },
	{ "a domain that starts alike",
	  { "*.example.net", 1, DMARC, RFC },
	  AR "mx.example.net.forger.example; dmarc=pass header.from=example.org\r\n" FROM,
	  false },
	{ "the domain itself",
	  { "*.example.net", 1, DMARC, RFC },
	  AR "example.net; dmarc=pass header.from=example.org\r\n" FROM,
	  false },
	{ "an empty label",
	  { "*.example.net", 1, DMARC, RFC },
	  AR ".example.net; dmarc=pass header.from=example.org\r\n" FROM,
	  false },
	{ "a star is no glob", { "mx*, *, m?.example.net", 1, DMARC, RFC }, PASS FROM, false },
	{ "blanks", { " , ,", 1, DMARC, RFC }, PASS FROM, false },

	/* how many fields */
	{ "the second of one", { "mx.example.net", 1, DMARC, RFC }, SPF PASS FROM, false },
	{ "the second of two", { "mx.example.net", 2, DMARC, RFC }, SPF PASS FROM, true },
	{ "the third of two", { "mx.example.net", 2, DMARC, RFC }, SPF SPF PASS FROM, false },
	{ "the third of three", { "mx.example.net", 3, DMARC, RFC }, SPF SPF PASS FROM, true },
	{ "the fourth of three",
	  { "mx.example.net", 3, DMARC, RFC },
	  SPF SPF SPF PASS FROM,
	  false },
	{ "the fourth of four", { "mx.example.net", 4, DMARC, RFC }, SPF SPF SPF PASS FROM, true },
	{ "the first of four", { "mx.example.net", 4, DMARC, RFC }, PASS FROM, true },
	{ "fields apart",
	  { "mx.example.net", 2, DMARC, RFC },
	  SPF "From: scan@example.org\r\nX: y\r\n" PASS "\r\n",
	  true },
	{ "more than are ever read",
	  { "mx.example.net", 100, DMARC, RFC },
	  SPF SPF SPF SPF SPF SPF SPF SPF SPF SPF SPF SPF SPF SPF SPF SPF PASS FROM,
	  false },
	{ "the last that is read",
	  { "mx.example.net", 100, DMARC, RFC },
	  SPF SPF SPF SPF SPF SPF SPF SPF SPF SPF SPF SPF SPF SPF SPF PASS FROM,
	  true },
	{ "malformed fields are counted",
	  { "mx.example.net", 2, DMARC, RFC },
	  SPF AR "mx.example.net; x\r\n" PASS FROM,
	  false },
	{ "what follows a malformed one",
	  { "mx.example.net", 3, DMARC, RFC },
	  SPF AR "mx.example.net; x\r\n" PASS FROM,
	  false },
	{ "what follows a foreign one",
	  { "mx.example.net", 3, DMARC, RFC },
	  SPF AR "mx.forger.example; none\r\n" PASS FROM,
	  false },
	{ "what precedes a foreign one",
	  { "mx.example.net", 3, DMARC, RFC },
	  SPF PASS AR "mx.forger.example; none\r\n" FROM,
	  true },
	{ "what precedes a malformed one",
	  { "mx.example.net", 2, DMARC, RFC },
	  PASS AR "mx.example.net; x\r\n" FROM,
	  true },
	/* a receiver that says nothing of dmarc about this mail, and a forgery right below its
	   field */
	{ "a claim below a field that is silent about it",
	  { "mx.example.net", 1, DMARC, RFC },
	  ID "spf=none smtp.mailfrom=scan@example.org\r\n" PASS FROM,
	  false },
	{ "... and two of them",
	  { "mx.example.net", 1, DMARC, RFC },
	  ID "spf=none smtp.mailfrom=scan@example.org\r\n" PASS PASS FROM,
	  false },

	/* what they say */
	{ "another domain",
	  { "mx.example.net", 1, DMARC, RFC },
	  ID "dmarc=pass header.from=b.example\r\n" FROM,
	  false },
	{ "a domain above",
	  { "mx.example.net", 1, BOTH, RFC },
	  ID "dmarc=pass header.from=org; dkim=pass header.d=org\r\n" FROM,
	  false },
	{ "a domain below",
	  { "mx.example.net", 1, BOTH, RFC },
	  ID "dmarc=pass header.from=a.example.org; dkim=pass header.d=a.example.org\r\n" FROM,
	  false },
	{ "no domain", { "mx.example.net", 1, DMARC, RFC }, ID "dmarc=pass\r\n" FROM, false },
	{ "two domains",
	  { "mx.example.net", 1, DMARC, RFC },
	  ID "dmarc=pass header.from=example.org header.from=b.example\r\n" FROM,
	  false },
	{ "fail",
	  { "mx.example.net", 1, DMARC, RFC },
	  ID "dmarc=fail header.from=example.org\r\n" FROM,
	  false },
	{ "none",
	  { "mx.example.net", 1, DMARC, RFC },
	  ID "dmarc=none header.from=example.org\r\n" FROM,
	  false },
	{ "neutral",
	  { "mx.example.net", 1, DMARC, RFC },
	  ID "dmarc=neutral header.from=example.org\r\n" FROM,
	  false },
	{ "unknown",
	  { "mx.example.net", 1, DMARC, RFC },
	  ID "dmarc=unknown header.from=example.org\r\n" FROM,
	  false },
	{ "bestguesspass",
	  { "mx.example.net", 1, DMARC, RFC },
	  ID "dmarc=bestguesspass header.from=example.org\r\n" FROM,
	  false },
	{ "temperror",
	  { "mx.example.net", 1, DMARC, RFC },
	  ID "dmarc=temperror header.from=example.org\r\n" FROM,
	  false },
	{ "permerror",
	  { "mx.example.net", 1, DMARC, RFC },
	  ID "dmarc=permerror header.from=example.org\r\n" FROM,
	  false },
	{ "spf alone", { "mx.example.net", 1, BOTH, RFC }, SPF FROM, false },
	{ "arc alone",
	  { "mx.example.net", 1, BOTH, RFC },
	  ID "arc=pass header.from=example.org header.d=example.org\r\n" FROM,
	  false },
	{ "two results in two fields", { "mx.example.net", 2, DMARC, RFC }, PASS PASS FROM, false },
	{ "two results, only one of which is read",
	  { "mx.example.net", 1, DMARC, RFC },
	  PASS PASS FROM,
	  true },
	{ "two results for dmarc, and dkim",
	  { "mx.example.net", 3, BOTH, RFC },
	  PASS PASS SIGN FROM,
	  false },

	/* which methods */
	{ "dkim where dmarc is asked for", { "mx.example.net", 1, DMARC, RFC }, SIGN FROM, false },
	{ "dmarc where dkim is asked for", { "mx.example.net", 1, DKIM, RFC }, PASS FROM, false },
	{ "dkim where either will do", { "mx.example.net", 1, BOTH, RFC }, SIGN FROM, true },
	{ "dmarc where either will do", { "mx.example.net", 1, BOTH, RFC }, PASS FROM, true },
	{ "dkim in a later field",
	  { "mx.example.net", 2, BOTH, RFC },
	  ID "dmarc=none header.from=example.org\r\n" SIGN FROM,
	  true },
	{ "one of several signers",
	  { "mx.example.net", 1, DKIM, RFC },
	  ID "dkim=pass header.d=esp.example; dkim=pass header.d=example.org\r\n" FROM,
	  true },
	{ "a signer that failed",
	  { "mx.example.net", 1, DKIM, RFC },
	  ID "dkim=pass header.d=esp.example; dkim=fail header.d=example.org\r\n" FROM,
	  false },

	/* whose mail it says that it is */
	{ "no From", { "mx.example.net", 1, DMARC, RFC }, PASS "\r\n", false },
	{ "two Froms",
	  { "mx.example.net", 1, DMARC, RFC },
	  PASS "From: a@example.org\r\n" FROM,
	  false },
	{ "two addresses",
	  { "mx.example.net", 1, DMARC, RFC },
	  PASS "From: a@example.org, b@example.org\r\n\r\n",
	  false },
	{ "a From that is none",
	  { "mx.example.net", 1, DMARC, RFC },
	  PASS "From: example.org\r\n\r\n",
	  false },
	{ "a domain in the display name",
	  { "mx.example.net", 1, DMARC, RFC },
	  PASS "From: \"scan@example.org\" <a@b.example>\r\n\r\n",
	  false },
	{ "a domain in the local part",
	  { "mx.example.net", 1, DMARC, RFC },
	  PASS "From: \"scan@example.org\"@b.example\r\n\r\n",
	  false },
	{ "8-bit",
	  { "mx.example.net", 1, DMARC, RFC },
	  ID "dmarc=pass header.from=ex\xc3\xa4mple.org\r\nFrom: scan@ex\xc3\xa4mple.org\r\n\r\n",
	  false },
	{ "a literal",
	  { "mx.example.net", 1, DMARC, RFC },
	  ID "dmarc=pass header.from=[192.0.2.7]\r\nFrom: scan@[192.0.2.7]\r\n\r\n",
	  false },
	{ "a single label",
	  { "mx.example.net", 1, DMARC, RFC },
	  ID "dmarc=pass header.from=lan\r\nFrom: scan@lan\r\n\r\n",
	  true },
};

static void all_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (is_proven(&rows[i].settings, rows[i].message) != rows[i].proven)
			fail_msg("%s: not %d", rows[i].cause, rows[i].proven);
}

/* The rule itself relies on no checkpoint. */
static void facts_alone(void **state)
{
	static const struct proof_settings settings = { "mx", 1, BOTH, RFC };
	static struct facts_results field = {
		.form = FACTS_RESULTS_RFC,
		.id = "mx",
		.dmarc = 1,
		.dmarc_pass = true,
		.dmarc_from = "example.org",
	};
	struct facts facts = { .from_state = FACTS_FROM_ONE,
			       .from = "scan@example.org",
			       .results = &field,
			       .results_count = 1 };
	(void)state;
	assert_true(proof_results(&settings, &facts));
	facts.from_state = FACTS_FROM_MANY;
	assert_false(proof_results(&settings, &facts));
	facts.from_state = FACTS_FROM_ONE;
	facts.from = "scan@";
	field.dmarc_from[0] = '\0';
	assert_false(proof_results(&settings, &facts));
	facts.from = "scan";
	assert_false(proof_results(&settings, &facts));
	facts.from = "scan@example.org";
	strcpy(field.dmarc_from, "example.org");
	field.form = FACTS_RESULTS_MICROSOFT;
	assert_false(proof_results(&settings, &facts));
	field.form = FACTS_RESULTS_BAD;
	assert_false(proof_results(&settings, &facts));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(receivers_and_treatments),
		cmocka_unit_test(other_settings),
		cmocka_unit_test(all_rows),
		cmocka_unit_test(facts_alone),
	};
	return cmocka_run_group_tests(tests, charsets_prepare, charsets_finish);
}
