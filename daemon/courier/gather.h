/* gather.h: the message, by way of the extractor, into staged parts. Room daemon/courier.
 *
 * The top header comes first: routes are decided then, before any content. Each part is decided for
 * each route when it ends, and pictures once more at the end, when it is known which of them an
 * HTML body shows. A refusal stops the extractor at once. */
#pragma once
#include "daemon/courier/job.h"

/* Runs the extractor over the message. REASON_NONE: all parts that are kept are staged (nothing is,
 * for a dry run), and every part's decisions are final. Else the reason, told. */
enum reason gather(struct job *job);
