/* facts.h: what is known about a message. Plain data, no functions. Room policy.
 *
 * Everything here is borrowed from the caller for the time of a call. Texts are UTF-8 without
 * control characters where a comment does not say otherwise; they are still the sender's words, so
 * nothing enters a path but through filename.h. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define FACTS_RECIPIENTS_MAX 100
#define FACTS_RESULTS_MAX    16
#define FACTS_SIGNERS_MAX    10
#define FACTS_DOMAIN_MAX     255 /* octets */

/* What proves the sender (notes of INTERFACE.md section 2, `auth`). A set of bits. */
enum {
	PROOF_PEER = 1,
	PROOF_LOGIN = 2,
	PROOF_RESULTS = 4,
	PROOF_DKIM = 8,         /* signed by the domain of From itself */
	PROOF_DKIM_RELATED = 16 /* by one of the same owner: as good where `align = relaxed` */
};

/* An address of the network: IPv4 as IPv4-mapped IPv6, so one comparison serves both (RFC 4291
 * section 2.5.5.2). */
struct facts_peer {
	bool known;
	uint8_t address[16];
};

enum facts_from {
	FACTS_FROM_NONE, /* no From field: the envelope sender stands in */
	FACTS_FROM_ONE,
	FACTS_FROM_MANY, /* several From fields or several addresses */
	FACTS_FROM_BAD
};

/* Which grammar an Authentication-Results field follows. */
enum facts_form {
	FACTS_RESULTS_BAD, /* none: it says nothing */
	FACTS_RESULTS_RFC, /* RFC 8601 */
	FACTS_RESULTS_MICROSOFT
};

/* What one Authentication-Results field says, whoever wrote it. Texts are ASCII in lower case. */
struct facts_results {
	enum facts_form form;
	char id[FACTS_DOMAIN_MAX + 1];         /* authserv-id; "" but with FACTS_RESULTS_RFC */
	unsigned dmarc;                        /* results of the method dmarc */
	bool dmarc_pass;                       /* there is one, and it is `pass` */
	char dmarc_from[FACTS_DOMAIN_MAX + 1]; /* of the one: domain of header.from, or "" */
	char signer[FACTS_SIGNERS_MAX][FACTS_DOMAIN_MAX + 1]; /* whose dkim result is `pass` */
	size_t signers;
};

struct facts {
	const char *source; /* name of the source: of its [smtp NAME], `drop`, `session` … */
	struct facts_peer peer;
	const char *login; /* NULL: none */
	unsigned proofs;   /* PROOF_… that hold; PROOF_PEER is decided by the rules */
	bool peer_allowed; /* the listener's own `peers` matched, loopback included */

	bool has_envelope;
	const char *sender;            /* MAIL FROM, "" for <>; without an envelope NULL */
	const char *const *recipients; /* RCPT TO, or To and Cc where there is no envelope */
	size_t recipients_count;
	bool recipients_copied; /* they are To and Cc: some may be none of our business */

	enum facts_from from_state;
	const char *from;    /* the one addr-spec of From, with FACTS_FROM_ONE */
	const char *subject; /* "" where there is none */

	const struct facts_results
		*results;     /* Authentication-Results, from the top of the header */
	size_t results_count; /* FACTS_RESULTS_MAX at most */

	uint64_t bytes;     /* octets of the message */
	struct tm received; /* local time */
	struct tm date;     /* the Date field in local time; without one equal to received */
	bool has_message_id, has_date;
};

enum facts_disposition {
	FACTS_DISPOSITION_NONE,
	FACTS_DISPOSITION_INLINE,
	FACTS_DISPOSITION_ATTACHMENT
};

struct facts_part {
	unsigned number;      /* counts the attachments of the message from 1: {n} */
	const char *name;     /* the sender's file name, decoded, not safe; NULL: none */
	const char *declared; /* type/subtype as declared, lower case; "" where there is none */
	const char *mime;     /* type/subtype of the bytes, lower case (extract/sniff.h) */
	uint64_t size;        /* octets */
	enum facts_disposition disposition;
	bool text_body;   /* the text of the message: never a part, only what `body` stores */
	bool shown;       /* an HTML body refers to it by cid: */
	bool shown_known; /* false while the message is still being read */
};
