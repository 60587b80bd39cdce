/* align.h: does a signer speak for the domain of From? Room policy: pure; knows libpsl, whose list
 * of public suffixes is built in. */
#pragma once

enum align {
	ALIGN_NONE,
	ALIGN_RELAXED, /* both are of one registrable domain: mail.example.org and example.org */
	ALIGN_STRICT   /* they are the same */
};

/* `from` and `signer`: names of domains, whoever wrote them. Case and a dot at the end make no
 * difference (RFC 4343, RFC 1034 section 3.1). What is no name of ASCII letters, digits, dashes and
 * underscores, such as the literal of an address or one in another alphabet (its form with xn-- is
 * one), is aligned with nothing, not even with itself. A name that is a public suffix, or has no
 * dot, is aligned with itself alone. */
enum align align_domains(const char *from, const char *signer);
