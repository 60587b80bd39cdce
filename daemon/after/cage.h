/* cage.h: what the window may still do. Room daemon/after. */
#pragma once
#include <stdbool.h>
#include "daemon/config.h"

/* No files, no connections of its own, nothing executed. False: it can't be locked in; said. */
bool cage_enter(const struct config *config);
