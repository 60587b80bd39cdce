/* view.c: puts together what is shown, anew each time. Opens nothing. */
#define _GNU_SOURCE
#include "daemon/after/view.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/after/metrics.h"
#include "daemon/aside.h"
#include "daemon/fdio.h"
#include "daemon/source.h"
#include "daemon/standing.h"

#define HANGS_MS 3000 /* a look that takes longer */
#define STALE_MS \
	6000 /* nobody has looked for so long: who does is stuck, or dies again and again */

void view_hear(struct view *view, const void *message)
{
	const struct tally_share *told = message;
	if (told->kind == TALLY_MESSAGE) {
		counters_add(view->counters, message);
		return;
	}
	/* a new configuration may have it no more */
	struct counters_share *share = counters_find_share(view->counters, told->name);
	if (!share)
		return;
	/* who takes the place of one that hangs hangs too: the first look counts */
	if (told->look == TALLY_LOOKING && share->looking)
		return;
	share->heard_ms = monotonic_ms();
	share->looking = told->look == TALLY_LOOKING;
	if (!share->looking)
		share->last = *told;
}

/* --- sources and shares ----------------------------------------------------------------------- */

struct one_source {
	const char *name, *kind;
	int state_fd;
	struct status status;
};

struct all {
	struct one_source sources[SOURCES_MAX];
	size_t sources_count;
	struct tally_share shares[RULES_SHARES_MAX];
	size_t shares_count;
	struct tally_share state;
};

static void add_source(struct all *all, const struct view *view, const char *name, const char *kind)
{
	size_t at = all->sources_count;
	if (at == SOURCES_MAX)
		return;
	int fd = view->states[at];
	all->sources[at] = (struct one_source){ name, kind, fd, standing_status(fd, kind) };
	all->sources_count++;
}

/* As it is by now: what was told last holds for a while only. */
static struct tally_share judge_share(const struct counters_share *share, const char *path)
{
	struct tally_share now = share->last;
	int64_t age_ms = monotonic_ms() - share->heard_ms;
	if (share->heard_ms > 0 && age_ms > (share->looking ? HANGS_MS : STALE_MS)) {
		now = (struct tally_share){ .look = TALLY_AWAY, .free_bytes = -1 };
		snprintf(
			now.why, sizeof now.why,
			"%.200s gives no answer: does its server hang? See to it that it runs, and "
			"that the network leads there",
			path);
	} else if (now.look == TALLY_LOOKING) {
		now.free_bytes = -1;
		snprintf(now.why, sizeof now.why, "%.200s is looked at for the first time: wait",
			 path);
	}
	return now;
}

static const struct all *look(const struct view *view)
{
	static struct all all;
	const struct config *config = view->config;
	const struct counters_share *shares = view->counters->shares;
	all.sources_count = 0;
	for (size_t i = 0; i < config->listeners_count; i++)
		add_source(&all, view, config->listeners[i].name, "smtp");
	for (size_t i = 0; i < config->accounts_count; i++)
		add_source(&all, view, config->accounts[i].name, "imap");
	for (size_t i = 0; i < config->maildirs_count; i++)
		add_source(&all, view, config->maildirs[i].name, "maildir");
	all.shares_count = config->rules.shares_count;
	for (size_t i = 0; i < all.shares_count; i++)
		all.shares[i] = judge_share(&shares[i], config->rules.shares[i].path);
	all.state = judge_share(&shares[all.shares_count], config->gateway.state);
	return &all;
}

/* --- what is shown ---------------------------------------------------------------------------- */

static void put_sentence(void *context, const char *sentence)
{
	json_put_text(context, NULL, sentence);
}

