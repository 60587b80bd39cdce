/* listen.c: accepts, forks one child per session, relays what the children ask. Never reads a byte
 * of a device. */
#define _GNU_SOURCE
#include "daemon/smtp/listen.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/failures.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/log.h"
#include "daemon/proxied.h"
#include "daemon/smtp/audience.h"
#include "daemon/smtp/cell.h"
#include "daemon/smtp/host.h"
#include "daemon/smtp/notice.h"
#include "daemon/smtp/relay.h"
#include "daemon/smtp/session.h"
#include "daemon/smtp/vault.h"
#include "daemon/status.h"

/* Where a session finds its descriptors; FD_RECEIVING stays. */
enum { CHILD_DEVICE = 3, CHILD_ASK = 4, CHILD_KEEPER = FD_KEEPER, CHILD_FIRST_FREE };

#define PAUSE_MS      500  /* without accepting, when there are no descriptors or no memory */
#define FULL_MS       5000 /* ... when no session is free: deliveries are shorter, idling is not */
#define FULL_LOOK_MS  500  /* how often we look then whether there are deliveries at all */
#define QUIET_MS      300  /* in which a device that delivers says something */
#define PEER_SESSIONS 20   /* from one address, if the configuration does not say */

#define PATIENCE_MS 20000 /* for the session of a device that has left */
#define WAITING_MAX 64    /* connections */
#define HABITS_MAX  256

/* A connection that is not served yet. */
struct waiting {
	int device_fd; /* owned */
	struct facts_peer peer;
	int64_t until_ms;
};

/* How a peer has begun (session.h). Sessions write it: it is worth no more than a
 * moment's wait. */
struct habit {
	uint8_t peer[16];
	uint8_t began;
};

struct listener {
	const struct config *config;
	const struct config_listener *section;
	size_t sockets_count; /* 0 once they are closed */
	struct relay relay;
	struct audience audience;
	int status_fd;        /* owned; -1: nobody is told where we stand */
	struct status status; /* as it was written last */
	struct failures failures;
	int tally_fd; /* where messages are counted; -1: nowhere */
	struct jail_filter session_cell;
	struct session_settings settings; /* of every session, but for the peer */
	pid_t pid;
	char host[HOST_MAX + 1];
	int64_t paused_until_ms; /* 0: accepting */
	struct waiting waiting[WAITING_MAX];
	size_t waiting_count;
	struct proxied proxied;
	uint64_t ended;        /* sessions when we last looked who may be served */
	bool full;             /* no session was free the last time we looked */
	int64_t full_until_ms; /* who comes then is told so */
	int64_t quiet_from_ms; /* refusals are logged at most REFUSALS_LOGGED times a minute */
	unsigned refusals;
	struct habit *habits; /* HABITS_MAX, in memory that is shared with sessions */
};

/* --- the child -------------------------------------------------------------------------------- */

/* For kernels and containers without close_range. */
static void close_one_by_one(struct listener *l, int device_fd, int link_fd)
{
	for (size_t i = 0; i < l->sockets_count; i++)
		close(FD_LISTENING + (int)i);
	for (size_t i = 0; i < l->waiting_count; i++)
		close(l->waiting[i].device_fd);
	l->audience.count = NULL; /* which was not passed on to us */
	audience_done(&l->audience);
	close_fd(&l->status_fd);
	close_fd(&l->tally_fd);
	relay_done(&l->relay);
	close(device_fd);
	close(link_fd);
}

/* It keeps the device, its link and the scratch folder; the links of others above all must go. */
static int place_child_fds(struct listener *l, int device_fd, int link_fd, int keeper_fd)
{
	if (dup3(device_fd, CHILD_DEVICE, O_CLOEXEC) < 0 || dup3(link_fd, CHILD_ASK, O_CLOEXEC) < 0)
		return -errno;
	/* the link by which the listener tells the keeper of sessions is none of theirs */
	if (keeper_fd < 0)
		close(CHILD_KEEPER);
	else if (dup3(keeper_fd, CHILD_KEEPER, O_CLOEXEC) < 0)
		return -errno;
	if (close_range(CHILD_FIRST_FREE, ~0U, 0) < 0)
		close_one_by_one(l, device_fd, link_fd);
	return 0;
}

