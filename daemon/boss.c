/* boss.c: holds the roles together. Never reads mail, a share or an answer. */
#define _GNU_SOURCE
#include "daemon/boss.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/jail.h"
#include "daemon/keep.h"
#include "daemon/log.h"
#include "daemon/role.h"
#include "daemon/scout.h"
#include "daemon/spool.h"
#include "policy/value.h"

#define SOURCES_MAX      32 /* listeners and the door */
#define SOCKETS_MAX      16 /* of one listener */
#define BACKLOG          256
#define BACKOFF_LEAST_MS 100
#define BACKOFF_MOST_MS  10000
#define LIVED_MS         10000 /* a role that lived so long did not fail at its start */
#define END_SLACK_MS     2000
#define LOOK_MS          2000 /* a share that says nothing for so long hangs */

enum { EXIT_DONE = 0, EXIT_CANT_LISTEN = 69, EXIT_CANT_START = 70 };

/* An address, compared octet for octet: what is not used of it is zero. */
struct address {
	struct sockaddr_storage octets;
	socklen_t size;
};

struct listening {
	int fd;
	struct address wanted; /* as configured: port 0 for any that is free */
	bool told;             /* the log says that it is ready for this source */
	bool taken;            /* by a new configuration */
};

/* Where questions come from: a listener, or the door. */
struct source {
	char *name; /* "*" for the door */
	bool is_door;
	int asks[2]; /* the source's end, the couriers' end */
	struct listening sockets[SOCKETS_MAX];
	size_t sockets_count;
};

enum child_state { CHILD_WANTED, CHILD_RUNNING, CHILD_DRAINING };

struct child {
	enum role role;
	const struct source *source; /* NULL for a courier */
	enum child_state state;
	pid_t pid;
	int64_t started_ms, start_at_ms;
	int64_t backoff_ms;
	bool keeps; /* the courier that tidies and takes no questions */
};

struct identity {
	uint32_t uid, gid;
};

struct boss {
	struct config config;
	struct scout scouts[RULES_SHARES_MAX]; /* one a share */
	struct identity courier;
	int config_fd, extract_fd, receiving_fd, signal_fd;
	struct source *sources;
	size_t sources_count;
	struct child *children;
	size_t children_count;
	bool ending;
};

/* --- sockets ---------------------------------------------------------------------------------- */

static bool get_bound(int fd, struct address *bound_out)
{
	*bound_out = (struct address){ .size = sizeof bound_out->octets };
	return getsockname(fd, (struct sockaddr *)&bound_out->octets, &bound_out->size) == 0;
}

static bool is_same(const struct address *a, const struct address *b)
{
	return a->size == b->size && memcmp(&a->octets, &b->octets, a->size) == 0;
}

