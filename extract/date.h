/* date.h: the Date field (RFC 5322 section 3.3 and 4.3). Room extract; pure. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "extract/span.h"

/* Seconds since 1970 UTC. Reads the usual sloppiness too: no day of the week, comments, names of
 * zones, two-digit years, no seconds or fractions of them, short zones, a dash between day, month
 * and year. *local_out: it has no zone, so the seconds are those of a clock on a wall that is
 * somewhere. false: unreadable. */
bool date_read(struct span value, int64_t *seconds_out, bool *local_out);