/* The one of this peer; another's place may become his. */
static uint8_t *habit_of(struct listener *l, const struct facts_peer *peer)
{
	unsigned place = 0;
	for (size_t i = 0; i < sizeof peer->address; i++)
		place = place * 31 + peer->address[i];
	struct habit *habit = &l->habits[place % HABITS_MAX];
	if (memcmp(habit->peer, peer->address, sizeof habit->peer) != 0) {
		memcpy(habit->peer, peer->address, sizeof habit->peer);
		habit->began = SESSION_UNKNOWN;
	}
	return &habit->began;
}

static void run_child(struct listener *l, int device_fd, int link_fd, int keeper_fd,
		      const struct facts_peer *peer)
{
	int error = place_child_fds(l, device_fd, link_fd, keeper_fd);
	if (!error)
		error = jail_settle(l->pid);
	if (!error && l->session_cell.program)
		error = jail_filter_enter(&l->session_cell);
	if (error) {
		log_say(LOG_ERROR, "session", "a session can't be set up: %s", strerror(-error));
		_exit(70);
	}
	l->settings.peer = *peer;
	l->settings.keeper_fd = keeper_fd >= 0 ? CHILD_KEEPER : -1;
	session_run(&l->settings);
	_exit(0);
}

/* The connection is the link's then, as long as its session lives. */
static int start_session(struct listener *l, int *device_fd, const struct facts_peer *peer)
{
	auto_close int ours = -1, theirs = -1;
	int error = socket_pair(&ours, &theirs);
	if (error)
		return error;
	auto_close int keeper_fd =
		config_needs_keeper(l->section) ? vault_visit(FD_KEEPER, peer) : -1;
	l->settings.habit = l->habits ? habit_of(l, peer) : NULL;
	pid_t pid = fork();
	if (pid == 0) {
		close_fd(&ours);
		run_child(l, *device_fd, theirs, keeper_fd, peer);
	}
	if (pid < 0)
		return -errno;
	struct ask_origin origin = { .kind = ASK_SOURCE_SMTP, .peer_known = 1, .peer_allowed = 1 };
	snprintf(origin.source, sizeof origin.source, "%s", l->section->name);
	memcpy(origin.peer, peer->address, sizeof origin.peer);
	error = relay_add(&l->relay, take_fd(&ours), *device_fd, &origin);
	if (!error)
		*device_fd = -1;
	return error;
}

/* --- what is told of sessions ----------------------------------------------------------------- */

static void hear(void *context, const struct dialogue *dialogue, const char *text)
{
	struct listener *l = context;
	struct dialogue told = *dialogue;
	if (dialogue->kind == DIALOGUE_END) {
		failures_put(&l->failures, dialogue, text, false);
		/* who watches has seen its lines */
		told.size = 0;
	}
	audience_tell(&l->audience, &told, text);
}

/* Nobody reads a report by the millisecond. */
#define REPORT_MS 1000

static void note_time(struct listener *l, int64_t *time_ms)
{
	int64_t now_ms = wall_ms();
	if (now_ms >= *time_ms && now_ms - *time_ms < REPORT_MS)
		return;
	*time_ms = now_ms;
	status_write(l->status_fd, &l->status, STATUS_UP);
}

static void hear_count(void *context, const struct tally *tally)
{
	const struct listener *l = context;
	tally_send(l->tally_fd, tally, sizeof *tally);
}

static void hear_settled(void *context, const struct relay_link *link)
{
	struct listener *l = context;
	note_time(l, &l->status.delivery_ms);
	failures_forgive(&l->failures, link->origin.peer);
}

/* Of a connection that had no session. Only of strangers something is kept: of others there may be
 * a session that says more. */
static void tell_refusal(struct listener *l, const struct facts_peer *peer, const char *words,
			 bool stranger)
{
	struct dialogue dialogue = { .kind = DIALOGUE_END,
				     .outcome = DIALOGUE_SILENT,
				     .began_ms = wall_ms(),
				     .peer_known = peer->known };
	memcpy(dialogue.peer, peer->address, sizeof dialogue.peer);
	snprintf(dialogue.source, sizeof dialogue.source, "%s", l->section->name);
	snprintf(dialogue.diagnosis, sizeof dialogue.diagnosis, "was turned away: %s", words);
	if (stranger)
		failures_put(&l->failures, &dialogue, "", true);
	audience_tell(&l->audience, &dialogue, "");
}

/* Somebody wants to watch, or leaves. False: neither. */
static bool mind_audience(struct listener *l, int fd)
{
	if (fd != l->audience.request_fd)
		return audience_leave(&l->audience, fd);
	int watcher_fd = audience_take(&l->audience);
	if (watcher_fd >= 0)
		relay_listen(&l->relay, watcher_fd);
	return true;
}

