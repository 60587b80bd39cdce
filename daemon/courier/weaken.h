/* weaken.h: promises that a courier breaks on purpose, so that the tests of power cuts can show
 * that they would see it. Room daemon/courier.
 *
 * Only the couriers that `-Dweaken=true` adds for tests/power are built with another value, and
 * they are never installed; everywhere else it is a constant, and the compiler leaves nothing of
 * it. */
#pragma once
#include <stdbool.h>

enum weaken {
	WEAKEN_NONE,
	WEAKEN_NO_FSYNC,       /* a staged file is not synced */
	WEAKEN_NO_FOLDER_SYNC, /* nor is a folder of the share that got a name */
	WEAKEN_PLAN_FIRST,     /* the plan is durable before what it names */
	WEAKEN_CHOWN_LAST      /* owner, mode and ACL come after the sync */
};

#ifndef LETTERCHUTE_WEAKEN
#define LETTERCHUTE_WEAKEN WEAKEN_NONE
#endif

static inline bool is_weak(enum weaken promise)
{
	return promise == LETTERCHUTE_WEAKEN;
}
