/* body.h: the text of a message, after its transfer encoding. Room extract.
 *
 * Converts it to UTF-8 on its way into a part, notes which parts it shows, and looks whether it
 * hides some: files in uuencode or yEnc between its lines stay text, but are not passed over in
 * silence. */
#pragma once
#include <stdbool.h>
#include "extract/charset.h"
#include "extract/content.h"
#include "extract/part.h"
#include "extract/watch.h"

struct body {
	struct parts *parts; /* borrowed; the part is open */
	bool html;
	struct charset_stream stream;
	struct cid_scan scan;
	struct watch watch;
};

/* Opens the part. false: there are too many. */
bool body_open(struct body *body, struct parts *parts, const struct content *content);

void body_add(struct body *body, struct span text);

/* Closes the part; `flags`: FRAME_END_…. Returns whether the text hides something (watch.h). */
bool body_close(struct body *body, uint32_t flags);
