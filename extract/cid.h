/* cid.h: which parts an HTML text shows (RFC 2392). Room extract; pure.
 *
 * References are kept as 64-bit hashes in a table of fixed size; beyond LIMIT_CIDS_MAX further ones
 * are not kept, and the parts that they name count as not shown. */
#pragma once
#include <stdbool.h>
#include "extract/limits.h"
#include "extract/span.h"

#define CID_SLOTS (2 * LIMIT_CIDS_MAX)

struct cid_set {
	size_t count;
	uint64_t slots[CID_SLOTS]; /* 0: free */
};

/* Reads HTML in pieces. */
struct cid_scan {
	struct cid_set *set; /* borrowed */
	unsigned matched;    /* characters of "cid:" */
	uint64_t hash;
	size_t size;     /* octets of the reference so far */
	unsigned escape; /* hexadecimal digits of an open percent escape, from 1 */
	int digit;
};

/* An empty set is all zero. */
void cid_scan_init(struct cid_scan *scan, struct cid_set *set);
void cid_scan_add(struct cid_scan *scan, struct span html);

/* `hash`: span_hash of a Content-ID without its brackets. */
bool cid_set_has(const struct cid_set *set, uint64_t hash);
