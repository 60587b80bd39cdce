/* view.h: what is shown: health, numbers, and where all stand. Room daemon/after; knows nothing of
 * HTTP. */
#pragma once
#include <dirent.h>
#include "daemon/after/counters.h"
#include "daemon/config.h"
#include "daemon/health.h"
#include "daemon/tally.h"

struct view {
	const struct config *config;
	const char *version;
	int roles_fd;      /* the file of the roles */
	const int *states; /* files of the sources in the order of the configuration: listeners,
			      accounts, Maildirs */
	DIR *quarantine;   /* NULL: it can't be read */
	struct counters *counters; /* ordered by the configuration */
};

/* Takes one message of whoever counts, tally_valid. */
void view_hear(struct view *view, const void *message);

/* Each is the caller's to free; NULL: out of memory. `whole`: not the word alone. */
char *view_health(struct view *view, bool whole, enum health *health_out);
char *view_metrics(struct view *view);
char *view_status(struct view *view);
