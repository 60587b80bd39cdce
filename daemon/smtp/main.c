/* main.c: letterchute-smtp: listen NAME | door | session NAME | keeper NAME... | keeper-look
 * NAME. Never does more than read its configuration and choose. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/socket.h>
#include "daemon/config.h"
#include "daemon/log.h"
#include "daemon/role.h"
#include "daemon/smtp/keeper.h"
#include "daemon/smtp/listen.h"

/* The boss puts them side by side. Counted before anything else is opened. */
static size_t count_listening_sockets(void)
{
	for (int fd = FD_LISTENING;; fd++) {
		int listening = 0;
		socklen_t size = sizeof listening;
		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0 || !listening)
			return (size_t)(fd - FD_LISTENING);
	}
}

static int run(const struct config *config, const char *mode, const char *name,
	       size_t sockets_count)
{
	if (strcmp(mode, "door") == 0)
		return door_run(config, sockets_count);
	if (strcmp(mode, "session") == 0)
		return single_run(config, name);
	const struct config_listener *listener = config_find_listener(config, name);
	if (listener && sockets_count > 0)
		return listen_run(config, listener, sockets_count);
	log_say(LOG_ERROR, "listener", "there is no listener %s, or no socket for it", name);
	return 78;
}

static bool is_mode(const char *name)
{
	static const char *const modes[] = { "listen", "door", "session", "keeper", "keeper-look" };
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		if (strcmp(name, modes[i]) == 0)
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	static struct config config; /* freed by the end of the process */
	size_t sockets_count = count_listening_sockets();
	log_open(false);
	if (argc < 2 || !is_mode(argv[1])) {
		log_say(LOG_ERROR, "usage",
			"letterchute-smtp listen NAME | door | session NAME | keeper NAME... | "
			"keeper-look NAME");
		return 64;
	}
	int status = role_begin("letterchute-smtp", &config);
	if (status)
		return status;
	if (strcmp(argv[1], "keeper") == 0)
		return keeper_run(&config, argv + 2, (size_t)argc - 2);
	if (strcmp(argv[1], "keeper-look") == 0)
		return keeper_look(&config, argc > 2 ? argv[2] : "");
	return run(&config, argv[1], argc > 2 ? argv[2] : "session", sockets_count);
}
