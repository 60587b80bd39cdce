/* kept.h: messages that stay at their source, and what became of them. Ground of daemon: a courier
 * appends, a puller reads.
 *
 * A ledger is a file spool/kept/<source> of records of a fixed size, each with a checksum, in host
 * byte order. A record is durable before the message is answered. What a crash left half written at
 * its end is cut off by the next who appends; a record whose checksum is wrong is passed over.
 * Writers lock the file (flock). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEPT_DIGEST 32

enum kept_outcome { KEPT_DELIVERED = 1, KEPT_REFUSED };

struct kept_record {
	uint64_t validity; /* of which mailbox, and its UIDVALIDITY: config_validity */
	uint32_t uid;      /* RFC 9051 section 2.3.1.1 */
	uint32_t outcome;  /* enum kept_outcome */
	uint32_t reason;   /* enum reason of policy/verdict.h */
	uint32_t zero;
	uint64_t revision;           /* of the policy that decided (config_revision) */
	uint8_t sha256[KEPT_DIGEST]; /* of the message; all zero: it was never fetched */
	uint64_t sum;                /* of all before it; set by kept_append */
};

struct kept {
	struct kept_record *records; /* owned; in the order in which they were written */
	size_t count;
};

/* All good records; no file is no records. 0 or -errno. */
int kept_read(int folder_fd, const char *source, struct kept *kept_out);
void kept_done(struct kept *kept);

/* Appends and syncs. 0 or -errno: then the record may be there all the same. */
int kept_append(int folder_fd, const char *source, const struct kept_record *record);

/* Is the message of *record_io known, by its place or by its octets under an older UIDVALIDITY?
 * Then its outcome and reason are filled in; what was known by octets gets a record of its own
 * under the same lock, so that two equal messages can't both be taken for one that there was. What
 * older rules refused is not known. 0 or -errno. */
int kept_claim(int folder_fd, const char *source, struct kept_record *record_io, bool *known_out);

/* What was decided about (validity, uid), the last word of it; NULL: nothing. */
const struct kept_record *kept_find(const struct kept *kept, uint64_t validity, uint32_t uid);

/* The same message under an older UIDVALIDITY: the last record of these bytes that is not matched
 * yet by one under `validity` (two equal messages were two); NULL: none. */
const struct kept_record *kept_find_bytes(const struct kept *kept, uint64_t validity,
					  const uint8_t sha256[KEPT_DIGEST]);

/* Forgets what `validity` no longer lists, up to the UID `last`: later ones may have come since.
 * And all that was written twice. Records of older UIDVALIDITYs stay, the youngest KEPT_OLD_MAX of
 * them. `uids`: ascending. Replaces the file as a whole. 0 or -errno. */
#define KEPT_OLD_MAX 65536
int kept_compact(int folder_fd, const char *source, uint64_t validity, uint32_t last,
		 const uint32_t *uids, size_t count);
