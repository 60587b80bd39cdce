/* run.c: the verb `run`: the gateway in the foreground. Never does a role's work. */
#include <stdio.h>
#include <string.h>
#include "daemon/boss.h"
#include "daemon/cli/alone.h"
#include "daemon/cli/environment.h"
#include "daemon/cli/fault.h"
#include "daemon/cli/folder.h"
#include "daemon/cli/verbs.h"
#include "daemon/log.h"

static void log_surprise(void *context, const char *what, const char *text, const char *remedy)
{
	(void)context;
	log_say(LOG_WARNING, what, "%s; %s", text, remedy);
}

static int load(const struct options *options, struct config *config_out)
{
	char error[CONFIG_ERROR_MAX];
	struct config config;
	int status = options_load(options, &config);
	if (status)
		return status;
	status = alone_check_keys(&config, error);
	if (status) {
		config_done(&config);
		return fault_say(status, "%s", error);
	}
	folder_look(options, log_surprise, NULL);
	*config_out = config;
	return 0;
}

/* For SIGHUP. The boss says in one line that the old one stays, and why. */
static int read_again(const void *context, struct config *config_out, char *error_out)
{
	snprintf(error_out, CONFIG_ERROR_MAX, "the new one can't be read now");
	fault_keep(error_out);
	int status = load(context, config_out);
	fault_keep(NULL);
	return status;
}

int verb_run(const struct options *options)
{
	struct config config;
	int status = load(options, &config);
	if (!status)
		environment_look(log_surprise, NULL);
	return status ? status : boss_run(&config, read_again, options);
}
