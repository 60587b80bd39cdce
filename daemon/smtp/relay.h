/* relay.h: passes questions from sessions or local clients on to the couriers' queue. Room
 * daemon/smtp.
 *
 * Who asks is written by us: nobody at the other end of a link holds the queue. What a link may
 * send is an ASK_DELIVER or an ASK_SETTLE, with two descriptors; a session also what was said in
 * it (daemon/dialogue.h) and what is to be counted (daemon/tally.h), and a local client that it
 * wants to watch; anything else ends the link. A full queue stops all links (their questions wait
 * in their sockets) and never the loop. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/ask.h"
#include "daemon/config.h"
#include "daemon/dialogue.h"
#include "daemon/smtp/harmless.h"
#include "daemon/tally.h"

struct relay_link {
	int fd;           /* owned; -1: free */
	int device_fd;    /* owned: the connection of its session; -1: none */
	int64_t asked_ms; /* when it last asked about a message; monotonic, 0: never */
	struct ask_origin origin;
	uint64_t number;  /* of the session */
	int64_t began_ms; /* wall clock */
	bool over;        /* it has said how it ended */
};

/* Who hears what is not for the couriers. */
struct relay_ears {
	void *context;
	/* What was said in a session; who and when is written by us. `text`: its lines. */
	void (*hear)(void *context, const struct dialogue *dialogue, const char *text);
	/* A session has answered a message itself; which source it is of is written by us. */
	void (*count)(void *context, const struct tally *tally);
	/* A device knows that its mail was delivered. */
	void (*settled)(void *context, const struct relay_link *link);
};

struct relay {
	const struct config *config;
	bool local; /* links are local clients: they say for themselves what they are, as far as
		       that makes sense; and they may hand over anything, so it is looked at */
	struct harmless harmless; /* where their files may lie */
	/* local: first of the descriptors where those who want to watch are handed on, one for
	 * each listener in the order of the configuration; -1: none */
	int audiences_fd;
	struct relay_ears ears;   /* not local; `hear` NULL: nobody hears */
	int queue_fd;             /* borrowed */
	int epoll_fd;             /* owned */
	bool waiting;             /* for room in the queue */
	struct relay_link *links; /* owned */
	size_t links_max, links_count;
	size_t links_end; /* places that were ever used */
	uint64_t ended;   /* links so far */
	uint64_t numbers; /* given to links so far */
};

/* 0 or -errno. */
int relay_init(struct relay *relay, const struct config *config, int queue_fd, size_t links_max);
void relay_done(struct relay *relay);

/* Adds a socket on which connections are accepted, or another descriptor that the caller wants to
 * hear of; borrowed. 0 or -errno. */
int relay_listen(struct relay *relay, int listening_fd);
void relay_unlisten(struct relay *relay, int listening_fd);

/* Takes over `fd` and `device_fd` (-1: none). 0, or -errno with `fd` closed. */
int relay_add(struct relay *relay, int fd, int device_fd, const struct ask_origin *origin);

/* Ends the links whose sessions have ended. Otherwise that happens in its turn. */
void relay_reap(struct relay *relay);

/* How many links come from this address? */
size_t relay_count_peer(const struct relay *relay, const uint8_t peer[16]);

/* Has a device of this address gone, or said that it sends no more, whose session has not ended? */
bool relay_peer_leaves(const struct relay *relay, const uint8_t peer[16]);

/* On how many connections nothing has happened for so long? Who waits for a courier, or for us to
 * read what came, is not one of them. */
size_t relay_count_quiet(const struct relay *relay, int64_t quiet_ms);

/* Tells every link that the gateway ends: it reads end of file. What it asks is still passed on. */
void relay_stop(struct relay *relay);

/* Waits for one thing to happen: at most `timeout_ms` (-1: no limit), or until a signal (notice.h).
 * Questions are passed on here; true: a connection can be accepted, or read, on *listening_out. */
bool relay_wait(struct relay *relay, int timeout_ms, int *listening_out);