static enum health judge(const struct view *view, const struct all *all, struct json *why)
{
	static struct health_source sources[SOURCES_MAX];
	struct health_share shares[RULES_SHARES_MAX + 1];
	for (size_t i = 0; i < all->sources_count; i++) {
		const struct one_source *source = &all->sources[i];
		sources[i] = (struct health_source){ source->name,
						     (enum status_state)source->status.state,
						     source->status.error };
	}
	for (size_t i = 0; i < all->shares_count; i++)
		shares[i] = (struct health_share){ view->config->rules.shares[i].name,
						   all->shares[i].look == TALLY_UP,
						   all->shares[i].why };
	shares[all->shares_count] =
		(struct health_share){ TALLY_STATE, all->state.look == TALLY_UP, all->state.why };
	struct status roles = standing_status(view->roles_fd, STATUS_ROLES);
	const struct health_facts facts = {
		.roles = { "", (enum status_state)roles.state, roles.error },
		.sources = sources,
		.sources_count = all->sources_count,
		.shares = shares,
		.shares_count = all->shares_count + 1,
	};
	return health_judge(&facts, put_sentence, why);
}

static void put_sources(struct json *list, const struct all *all, bool failures)
{
	for (size_t i = 0; i < all->sources_count; i++) {
		const struct one_source *source = &all->sources[i];
		bool listener = failures && strcmp(source->kind, "smtp") == 0;
		json_put(list, NULL,
			 standing_source(source->name, source->kind, &source->status,
					 listener ? standing_failures(source->state_fd) : NULL));
	}
}

static void put_shares(struct json *list, const struct view *view, const struct all *all)
{
	for (size_t i = 0; i < all->shares_count; i++) {
		const struct rules_share *rules = &view->config->rules.shares[i];
		const struct tally_share *share = &all->shares[i];
		json_put(list, NULL,
			 standing_share(rules->name, rules->path,
					tally_look_word((enum tally_look)share->look),
					share->free_bytes, share->why));
	}
}

/* With a line feed, for who reads it at a terminal. */
static char *end_text(struct json *json)
{
	char *line = json_line(json), *text = NULL;
	json_free(json);
	if (asprintf(&text, "%s\n", line) < 0)
		text = NULL;
	free(line);
	return text;
}

char *view_health(struct view *view, bool whole, enum health *health_out)
{
	const struct all *all = look(view);
	struct json *json = json_object_new(), *why = json_array_new(), *sources, *shares;
	*health_out = judge(view, all, why);
	json_put_text(json, "status", health_word(*health_out));
	if (!whole) {
		json_free(why);
		return end_text(json);
	}
	sources = json_array_new();
	shares = json_array_new();
	put_sources(sources, all, false);
	put_shares(shares, view, all);
	json_put(json, "why", why);
	json_put(json, "sources", sources);
	json_put(json, "shares", shares);
	return end_text(json);
}

char *view_status(struct view *view)
{
	const struct all *all = look(view);
	struct json *list = json_array_new();
	put_sources(list, all, true);
	put_shares(list, view, all);
	json_put(list, NULL, standing_aside(aside_count(view->quarantine)));
	return end_text(list);
}

char *view_metrics(struct view *view)
{
	static struct metrics_source sources[SOURCES_MAX];
	struct metrics_share shares[RULES_SHARES_MAX];
	const struct all *all = look(view);
	for (size_t i = 0; i < all->sources_count; i++) {
		const struct one_source *source = &all->sources[i];
		sources[i] =
			(struct metrics_source){ source->name, source->status.state == STATUS_UP,
						 source->status.contact_ms };
	}
	for (size_t i = 0; i < all->shares_count; i++)
		shares[i] = (struct metrics_share){ view->config->rules.shares[i].name,
						    all->shares[i].look == TALLY_UP,
						    all->shares[i].free_bytes };
	const struct metrics metrics = { .version = view->version,
					 .counters = view->counters,
					 .sources = sources,
					 .sources_count = all->sources_count,
					 .shares = shares,
					 .shares_count = all->shares_count,
					 .held = 0,
					 .quarantined = aside_count(view->quarantine) };
	return metrics_text(&metrics);
}
