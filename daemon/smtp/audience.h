/* audience.h: those who watch the sessions of a listener (`letterchute watch-device`). Room
 * daemon/smtp: in the listener.
 *
 * Why not a file that is followed: local users may watch, who may not read the state; nothing may
 * grow while a watcher sleeps; and nothing is to be written when nobody watches. So a watcher
 * knocks at gateway.sock like all local clients; the door sees who he is, and hands his connection
 * on to the listener that he names; from then on he is told everything by that listener directly,
 * one message at a time, and never waited for. Whom his socket has no room for misses messages and
 * is told how many; whose socket stays full is cut off. When his listener ends (a reload, a death)
 * he reads end of file and knocks again.
 *
 * How many watch stands in a page that the listener shares with its sessions: they can read it and
 * not write to it, and look there before they send a line (transcript.h). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/dialogue.h"

#define AUDIENCE_MAX      16    /* who comes then is sent away */
#define AUDIENCE_STALL_MS 30000 /* for a socket that stays full */

struct audience {
	int request_fd;                   /* owned: where the door hands watchers over; -1: none */
	uint32_t *count;                  /* the page, to be written */
	const volatile uint32_t *watched; /* the same, as sessions see it; NULL: nobody can watch */
	struct watcher {
		int fd; /* owned */
		bool peer_known;
		uint8_t peer[16]; /* the only one that he wants to hear of, if known */
		uint32_t missed;
		int64_t stalled_ms; /* since then his socket is full; monotonic clock; 0: it is not
				     */
	} watchers[AUDIENCE_MAX];
	size_t watchers_count;
};

/* Takes `request_fd` over; -1: nobody will come. 0 or -errno. Before the jail. */
int audience_init(struct audience *audience, int request_fd);

/* Lets everybody go. */
void audience_done(struct audience *audience);

/* Takes a watcher who was handed over. His descriptor, to be listened to for his leaving; -1: none,
 * and no more will come if `request_fd` is -1 now. */
int audience_take(struct audience *audience);

/* Whatever comes from a watcher, he leaves. False: it is none of theirs. */
bool audience_leave(struct audience *audience, int fd);

/* Tells a message to all whom it concerns. `text`: its lines. */
void audience_tell(struct audience *audience, const struct dialogue *dialogue, const char *text);
