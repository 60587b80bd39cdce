/* proof.h: what proves the sender: the word of the server that took the mail in, which it wrote
 * into Authentication-Results (RFC 8601). Room policy: pure.
 *
 * Anybody can write such a field. What sets the genuine ones apart is their place: the receiving
 * server puts them on top, and always as many. So that many are read from the top and never one
 * more, and the authserv-id is asked for besides. This needs a server that stamps every message,
 * and deletes the fields with its own id that a message comes with. */
#pragma once
#include <stdbool.h>
#include "policy/facts.h"

/* Which result counts. spf alone never does: it is not about From. */
enum proof_method {
	PROOF_METHOD_NONE,
	PROOF_METHOD_DMARC, /* `pass`, and header.from is the domain of From */
	PROOF_METHOD_DKIM   /* some `pass`, and the signer is the domain of From */
};
#define PROOF_METHODS_MAX 2

enum proof_dialect {
	PROOF_DIALECT_RFC,      /* fields have an authserv-id, one of `authserv_ids` */
	PROOF_DIALECT_MICROSOFT /* fields have none */
};

/* What one source believes. All zero: nothing. */
struct proof_settings {
	const char *authserv_ids; /* comma list; `*.example.org`: any name below example.org; NULL
				     or "": none */
	unsigned ar_count;        /* fields that the server writes, FACTS_RESULTS_MAX at most */
	enum proof_method methods[PROOF_METHODS_MAX]; /* any of them does, asked in this order */
	enum proof_dialect dialect;
};

/* Is the domain of the one address of From proven? The first `ar_count` fields are read up to one
 * that is malformed, of the other dialect or by somebody else. Two results for dmarc are no proof,
 * whatever they say. */
bool proof_results(const struct proof_settings *settings, const struct facts *facts);
