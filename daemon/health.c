/* health.c: the rule of health, and its sentences. Never looks at anything itself. */
#include "daemon/health.h"
#include <stdio.h>
#include <string.h>
#include "daemon/tally.h"

const char *health_word(enum health health)
{
	static const char *const words[] = {
		[HEALTH_OK] = "ok",
		[HEALTH_DEGRADED] = "degraded",
		[HEALTH_DOWN] = "down",
	};
	return words[health];
}

static void tell_share(const struct health_share *share, void (*tell)(void *, const char *),
		       void *context)
{
	char sentence[HEALTH_SENTENCE_MAX];
	bool state = strcmp(share->name, TALLY_STATE) == 0;
	if (state)
		snprintf(sentence, sizeof sentence, "state: %s", share->why);
	else
		snprintf(sentence, sizeof sentence, "share%s%s: %s", *share->name ? " " : "",
			 share->name, share->why);
	tell(context, sentence);
}

static void tell_source(const struct health_source *source, void (*tell)(void *, const char *),
			void *context)
{
	char sentence[HEALTH_SENTENCE_MAX];
	snprintf(sentence, sizeof sentence, "source %s %s%s%s; `letterchute check` says what to do",
		 source->name, source->state == STATUS_DOWN ? "is down" : "waits",
		 *source->why ? ": " : "", source->why);
	tell(context, sentence);
}

static enum health tell_roles(const struct health_source *roles, void (*tell)(void *, const char *),
			      void *context)
{
	char sentence[HEALTH_SENTENCE_MAX];
	if (roles->state == STATUS_UP)
		return HEALTH_OK;
	snprintf(sentence, sizeof sentence, "gateway: %s", roles->why);
	tell(context, sentence);
	return roles->state == STATUS_DOWN ? HEALTH_DOWN : HEALTH_DEGRADED;
}

enum health health_judge(const struct health_facts *facts,
			 void (*tell)(void *context, const char *sentence), void *context)
{
	enum health health = tell_roles(&facts->roles, tell, context);
	size_t down = 0;
	for (size_t i = 0; i < facts->shares_count; i++) {
		if (facts->shares[i].up)
			continue;
		health = HEALTH_DOWN;
		tell_share(&facts->shares[i], tell, context);
	}
	for (size_t i = 0; i < facts->sources_count; i++) {
		const struct health_source *source = &facts->sources[i];
		if (source->state == STATUS_UP)
			continue;
		if (health == HEALTH_OK)
			health = HEALTH_DEGRADED;
		down += source->state == STATUS_DOWN;
		tell_source(source, tell, context);
	}
	return down > 0 && down == facts->sources_count ? HEALTH_DOWN : health;
}
