/* content.h: what a header block says about its body (RFC 2045, RFC 2183). Room extract; pure but
 * for charset.h. */
#pragma once
#include <stdbool.h>
#include "extract/decode.h"
#include "extract/frame.h"
#include "extract/limits.h"
#include "extract/span.h"

enum content_kind {
	CONTENT_LEAF,
	CONTENT_MULTIPART,
	CONTENT_MESSAGE, /* a message to be entered */
	CONTENT_REPORT   /* another type of message: a report, or a piece of one */
};

struct content {
	enum content_kind kind;
	enum decode_kind encoding;
	enum frame_disposition disposition;
	bool ambiguous; /* two values that differ for one thing */
	bool too_many;  /* parameters */
	bool digest;    /* its parts are messages where they do not say otherwise */
	bool html;
	int charset; /* charset.h */
	/* type/subtype, lower case, NUL-terminated; "text/plain" where there is none */
	char type[FRAME_TYPE_MAX];
	size_t boundary_size, name_size, cid_size; /* 0: none */
	bool boundary_cut;                         /* it is longer than LIMIT_BOUNDARY_MAX */
	char boundary[LIMIT_BOUNDARY_MAX];
	char name[FRAME_NAME_MAX];
	char cid[LIMIT_CID_MAX]; /* Content-ID without its angle brackets */
};

/* Reads the Content- fields of a header block. `in_digest`: what has no type is a message (RFC 2046
 * section 5.1.5). `reading` chooses where there are two values. */
void content_read(struct span block, bool in_digest, enum frame_reading reading,
		  struct content *content_out);

/* Is it the text of the message: a report, or a leaf with a text type that has no name and is not
 * an attachment? */
bool content_is_text_body(const struct content *content);
