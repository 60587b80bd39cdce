/* door.c: lets local users in and relays what they ask. Never opens what they hand over. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/log.h"
#include "daemon/smtp/cell.h"
#include "daemon/smtp/listen.h"
#include "daemon/smtp/notice.h"
#include "daemon/smtp/relay.h"
#include "policy/value.h"

#define CLIENTS_MAX 256

/* `users`: numbers, separated by commas. */
static bool is_listed(const char *users, uid_t uid)
{
	char item[32];
	bool fits;
	uint64_t number;
	while (users && value_next(&users, item, sizeof item, &fits)) {
		if (fits && value_number(item, 0, UINT32_MAX, &number) && number == uid)
			return true;
	}
	return false;
}

static bool may_enter(const struct config *config, int client_fd)
{
	struct ucred who;
	socklen_t size = sizeof who;
	if (getsockopt(client_fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
		return false;
	bool allowed = who.uid == 0 || who.uid == config->uid ||
		       is_listed(config->gateway.local_users, who.uid);
	if (!allowed)
		log_say(LOG_WARNING, "door", "user %u is not among `local_users`",
			(unsigned)who.uid);
	return allowed;
}

static void accept_one(const struct config *config, struct relay *relay, int listening_fd)
{
	const struct ask_origin nobody = { .kind = 0 };
	auto_close int client_fd = accept4(listening_fd, NULL, NULL, SOCK_CLOEXEC);
	if (client_fd >= 0 && may_enter(config, client_fd))
		relay_add(relay, take_fd(&client_fd), -1, &nobody);
}

static int prepare(const struct config *config, struct relay *relay)
{
	raise_file_limit();
	notice_prepare();
	int error = relay_init(relay, config, FD_QUEUE, CLIENTS_MAX);
	if (!error)
		error = relay_listen(relay, FD_LISTENING);
	if (error)
		return error;
	relay->local = true;
	relay->audiences_fd = FD_LISTENING + 1;
	harmless_init(&relay->harmless, config->gateway.state);
	fcntl(FD_LISTENING, F_SETFL, fcntl(FD_LISTENING, F_GETFL) | O_NONBLOCK);
	return cell_enter(CELL_DOOR, (enum jail_mode)config->gateway.sandbox, -1);
}

int door_run(const struct config *config, size_t sockets_count)
{
	static struct relay relay;
	int error = sockets_count == 1 ? prepare(config, &relay) : -EINVAL;
	if (error) {
		log_say(LOG_ERROR, "door", "the local door can't be set up: %s", strerror(-error));
		return 70;
	}
	bool open = true;
	int64_t stop_ms = 0;
	while ((open || relay.links_count > 0) && (stop_ms == 0 || monotonic_ms() < stop_ms)) {
		int listening_fd;
		if (relay_wait(&relay, stop_ms ? 100 : -1, &listening_fd))
			accept_one(config, &relay, listening_fd);
		if (open && (notice_stop() || notice_drain()))
			open = close(FD_LISTENING) != 0;
		if (notice_stop() && stop_ms == 0) {
			relay_stop(&relay);
			stop_ms = monotonic_ms() + (int64_t)config->gateway.answer_within_s * 1000;
		}
	}
	return 0;
}