/* An old listener, beside the one that has taken its place, leaves the report to that one. */
static void stop_telling(struct listener *l)
{
	audience_done(&l->audience);
	close_fd(&l->status_fd);
	l->failures.fd = -1;
}

/* All may be missing; who may tell may count. */
static int prepare_telling(struct listener *l)
{
	struct stat found;
	int first = FD_LISTENING + (int)l->sockets_count;
	bool asks = fstat(first, &found) == 0 && S_ISSOCK(found.st_mode);
	bool tells = fstat(first + 1, &found) == 0 && S_ISREG(found.st_mode);
	int error = audience_init(&l->audience, asks ? first : -1);
	if (!error && asks)
		error = relay_listen(&l->relay, first);
	l->status_fd = tells ? first + 1 : -1;
	status_load(l->status_fd, &l->status);
	l->status.state = STATUS_DOWN; /* as we were until now */
	failures_load(&l->failures, l->status_fd);
	status_write(l->status_fd, &l->status, STATUS_UP);
	l->tally_fd = tells ? first + 2 : -1;
	l->relay.ears = (struct relay_ears){ l, hear, hear_count, hear_settled };
	return error;
}

/* --- who may ---------------------------------------------------------------------------------- */

#define REFUSALS_LOGGED 20
#define MINUTE_MS       60000

/* Somebody who knocks all day must not fill the log. */
static bool may_log_refusal(struct listener *l)
{
	int64_t now_ms = monotonic_ms();
	if (now_ms - l->quiet_from_ms > MINUTE_MS) {
		l->quiet_from_ms = now_ms;
		l->refusals = 0;
	}
	return ++l->refusals <= REFUSALS_LOGGED;
}

static void refuse(struct listener *l, int device_fd, const struct facts_peer *peer,
		   enum session_refusal why)
{
	static const char *const words[] = {
		[SESSION_REFUSE_PEER] =
			"This address is not among the `peers` of the listener; add it there if it is yours",
		[SESSION_REFUSE_MANY] =
			"There are as many connections as `sessions` or `sessions_per_peer` allow",
		[SESSION_REFUSE_BUSY] = "No session could be started",
	};
	session_refuse(device_fd, why);
	tell_refusal(l, peer, words[why], why == SESSION_REFUSE_PEER);
	if (!may_log_refusal(l))
		return;
	struct log_line line;
	char text[46];
	network_print(peer, text);
	log_start(&line, "turned-away");
	log_add(&line, "source", "%s", l->section->name);
	log_add(&line, "peer", "%s", text);
	log_quote(&line, "text", words[why]);
	log_send(LOG_WARNING, &line);
}

/* What runs on this machine is no crowd of strangers: a proxy or a mail server speaks for many. */
static size_t peer_sessions(const struct config_listener *section, const struct facts_peer *peer)
{
	if (section->sessions_per_peer != 0)
		return (size_t)section->sessions_per_peer;
	return network_is_loopback(peer) ? (size_t)section->sessions : PEER_SESSIONS;
}

static bool has_room(const struct listener *l, const struct facts_peer *peer)
{
	return l->relay.links_count < l->section->sessions &&
	       relay_count_peer(&l->relay, peer->address) < peer_sessions(l->section, peer);
}

/* Who ended a moment ago counts no more. */
static bool makes_room(struct listener *l, const struct facts_peer *peer)
{
	relay_reap(&l->relay);
	return has_room(l, peer);
}

static void tell_proxied(const struct listener *l, const struct facts_peer *peer)
{
	char text[46];
	network_print(peer, text);
	log_say(LOG_WARNING, "proxied",
		"%s: all devices so far have the address %s, which is the router of this network: %s; "
		"remedy: %s",
		l->section->name, text, proxied_fault, proxied_remedy);
}

/* Takes over the connection. */
static void serve(struct listener *l, int accepted_fd, const struct facts_peer *peer)
{
	auto_close int device_fd = accepted_fd;
	const struct config_listener *section = l->section;
	if (proxied_count(&l->proxied, peer))
		tell_proxied(l, peer);
	if (!network_match(&section->peers, peer) && !network_is_loopback(peer)) {
		refuse(l, device_fd, peer, SESSION_REFUSE_PEER);
		return;
	}
	if (!has_room(l, peer) && !makes_room(l, peer)) {
		refuse(l, device_fd, peer, SESSION_REFUSE_MANY);
		return;
	}
	note_time(l, &l->status.contact_ms);
	if (start_session(l, &device_fd, peer) != 0)
		refuse(l, device_fd, peer, SESSION_REFUSE_BUSY);
}

