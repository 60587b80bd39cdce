/* fuse.c: sends scouts to the shares and draws the conclusion. Never touches a share itself. */
#define _GNU_SOURCE
#include "daemon/fuse.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/log.h"
#include "daemon/role.h"
#include "daemon/turn.h"

#define LOOK_MS 2000 /* a share that says nothing for so long hangs */

struct sight {
	const struct config *config;
	const char *path;
};

bool fuse_has_choice(const struct config *config)
{
	return geteuid() == 0 && config->uid != 0;
}

/* As root, a FUSE file system that was mounted without allow_other is seen by root alone, whatever
 * capabilities others have. Runs in a child; asks the server in any case. */
static uint8_t is_private_to_root(const void *context)
{
	const struct sight *sight = context;
	struct statfs found;
	turn_take(turn_open(sight->config->gateway.state, sight->path));
	if (statfs(sight->path, &found) < 0 || found.f_type != FUSE_SUPER_MAGIC ||
	    !fuse_has_choice(sight->config) ||
	    role_take_identity(sight->config->uid, sight->config->gid) != 0)
		return false;
	return open(sight->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) < 0 && errno == EACCES;
}

static const char *share_path(const struct config *config, size_t share)
{
	return config->rules.shares[share].path;
}

static void send_scouts(const struct config *config, struct scout *scouts)
{
	for (size_t i = 0; i < config->rules.shares_count; i++) {
		const struct sight sight = { config, share_path(config, i) };
		scout_send(&scouts[i], is_private_to_root, &sight);
	}
}

/* A share that gives no answer is taken for one like any other. */
static bool hear_scout(struct scout *scout, const char *path, int64_t deadline_ms)
{
	bool was_lost = scout->lost;
	int word = scout_hear(scout, deadline_ms);
	if (word == -ETIMEDOUT && !was_lost)
		log_say(LOG_WARNING, "share", "%s gives no answer: does its server hang?", path);
	return word > 0;
}

void fuse_choose_identity(const struct config *config, struct scout scouts[RULES_SHARES_MAX],
			  struct fuse_identity *identity_out)
{
	static bool told;
	*identity_out = (struct fuse_identity){ config->uid, config->gid };
	send_scouts(config, scouts);
	int64_t deadline_ms = monotonic_ms() + LOOK_MS;
	for (size_t i = 0; i < config->rules.shares_count; i++) {
		if (!hear_scout(&scouts[i], share_path(config, i), deadline_ms))
			continue;
		*identity_out = (struct fuse_identity){ 0, 0 };
		if (!told)
			log_say(LOG_WARNING, "share",
				"%s is a FUSE mount for root alone: couriers keep uid 0; mount it with "
				"allow_other to avoid that",
				share_path(config, i));
		told = true;
	}
}

void fuse_forget(struct scout scouts[RULES_SHARES_MAX])
{
	for (size_t i = 0; i < RULES_SHARES_MAX; i++)
		scout_forget(&scouts[i]);
}
