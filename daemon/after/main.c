/* main.c: letterchute-after: window. Never does more than read its configuration, its token, and
 * choose.
 *
 * Descriptors: ROLE_FD_FIRST where it is told what to count (daemon/tally.h), what was counted so
 * far, the token (without octets: none), the folder of the quarantine, the listening sockets, then,
 * to be read (daemon/status.h), the state of the roles and of each source. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>
#include "daemon/after/cage.h"
#include "daemon/after/window.h"
#include "daemon/fdio.h"
#include "daemon/json.h"
#include "daemon/log.h"
#include "daemon/role.h"
#include "daemon/source.h"

enum { FD_TALLY = ROLE_FD_FIRST, FD_COUNTS, FD_TOKEN, FD_QUARANTINE, FD_LISTENING };

/* The boss puts them side by side. */
static size_t count_listening_sockets(void)
{
	size_t count = 0;
	for (int listening = 1; count < WINDOW_SOCKETS; count++) {
		socklen_t size = sizeof listening;
		if (getsockopt(FD_LISTENING + (int)count, SOL_SOCKET, SO_ACCEPTCONN, &listening,
			       &size) < 0 ||
		    !listening)
			break;
	}
	return count;
}

/* The first line of what we were given. False: there is to be one, and it can't be used; said. */
static bool read_token(const struct config *config, const char **token_out)
{
	static char text[CONFIG_TOKEN_MOST + 3];
	size_t length;
	if (!*config->http.token_file)
		return true;
	ssize_t size = read_all(FD_TOKEN, text, sizeof text - 1);
	const char *why = size < 0 ? strerror((int)-size) : config_judge_token(text, &length);
	if (why) {
		log_say(LOG_ERROR, "http", "token_file: %s", why);
		return false;
	}
	text[length] = '\0';
	*token_out = text;
	return true;
}

static bool prepare(const struct config *config, struct window *window)
{
	static int states[SOURCES_MAX];
	static const int signals[] = { SIGTERM, SIGHUP };
	int roles_fd = FD_LISTENING + (int)window->listening_count;
	for (size_t i = 0; i < SOURCES_MAX; i++)
		states[i] = roles_fd + 1 + (int)i;
	window->view.config = config;
	window->view.version = LETTERCHUTE_VERSION;
	window->view.roles_fd = roles_fd;
	window->view.states = states;
	window->view.quarantine = fdopendir(FD_QUARANTINE);
	window->view.counters = counters_map(FD_COUNTS);
	window->tally_fd = FD_TALLY;
	window->signals_fd = role_open_signals(signals, sizeof signals / sizeof signals[0]);
	window->listening_fd = FD_LISTENING;
	if (!window->view.counters || window->signals_fd < 0) {
		log_say(LOG_ERROR, "http", "nothing can be counted: %s", strerror(errno));
		return false;
	}
	counters_order(window->view.counters, &config->rules);
	return read_token(config, &window->token) && window_prepare(window);
}

int main(int argc, char **argv)
{
	static struct config config; /* freed by the end of the process */
	static struct window window;
	log_open(false);
	if (argc != 2 || strcmp(argv[1], "window") != 0) {
		log_say(LOG_ERROR, "usage", "letterchute-after window");
		return EX_USAGE;
	}
	int status = role_begin("letterchute-window", &config);
	if (status)
		return status;
	window.listening_count = count_listening_sockets();
	tzset();
	/* jansson opens where its random numbers come from */
	json_free(json_object_new());
	if (!prepare(&config, &window))
		return EX_CONFIG;
	close(ROLE_FD_CONFIG);
	close(FD_TOKEN);
	if (!cage_enter(&config))
		return EX_SOFTWARE;
	return window_run(&window);
}
