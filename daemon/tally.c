/* tally.c: sends and checks what is counted. Never waits. */
#include "daemon/tally.h"
#include <string.h>
#include "daemon/fdio.h"
#include "policy/verdict.h"

void tally_send(int fd, const void *message, size_t size)
{
	pass_fds_now(fd, message, size, NULL, 0);
}

#define ENDS(text) (memchr((text), '\0', sizeof(text)) != NULL)

static bool is_message(const struct tally *tally)
{
	return tally->reason < REASON_COUNT && tally->took_ms >= 0 && ENDS(tally->source) &&
	       ENDS(tally->route);
}

static bool is_share(const struct tally_share *share)
{
	return share->look <= TALLY_AWAY && ENDS(share->name) && ENDS(share->why);
}

bool tally_valid(const void *message, size_t size)
{
	uint32_t kind;
	if (size < sizeof kind)
		return false;
	memcpy(&kind, message, sizeof kind);
	if (kind == TALLY_MESSAGE)
		return size == sizeof(struct tally) && is_message(message);
	return kind == TALLY_SHARE && size == sizeof(struct tally_share) && is_share(message);
}

const char *tally_look_word(enum tally_look look)
{
	static const char *const words[] = {
		[TALLY_LOOKING] = "away",
		[TALLY_UP] = "up",
		[TALLY_FULL] = "full",
		[TALLY_AWAY] = "away",
	};
	return words[look];
}
