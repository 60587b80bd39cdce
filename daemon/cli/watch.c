/* watch.c: the verb `watch-device`: what devices say, as they say it. Never touches a session: it
 * is told by the listeners (daemon/smtp/audience.h). */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "daemon/cli/telling.h"
#include "daemon/cli/verbs.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/source.h"
#include "daemon/spool.h"
#include "daemon/status.h"
#include "policy/sender.h"

#define SEATS_MAX 512 /* listeners */
#define RETRY_MS  500

struct watch {
	const struct options *options;
	struct config config;
	struct facts_peer peer; /* not known: all */
	struct pollfd seats[SEATS_MAX];
	bool welcome[SEATS_MAX];
	size_t count;
};

static bool is_wanted(const struct watch *watch, const struct config_listener *listener)
{
	const char *source = watch->options->source;
	return !source || strcmp(source, listener->name) == 0;
}

static bool has_listener(const struct watch *watch)
{
	const char *source = watch->options->source;
	if (source && !config_find_listener(&watch->config, source))
		fprintf(stderr, "letterchute: there is no [smtp %s] in the configuration\n",
			source);
	else if (watch->config.listeners_count == 0)
		fputs("letterchute: there is no [smtp] section in the configuration\n", stderr);
	else
		return true;
	return false;
}

/* --- a seat at each listener ------------------------------------------------------------------ */

static int take_seat(const struct watch *watch, const char *source, int *fd_out)
{
	struct dialogue request = { .kind = DIALOGUE_WATCH, .peer_known = watch->peer.known };
	auto_close int fd = -1;
	int error = source_connect(watch->config.gateway.state, &fd);
	if (error)
		return error;
	snprintf(request.source, sizeof request.source, "%s", source);
	memcpy(request.peer, watch->peer.address, sizeof request.peer);
	/* who is turned away may find the connection closed already: that is seen when it is read
	 */
	ssize_t put = send(fd, &request, sizeof request, MSG_NOSIGNAL);
	if (put < 0 && errno != EPIPE && errno != ECONNRESET)
		return -errno;
	*fd_out = take_fd(&fd);
	return 0;
}

static void leave_seats(struct watch *watch)
{
	for (size_t i = 0; i < watch->count; i++)
		close_fd(&watch->seats[i].fd);
	watch->count = 0;
}

static int take_seats(struct watch *watch)
{
	int error = 0;
	for (size_t i = 0; !error && i < watch->config.listeners_count; i++) {
		const struct config_listener *listener = &watch->config.listeners[i];
		if (!is_wanted(watch, listener) || watch->count == SEATS_MAX)
			continue;
		struct pollfd seat = { .fd = -1, .events = POLLIN };
		error = take_seat(watch, listener->name, &seat.fd);
		if (error)
			break;
		watch->welcome[watch->count] = false;
		watch->seats[watch->count++] = seat;
	}
	return error;
}

/* --- listening -------------------------------------------------------------------------------- */

static void tell(const struct watch *watch, const struct dialogue *dialogue)
{
	bool json = watch->options->json;
	telling_lines(dialogue, (const char *)(dialogue + 1), json);
	if (dialogue->kind == DIALOGUE_END)
		telling_end(dialogue, wall_ms(), json);
	fflush(stdout);
}

/* False: the listener is gone, or does not let us. */
static bool hear(struct watch *watch, size_t seat)
{
	static union {
		struct dialogue dialogue;
		char room[DIALOGUE_MAX];
	} message;
	ssize_t size = recv(watch->seats[seat].fd, &message, sizeof message, 0);
	if (size < 0 && errno == EINTR)
		return true;
	if (size <= 0 || !dialogue_valid(&message, (size_t)size))
		return false;
	if (message.dialogue.kind == DIALOGUE_WELCOME) {
		watch->welcome[seat] = true;
		fprintf(stderr, "-- watching %s; Ctrl-C ends\n", message.dialogue.source);
	} else
		tell(watch, &message.dialogue);
	return true;
}

