/* part.h: leaves -> frames. Room extract.
 *
 * One part is open at a time. Content is put straight into the frame; on the way it is counted and
 * its type is told. */
#pragma once
#include <stdbool.h>
#include "extract/cid.h"
#include "extract/content.h"
#include "extract/frame_writer.h"
#include "extract/sniff.h"

struct parts {
	struct frame_writer *writer; /* borrowed */
	uint32_t count, max;
	bool open;
	bool text_body; /* the open one is the text of the message, as it is put: UTF-8 */
	bool html;
	bool full; /* one more than `max` was to be opened: nothing of it was put */
	struct cid_set shown;
	uint64_t ids[LIMIT_PARTS_MAX]; /* of each part the hash of its Content-ID; 0: none */
	struct sniff sniff;
};

void parts_init(struct parts *parts, struct frame_writer *writer, uint32_t max);

/* Opens a part. false: there are too many. */
bool part_open(struct parts *parts, const struct content *content, bool text_body);

/* Room for content (DECODE_ROOM_MIN octets at least, and DECODE_SLACK behind them), and how much of
 * it was used. */
char *part_room(struct parts *parts, size_t *room_out);
void part_add(struct parts *parts, size_t size);

/* `flags`: FRAME_END_… */
void part_close(struct parts *parts, uint32_t flags);

/* Says which parts are shown. */
void parts_put_shown(struct parts *parts);
