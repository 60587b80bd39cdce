/* cage.h: what the prover may do, and what is left to who looks at one message. Room
 * daemon/prover. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "daemon/config.h"

/* The prover itself, before it takes a question: limits, files and calls. False: said. */
bool cage_enter(const struct config *config);

/* Have the files changed by which names are looked up? The jail lets nobody at the new ones. */
bool cage_is_outdated(void);

/* A child, before it reads its message: keeps these descriptors, its calls
 * alone, and time for a message of so many octets. 0 or -errno. */
int cage_enter_child(pid_t parent, uint64_t bytes, int message_fd, int answer_fd);