/* --- who has left ----------------------------------------------------------------------------- */

/* A device that lost its connection may try again before its first session has seen that. What
 * became of its mail is known when that session has ended, and only then can the next one tell the
 * second try of a mail from another mail like it. */
static bool must_wait(struct listener *l, const struct facts_peer *peer)
{
	if (!relay_peer_leaves(&l->relay, peer->address))
		return false;
	relay_reap(&l->relay);
	return relay_peer_leaves(&l->relay, peer->address);
}

static void keep_waiting(struct listener *l, int device_fd, const struct facts_peer *peer)
{
	l->waiting[l->waiting_count++] =
		(struct waiting){ device_fd, *peer, monotonic_ms() + PATIENCE_MS };
}

static bool is_free_for(const struct listener *l, const struct waiting *waiting)
{
	return !relay_peer_leaves(&l->relay, waiting->peer.address) && has_room(l, &waiting->peer);
}

/* `all`: the gateway ends. Who has waited too long is told to come later: what became of his mail
 * is still not known. */
static void serve_waiting(struct listener *l, bool all)
{
	bool ended = l->ended != l->relay.ended;
	int64_t now_ms = monotonic_ms();
	l->ended = l->relay.ended;
	for (size_t i = 0; i < l->waiting_count;) {
		struct waiting *waiting = &l->waiting[i];
		bool late = now_ms >= waiting->until_ms;
		if (!all && !late && (!ended || !is_free_for(l, waiting))) {
			i++;
			continue;
		}
		auto_close int device_fd = waiting->device_fd;
		const struct facts_peer peer = waiting->peer;
		memmove(waiting, waiting + 1, sizeof *waiting * (--l->waiting_count - i));
		if (late && relay_peer_leaves(&l->relay, peer.address))
			refuse(l, device_fd, &peer, SESSION_REFUSE_BUSY);
		else
			serve(l, take_fd(&device_fd), &peer);
	}
}

/* --- accepting -------------------------------------------------------------------------------- */

static void set_accepting(struct listener *l, bool wanted, int pause_ms)
{
	for (size_t i = 0; i < l->sockets_count; i++) {
		if (wanted)
			relay_listen(&l->relay, FD_LISTENING + (int)i);
		else
			relay_unlisten(&l->relay, FD_LISTENING + (int)i);
	}
	l->paused_until_ms = wanted ? 0 : monotonic_ms() + pause_ms;
}

/* When the last session is taken the next device waits for its greeting, since deliveries are
 * short; if none ends for a while, or most who are there only idle, who comes is told at once,
 * until one ends. */
static void mind_room(struct listener *l)
{
	bool full = l->relay.links_count >= l->section->sessions;
	if (full != l->full) {
		set_accepting(l, !full, FULL_LOOK_MS);
		l->full_until_ms = monotonic_ms() + FULL_MS;
	}
	l->full = full;
}

static void end_pause(struct listener *l)
{
	bool idlers = relay_count_quiet(&l->relay, QUIET_MS) * 2 > l->relay.links_count;
	if (l->full && !idlers && monotonic_ms() < l->full_until_ms)
		l->paused_until_ms = monotonic_ms() + FULL_LOOK_MS;
	else
		set_accepting(l, true, 0);
}

static void accept_one(struct listener *l, int listening_fd)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof address;
	auto_close int device_fd =
		accept4(listening_fd, (struct sockaddr *)&address, &size, SOCK_CLOEXEC);
	if (device_fd >= 0) {
		struct facts_peer peer = host_peer(&address);
		if (l->waiting_count < WAITING_MAX && must_wait(l, &peer))
			keep_waiting(l, take_fd(&device_fd), &peer);
		else
			serve(l, take_fd(&device_fd), &peer);
	} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		log_say(LOG_ERROR, "accept", "connections wait: %s", strerror(errno));
		set_accepting(l, false, PAUSE_MS);
	}
}

static void close_sockets(struct listener *l)
{
	for (size_t i = 0; i < l->sockets_count; i++)
		close(FD_LISTENING + (int)i);
	l->sockets_count = 0;
}