static void log_ready(const char *name, int fd, int sandbox)
{
	struct address bound;
	char host[64], port[8];
	struct log_line line;
	if (!get_bound(fd, &bound) ||
	    getnameinfo((struct sockaddr *)&bound.octets, bound.size, host, sizeof host, port,
			sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return;
	log_start(&line, "ready");
	log_add(&line, "source", "%s", name);
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

static void close_source(struct source *source)
{
	for (size_t i = 0; i < source->sockets_count; i++)
		close_fd(&source->sockets[i].fd);
	close_fd(&source->asks[0]);
	close_fd(&source->asks[1]);
	free(source->name);
	*source = (struct source){ .asks = { -1, -1 } };
}

static struct source *add_source(struct boss *boss, const char *name, bool is_door)
{
	if (boss->sources_count == SOURCES_MAX) {
		log_say(LOG_ERROR, "start", "more than %d listeners", SOURCES_MAX - 1);
		return NULL;
	}
	struct source *source = &boss->sources[boss->sources_count];
	*source = (struct source){ .asks = { -1, -1 }, .name = strdup(name), .is_door = is_door };
	if (!source->name || socket_pair(source->asks) != 0) {
		close_source(source);
		return NULL;
	}
	boss->sources_count++;
	return source;
}

/* Port 0 is any port, so the one that the source of the same name has got; else the port must be
 * this one, whoever has it. */
static bool serves(const struct source *source, const struct listening *listening, const char *name,
		   const struct address *wanted)
{
	struct address bound;
	if (source->is_door || listening->taken)
		return false;
	if (strcmp(source->name, name) == 0 && is_same(&listening->wanted, wanted))
		return true;
	return get_bound(listening->fd, &bound) && is_same(&bound, wanted);
}

/* A socket that a new configuration still wants is handed over, so that no connection is refused
 * meanwhile, and since nobody else could have its address. */
static bool inherit(struct boss *old, const char *name, struct listening *listening)
{
	for (size_t i = 0; i < old->sources_count; i++) {
		struct source *source = &old->sources[i];
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

static bool open_socket(const char *item, const char *name, struct boss *old,
			struct listening *listening_out)
{
	*listening_out = (struct listening){ .fd = -1 };
	if (!find_address(item, &listening_out->wanted))
		return false;
	if (old && inherit(old, name, listening_out))
		return true;
	int error = listen_at(&listening_out->wanted, &listening_out->fd);
	if (error)
		log_say(LOG_ERROR, "listen", "%s can't be listened to: %s", item, strerror(-error));
	return !error;
}

/* `old`: whose sockets may be taken; NULL at start. */
static bool open_listener(struct boss *boss, const struct config_listener *listener,
			  struct boss *old)
{
	struct source *source = add_source(boss, listener->name, false);
	const char *cursor = listener->listen;
	char item[128];
	bool fits, good = source != NULL;
	while (good && value_next(&cursor, item, sizeof item, &fits)) {
		if (source->sockets_count == SOCKETS_MAX) {
			log_say(LOG_ERROR, "listen", "more than %d addresses for %s", SOCKETS_MAX,
				listener->name);
			good = false;
		} else
			good = open_socket(item, listener->name, old,
					   &source->sockets[source->sockets_count]);
		source->sockets_count += good;
	}
	return good;
}

int boss_connect(const char *state, int *fd_out)
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

static int bind_door(const char *state, int *fd_out)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int error = spool_socket_path(state, address.sun_path, sizeof address.sun_path);
	if (error)
		return error;
	auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	auto_close int other = -1;
	if (fd < 0)
		return -errno;
	if (boss_connect(state, &other) == 0)
		return -EADDRINUSE;
	unlink(address.sun_path);
	if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	/* who may come in is decided by who it is, not by the mode */
	if (chmod(address.sun_path, 0666) < 0)
		return -errno;
	*fd_out = take_fd(&fd);
	return 0;
}

/* The door is a convenience: a gateway without it still does its work. */
static void open_door(struct boss *boss)
{
	int fd = -1;
	int error = bind_door(boss->config.gateway.state, &fd);
	if (error) {
		log_say(LOG_WARNING, "door",
			"%s/gateway.sock: %s: `drop` and `smtp-session` will work on their own",
			boss->config.gateway.state,
			error == -EADDRINUSE ? "another gateway runs on this state"
					     : strerror(-error));
		return;
	}
	struct source *source = add_source(boss, "*", true);
	if (!source) {
		close(fd);
		return;
	}
	source->sockets[source->sockets_count++] = (struct listening){ .fd = fd, .told = true };
}

/* --- identity of couriers --------------------------------------------------------------------- */

struct sight {
	const struct config *config;
	const char *path;
};

/* As root, a FUSE file system that was mounted without allow_other is seen by root alone, whatever
 * capabilities others have. Runs in a child. */
static uint8_t is_private_to_root(const void *context)
{
	const struct sight *sight = context;
	struct statfs found;
	if (statfs(sight->path, &found) < 0 || found.f_type != FUSE_SUPER_MAGIC ||
	    role_take_identity(sight->config->uid, sight->config->gid) != 0)
		return false;
	return open(sight->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) < 0 && errno == EACCES;
}

static const char *share_path(const struct config *config, size_t share)
{
	return config->rules.shares[share].path;
}

static void send_scouts(const struct config *config, struct scout *scouts)
{
	for (size_t i = 0; i < config->rules.shares_count; i++) {
		const struct sight sight = { config, share_path(config, i) };
		scout_send(&scouts[i], is_private_to_root, &sight);
	}
}

/* A share that gives no answer is taken for one like any other. */
static bool hear_scout(struct scout *scout, const char *path, int64_t deadline_ms)
{
	bool was_lost = scout->lost;
	int word = scout_hear(scout, deadline_ms);
	if (word == -ETIMEDOUT && !was_lost)
		log_say(LOG_WARNING, "share", "%s gives no answer: does its server hang?", path);
	return word > 0;
}

/* `user`, unless a share is a FUSE mount that only root may see: then the couriers keep uid 0, with
 * no more capabilities than else. Says so. `scouts`: one a share. */
static void choose_identity(const struct config *config, struct scout *scouts,
			    struct identity *identity_out)
{
	static bool told;
	*identity_out = (struct identity){ config->uid, config->gid };
	if (geteuid() != 0 || config->uid == 0)
		return;
	send_scouts(config, scouts);
	int64_t deadline_ms = monotonic_ms() + LOOK_MS;
	for (size_t i = 0; i < config->rules.shares_count; i++) {
		if (!hear_scout(&scouts[i], share_path(config, i), deadline_ms))
			continue;
		*identity_out = (struct identity){ 0, 0 };
		if (!told)
			log_say(LOG_WARNING, "share",
				"%s is a FUSE mount for root alone: couriers keep uid 0; mount it with "
				"allow_other to avoid that",
				share_path(config, i));
		told = true;
	}
}

static void forget_scouts(struct scout *scouts)
{
	for (size_t i = 0; i < RULES_SHARES_MAX; i++)
		scout_forget(&scouts[i]);
}

/* --- children --------------------------------------------------------------------------------- */

static int start_courier(struct boss *boss, const struct child *child, pid_t *pid_out)
{
	const char *arguments[SOURCES_MAX + 2] = { child->keeps ? "keep" : "run" };
	int fds[SOURCES_MAX + 1] = { boss->extract_fd };
	for (size_t i = 0; i < boss->sources_count; i++) {
		arguments[i + 1] = boss->sources[i].name;
		fds[i + 1] = boss->sources[i].asks[1];
	}
	const struct role_start start = { .role = ROLE_COURIER,
					  .arguments = arguments,
					  .fds = fds,
					  .fds_count = boss->sources_count + 1,
					  .config_fd = boss->config_fd,
					  .program_fd = -1,
					  .uid = boss->courier.uid,
					  .gid = boss->courier.gid,
					  .keep_files = true };
	return role_start(&start, pid_out);
}

static int start_source(struct boss *boss, const struct source *source, pid_t *pid_out)
{
	const char *arguments[] = { source->is_door ? "door" : "listen",
				    source->is_door ? NULL : source->name, NULL };
	int fds[SOCKETS_MAX + 2] = { source->asks[0], boss->receiving_fd };
	for (size_t i = 0; i < source->sockets_count; i++)
		fds[i + 2] = source->sockets[i].fd;
	const struct role_start start = { .role = ROLE_SMTP,
					  .arguments = arguments,
					  .fds = fds,
					  .fds_count = source->sockets_count + 2,
					  .config_fd = boss->config_fd,
					  .program_fd = -1,
					  .uid = boss->config.uid,
					  .gid = boss->config.gid };
	return role_start(&start, pid_out);
}

static const char *child_name(const struct child *child)
{
	return child->source ? child->source->name : child->keeps ? "keeper" : "courier";
}

/* `meant`: it ended of its own accord. */
static void delay_start(struct child *child, bool meant)
{
	bool lived = monotonic_ms() - child->started_ms >= LIVED_MS;
	child->backoff_ms = lived || meant ? BACKOFF_LEAST_MS : child->backoff_ms * 2;
	if (child->backoff_ms < BACKOFF_LEAST_MS)
		child->backoff_ms = BACKOFF_LEAST_MS;
	if (child->backoff_ms > BACKOFF_MOST_MS)
		child->backoff_ms = BACKOFF_MOST_MS;
	child->start_at_ms = monotonic_ms() + child->backoff_ms;
	child->state = CHILD_WANTED;
}

static void start_child(struct boss *boss, struct child *child)
{
	child->started_ms = monotonic_ms();
	int error = child->source ? start_source(boss, child->source, &child->pid)
				  : start_courier(boss, child, &child->pid);
	if (!error) {
		child->state = CHILD_RUNNING;
		return;
	}
	log_say(LOG_ERROR, "start", "%s can't be started: %s", child_name(child), strerror(-error));
	delay_start(child, false);
}

static void start_wanted(struct boss *boss)
{
	bool chosen = false;
	for (size_t i = 0; i < boss->children_count && !boss->ending; i++) {
		struct child *child = &boss->children[i];
		if (child->state != CHILD_WANTED || child->start_at_ms > monotonic_ms())
			continue;
		/* one look for all that start now: it may take its time */
		if (child->role == ROLE_COURIER && !chosen) {
			choose_identity(&boss->config, boss->scouts, &boss->courier);
			chosen = true;
		}
		start_child(boss, child);
	}
}

static void add_child(struct boss *boss, enum role role, const struct source *source, bool keeps)
{
	struct child *children =
		realloc(boss->children, (boss->children_count + 1) * sizeof *children);
	if (!children)
		abort();
	boss->children = children;
	children[boss->children_count++] =
		(struct child){ .role = role, .source = source, .keeps = keeps };
}

static void want_children(struct boss *boss)
{
	add_child(boss, ROLE_COURIER, NULL, true);
	for (uint64_t i = 0; i < config_couriers(&boss->config); i++)
		add_child(boss, ROLE_COURIER, NULL, false);
	for (size_t i = 0; i < boss->sources_count; i++)
		add_child(boss, ROLE_SMTP, &boss->sources[i], false);
}

static void drop_child(struct boss *boss, struct child *child)
{
	*child = boss->children[--boss->children_count];
}

static void log_end(const struct child *child, int status)
{
	if (WIFSIGNALED(status))
		log_say(LOG_ERROR, "ended", "%s died of signal %d", child_name(child),
			WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		log_say(LOG_ERROR, "ended", "%s ended with status %d", child_name(child),
			WEXITSTATUS(status));
}

static void reap(struct boss *boss)
{
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
		for (size_t i = 0; i < boss->children_count; i++) {
			struct child *child = &boss->children[i];
			if (child->pid != pid || child->state == CHILD_WANTED)
				continue;
			if (child->state == CHILD_DRAINING || boss->ending) {
				if (WIFSIGNALED(status))
					log_end(child, status);
				drop_child(boss, child);
			} else {
				log_end(child, status);
				delay_start(child, status == 0);
			}
			break;
		}
	}
}

static void signal_children(const struct boss *boss, int signal)
{
	for (size_t i = 0; i < boss->children_count; i++) {
		if (boss->children[i].state != CHILD_WANTED)
			kill(boss->children[i].pid, signal);
	}
}

/* --- sandbox ---------------------------------------------------------------------------------- */

/* NULL: nothing. */
static const char *missing_of_landlock(void)
{
	int abi = jail_landlock_abi();
	if (abi == 0)
		return "this kernel, or container, has no Landlock (Linux 5.13)";
	if (abi < JAIL_ABI_RENAMES)
		return "this kernel's Landlock can't allow renames between folders, the right \"refer\" (Linux 5.19)";
	return NULL;
}

/* Said here, once for all roles. */
static void warn_missing(const char *what)
{
	log_say(LOG_WARNING, "sandbox", "%s: a broken courier could %s", what,
		geteuid() == 0 ? "open every file of this machine" : "do what its user may");
}

/* Who reads foreign octets must be locked in; with `sandbox = require` everybody. */
static bool can_lock_in(const struct config *config)
{
	int sandbox = config->gateway.sandbox;
	const char *missing = sandbox == JAIL_OFF ? "sandbox = off" : missing_of_landlock();
	if (sandbox != JAIL_OFF && !jail_filter_works()) {
		log_say(LOG_ERROR, "sandbox",
			"this kernel, or container, has no seccomp: who reads foreign mail can't be "
			"locked in");
		return false;
	}
	if (missing && sandbox == JAIL_REQUIRE) {
		log_say(LOG_ERROR, "sandbox", "%s: `sandbox = require` can't be met", missing);
		return false;
	}
	if (missing)
		warn_missing(missing);
	return true;
}

/* --- reload ----------------------------------------------------------------------------------- */

/* Opens what `boss->config` asks for; `old` NULL at start. */
static bool open_sources(struct boss *boss, struct boss *old)
{
	boss->sources = calloc(SOURCES_MAX, sizeof *boss->sources);
	if (!boss->sources)
		abort();
	for (size_t i = 0; old && i < old->sources_count; i++) {
		for (size_t s = 0; s < old->sources[i].sockets_count; s++)
			old->sources[i].sockets[s].taken = false;
	}
	for (size_t i = 0; i < boss->config.listeners_count; i++) {
		if (!open_listener(boss, &boss->config.listeners[i], old))
			return false;
	}
	return true;
}

static void tell_ready(struct boss *boss)
{
	for (size_t i = 0; i < boss->sources_count; i++) {
		struct source *source = &boss->sources[i];
		for (size_t s = 0; s < source->sockets_count; s++) {
			if (!source->sockets[s].told)
				log_ready(source->name, source->sockets[s].fd,
					  boss->config.gateway.sandbox);
			source->sockets[s].told = true;
		}
	}
}

static void close_sources(struct boss *boss)
{
	for (size_t i = 0; i < boss->sources_count; i++)
		close_source(&boss->sources[i]);
	free(boss->sources);
	boss->sources = NULL;
	boss->sources_count = 0;
}

/* The door stays the same: its socket has the same name. */
static void inherit_door(struct boss *fresh, struct boss *old)
{
	for (size_t i = 0; i < old->sources_count; i++) {
		if (!old->sources[i].is_door)
			continue;
		struct source *taken = add_source(fresh, "*", true);
		if (taken)
			taken->sockets[taken->sockets_count++] = (struct listening){
				.fd = fcntl(old->sources[i].sockets[0].fd, F_DUPFD_CLOEXEC, 0),
				.told = true,
			};
	}
}

/* The roles of the old configuration take nothing new and end when they are done. Their sockets
 * stay open in them. */
static void drain_children(struct boss *boss)
{
	for (size_t i = boss->children_count; i-- > 0;) {
		struct child *child = &boss->children[i];
		if (child->state == CHILD_WANTED) {
			drop_child(boss, child);
			continue;
		}
		kill(child->pid, SIGHUP);
		child->state = CHILD_DRAINING;
		child->source = NULL;
	}
}

static bool prepare(struct boss *boss)
{
	char path[PATH_MAX];
	int error =
		spool_make(boss->config.gateway.state, boss->config.uid, boss->config.gid, path);
	if (!error)
		error = spool_open(boss->config.gateway.state, SPOOL_RECEIVING,
				   &boss->receiving_fd);
	if (error) {
		log_say(LOG_ERROR, "state", "%s: %s; give `state` a folder that we can write to",
			path, strerror(-error));
		return false;
	}
	error = config_write(&boss->config, &boss->config_fd);
	if (error)
		log_say(LOG_ERROR, "start", "the configuration can't be handed on: %s",
			strerror(-error));
	return !error;
}

/* An old listener goes on asking for its sessions: the couriers of the new configuration read its
 * questions too. */
static void keep_asks(struct boss *fresh, struct boss *old)
{
	for (size_t i = 0; i < fresh->sources_count; i++) {
		for (size_t o = 0; o < old->sources_count; o++) {
			struct source *from = &old->sources[o], *to = &fresh->sources[i];
			if (from->asks[0] < 0 || strcmp(from->name, to->name) != 0)
				continue;
			close_fd(&to->asks[0]);
			close_fd(&to->asks[1]);
			to->asks[0] = take_fd(&from->asks[0]);
			to->asks[1] = take_fd(&from->asks[1]);
		}
	}
}

static void reload(struct boss *boss,
		   int (*again)(const void *context, struct config *config_out, char *error_out),
		   const void *context)
{
	struct boss fresh = { .config_fd = -1,
			      .receiving_fd = -1,
			      .extract_fd = boss->extract_fd,
			      .signal_fd = boss->signal_fd };
	char error[CONFIG_ERROR_MAX];
	if (again(context, &fresh.config, error) != 0) {
		log_say(LOG_ERROR, "reload", "the old configuration stays: %s", error);
		return;
	}
	if (strcmp(fresh.config.gateway.state, boss->config.gateway.state) != 0) {
		log_say(LOG_ERROR, "reload",
			"the old configuration stays: `state` can only change with a restart");
		config_done(&fresh.config);
		return;
	}
	if (!can_lock_in(&fresh.config) || !prepare(&fresh) || !open_sources(&fresh, boss)) {
		log_say(LOG_ERROR, "reload", "the old configuration stays");
		close_sources(&fresh);
		close_fd(&fresh.config_fd);
		close_fd(&fresh.receiving_fd);
		config_done(&fresh.config);
		return;
	}
	inherit_door(&fresh, boss);
	drain_children(boss);
	keep_asks(&fresh, boss);
	fresh.children = boss->children;
	fresh.children_count = boss->children_count;
	want_children(&fresh);
	close_sources(boss);
	forget_scouts(boss->scouts);
	close_fd(&boss->config_fd);
	close_fd(&boss->receiving_fd);
	config_done(&boss->config);
	*boss = fresh;
	start_wanted(boss);
	tell_ready(boss);
	log_say(LOG_INFO, "reload", "the new configuration holds");
}

/* --- the loop --------------------------------------------------------------------------------- */

static int open_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	static const int ours[] = { SIGCHLD, SIGHUP, SIGTERM, SIGINT };
	for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
		sigaddset(&set, ours[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Milliseconds to the next start that was put off; -1: none. */
static int next_start(const struct boss *boss)
{
	int64_t next = -1;
	for (size_t i = 0; i < boss->children_count; i++) {
		const struct child *child = &boss->children[i];
		if (child->state == CHILD_WANTED && (next < 0 || child->start_at_ms < next))
			next = child->start_at_ms;
	}
	if (next < 0)
		return -1;
	int64_t left = next - monotonic_ms();
	return left < 0 ? 0 : (int)left;
}

/* The next signal, 0 for none within the time (milliseconds, -1: for ever). */
static int next_signal(const struct boss *boss, int timeout_ms)
{
	struct pollfd wait = { .fd = boss->signal_fd, .events = POLLIN };
	struct signalfd_siginfo info;
	if (poll(&wait, 1, timeout_ms) <= 0)
		return 0;
	return read(boss->signal_fd, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : 0;
}

/* Deliveries whose plan is written are finished and answered; what is left after that is cut off.
 */
static void end(struct boss *boss)
{
	int64_t within_ms = (int64_t)boss->config.gateway.answer_within_s * 1000;
	int64_t slack_ms = within_ms / 2 < END_SLACK_MS ? within_ms / 2 : END_SLACK_MS;
	int64_t limit = monotonic_ms() + within_ms - slack_ms;
	log_say(LOG_INFO, "ending", "deliveries that are promised are finished");
	boss->ending = true;
	for (size_t i = boss->children_count; i-- > 0;) {
		if (boss->children[i].state == CHILD_WANTED)
			drop_child(boss, &boss->children[i]);
	}
	signal_children(boss, SIGTERM);
	/* questions that no courier has taken are dropped with the last of the couriers' ends */
	for (size_t i = 0; i < boss->sources_count; i++) {
		close_fd(&boss->sources[i].asks[0]);
		close_fd(&boss->sources[i].asks[1]);
	}
	while (boss->children_count > 0 && monotonic_ms() < limit) {
		next_signal(boss, 500);
		reap(boss);
	}
	if (boss->children_count > 0) {
		log_say(LOG_WARNING, "ending", "%zu processes did not end in time",
			boss->children_count);
		signal_children(boss, SIGKILL);
	}
}

static void loop(struct boss *boss,
		 int (*again)(const void *context, struct config *config_out, char *error_out),
		 const void *context)
{
	for (;;) {
		start_wanted(boss);
		int signal = next_signal(boss, next_start(boss));
		if (signal == SIGTERM || signal == SIGINT)
			return;
		if (signal == SIGHUP)
			reload(boss, again, context);
		reap(boss);
	}
}

static int start(struct boss *boss)
{
	if (!can_lock_in(&boss->config))
		return EXIT_CANT_START;
	boss->signal_fd = open_signals();
	if (boss->signal_fd < 0 || role_open_program(ROLE_EXTRACT, &boss->extract_fd) != 0) {
		log_say(LOG_ERROR, "start",
			"the programs of letterchute are not beside this one: %s", strerror(errno));
		return EXIT_CANT_START;
	}
	if (!prepare(boss))
		return EXIT_CANT_LISTEN;
	if (!open_sources(boss, NULL))
		return EXIT_CANT_LISTEN;
	open_door(boss);
	want_children(boss);
	start_wanted(boss);
	tell_ready(boss);
	return EXIT_DONE;
}

int boss_run(struct config *config,
	     int (*again)(const void *context, struct config *config_out, char *error_out),
	     const void *context)
{
	struct boss boss = { .config = *config,
			     .config_fd = -1,
			     .extract_fd = -1,
			     .receiving_fd = -1,
			     .signal_fd = -1 };
	*config = (struct config){ 0 };
	raise_file_limit();
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	int status = start(&boss);
	if (status == EXIT_DONE)
		loop(&boss, again, context);
	if (status == EXIT_DONE)
		end(&boss);
	char path[PATH_MAX];
	bool door = false;
	for (size_t i = 0; i < boss.sources_count; i++)
		door |= boss.sources[i].is_door;
	if (door && spool_socket_path(boss.config.gateway.state, path, sizeof path) == 0)
		unlink(path);
	close_sources(&boss);
	free(boss.children);
	config_done(&boss.config);
	return status;
}

int boss_start_courier(const struct config *config, const char *mode, int fd, pid_t *pid_out)
{
	auto_close int config_fd = -1;
	auto_close int extract_fd = -1;
	int error = config_write(config, &config_fd);
	if (!error)
		error = role_open_program(ROLE_EXTRACT, &extract_fd);
	if (error)
		return error;
	struct scout scouts[RULES_SHARES_MAX] = { 0 };
	struct identity identity;
	choose_identity(config, scouts, &identity);
	forget_scouts(scouts);
	const char *arguments[] = { mode, "*", NULL };
	const int fds[] = { extract_fd, fd };
	const struct role_start start = { .role = ROLE_COURIER,
					  .arguments = arguments,
					  .fds = fds,
					  .fds_count = 2,
					  .config_fd = config_fd,
					  .program_fd = -1,
					  .uid = identity.uid,
					  .gid = identity.gid,
					  .keep_files = true };
	return role_start(&start, pid_out);
}
