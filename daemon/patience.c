/* patience.c: counts troubles, and what was said of them. Never waits itself. */
#define _GNU_SOURCE
#include "daemon/patience.h"
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include "daemon/fdio.h"

#define PAUSE_MS     3000 /* between looks at a share that is away: they cost next to nothing */
#define TROUBLES_MAX 3    /* messages in a row that have to wait: it is not them */
#define QUIET_MS     600000

bool patience_is_everybodys(enum reason reason)
{
	static const enum reason reasons[] = { REASON_SHARE, REASON_FULL,     REASON_SPOOL,
					       REASON_DNS,   REASON_DEADLINE, REASON_SHUTDOWN };
	for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
		if (reasons[i] == reason)
			return true;
	}
	return false;
}

bool patience_lose(struct patience *patience, enum reason reason)
{
	return patience_is_everybodys(reason) || ++patience->troubles >= TROUBLES_MAX;
}

int64_t patience_pause(struct patience *patience)
{
	patience->pause_ms = patience_next(patience->pause_ms, PAUSE_MS);
	int64_t wait_ms = patience_jitter(patience->pause_ms);
	patience->until_ms = monotonic_ms() + wait_ms;
	return wait_ms;
}

bool patience_is_paused(const struct patience *patience)
{
	return patience->until_ms > monotonic_ms();
}

void patience_gain(struct patience *patience)
{
	patience->troubles = 0;
	patience->pause_ms = 0;
	patience->until_ms = 0;
}

int64_t patience_next(int64_t last_ms, int64_t most_ms)
{
	int64_t next_ms = last_ms ? last_ms * 2 : PATIENCE_FIRST_MS;
	return next_ms < most_ms ? next_ms : most_ms;
}

int64_t patience_rest_until(const struct patience *patience, int64_t until_ms, int64_t next_ms)
{
	int64_t now_ms = monotonic_ms();
	if (patience_is_paused(patience))
		next_ms = patience->until_ms;
	else if (next_ms >= 0 && next_ms <= now_ms)
		next_ms = now_ms + PATIENCE_FIRST_MS;
	return next_ms >= 0 && next_ms < until_ms ? next_ms : until_ms;
}

int64_t patience_jitter(int64_t ms)
{
	uint32_t number = 0;
	if (getrandom(&number, sizeof number, 0) != sizeof number)
		return ms;
	return ms - ms / 4 + (int64_t)(number % (uint32_t)(ms / 2 + 1));
}

/* The next word that counts: servers put times and names of sessions into what they say, and those
 * have digits. */
static const char *next_word(const char *text, size_t *length_out)
{
	for (;; text += *length_out) {
		text += strspn(text, " ");
		*length_out = strcspn(text, " ");
		if (strcspn(text, "0123456789") >= *length_out)
			return text;
	}
}

static bool is_same_trouble(const char *a, const char *b)
{
	size_t a_length, b_length;
	do {
		a = next_word(a, &a_length);
		b = next_word(b, &b_length);
		if (a_length != b_length || strncmp(a, b, a_length) != 0)
			return false;
		a += a_length;
		b += b_length;
	} while (a_length > 0);
	return true;
}

void patience_tell(struct patience *patience, enum log_level level, const char *source,
		   const char *why, int64_t wait_ms)
{
	struct log_line line;
	int64_t quiet_ms = patience->quiet_ms ? patience->quiet_ms : QUIET_MS;
	bool again = patience->told[0] && is_same_trouble(patience->told, why) &&
		     monotonic_ms() - patience->told_ms < quiet_ms;
	log_start(&line, "source");
	log_add(&line, "source", "%s", source);
	log_quote(&line, "text", why);
	log_add(&line, "next_try_ms", "%lld", (long long)wait_ms);
	log_send(again ? LOG_DEBUG : level, &line);
	if (again)
		return;
	patience->told_ms = monotonic_ms();
	snprintf(patience->told, sizeof patience->told, "%s", why);
}

void patience_forget(struct patience *patience)
{
	patience->told[0] = '\0';
}
