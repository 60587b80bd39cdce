/* failures.c: writes and reads the places. Never decides whether a session failed. */
#define _GNU_SOURCE
#include "daemon/failures.h"
#include <string.h>
#include <unistd.h>
#include "daemon/fdio.h"

/* Behind the state, which may grow. */
#define PLACES_AT 4096

static off_t offset_of(size_t place)
{
	return PLACES_AT + (off_t)place * DIALOGUE_MAX;
}

static bool is_kept(const struct dialogue *dialogue)
{
	return dialogue->kind == DIALOGUE_END && dialogue->outcome != DIALOGUE_WELL;
}

bool failures_read(int fd, size_t place, struct dialogue *dialogue_out,
		   char text_out[DIALOGUE_TEXT_MAX])
{
	union {
		struct dialogue dialogue;
		char room[DIALOGUE_MAX];
	} found;
	ssize_t got = fd < 0 ? -1 : pread(fd, &found, sizeof found, offset_of(place));
	if (got < (ssize_t)sizeof found.dialogue || found.dialogue.size > DIALOGUE_TEXT_MAX ||
	    !is_kept(&found.dialogue))
		return false;
	size_t whole = sizeof found.dialogue + found.dialogue.size;
	if ((size_t)got < whole || !dialogue_valid(&found, whole))
		return false;
	*dialogue_out = found.dialogue;
	memcpy(text_out, found.room + sizeof found.dialogue, found.dialogue.size);
	return true;
}

static void remember(struct failures_place *place, const struct dialogue *dialogue)
{
	*place = (struct failures_place){ .outcome = dialogue->outcome,
					  .began_ms = dialogue->began_ms,
					  .delivered = dialogue->since_ms != 0 };
	memcpy(place->peer, dialogue->peer, sizeof place->peer);
}

void failures_load(struct failures *failures, int fd)
{
	static char text[DIALOGUE_TEXT_MAX];
	struct dialogue dialogue;
	*failures = (struct failures){ .fd = fd };
	for (size_t i = 0; i < FAILURES_MAX; i++) {
		if (failures_read(fd, i, &dialogue, text))
			remember(&failures->places[i], &dialogue);
	}
}

static bool is_of(const struct failures_place *place, const uint8_t peer[16])
{
	return place->outcome != DIALOGUE_WELL &&
	       memcmp(place->peer, peer, sizeof place->peer) == 0;
}

/* The place of this peer, else a free one, else the oldest: a free one is from 1970. */
static size_t choose(const struct failures *failures, const uint8_t peer[16], bool stranger)
{
	size_t first = stranger ? FAILURES_DEVICES : 0;
	size_t end = stranger ? FAILURES_MAX : FAILURES_DEVICES, chosen = first;
	for (size_t i = first; i < end; i++) {
		if (is_of(&failures->places[i], peer))
			return i;
		if (failures->places[i].began_ms < failures->places[chosen].began_ms)
			chosen = i;
	}
	return chosen;
}

void failures_put(struct failures *failures, const struct dialogue *dialogue, const char *text,
		  bool stranger)
{
	union {
		struct dialogue dialogue;
		char room[DIALOGUE_MAX];
	} kept;
	if (failures->fd < 0 || dialogue->size > DIALOGUE_TEXT_MAX || !is_kept(dialogue))
		return;
	size_t chosen = choose(failures, dialogue->peer, stranger);
	struct failures_place *place = &failures->places[chosen];
	if (dialogue->outcome == DIALOGUE_SILENT && is_of(place, dialogue->peer) &&
	    place->outcome == DIALOGUE_FAILED && !place->delivered)
		return;
	kept.dialogue = *dialogue;
	kept.dialogue.since_ms = 0;
	memcpy(kept.room + sizeof kept.dialogue, text, dialogue->size);
	/* a report that can't be written is missed by nobody but who looks */
	if (pwrite(failures->fd, &kept, sizeof kept.dialogue + dialogue->size, offset_of(chosen)) <
	    0)
		return;
	remember(place, &kept.dialogue);
}

void failures_forgive(struct failures *failures, const uint8_t peer[16])
{
	for (size_t i = 0; i < FAILURES_MAX; i++) {
		struct failures_place *place = &failures->places[i];
		if (!is_of(place, peer) || place->delivered)
			continue;
		const int64_t now_ms = wall_ms();
		place->delivered = true;
		if (pwrite(failures->fd, &now_ms, sizeof now_ms,
			   offset_of(i) + (off_t)offsetof(struct dialogue, since_ms)) < 0)
			return;
	}
}
