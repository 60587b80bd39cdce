/* tally.h: what is told of each message and each share, for who counts it (/metrics, /healthz).
 * Ground of daemon.
 *
 * One seqpacket message each, sent by whoever writes the log line of the message, and never waited
 * for: a socket that is full, or that nobody reads, loses it. It is a report: nobody who delivers
 * decides by it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/ask.h"
#include "policy/rules.h"

/* Numbers that neither a question (daemon/ask.h) nor a dialogue (daemon/dialogue.h) has. */
enum tally_kind { TALLY_MESSAGE = 0x74610001, TALLY_SHARE };

#define TALLY_ROUTE_MAX 255 /* octets of the names of the routes, joined by commas */
#define TALLY_WHY_MAX   400

/* A message was answered. */
struct tally {
	uint32_t kind;   /* TALLY_MESSAGE */
	uint32_t reason; /* enum reason: REASON_NONE for delivered */
	uint64_t bytes;
	int64_t took_ms;
	char source[ASK_SOURCE_MAX + 1];
	char route[TALLY_ROUTE_MAX + 1]; /* "-": none */
};

#define TALLY_STATE \
	"[state]" /* no share is called so: our own folder, without which nothing goes */

/* How a share looks. */
enum tally_look {
	TALLY_LOOKING, /* somebody looks now: what hangs is known by nothing more being heard */
	TALLY_UP,
	TALLY_FULL, /* less is free than its `free_floor` */
	TALLY_AWAY
};

struct tally_share {
	uint32_t kind;                 /* TALLY_SHARE */
	uint32_t look;                 /* enum tally_look */
	int32_t error;                 /* -errno of TALLY_AWAY; 0: none */
	int64_t free_bytes;            /* -1: not known */
	char name[RULES_NAME_MAX + 1]; /* or TALLY_STATE */
	char why[TALLY_WHY_MAX];       /* what is wrong, and what to do; "": nothing */
};

/* Sends one of them. `fd`: -1, or what is no socket: nobody counts. */
void tally_send(int fd, const void *message, size_t size);

/* Is it one? Texts are checked to end. `message` must be aligned for the structs. */
bool tally_valid(const void *message, size_t size);

/* "up", "full" or "away". */
const char *tally_look_word(enum tally_look look);
