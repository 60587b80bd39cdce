/* failures.h: the last failed session of each peer of a listener. Ground of daemon: the listener
 * writes it, the verbs read it.
 *
 * They lie behind the state of the source, in spool/sources/<source> (daemon/status.h): places of
 * 8 kB, each a struct dialogue with its lines. One place a peer, and who failed longest ago makes
 * room. Peers that may not connect have places of their own, so that strangers can't push devices
 * out. It is a report like the state: nobody decides by it, it is not synced, and who reads while a
 * place is written may see half of it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/dialogue.h"

#define FAILURES_DEVICES   32
#define FAILURES_STRANGERS 8
#define FAILURES_MAX       (FAILURES_DEVICES + FAILURES_STRANGERS)

/* What the writer remembers of the places. */
struct failures {
	int fd; /* borrowed; -1: nothing is kept */
	struct failures_place {
		uint8_t peer[16];
		uint32_t outcome; /* enum dialogue_outcome; DIALOGUE_WELL: the place is free */
		int64_t began_ms; /* wall clock */
		bool delivered;   /* a mail, since then */
	} places[FAILURES_MAX];
};

/* Finds out what was left by the writer before. `fd`: from status_open. */
void failures_load(struct failures *failures, int fd);

/* Keeps a session that is over, unless a session in which the device hardly spoke would take the
 * place of one in which it did. `text`: its lines. */
void failures_put(struct failures *failures, const struct dialogue *dialogue, const char *text,
		  bool stranger);

/* A mail of this peer was delivered: what failed before may be over. */
void failures_forgive(struct failures *failures, const uint8_t peer[16]);

/* Reads one place, for a report. False: there is nothing in it. */
bool failures_read(int fd, size_t place, struct dialogue *dialogue_out,
		   char text_out[DIALOGUE_TEXT_MAX]);
