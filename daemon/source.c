/* source.c: opens, hands over and closes what the boss listens and talks on. Never reads from it.
 */
#define _GNU_SOURCE
#include "daemon/source.h"
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/log.h"
#include "daemon/spool.h"
#include "policy/value.h"

#define BACKLOG     1024
#define DYING_MS    500
#define DYING_TRIES 25

#define SOCKET_PATH_MAX sizeof((struct sockaddr_un *)0)->sun_path

static bool get_bound(int fd, struct address *bound_out)
{
	*bound_out = (struct address){ .size = sizeof bound_out->octets };
	return getsockname(fd, (struct sockaddr *)&bound_out->octets, &bound_out->size) == 0;
}

static bool is_same(const struct address *a, const struct address *b)
{
	return a->size == b->size && memcmp(&a->octets, &b->octets, a->size) == 0;
}

static void log_ready(const struct source *source, int fd, int sandbox)
{
	struct address bound;
	char host[64], port[8];
	struct log_line line;
	if (!get_bound(fd, &bound) ||
	    getnameinfo((struct sockaddr *)&bound.octets, bound.size, host, sizeof host, port,
			sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return;
	log_start(&line, "ready");
	if (source->kind == SOURCE_WINDOW)
		log_add(&line, "service", "http");
	else
		log_add(&line, "source", "%s", source->name);
	log_add(&line, "addr", bound.octets.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
		port);
	if (sandbox == JAIL_OFF)
		log_add(&line, "sandbox", "off");
	log_send(LOG_INFO, &line);
}

static int listen_at(const struct address *wanted, int *fd_out)
{
	int family = wanted->octets.ss_family, yes = 1;
	auto_close int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	/* [::] and 0.0.0.0 are listened to by two sockets, each for its own kind */
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
	if (bind(fd, (const struct sockaddr *)&wanted->octets, wanted->size) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return -errno;
	*fd_out = take_fd(&fd);
	return 0;
}

/* ADDRESS:PORT or [ADDRESS]:PORT; config.c has checked the shape. */
static bool find_address(const char *item, struct address *address_out)
{
	char host[128];
	snprintf(host, sizeof host, "%s", item);
	char *port = strrchr(host, ':');
	*port++ = '\0';
	char *name = host;
	if (*name == '[') {
		name++;
		name[strlen(name) - 1] = '\0';
	}
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
					.ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	struct addrinfo *found;
	int failed = getaddrinfo(name, port, &hints, &found);
	if (failed) {
		log_say(LOG_ERROR, "listen", "%s: %s", item, gai_strerror(failed));
		return false;
	}
	*address_out = (struct address){ .size = found->ai_addrlen };
	memcpy(&address_out->octets, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return true;
}

static const struct source no_source = {
	.asks = { -1, -1 },
	.keeps = { -1, -1 },
	.watch = { -1, -1 },
	.secret_fd = -1,
	.hold = { .lock_fd = -1 },
};

static void close_source(struct source *source)
{
	for (size_t i = 0; i < source->sockets_count; i++)
		close_fd(&source->sockets[i].fd);
	close_fd(&source->asks[0]);
	close_fd(&source->asks[1]);
	close_fd(&source->keeps[0]);
	close_fd(&source->keeps[1]);
	close_fd(&source->watch[0]);
	close_fd(&source->watch[1]);
	close_fd(&source->secret_fd);
	free(source->name);
	close_fd(&source->hold.lock_fd);
	*source = no_source;
}

static struct source *add_source(struct sources *sources, const char *name, enum source_kind kind)
{
	if (sources->count == SOURCES_MAX) {
		log_say(LOG_ERROR, "start", "more than %d sources", SOURCES_MAX - 1);
		return NULL;
	}
	struct source *source = &sources->list[sources->count];
	*source = no_source;
	source->name = strdup(name);
	source->kind = kind;
	bool brings_mail = kind != SOURCE_WINDOW;
	if (!source->name ||
	    (brings_mail && socket_pair(&source->asks[0], &source->asks[1]) != 0) ||
	    (kind == SOURCE_LISTENER && socket_pair(&source->watch[0], &source->watch[1]) != 0)) {
		close_source(source);
		return NULL;
	}
	sources->count++;
	return source;
}

/* Port 0 is any port, so the one that the source of the same name has got; else the port must be
 * this one, whoever has it. */
static bool serves(const struct source *source, const struct listening *listening, const char *name,
		   const struct address *wanted)
{
	struct address bound;
	bool listens = source->kind == SOURCE_LISTENER || source->kind == SOURCE_WINDOW;
	if (!listens || listening->taken)
		return false;
	if (strcmp(source->name, name) == 0 && is_same(&listening->wanted, wanted))
		return true;
	return get_bound(listening->fd, &bound) && is_same(&bound, wanted);
}

/* A socket that a new configuration still wants is handed over, so that no connection is refused
 * meanwhile, and since nobody else could have its address. */
static bool inherit(struct sources *old, const char *name, struct listening *listening)
{
	for (size_t i = 0; i < old->count; i++) {
		struct source *source = &old->list[i];
		for (size_t s = 0; s < source->sockets_count; s++) {
			struct listening *from = &source->sockets[s];
			if (!serves(source, from, name, &listening->wanted))
				continue;
			listening->fd = fcntl(from->fd, F_DUPFD_CLOEXEC, 0);
			listening->told = strcmp(source->name, name) == 0;
			from->taken = true;
			return listening->fd >= 0;
		}
	}
	return false;
}

/* Did the log say that this source is ready at the address of this socket? */
static bool was_told(const struct sources *old, const char *name, int fd)
{
	struct address bound, other;
	for (size_t i = 0; old && get_bound(fd, &bound) && i < old->count; i++) {
		const struct source *source = &old->list[i];
		for (size_t s = 0; s < source->sockets_count; s++) {
			if (strcmp(source->name, name) == 0 &&
			    get_bound(source->sockets[s].fd, &other) && is_same(&bound, &other))
				return true;
		}
	}
	return false;
}

/* What was handed over for this address. That another listener has it is said. */
static enum activation_claim take_handed(const char *item, const char *name,
					 const struct sources *old, struct activation *handed,
					 struct listening *listening)
{
	const struct address *wanted = &listening->wanted;
	enum activation_claim claim =
		activation_claim(handed, name, &wanted->octets, wanted->size, &listening->fd);
	if (claim == ACTIVATION_TAKEN)
		listening->told = was_told(old, name, listening->fd);
	if (claim == ACTIVATION_OTHERS)
		log_say(LOG_ERROR, "listen", "%s of listener %s is another listener's already",
			item, name);
	return claim;
}

/* The descriptor stays -1 where another socket of this listener serves the address too. */
static bool open_socket(const char *item, const char *name, struct sources *old,
			struct activation *handed, struct listening *listening_out)
{
	*listening_out = (struct listening){ .fd = -1 };
	if (!find_address(item, &listening_out->wanted))
		return false;
	enum activation_claim claim = take_handed(item, name, old, handed, listening_out);
	if (claim != ACTIVATION_NONE)
		return claim != ACTIVATION_OTHERS;
	if (old && inherit(old, name, listening_out))
		return true;
	int error = listen_at(&listening_out->wanted, &listening_out->fd);
	if (error)
		log_say(LOG_ERROR, "listen", "%s can't be listened to: %s", item, strerror(-error));
	if (error == -EADDRINUSE)
		activation_tell_taken(handed, &listening_out->wanted.octets);
	return !error;
}

static bool open_sockets(struct source *source, const char *listen, struct sources *old,
			 struct activation *handed)
{
	char item[128];
	bool fits, good = true;
	while (good && value_next(&listen, item, sizeof item, &fits)) {
		struct listening *listening = &source->sockets[source->sockets_count];
		if (source->sockets_count == SOCKETS_MAX) {
			log_say(LOG_ERROR, "listen", "more than %d addresses for %s", SOCKETS_MAX,
				source->name);
			return false;
		}
		good = open_socket(item, source->name, old, handed, listening);
		source->sockets_count += good && listening->fd >= 0;
	}
	return good;
}

static bool open_listener(struct sources *sources, const struct config_listener *listener,
			  struct sources *old, struct activation *handed)
{
	struct source *source = add_source(sources, listener->name, SOURCE_LISTENER);
	bool good = source != NULL;
	if (good && config_needs_keeper(listener))
		good = socket_pair(&source->keeps[0], &source->keeps[1]) == 0;
	return good && open_sockets(source, listener->listen, old, handed);
}

static bool open_window(struct sources *sources, const struct config *config, struct sources *old,
			struct activation *handed)
{
	if (!*config->http.listen)
		return true;
	struct source *source = add_source(sources, SOURCE_WINDOW_NAME, SOURCE_WINDOW);
	return source && open_sockets(source, config->http.listen, old, handed);
}

int source_connect(const char *state, int *fd_out)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int error = spool_socket_path(state, address.sun_path, sizeof address.sun_path);
	if (error)
		return error;
	auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		return -errno;
	*fd_out = take_fd(&fd);
	return 0;
}

static int take_lock(const char *state, int *fd_out)
{
	auto_close int fd = -1;
	int error = spool_open_lock(state, &fd);
	if (error)
		return error;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
	*fd_out = take_fd(&fd);
	return 0;
}

/* What lies there is of a gateway that has ended: we have the lock. */
static int bind_door(const char *path, struct stat *made_out, int *fd_out)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	unlink(path);
	if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	/* who may come in is decided by who it is, not by the mode */
	if (chmod(path, 0666) < 0 || lstat(path, made_out) < 0)
		return -errno;
	*fd_out = take_fd(&fd);
	return 0;
}

static void set_door(struct source *door, int fd, struct door_hold hold)
{
	door->sockets[door->sockets_count++] = (struct listening){ .fd = fd, .told = true };
	door->hold = hold;
}

static int open_door(struct source *door, const char *state)
{
	char path[SOCKET_PATH_MAX];
	struct stat made;
	auto_close int lock_fd = -1;
	int fd = -1;
	int error = spool_socket_path(state, path, sizeof path);
	if (!error)
		error = take_lock(state, &lock_fd);
	if (!error)
		error = bind_door(path, &made, &fd);
	if (!error)
		set_door(door, fd,
			 (struct door_hold){ take_fd(&lock_fd), made.st_dev, made.st_ino });
	return error;
}

static struct source *find_door(const struct sources *sources)
{
	for (size_t i = 0; i < sources->count; i++) {
		if (sources->list[i].kind == SOURCE_DOOR)
			return &sources->list[i];
	}
	return NULL;
}

void sources_open_door(struct sources *sources, const char *state)
{
	struct source *door = add_source(sources, SOURCE_DOOR_NAME, SOURCE_DOOR);
	int error = door ? open_door(door, state) : -ENOMEM;
	/* a gateway that was killed a moment ago may be about to die of it */
	for (int i = 0; i < DYING_TRIES && error == -EADDRINUSE; i++) {
		nap_ms(DYING_MS / DYING_TRIES);
		error = open_door(door, state);
	}
	if (error)
		log_say(LOG_WARNING, "door",
			"%s/gateway.sock: %s: `drop` and `smtp-session` will work on their own",
			state,
			error == -EADDRINUSE ? "another gateway runs on this state"
					     : strerror(-error));
}

static bool has_door(const struct source *door)
{
	return door && door->sockets_count > 0;
}

/* Is something at its path, and what? */
static bool look_at_door(const char *state, struct stat *found_out, char path_out[SOCKET_PATH_MAX])
{
	return spool_socket_path(state, path_out, SOCKET_PATH_MAX) == 0 &&
	       lstat(path_out, found_out) == 0;
}

bool sources_lack_door(const struct sources *sources, const char *state)
{
	const struct source *door = find_door(sources);
	char path[SOCKET_PATH_MAX];
	struct stat found;
	if (!has_door(door))
		return door != NULL;
	return !look_at_door(state, &found, path) && errno == ENOENT;
}

bool sources_try_door(struct sources *sources, const char *state)
{
	struct source *door = find_door(sources);
	bool had = has_door(door);
	if (had) {
		close_fd(&door->sockets[0].fd);
		close_fd(&door->hold.lock_fd);
		door->sockets_count = 0;
	}
	if (open_door(door, state) != 0)
		return false;
	log_say(had ? LOG_WARNING : LOG_INFO, "door", "%s/gateway.sock: %s", state,
		had ? "somebody has removed it, and it is made anew" : "it is ours now");
	return true;
}

void sources_remove_door(const struct sources *sources, const char *state)
{
	const struct source *door = find_door(sources);
	char path[SOCKET_PATH_MAX];
	struct stat found;
	if (has_door(door) && look_at_door(state, &found, path) &&
	    found.st_dev == door->hold.device && found.st_ino == door->hold.inode)
		unlink(path);
}

/* --- the whole set ---------------------------------------------------------------------------- */

bool sources_open(struct sources *sources, const struct config *config, struct sources *old,
		  struct activation *handed)
{
	bool good = true;
	sources->list = calloc(SOURCES_MAX, sizeof *sources->list);
	if (!sources->list)
		abort();
	for (size_t i = 0; old && i < old->count; i++) {
		for (size_t s = 0; s < old->list[i].sockets_count; s++)
			old->list[i].sockets[s].taken = false;
	}
	if (handed)
		activation_renew(handed);
	for (size_t i = 0; good && handed && i < config->listeners_count; i++)
		good = open_listener(sources, &config->listeners[i], old, handed);
	if (good && handed)
		good = open_window(sources, config, old, handed);
	if (good && handed)
		good = !activation_has_rest(handed);
	for (size_t i = 0; good && i < config->accounts_count; i++)
		good = add_source(sources, config->accounts[i].name, SOURCE_IMAP);
	for (size_t i = 0; good && i < config->maildirs_count; i++)
		good = add_source(sources, config->maildirs[i].name, SOURCE_MAILDIR);
	return good;
}

void sources_close(struct sources *sources)
{
	for (size_t i = 0; i < sources->count; i++)
		close_source(&sources->list[i]);
	free(sources->list);
	*sources = (struct sources){ 0 };
}

/* The door stays the same, and so does its lock: they are open twice until the old set is closed.
 */
void sources_inherit_door(struct sources *sources, const struct sources *old)
{
	const struct source *from = find_door(old);
	struct source *door = from ? add_source(sources, SOURCE_DOOR_NAME, SOURCE_DOOR) : NULL;
	if (!door || !has_door(from))
		return;
	struct door_hold hold = from->hold;
	hold.lock_fd = fcntl(from->hold.lock_fd, F_DUPFD_CLOEXEC, 0);
	set_door(door, fcntl(from->sockets[0].fd, F_DUPFD_CLOEXEC, 0), hold);
}

void sources_keep_asks(struct sources *fresh, struct sources *old)
{
	for (size_t i = 0; i < fresh->count; i++) {
		for (size_t o = 0; o < old->count; o++) {
			struct source *from = &old->list[o], *to = &fresh->list[i];
			if (from->asks[0] < 0 || strcmp(from->name, to->name) != 0)
				continue;
			close_fd(&to->asks[0]);
			close_fd(&to->asks[1]);
			to->asks[0] = take_fd(&from->asks[0]);
			to->asks[1] = take_fd(&from->asks[1]);
		}
	}
}

void sources_hush(struct sources *sources)
{
	for (size_t i = 0; i < sources->count; i++) {
		close_fd(&sources->list[i].asks[0]);
		close_fd(&sources->list[i].asks[1]);
	}
}

void sources_tell_ready(struct sources *sources, int sandbox)
{
	for (size_t i = 0; i < sources->count; i++) {
		struct source *source = &sources->list[i];
		for (size_t s = 0; s < source->sockets_count; s++) {
			if (!source->sockets[s].told)
				log_ready(source, source->sockets[s].fd, sandbox);
			source->sockets[s].told = true;
		}
	}
}
