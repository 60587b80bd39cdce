/* strangers.h: says which routes strangers can reach, at the start and by `check`. Ground of
 * daemon; the decision is policy/reach.h's. */
#pragma once
#include <stdbool.h>
#include "daemon/config.h"

#define STRANGERS_MAX 800 /* octets */

/* In words that an owner understands what is open about this route (index into rules.routes), and
 * what to do about it. False: nothing is. */
bool strangers_reach(const struct config *config, size_t route, char text_out[STRANGERS_MAX],
		     char remedy_out[STRANGERS_MAX]);

/* A warning in the log for each such route. */
void strangers_warn(const struct config *config);
