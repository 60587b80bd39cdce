/* session.c: the verb `smtp-session`: one SMTP session on standard input and output, for inetd and
 * its kin. Never speaks SMTP itself: the program of the listener does. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/activation.h"
#include "daemon/cli/alone.h"
#include "daemon/cli/fault.h"
#include "daemon/cli/single.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/log.h"
#include "daemon/role.h"
#include "daemon/spool.h"

/* Whom the session asks for what it must not know; -1: nobody, and it does without. */
static int start_keys(const struct config *config, const char *name)
{
	const struct config_listener *listener = config_find_listener(config, name);
	auto_close int ours = -1, theirs = -1;
	pid_t pid;
	if (!listener || !config_needs_keeper(listener) || socket_pair(&ours, &theirs) != 0)
		return -1;
	int error = alone_start_keys(config, listener, theirs, &pid);
	if (error)
		fprintf(stderr, "letterchute: there will be no TLS and no login: %s\n",
			strerror(-error));
	return error ? -1 : take_fd(&ours);
}

static int start_session(const struct config *config, const char *name, int ask_fd, pid_t *pid_out)
{
	auto_close int config_fd = -1;
	auto_close int receiving_fd = -1;
	int error = config_write(config, &config_fd);
	if (error)
		return error;
	/* beside a gateway of another user's we may not look into its spool: scratch goes elsewhere
	 * then */
	auto_close int nothing_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	auto_close int keys_fd = start_keys(config, name);
	bool own = spool_open(config->gateway.state, SPOOL_RECEIVING, &receiving_fd) == 0;
	const char *arguments[] = { "session", name, NULL };
	const int fds[] = { ask_fd, own ? receiving_fd : nothing_fd,
			    keys_fd < 0 ? nothing_fd : keys_fd };
	struct role_start start = role_usual(ROLE_SMTP, config, config_fd, arguments, fds,
					     sizeof fds / sizeof fds[0]);
	start.keep_standard = true;
	return role_start(&start, pid_out);
}

static int wait_session(pid_t pid)
{
	int status;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return EXIT_BUG;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_BUG;
}

int verb_smtp_session(const struct options *options)
{
	struct config config;
	struct single single;
	pid_t pid;
	if (!activation_use_connection())
		return EXIT_USAGE;
	log_leave_connection();
	int status = options_load_to_ask(options, &config);
	if (status)
		return status;
	const char *name = options->operands_count ? options->operands[0] : "session";
	if (options->operands_count && !config_find_listener(&config, name)) {
		config_done(&config);
		return fault_say(EXIT_CONFIGURATION, "there is no [smtp %s] in the configuration",
				 name);
	}
	status = single_open(&config, "alone", &single);
	if (!status) {
		int error = start_session(&config, name, single.ask_fd, &pid);
		if (error) {
			status = fault_say(EXIT_LATER, "a session can't be started: %s",
					   strerror(-error));
		} else
			status = wait_session(pid);
	}
	/* all has been asked and settled */
	single_close(&single);
	config_done(&config);
	return status;
}
