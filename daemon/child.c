/* child.c: knows roles by what becomes of them. Never starts or ends one. */
#include "daemon/child.h"
#include <stdio.h>
#include <string.h>
#include "daemon/fdio.h"

#define BACKOFF_LEAST_MS 100
#define BACKOFF_MOST_MS  10000
#define FAILING_MS       1000 /* a role whose starts are put off for longer gets nowhere */

bool child_is_puller(const struct child *child)
{
	return child->role == ROLE_PULL || child->role == ROLE_WATCH;
}

bool child_is_door(const struct child *child)
{
	return child->source && child->source->kind == SOURCE_DOOR;
}

const char *child_name(const struct child *child)
{
	if (child->role == ROLE_AFTER)
		return "window";
	if (strcmp(child->name, SOURCE_DOOR_NAME) == 0)
		return "door";
	if (*child->name)
		return child->name;
	if (child->role == ROLE_PROVE)
		return "prover";
	if (child->looks)
		return "lookout";
	return child->keys ? "keys" : child->keeps ? "keeper" : "courier";
}

void child_delay(struct child *child, bool meant)
{
	bool lived = monotonic_ms() - child->started_ms >= CHILD_LIVED_MS;
	child->backoff_ms = lived || meant ? BACKOFF_LEAST_MS : child->backoff_ms * 2;
	if (child->backoff_ms < BACKOFF_LEAST_MS)
		child->backoff_ms = BACKOFF_LEAST_MS;
	if (child->backoff_ms > BACKOFF_MOST_MS)
		child->backoff_ms = BACKOFF_MOST_MS;
	child->start_at_ms = monotonic_ms() + child->backoff_ms;
	child->state = CHILD_WANTED;
}

/* It ends, or can't be started, again and again. */
static bool is_failing(const struct child *child)
{
	bool lives = child->state == CHILD_RUNNING &&
		     monotonic_ms() - child->started_ms >= CHILD_LIVED_MS;
	return child->state != CHILD_DRAINING && child->backoff_ms > FAILING_MS && !lives;
}

/* What is lacking without a child; the worst first. */
enum lack {
	LACK_COURIERS,
	LACK_KEYS,
	LACK_LISTENER,
	LACK_PROVER,
	LACK_COURIER,
	LACK_DOOR,
	LACK_LOOKOUT,
	LACK_WINDOW,
	LACK_KEEPER,
	LACK_NOTHING
};

static const char *const lacks[] = {
	[LACK_COURIERS] = "all mail waits",
	[LACK_KEYS] = "TLS and logins of listeners don't work",
	[LACK_LISTENER] = "devices can't send to a listener",
	[LACK_PROVER] = "DKIM signatures can't be checked, and mail that needs one waits",
	[LACK_COURIER] = "mail may be delivered more slowly",
	[LACK_DOOR] = "`drop` and `smtp-session` get no answer",
	[LACK_LOOKOUT] = "nobody looks how the shares are",
	[LACK_WINDOW] = "/healthz and /metrics get no answer",
	[LACK_KEEPER] = "what is left over or too old is not tidied away",
};

static enum lack lack_of(const struct child *child)
{
	if (child->role == ROLE_COURIER)
		return child->looks ? LACK_LOOKOUT : child->keeps ? LACK_KEEPER : LACK_COURIER;
	if (child->role == ROLE_SMTP)
		return child->keys ? LACK_KEYS : child_is_door(child) ? LACK_DOOR : LACK_LISTENER;
	if (child->role == ROLE_PROVE)
		return LACK_PROVER;
	return child->role == ROLE_AFTER ? LACK_WINDOW : LACK_NOTHING;
}

/* Without couriers that take mail nothing goes; every other role lacks something. */
enum status_state child_judge(const struct child *children, size_t count,
			      char why_out[STATUS_ERROR_MAX])
{
	const struct child *failing = NULL;
	enum lack worst = LACK_NOTHING;
	bool any_courier = false;
	*why_out = '\0';
	for (size_t i = 0; i < count; i++) {
		const struct child *child = &children[i];
		any_courier |= lack_of(child) == LACK_COURIER && !is_failing(child);
	}
	for (size_t i = 0; i < count; i++) {
		const struct child *child = &children[i];
		bool fails = is_failing(child) && !child_is_puller(child);
		enum lack lack = lack_of(child);
		if (lack == LACK_COURIER && !any_courier)
			lack = LACK_COURIERS;
		if (fails && lack < worst) {
			failing = child;
			worst = lack;
		}
	}
	if (!failing)
		return STATUS_UP;
	snprintf(
		why_out, STATUS_ERROR_MAX,
		"%s: its process \"%s\" ends, or can't be started, again and again; the log says why",
		lacks[worst], child_name(failing));
	return worst == LACK_COURIERS ? STATUS_DOWN : STATUS_WAITING;
}
