/* publish.h: make staged parts visible on the share. Room daemon/courier.
 *
 * Every part of the plan that is still staged is renamed to its wished name, or the next number of
 * it that is free. Publishing again after a crash is correct: a part that is gone then was
 * published by the life that staged it, and is passed over. Never replaces a file. Where the file
 * system knows no rename without replacing: link and unlink; where it knows no links: a look and a
 * plain rename, under the folder's lock. */
#pragma once
#include <stddef.h>
#include "daemon/courier/folder.h"
#include "daemon/courier/plan.h"
#include "daemon/courier/share.h"

/* A share of the plan, open: as many as plan->shares, in that order. */
struct publish_share {
	const struct share *share;
	int staging_fd; /* the staging folder of the plan's life */
};

/* Called for each part that became visible, with its path below the share. */
typedef void (*publish_told)(const void *context, const struct plan_part *part, const char *path);

enum publish_turn {
	PUBLISH_FIRST, /* by the life that staged the parts: all of them must be there */
	PUBLISH_AGAIN  /* by whoever adopted that life */
};

/* -ENODATA: a staged part is gone that nobody can have published; the plan is worth nothing.
 * Returns 0 when all are visible and the folders are synced, or -errno with the rest still staged;
 * the plan stays then and is rolled forward later. Blocks for disk only. */
int publish_plan(const struct plan *plan, enum publish_turn turn,
		 const struct publish_share *shares, int folders_fd, publish_told told,
		 const void *context);

/* The name that a part would get in a folder that was looked at (`text` of FILENAME_MAX_BYTES + 1);
 * the next part does not get it. */
void publish_preview(struct folder *folder, const struct place_name *name, char *text);

/* Can a file be renamed from one folder to another without replacing, by any rung of the ladder?
 * Tries it with a file that it makes and removes. *rung_out: 1 rename without replacing, 2 link, 3
 * look and rename. 0 or -errno. */
int publish_probe(int staging_fd, int folder_fd, int *rung_out);