/* Until one of the listeners is gone. True: it had let us. */
static bool listen_to_all(struct watch *watch)
{
	for (;;) {
		if (poll(watch->seats, watch->count, -1) < 0 && errno != EINTR)
			return false;
		for (size_t i = 0; i < watch->count; i++) {
			if (watch->seats[i].revents && !hear(watch, i))
				return watch->welcome[i];
		}
	}
}

/* After a reload or a restart there may be other listeners; a configuration that can't be read now
 * was told, and the old one serves on. */
static void read_again(struct watch *watch)
{
	struct config fresh;
	if (options_load(watch->options, &fresh) != 0)
		return;
	config_done(&watch->config);
	watch->config = fresh;
}

static int follow(struct watch *watch)
{
	bool before = false;
	for (;;) {
		int error = take_seats(watch);
		bool welcome = !error && listen_to_all(watch);
		leave_seats(watch);
		if (!welcome && !before) {
			fprintf(stderr, "letterchute: %s\n",
				error ? "no gateway runs with this configuration"
				      : "the gateway does not let us watch: root, its own user and "
					"`local_users` may, 16 at a time");
			return EXIT_UNREACHABLE;
		}
		if (welcome) {
			fputs("-- the listener is gone; waiting for it\n", stderr);
			read_again(watch);
		}
		if (!has_listener(watch))
			return EXIT_CONFIGURATION;
		before = true;
		nap_ms(RETRY_MS);
	}
}

/* --- what is kept ----------------------------------------------------------------------------- */

static void tell_kept(const struct watch *watch, int sources_fd, const char *source)
{
	static struct standing_failed failed[FAILURES_MAX];
	auto_close int fd = status_open_to_read(sources_fd, source);
	size_t count = standing_read_failed(fd, failed);
	while (count-- > 0) {
		const struct dialogue *dialogue = &failed[count].dialogue;
		if (watch->peer.known &&
		    memcmp(dialogue->peer, watch->peer.address, sizeof dialogue->peer) != 0)
			continue;
		telling_lines(dialogue, failed[count].text, watch->options->json);
		telling_end(dialogue, dialogue->began_ms, watch->options->json);
	}
}

static int tell_last(const struct watch *watch)
{
	auto_close int sources_fd = -1;
	int error = spool_open(watch->config.gateway.state, SPOOL_SOURCES, &sources_fd);
	if (error) {
		fprintf(stderr, "letterchute: %s: %s: it belongs to root and to `user`\n",
			watch->config.gateway.state, strerror(-error));
		return EXIT_UNREACHABLE;
	}
	for (size_t i = 0; i < watch->config.listeners_count; i++) {
		const struct config_listener *listener = &watch->config.listeners[i];
		if (is_wanted(watch, listener))
			tell_kept(watch, sources_fd, listener->name);
	}
	return EXIT_OK;
}

/* --- the verb --------------------------------------------------------------------------------- */

static bool parse_peer(const char *text, struct facts_peer *peer_out)
{
	struct network networks[8];
	if (network_parse(text, networks, 8) != 1 || networks[0].prefix != 128)
		return false;
	peer_out->known = true;
	memcpy(peer_out->address, networks[0].address, sizeof peer_out->address);
	return true;
}

int verb_watch_device(const struct options *options)
{
	static struct watch watch;
	watch = (struct watch){ .options = options };
	if (options->peer && !parse_peer(options->peer, &watch.peer)) {
		fprintf(stderr, "letterchute: --peer %s: an address is expected\n", options->peer);
		return EXIT_USAGE;
	}
	int status = options_load(options, &watch.config);
	if (status)
		return status;
	status = !has_listener(&watch) ? EXIT_CONFIGURATION
		 : options->last       ? tell_last(&watch)
				       : follow(&watch);
	config_done(&watch.config);
	return status;
}
