/* probe.c: tries on a share what a delivery will need. Never leaves anything visible behind. */
#define _GNU_SOURCE
#include "daemon/courier/probe.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/courier/mount.h"
#include "daemon/courier/owner.h"
#include "daemon/courier/publish.h"
#include "daemon/courier/share.h"
#include "daemon/denied.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"

/* One probing: where it is, and whom it tells. */
struct probe {
	const struct config *config;
	const struct rules_share *rules;
	struct share share;
	struct life from, to; /* what we leave when we die belongs to them, and goes with them */
	int staging_fd, to_fd;
	char what[RULES_NAME_MAX + 32];
	const char *path; /* borrowed */
	probe_told told;
	void *context;
};

static void tell(const struct probe *probe, bool ok, const char *remedy, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static void tell(const struct probe *probe, bool ok, const char *remedy, const char *format, ...)
{
	char text[400];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	probe->told(probe->context, probe->what, ok, text, remedy);
}

static void tell_denied(const struct probe *probe, const char *path, int error)
{
	char text[DENIED_MAX];
	denied_text(path, error, text);
	tell(probe, false, denied_remedy(error), "%s", text);
}

static bool probe_open(struct probe *probe, const struct spool *spool)
{
	char why[SHARE_WHY_MAX];
	int error = share_open(probe->rules, spool->shares_fd, true, &probe->share, why);
	if (error)
		tell(probe, false, share_remedy(error), "%s", why);
	else
		tell(probe, true, "", "%s is reachable and the one we know", probe->rules->path);
	return !error;
}

static void tell_weakness(void *context, const char *how, const char *weakens, const char *remedy)
{
	const struct probe *probe = context;
	tell(probe, true, remedy, "%.120s is on %s: %s", probe->path, how, weakens);
}

static bool probe_staging(struct probe *probe)
{
	struct stat root, staging;
	int error = life_open_staging(&probe->share, probe->from.name, true, &probe->staging_fd);
	if (!error)
		error = life_open_staging(&probe->share, probe->to.name, true, &probe->to_fd);
	if (!error &&
	    (fstat(probe->share.root_fd, &root) < 0 || fstat(probe->staging_fd, &staging) < 0))
		error = -errno;
	if (error) {
		tell(probe, false, share_remedy(error), "our staging folder below %s: %s",
		     probe->rules->path, strerror(-error));
		return false;
	}
	if (root.st_dev == staging.st_dev)
		return true;
	tell(probe, false, "remove what is mounted at .letterchute",
	     "%s and the .letterchute in it are two file systems: files can't be renamed from one to the other",
	     probe->rules->path);
	return false;
}

static void probe_rename(struct probe *probe)
{
	static const char *const rungs[] = {
		"", "files appear by a rename that never replaces",
		"files appear by link and unlink: the file system knows no rename without replacing",
		"files appear by a look and a rename: no other program may make files of the same names there"
	};
	int rung;
	int error = publish_probe(probe->staging_fd, probe->to_fd, &rung);
	if (error)
		tell(probe, false, share_remedy(error), "a file can't be renamed below %s: %s",
		     probe->rules->path, strerror(-error));
	else
		tell(probe, true, "", "%s", rungs[rung]);
}

/* What one owner, mode and ACL would come to. */
static void probe_owner(struct probe *probe, const char *whose, const struct owner *owner)
{
	static const struct {
		unsigned bit;
		const char *word;
		bool matters;
	} words[] = {
		{ OWNER_LOST_OWNER, "owner", true },
		{ OWNER_LOST_GROUP, "group", true },
		{ OWNER_LOST_ACL, "acl", true },
		{ OWNER_LOST_MODE, "mode", false },
	};
	unsigned lost = 0;
	auto_close int fd =
		openat(probe->staging_fd, "owner", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int error = fd < 0 ? -errno : owner_apply(fd, probe->share.root_fd, owner, &lost);
	unlinkat(probe->staging_fd, "owner", 0);
	if (error) {
		tell(probe, false, "choose another owner, group, mode or acl",
		     "%s: a file can't be given away: %s", whose, strerror(-error));
		return;
	}
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (lost & words[i].bit)
			tell(probe, !words[i].matters,
			     words[i].matters ? "leave it out and set it for the whole mount"
					      : "set it for the whole mount",
			     "%s: the file system does not keep `%s`", whose, words[i].word);
	}
	if (!lost)
		tell(probe, true, "", "%s: owner, group, mode and acl hold", whose);
}

/* What of it is the same for every message. */
static void probe_folder(struct probe *probe, const char *whose, const struct rules_route *route)
{
	char folder[PLACE_FOLDER_MAX + 1], why[SHARE_WHY_MAX];
	template_fixed(&route->folder, folder, sizeof folder);
	int error = share_reach(&probe->share, folder, why);
	if (error)
		tell(probe, false, share_remedy(error), "%s: %s", whose, why);
}

static void probe_routes(struct probe *probe)
{
	const struct rules *rules = &probe->config->rules;
	for (size_t i = 0; i < rules->routes_count; i++) {
		const struct rules_route *route = &rules->routes[i];
		char whose[RULES_NAME_MAX + 16];
		if (&rules->shares[route->share] != probe->rules)
			continue;
		const struct owner owner = { route->owner, route->group, route->mode, route->acl };
		snprintf(whose, sizeof whose, "route %s", route->name);
		probe_owner(probe, whose, &owner);
		probe_folder(probe, whose, route);
	}
}

static void probe_space(struct probe *probe)
{
	uint64_t free_bytes, floor = probe->rules->free_floor;
	enum share_room room = share_room(probe->share.root_fd, floor, &free_bytes);
	if (room == SHARE_NO_FILES)
		tell(probe, false, SHARE_NO_FILES_REMEDY, "%.200s " SHARE_NO_FILES_WORDS,
		     probe->rules->path);
	else if (free_bytes != UINT64_MAX)
		tell(probe, room == SHARE_ROOM && free_bytes > 0,
		     room != SHARE_ROOM ? "make room on the disk, or lower free_floor"
		     : free_bytes == 0  ? "make room on the disk"
					: "",
		     "%llu MB are free, free_floor is %llu MB",
		     (unsigned long long)free_bytes >> 20, (unsigned long long)floor >> 20);
}

static bool begin_lives(struct probe *probe, const struct spool *spool)
{
	int error = life_begin(spool, LIFE_RUN_NONE, &probe->from);
	if (!error)
		error = life_begin(spool, LIFE_RUN_NONE, &probe->to);
	if (error)
		tell_denied(probe, probe->config->gateway.state, error);
	return !error;
}

/* For good: no power cut may bring the folder back without its life, which alone is adopted. */
static bool remove_folder(const struct probe *probe, const char *name)
{
	int base_fd = probe->share.base_fd;
	if (base_fd < 0 || !*name)
		return true;
	if (unlinkat(base_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return false;
	return sync_folder(base_fd) == 0;
}

/* Where its folder can't be removed, a life is left to whoever adopts it. */
static void end_life(const struct probe *probe, const struct spool *spool, struct life *life)
{
	bool clean = remove_folder(probe, life->name);
	if (*life->name && clean)
		unlinkat(spool->lives_fd, life->name, 0);
	life_abandon(life);
}

void probe_state(const struct spool *spool, const struct config *config, int mounts_fd,
		 probe_told told, void *context)
{
	struct probe probe = {
		.what = "state", .path = config->gateway.state, .told = told, .context = context
	};
	mount_look(mounts_fd, spool->root_fd, MOUNT_STATE, tell_weakness, &probe);
}

void probe_share(const struct spool *spool, const struct config *config, size_t share,
		 int mounts_fd, probe_told told, void *context)
{
	struct probe probe = { .config = config,
			       .rules = &config->rules.shares[share],
			       .path = config->rules.shares[share].path,
			       .share = SHARE_INIT,
			       .from = { .lock_fd = -1 },
			       .to = { .lock_fd = -1 },
			       .staging_fd = -1,
			       .to_fd = -1,
			       .told = told,
			       .context = context };
	snprintf(probe.what, sizeof probe.what, "share%s%s", *probe.rules->name ? " " : "",
		 probe.rules->name);
	if (!probe_open(&probe, spool))
		return;
	mount_look(mounts_fd, probe.share.root_fd, MOUNT_SHARE, tell_weakness, &probe);
	if (begin_lives(&probe, spool) && probe_staging(&probe)) {
		probe_rename(&probe);
		probe_routes(&probe);
		probe_space(&probe);
	}
	end_life(&probe, spool, &probe.from);
	end_life(&probe, spool, &probe.to);
	share_close(&probe.share);
	close_fd(&probe.staging_fd);
	close_fd(&probe.to_fd);
}
