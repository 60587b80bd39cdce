/* window.c: takes connections, lets in who may, and gives what view.c puts together. Never reads a
 * mail, a share or a file by its name. */
#define _GNU_SOURCE
#include "daemon/after/window.h"
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/log.h"

#define CONNECTIONS_MAX 64
#define LIFE_MS         10000 /* of a connection */
#define REQUEST_MAX     8192  /* octets of a request's head */
#define TALLIES_MAX     256   /* that are taken before connections are seen to */

static struct MHD_Daemon *server;

/* --- connections ------------------------------------------------------------------------------ */

static struct place {
	int fd; /* the server's; -1: free */
	int64_t began_ms;
} places[CONNECTIONS_MAX];

/* The oldest where none is free. */
static struct place *find_place(void)
{
	struct place *found = &places[0];
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		if (places[i].fd < 0)
			return &places[i];
		if (places[i].began_ms < found->began_ms)
			found = &places[i];
	}
	return found;
}

/* The server reads the end of it, and lets it go. */
static void cut(const struct place *place)
{
	shutdown(place->fd, SHUT_RDWR);
	MHD_run(server);
}

static void note_connection(void *context, struct MHD_Connection *connection, void **slot,
			    enum MHD_ConnectionNotificationCode code)
{
	(void)context;
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct place *place = code == MHD_CONNECTION_NOTIFY_STARTED ? find_place() : *slot;
	if (code == MHD_CONNECTION_NOTIFY_STARTED && info)
		*place = (struct place){ info->connect_fd, monotonic_ms() };
	else if (place)
		place->fd = -1;
	*slot = place;
}

static void end_the_old(void)
{
	int64_t now_ms = monotonic_ms();
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		if (places[i].fd >= 0 && now_ms - places[i].began_ms >= LIFE_MS)
			cut(&places[i]);
	}
}

static void take_connection(int listening_fd)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof address;
	struct place *place = find_place();
	if (place->fd >= 0)
		cut(place);
	int fd = accept4(listening_fd, (struct sockaddr *)&address, &size,
			 SOCK_CLOEXEC | SOCK_NONBLOCK);
	/* who is not taken is closed by the server */
	if (fd >= 0)
		MHD_add_connection(server, fd, (struct sockaddr *)&address, size);
}

/* --- who may ---------------------------------------------------------------------------------- */

/* In a time that does not tell how much of it was right. */
static bool is_token(const char *shown, const char *token)
{
	size_t length = strlen(token), size = strlen(shown);
	unsigned different = length != size;
	for (size_t i = 0; i < length; i++)
		different |= (unsigned char)(token[i] ^ shown[i < size ? i : size]);
	return different == 0;
}

static bool shows_token(const struct window *window, struct MHD_Connection *connection)
{
	static const char scheme[] = "Bearer ";
	const char *shown =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
	return !window->token || (shown && strncasecmp(shown, scheme, sizeof scheme - 1) == 0 &&
				  is_token(shown + sizeof scheme - 1, window->token));
}

/* A page of somebody else's can have its own name lead here, and read in a browser of this machine
 * what only this machine is to see. Without a token we answer to addresses and to localhost alone.
 */
static bool is_ours(const char *host)
{
	struct in6_addr six;
	struct in_addr four;
	char name[INET6_ADDRSTRLEN + 16];
	size_t size = *host == '[' ? strcspn(host, "]") : strcspn(host, ":");
	if (size >= sizeof name)
		return false;
	memcpy(name, host, size);
	name[size] = '\0';
	return strcasecmp(name, "localhost") == 0 || inet_pton(AF_INET, name, &four) == 1 ||
	       (*name == '[' && inet_pton(AF_INET6, name + 1, &six) == 1);
}

static bool is_meant(const struct window *window, struct MHD_Connection *connection)
{
	const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
	return window->token || !host || is_ours(host);
}

/* --- answers ---------------------------------------------------------------------------------- */

/* `text`: taken over; NULL: out of memory. */
static enum MHD_Result answer(struct MHD_Connection *connection, unsigned code, const char *type,
			      char *text)
{
	static const char *const always[][2] = {
		{ "Cache-Control", "no-store" },
		{ "X-Content-Type-Options", "nosniff" },
		{ "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'" },
		{ "Referrer-Policy", "no-referrer" },
		{ "Connection", "close" },
	};
	struct MHD_Response *response =
		text ? MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE)
		     : NULL;
	if (!response) {
		free(text);
		return MHD_NO;
	}
	for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
		MHD_add_response_header(response, always[i][0], always[i][1]);
	MHD_add_response_header(response, "Content-Type", type);
	if (code == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, "Allow", "GET, HEAD");
	if (code == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(response, "WWW-Authenticate",
					"Bearer realm=\"letterchute\"");
	enum MHD_Result result = MHD_queue_response(connection, code, response);
	MHD_destroy_response(response);
	return result;
}

#define TEXT_TYPE "text/plain; charset=utf-8"
#define JSON_TYPE "application/json"

static enum MHD_Result say(struct MHD_Connection *connection, unsigned code, const char *words)
{
	return answer(connection, code, TEXT_TYPE, strdup(words));
}

/* Without the token the word alone: what is wrong is not for everybody. */
static enum MHD_Result show_health(struct window *window, struct MHD_Connection *connection)
{
	enum health health;
	char *text = view_health(&window->view, shows_token(window, connection), &health);
	return answer(connection,
		      health == HEALTH_DOWN ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK, JSON_TYPE,
		      text);
}

