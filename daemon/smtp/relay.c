/* relay.c: the loop of listener and door. Never looks into a message. */
#define _GNU_SOURCE
#include "daemon/smtp/relay.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/log.h"
#include "daemon/smtp/notice.h"
#include "policy/verdict.h"

/* What an event belongs to: a link's place, or one of these with a descriptor below. */
#define TAG_LISTEN (1ULL << 32)
#define TAG_QUEUE  (1ULL << 33)

static int watch(const struct relay *relay, int fd, uint32_t events, uint64_t tag)
{
	struct epoll_event event = { .events = events, .data.u64 = tag };
	return epoll_ctl(relay->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void unwatch(const struct relay *relay, int fd)
{
	epoll_ctl(relay->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

int relay_init(struct relay *relay, const struct config *config, int queue_fd, size_t links_max)
{
	*relay = (struct relay){
		.config = config, .audiences_fd = -1, .queue_fd = queue_fd, .links_max = links_max
	};
	relay->links = malloc(links_max * sizeof *relay->links);
	relay->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!relay->links || relay->epoll_fd < 0)
		return relay->links ? -errno : -ENOMEM;
	return 0;
}

void relay_done(struct relay *relay)
{
	for (size_t i = 0; i < relay->links_end; i++) {
		close_fd(&relay->links[i].fd);
		close_fd(&relay->links[i].device_fd);
	}
	free(relay->links);
	relay->links = NULL;
	close_fd(&relay->epoll_fd);
}

int relay_listen(struct relay *relay, int listening_fd)
{
	return watch(relay, listening_fd, EPOLLIN, TAG_LISTEN | (uint32_t)listening_fd);
}

void relay_unlisten(struct relay *relay, int listening_fd)
{
	unwatch(relay, listening_fd);
}

/* While the queue is full new links wait like all others. */
int relay_add(struct relay *relay, int fd, int device_fd, const struct ask_origin *origin)
{
	size_t place = 0;
	while (place < relay->links_end && relay->links[place].fd >= 0)
		place++;
	int error = place == relay->links_max ? -EMFILE : 0;
	if (!error && !relay->waiting)
		error = watch(relay, fd, EPOLLIN, place);
	if (error) {
		close(fd);
		return error;
	}
	relay->links[place] = (struct relay_link){ .fd = fd,
						   .device_fd = device_fd,
						   .origin = *origin,
						   .number = ++relay->numbers,
						   .began_ms = wall_ms() };
	relay->links_count++;
	if (place == relay->links_end)
		relay->links_end++;
	return 0;
}

static bool is_of(const struct relay_link *link, const uint8_t peer[16])
{
	return link->fd >= 0 && memcmp(link->origin.peer, peer, 16) == 0;
}

size_t relay_count_peer(const struct relay *relay, const uint8_t peer[16])
{
	size_t count = 0;
	for (size_t i = 0; i < relay->links_end; i++)
		count += is_of(&relay->links[i], peer);
	return count;
}

#define LOOKS 64 /* connections at a time */

bool relay_peer_leaves(const struct relay *relay, const uint8_t peer[16])
{
	struct pollfd looks[LOOKS];
	nfds_t count = 0;
	bool leaves = false;
	for (size_t i = 0; !leaves && i < relay->links_end; i++) {
		const struct relay_link *link = &relay->links[i];
		if (is_of(link, peer) && link->device_fd >= 0)
			looks[count++] = (struct pollfd){ link->device_fd, POLLRDHUP, 0 };
		if (count == LOOKS || i + 1 == relay->links_end) {
			leaves = count > 0 && poll(looks, count, 0) > 0;
			count = 0;
		}
	}
	return leaves;
}

/* The kernel counts the time since the last octet came, or since the connection was made. */
static bool is_quiet(const struct relay_link *link, int64_t quiet_ms)
{
	struct tcp_info info;
	socklen_t size = sizeof info;
	int unread = 0;
	if (link->fd < 0 || ioctl(link->device_fd, FIONREAD, &unread) < 0 || unread > 0 ||
	    getsockopt(link->device_fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
		return false;
	int64_t heard_ms = monotonic_ms() - (int64_t)info.tcpi_last_data_recv;
	return link->asked_ms < heard_ms && info.tcpi_last_data_recv >= quiet_ms;
}

size_t relay_count_quiet(const struct relay *relay, int64_t quiet_ms)
{
	size_t count = 0;
	for (size_t i = 0; i < relay->links_end; i++)
		count += is_quiet(&relay->links[i], quiet_ms);
	return count;
}

void relay_stop(struct relay *relay)
{
	for (size_t i = 0; i < relay->links_end; i++) {
		if (relay->links[i].fd >= 0)
			shutdown(relay->links[i].fd, SHUT_WR);
	}
}

static void end_link(struct relay *relay, struct relay_link *link)
{
	close_fd(&link->fd); /* which takes it out of the epoll set too */
	close_fd(&link->device_fd);
	relay->links_count--;
	relay->ended++;
}

void relay_reap(struct relay *relay)
{
	for (size_t i = 0; i < relay->links_end; i++) {
		char octet;
		struct iovec room = { &octet, 1 };
		struct msghdr look = { .msg_iov = &room, .msg_iovlen = 1 };
		if (relay->links[i].fd >= 0 &&
		    recvmsg(relay->links[i].fd, &look, MSG_PEEK | MSG_DONTWAIT) == 0)
			end_link(relay, &relay->links[i]);
	}
}

/* --- who asks --------------------------------------------------------------------------------- */

/* The door's clients are allowed users. They may speak for themselves, or for a listener's
 * connection that they serve; whether that connection's peer is allowed is said by us. */
static bool correct_local(const struct config *config, struct ask_origin *origin)
{
	const struct config_listener *listener = config_find_listener(config, origin->source);
	bool drop = strcmp(origin->source, "drop") == 0;
	if (!drop && !listener && strcmp(origin->source, "session") != 0)
		return false;
	struct facts_peer peer = { .known = origin->peer_known && !drop };
	if (peer.known)
		memcpy(peer.address, origin->peer, sizeof peer.address);
	origin->kind = drop ? ASK_SOURCE_DROP : ASK_SOURCE_SMTP;
	origin->peer_known = peer.known;
	origin->peer_allowed = !peer.known || network_is_loopback(&peer) ||
			       (listener && network_match(&listener->peers, &peer));
	memcpy(origin->peer, peer.address, sizeof origin->peer);
	return true;
}

/* A link may be in a greater hurry than we are, but never have more time. */
static int64_t latest_answer_ms(const struct config *config, const struct ask_head *head)
{
	uint64_t max = config->rules.limits.message_bytes;
	uint64_t bytes = head->bytes < max ? head->bytes : max;
	int64_t latest_ms = ask_deadline_ms(monotonic_ms(), config->gateway.answer_within_s, bytes);
	return head->deadline_ms > 0 && head->deadline_ms < latest_ms ? head->deadline_ms
								      : latest_ms;
}

/* Writes who asks, and until when, into the question. False: it is none that this link may ask. */
static bool correct(const struct relay *relay, const struct relay_link *link, void *message,
		    size_t size, size_t fds)
{
	struct ask ask;
	struct ask_head *head = message;
	if (!ask_read(message, size, &ask))
		return false;
	if ((head->kind != ASK_DELIVER && head->kind != ASK_SETTLE) || fds != 2)
		return false;
	/* it belongs to the session that asked the keeper about it; a local client has none */
	if (relay->local ||
	    !login_find(&relay->config->rules.logins, link->origin.source, head->login))
		head->login[0] = '\0';
	head->deadline_ms = latest_answer_ms(relay->config, head);
	if (relay->local)
		return correct_local(relay->config, &head->origin);
	head->origin = link->origin;
	return true;
}

/* --- what was said ---------------------------------------------------------------------------- */

/* A session may say how it ended once. False: it is cut off. */
static bool hear_session(const struct relay *relay, struct relay_link *link,
			 struct dialogue *dialogue, const char *text)
{
	bool over = dialogue->kind == DIALOGUE_END;
	if ((!over && dialogue->kind != DIALOGUE_LINES) || link->over || !relay->ears.hear)
		return false;
	link->over = over;
	dialogue->session = link->number;
	dialogue->began_ms = link->began_ms;
	dialogue->since_ms = 0;
	dialogue->peer_known = link->origin.peer_known;
	memcpy(dialogue->peer, link->origin.peer, sizeof dialogue->peer);
	memset(dialogue->zero, 0, sizeof dialogue->zero);
	snprintf(dialogue->source, sizeof dialogue->source, "%s", link->origin.source);
	relay->ears.hear(relay->ears.context, dialogue, text);
	return true;
}

/* A local client wants to watch a listener: the connection is that listener's from now on. If it
 * can't be handed on he reads end of file, and may come again. */
static void hand_on_watcher(const struct relay *relay, const struct relay_link *link,
			    const struct dialogue *dialogue)
{
	const struct config *config = relay->config;
	for (size_t i = 0; relay->audiences_fd >= 0 && i < config->listeners_count; i++) {
		if (strcmp(config->listeners[i].name, dialogue->source) == 0 &&
		    dialogue->kind == DIALOGUE_WATCH)
			pass_fds_now(relay->audiences_fd + (int)i, dialogue, sizeof *dialogue,
				     &link->fd, 1);
	}
}

/* False: the link ends. */
static bool take_dialogue(const struct relay *relay, struct relay_link *link, void *message)
{
	struct dialogue *dialogue = message;
	if (relay->local) {
		dialogue->size = 0;
		hand_on_watcher(relay, link, dialogue);
		return false;
	}
	if (hear_session(relay, link, dialogue, (const char *)(dialogue + 1)))
		return true;
	log_say(LOG_ERROR, "broken-promise", "%s: a session says more than it may, it is cut off",
		link->origin.source);
	return false;
}

/* A session answers for its own listener, and never says that something was delivered. */
static bool take_tally(const struct relay *relay, const struct relay_link *link,
		       const struct tally *said)
{
	struct tally tally = *said;
	if (relay->local || !relay->ears.count || tally.kind != TALLY_MESSAGE ||
	    tally.reason == REASON_NONE)
		return false;
	snprintf(tally.source, sizeof tally.source, "%s", link->origin.source);
	snprintf(tally.route, sizeof tally.route, "-");
	relay->ears.count(relay->ears.context, &tally);
	return true;
}

/* --- passing on ------------------------------------------------------------------------------- */

static bool queue_has_room(const struct relay *relay)
{
	struct pollfd look = { .fd = relay->queue_fd, .events = POLLOUT };
	return poll(&look, 1, 0) > 0;
}

static void watch_links(struct relay *relay, bool wanted)
{
	for (size_t i = 0; i < relay->links_end; i++) {
		if (relay->links[i].fd >= 0 && wanted)
			watch(relay, relay->links[i].fd, EPOLLIN, i);
		else if (relay->links[i].fd >= 0)
			unwatch(relay, relay->links[i].fd);
	}
}

/* Stops listening to the links until the couriers have taken something, or goes on. */
static void set_waiting(struct relay *relay, bool waiting)
{
	if (waiting == relay->waiting)
		return;
	relay->waiting = waiting;
	watch_links(relay, !waiting);
	if (waiting)
		watch(relay, relay->queue_fd, EPOLLOUT, TAG_QUEUE);
	else
		unwatch(relay, relay->queue_fd);
}

/* What came is beyond our size: it would be closed unseen. */
static bool is_too_long(const struct relay_link *link)
{
	struct msghdr head = { .msg_iov = NULL };
	return recvmsg(link->fd, &head, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT) > ASK_MAX;
}

static bool are_harmless(const struct relay *relay, const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!harmless_descriptor(&relay->harmless, fds[i]))
			return false;
	}
	return true;
}

/* Takes one message of a link and passes it on. If that fails its descriptors are closed with it,
 * and who asked reads end of file. Descriptors that may never let us go are left open: closing them
 * is the last thing that we could do. */
static void pass_on(struct relay *relay, struct relay_link *link)
{
	static union {
		struct ask_head head;
		struct dialogue dialogue;
		struct tally tally;
		char room[ASK_MAX];
	} message;
	int fds[FDIO_PASS_MAX];
	size_t count = FDIO_PASS_MAX;
	if (relay->local && is_too_long(link)) {
		end_link(relay, link);
		return;
	}
	ssize_t size = receive_fds(link->fd, &message, sizeof message, fds, &count, MSG_DONTWAIT);
	if (size == -EAGAIN || size == -EINTR)
		return;
	if (size > 0 && count == 0 && dialogue_valid(&message, (size_t)size)) {
		if (!take_dialogue(relay, link, &message))
			end_link(relay, link);
		return;
	}
	if (size > 0 && count == 0 && tally_valid(&message, (size_t)size)) {
		if (!take_tally(relay, link, &message.tally))
			end_link(relay, link);
		return;
	}
	bool safe = size < 0 || !relay->local || are_harmless(relay, fds, count);
	bool good = size > 0 && safe && correct(relay, link, &message, (size_t)size, count);
	if (!safe)
		log_say(LOG_ERROR, "door",
			"a file on a file system of the sender's own is not taken; it may be in memory, in "
			"/var/tmp or in /tmp");
	else if (size > 0 && !good)
		log_say(LOG_ERROR, "broken-promise",
			"%s: what came is no question, the sender is cut off",
			relay->local ? "door" : link->origin.source);
	if (good && message.head.kind == ASK_DELIVER)
		link->asked_ms = monotonic_ms();
	int error = good ? pass_fds(relay->queue_fd, &message, (size_t)size, fds, count) : 0;
	if (error)
		log_say(LOG_WARNING, "queue", "a question can't be passed on to the couriers: %s",
			strerror(-error));
	if (good && message.head.kind == ASK_SETTLE && relay->ears.settled)
		relay->ears.settled(relay->ears.context, link);
	for (size_t i = 0; safe && size >= 0 && i < count; i++)
		close(fds[i]);
	if (!good)
		end_link(relay, link);
}

/* What was said is not for the queue. */
static bool is_dialogue(const struct relay_link *link)
{
	uint32_t kind = 0;
	struct iovec room = { &kind, sizeof kind };
	struct msghdr look = { .msg_iov = &room, .msg_iovlen = 1 };
	return recvmsg(link->fd, &look, MSG_PEEK | MSG_DONTWAIT) == sizeof kind &&
	       kind >= DIALOGUE_LINES;
}

static void serve_link(struct relay *relay, uint64_t place)
{
	struct relay_link *link = &relay->links[place];
	if (relay->waiting || link->fd < 0)
		return;
	if (queue_has_room(relay) || is_dialogue(link))
		pass_on(relay, link);
	else
		set_waiting(relay, true);
}

bool relay_wait(struct relay *relay, int timeout_ms, int *listening_out)
{
	struct epoll_event event;
	if (epoll_pwait(relay->epoll_fd, &event, 1, timeout_ms, notice_mask()) <= 0)
		return false;
	if (event.data.u64 & TAG_LISTEN) {
		*listening_out = (int)(event.data.u64 & UINT32_MAX);
		return true;
	}
	if (event.data.u64 & TAG_QUEUE)
		set_waiting(relay, false);
	else
		serve_link(relay, event.data.u64);
	return false;
}
