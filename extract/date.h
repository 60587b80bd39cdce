/* date.h: the Date field (RFC 5322 section 3.3 and 4.3). Room extract; pure. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "extract/span.h"

/* Seconds since 1970 UTC. Reads the usual sloppiness too: no day of the week, comments, names of
 * zones, two-digit years, no seconds, no zone (taken as UTC), a dash between day, month and year.
 * false: unreadable. */
bool date_read(struct span value, int64_t *seconds_out);
