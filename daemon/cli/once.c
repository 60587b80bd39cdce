/* once.c: the verb `once`: empties every mailbox and Maildir, and ends. Never listens. */
#include <stdio.h>
#include <unistd.h>
#include "daemon/boss.h"
#include "daemon/cli/fault.h"
#include "daemon/cli/verbs.h"
#include "daemon/keep.h"
#include "daemon/source.h"

int verb_once(const struct options *options)
{
	struct config config;
	auto_close int gateway_fd = -1;
	int status = options_load(options, &config);
	if (status)
		return status;
	/* two who empty one mailbox would both deliver what is in it */
	if (source_connect(config.gateway.state, &gateway_fd) == 0) {
		fault_say(EXIT_UNREACHABLE,
			  "a gateway runs on %s already: it empties them by itself",
			  config.gateway.state);
		config_done(&config);
		return EXIT_UNREACHABLE;
	}
	return boss_run_once(&config);
}
