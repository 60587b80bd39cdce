/* cage.h: what who gets passwords and tokens may do, unless it has to execute a program of the
 * user's. Room daemon/token. */
#pragma once
#include <stdbool.h>
#include "daemon/config.h"

/* Each may what those before it may. */
enum cage {
	CAGE_FILE,    /* reads descriptors that are open, answers */
	CAGE_NETWORK, /* talks to a provider, keeps tokens */
	CAGE_LISTENER /* is come back to by a browser */
};

/* Enters it. False: a part that is required is missing; said. `tokens_fd`: the folder where tokens
 * are kept. */
bool cage_enter(const struct config *config, const struct config_account *account, enum cage cage,
		int tokens_fd);
