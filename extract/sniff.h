/* sniff.h: the bytes of a part -> their type. Room extract. The only file that knows libmagic.
 *
 * The type is a lower-case MIME type. It is what the bytes are, never what the mail says they are
 * (but for the kind of a text):
 *  - a few signatures that leave no doubt are known here, the rest is libmagic's word on the first
 *    LIMIT_SNIFF_HEAD octets;
 *  - a PDF behind junk is still a PDF, if %PDF- comes within the first 1024 octets and nothing else
 *    is recognised;
 *  - an office file is told by the directory at the end of its zip file, since libmagic looks only
 *    at its first members: with macros it gets the macroEnabled type. A zip file whose directory is
 *    not wholly seen is application/zip. */
#pragma once
#include "extract/frame.h"
#include "extract/limits.h"
#include "extract/span.h"

/* Loads the magic database; "" in `why_out` or what went wrong. 0 or -errno. To be called before
 * the jail closes. */
int sniff_prepare(const char *path, char why_out[200]);
void sniff_done(void);

/* libmagic compiles each regular expression when it first comes to it, and keeps it. Asked once
 * about a text and once about bytes that nobody knows, the template hands all that down to its
 * later children, for whom it is most of the time; itself it needs 5 ms and 2 MB for it. Opens
 * nothing. */
void sniff_warm_up(void);

/* Does this start a file of a kind that devices send, so that it is no text whatever its header
 * says? The first few octets are enough. */
bool sniff_is_file(struct span head);

/* Which kind of text the mail says it is. */
enum sniff_said { SNIFF_NOTHING, SNIFF_TEXT, SNIFF_CSV };

/* What is kept of one part. */
struct sniff {
	enum sniff_said said;
	uint64_t size; /* octets seen */
	size_t head_size, tail_size;
	char head[LIMIT_SNIFF_HEAD];
	char tail[2 * LIMIT_SNIFF_TAIL]; /* the last `tail_size` octets; only of zip files */
};

void sniff_init(struct sniff *sniff);

/* To be told what the mail declares and how it names the part: it counts only where the bytes are
 * text and leave open of which kind. The name counts more. */
void sniff_expect(struct sniff *sniff, struct span declared, struct span name);

void sniff_add(struct sniff *sniff, struct span bytes);

/* Puts the type, NUL-terminated. */
void sniff_type(const struct sniff *sniff, char type_out[FRAME_TYPE_MAX]);