static enum MHD_Result show_metrics(struct window *window, struct MHD_Connection *connection)
{
	return answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8",
		      view_metrics(&window->view));
}

static enum MHD_Result show_status(struct window *window, struct MHD_Connection *connection)
{
	return answer(connection, MHD_HTTP_OK, JSON_TYPE, view_status(&window->view));
}

static const struct page {
	const char *path;
	enum MHD_Result (*show)(struct window *window, struct MHD_Connection *connection);
	bool open; /* to who shows no token; it shows less then */
} pages[] = {
	{ "/healthz", show_health, true },
	{ "/metrics", show_metrics, false },
	{ "/api/status", show_status, false },
};

static const struct page *find_page(const char *path)
{
	for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
		if (strcmp(path, pages[i].path) == 0)
			return &pages[i];
	}
	return NULL;
}

static enum MHD_Result take_request(void *context, struct MHD_Connection *connection,
				    const char *path, const char *method, const char *version,
				    const char *body, size_t *size, void **slot)
{
	struct window *window = context;
	const struct page *page = find_page(path);
	(void)version;
	(void)body;
	(void)size;
	(void)slot;
	if (!is_meant(window, connection))
		return say(connection, MHD_HTTP_MISDIRECTED_REQUEST,
			   "Ask for an address or for localhost, or set `token_file`\n");
	if (!(page && page->open) && !shows_token(window, connection))
		return say(connection, MHD_HTTP_UNAUTHORIZED,
			   "Authorization: Bearer TOKEN is expected, with that of `token_file`\n");
	if (!page)
		return say(connection, MHD_HTTP_NOT_FOUND,
			   "There is /healthz, /metrics and /api/status\n");
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return say(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET or HEAD is expected\n");
	return page->show(window, connection);
}

/* --- the loop --------------------------------------------------------------------------------- */

/* False: the gateway, and who could tell us anything, has gone. */
static bool take_tallies(struct window *window)
{
	union {
		uint32_t kind;
		struct tally tally;
		struct tally_share share;
	} told;
	for (int i = 0; i < TALLIES_MAX; i++) {
		size_t none = 0;
		ssize_t size = receive_fds(window->tally_fd, &told, sizeof told, NULL, &none,
					   MSG_DONTWAIT);
		if (size == 0)
			return false;
		if (size == -EAGAIN || size == -EINTR)
			return true;
		if (size > 0 && tally_valid(&told, (size_t)size))
			view_hear(&window->view, &told);
	}
	return true;
}

bool window_prepare(struct window *window)
{
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		places[i].fd = -1;
	server = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL,
				  take_request, window, MHD_OPTION_CONNECTION_LIMIT,
				  (unsigned)CONNECTIONS_MAX + 1, MHD_OPTION_CONNECTION_TIMEOUT,
				  (unsigned)(LIFE_MS / 1000), MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				  (size_t)REQUEST_MAX, MHD_OPTION_STRICT_FOR_CLIENT, 1,
				  MHD_OPTION_NOTIFY_CONNECTION, note_connection, NULL,
				  MHD_OPTION_END);
	if (!server)
		log_say(LOG_ERROR, "http", "the server can't be started: %s", strerror(errno));
	return server != NULL;
}

static int server_fd(void)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(server, MHD_DAEMON_INFO_EPOLL_FD);
	return info ? info->epoll_fd : -1;
}

/* While somebody is connected we look once a second who has been so for too long. */
static int wait_ms(void)
{
	MHD_UNSIGNED_LONG_LONG server_ms;
	int most_ms = -1;
	for (size_t i = 0; i < CONNECTIONS_MAX && most_ms < 0; i++)
		most_ms = places[i].fd >= 0 ? 1000 : -1;
	if (MHD_get_timeout(server, &server_ms) == MHD_YES &&
	    (most_ms < 0 || server_ms < (unsigned)most_ms))
		most_ms = server_ms > 1000 ? 1000 : (int)server_ms;
	return most_ms;
}

enum { WAIT_SIGNALS, WAIT_TALLY, WAIT_SERVER, WAIT_LISTENING };

int window_run(struct window *window)
{
	struct pollfd waits[WAIT_LISTENING + WINDOW_SOCKETS] = {
		[WAIT_SIGNALS] = { .fd = window->signals_fd, .events = POLLIN },
		[WAIT_TALLY] = { .fd = window->tally_fd, .events = POLLIN },
		[WAIT_SERVER] = { .fd = server_fd(), .events = POLLIN },
	};
	size_t count = WAIT_LISTENING + window->listening_count;
	for (size_t i = WAIT_LISTENING; i < count; i++)
		waits[i] = (struct pollfd){ .fd = window->listening_fd + (int)i - WAIT_LISTENING,
					    .events = POLLIN };
	for (;;) {
		int ready = poll(waits, count, wait_ms());
		if (ready < 0 && errno != EINTR)
			return 70;
		/* nobody is in the middle of anything that could not be asked again */
		if (ready > 0 && waits[WAIT_SIGNALS].revents)
			return 0;
		if (ready > 0 && waits[WAIT_TALLY].revents && !take_tallies(window))
			return 0;
		for (size_t i = WAIT_LISTENING; ready > 0 && i < count; i++) {
			if (waits[i].revents)
				take_connection(waits[i].fd);
		}
		MHD_run(server);
		end_the_old();
	}
}