/* Replies are small and must not wait for each other; a session must not block where another
 * process accepted. What is set here the accepted sockets inherit, but for O_NONBLOCK. */
static void prepare_sockets(struct listener *l)
{
	for (size_t i = 0; i < l->sockets_count; i++) {
		int fd = FD_LISTENING + (int)i, on = 1;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	}
	set_accepting(l, true, 0);
}

/* --- the whole -------------------------------------------------------------------------------- */

static int prepare(struct listener *l)
{
	const struct config *config = l->config;
	enum jail_mode mode = (enum jail_mode)config->gateway.sandbox;
	raise_file_limit();
	notice_prepare();
	host_name(l->host);
	proxied_init(&l->proxied);
	if (proxied_admits_only(&l->proxied, &l->section->peers))
		log_say(LOG_WARNING, "proxied",
			"%s: `peers` admits nobody but the router of this network: %s; remedy: %s",
			l->section->name, proxied_fault, proxied_remedy);
	int error = relay_init(&l->relay, config, FD_QUEUE, (size_t)l->section->sessions);
	if (error)
		return error;
	error = prepare_telling(l);
	if (error)
		return error;
	prepare_sockets(l);
	if (l->section->tls != CONFIG_TLS_OFF)
		error = tls_server_prepare((enum tls_compat)l->section->tls_compat);
	if (error)
		return error;
	l->habits = mmap(NULL, HABITS_MAX * sizeof *l->habits, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (l->habits == MAP_FAILED)
		return -errno;
	if (mode != JAIL_OFF)
		error = cell_prepare_session(&l->session_cell);
	if (error)
		return error;
	return cell_enter(CELL_LISTENER, mode, FD_RECEIVING);
}

static void prepare_settings(struct listener *l)
{
	l->settings = (struct session_settings){
		.host = l->host,
		.peer_allowed = true,
		.keeper_fd = -1,
		.in_fd = CHILD_DEVICE,
		.out_fd = CHILD_DEVICE,
		.ask_fd = CHILD_ASK,
		.tell_fd = CHILD_ASK,
		.watched = l->audience.watched,
		.receiving_fd = FD_RECEIVING,
	};
	session_configure(&l->settings, l->config, l->section);
}

/* Sessions that wait for their couriers get their answers; the others are told to end. */
static int64_t begin_stop(struct listener *l)
{
	close_sockets(l);
	serve_waiting(l, true);
	relay_stop(&l->relay);
	return monotonic_ms() + (int64_t)l->config->gateway.answer_within_s * 1000;
}

static int wait_ms(const struct listener *l, int64_t stop_ms)
{
	int64_t until_ms = stop_ms ? stop_ms : l->paused_until_ms;
	for (size_t i = 0; i < l->waiting_count; i++) {
		if (until_ms == 0 || l->waiting[i].until_ms < until_ms)
			until_ms = l->waiting[i].until_ms;
	}
	if (l->waiting_count > 0 && l->ended != l->relay.ended)
		return 0;
	if (until_ms == 0)
		return -1;
	int64_t left = until_ms - monotonic_ms();
	return left < 0 ? 0 : (int)left;
}

int listen_run(const struct config *config, const struct config_listener *listener,
	       size_t sockets_count)
{
	static struct listener l;
	l = (struct listener){ .config = config,
			       .section = listener,
			       .sockets_count = sockets_count,
			       .pid = getpid() };
	int error = prepare(&l);
	if (error) {
		log_say(LOG_ERROR, "listener", "%s can't be set up: %s", listener->name,
			strerror(-error));
		return 70;
	}
	prepare_settings(&l);
	int64_t stop_ms = 0;
	while ((l.sockets_count > 0 || l.relay.links_count > 0 || l.waiting_count > 0) &&
	       (stop_ms == 0 || monotonic_ms() < stop_ms)) {
		int listening_fd;
		if (relay_wait(&l.relay, wait_ms(&l, stop_ms), &listening_fd) &&
		    !mind_audience(&l, listening_fd))
			accept_one(&l, listening_fd);
		serve_waiting(&l, false);
		if (l.paused_until_ms && monotonic_ms() >= l.paused_until_ms)
			end_pause(&l);
		mind_room(&l);
		if (notice_drain()) {
			close_sockets(&l);
			stop_telling(&l);
		}
		if (notice_stop() && stop_ms == 0)
			stop_ms = begin_stop(&l);
	}
	return 0;
}
