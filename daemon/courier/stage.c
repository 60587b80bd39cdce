/* stage.c: makes, finishes and removes staged files. Never makes one visible. */
#define _GNU_SOURCE
#include "daemon/courier/stage.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/courier/owner.h"
#include "daemon/courier/weaken.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"

static const struct rules_share *share_of(const struct job *job, const struct place *place)
{
	return &job_rules(job)->shares[place->share];
}

/* The job's share for a place, if another route has opened it. */
static bool find_share(struct job *job, struct job_route *route)
{
	for (size_t i = 0; i < job->shares_count; i++) {
		if (job->shares[i].share.rules == share_of(job, &route->place)) {
			route->share = i;
			return true;
		}
	}
	return false;
}

static enum reason check_room(struct job *job, const struct share *share)
{
	uint64_t free_bytes;
	switch (share_room(share->root_fd, share->rules->free_floor, &free_bytes)) {
	case SHARE_ROOM: break;
	case SHARE_NO_FILES:
		return job_fail(job, REASON_FULL,
				"%.200s " SHARE_NO_FILES_WORDS "; " SHARE_NO_FILES_REMEDY,
				share->rules->path);
	case SHARE_FEW_OCTETS:
		return job_fail(job, REASON_FULL, "%s has %llu MB left, free_floor is %llu MB",
				share->rules->path, (unsigned long long)free_bytes >> 20,
				(unsigned long long)share->rules->free_floor >> 20);
	}
	return REASON_NONE;
}

static enum reason take_seat(struct job *job, const struct rules_share *rules, struct seat *seat)
{
	const struct courier *courier = job->courier;
	char name[SHARE_ID_SIZE];
	*seat = (struct seat){ .fd = -1 };
	if (courier->seats == 0)
		return REASON_NONE;
	share_name(rules, name);
	int error =
		seat_take(courier->spool.folders_fd, name, courier->seats, job_has_time, job, seat);
	if (error == -EBUSY)
		return job_fail(job, REASON_SHARE,
				"%s hangs: %u deliveries to it wait for an answer", rules->path,
				courier->seats);
	if (error == -ETIMEDOUT)
		return job_fail(job, REASON_DEADLINE, "%s has had more work than it can do",
				rules->path);
	return error ? job_fail(job, job_spool_reason(error), "the spool: %s", strerror(-error))
		     : REASON_NONE;
}

static enum reason open_share(struct job *job, struct job_route *route)
{
	struct courier *courier = job->courier;
	struct job_share *share = &job->shares[job->shares_count];
	char why[SHARE_WHY_MAX];
	enum reason reason = take_seat(job, share_of(job, &route->place), &share->seat);
	if (reason)
		return reason;
	int error = share_open(share_of(job, &route->place), courier->spool.shares_fd, true,
			       &share->share, why);
	if (error) {
		seat_leave(&share->seat);
		/* after a change of mounts our jail may hold the old one */
		courier->share_denied = error == -EACCES || error == -EPERM || error == -EREMCHG;
		return job_fail(job, job_share_reason(error), "%s; %s", why, share_remedy(error));
	}
	share->staging_fd = -1;
	route->share = job->shares_count++;
	error = life_open_staging(&share->share, courier->life.name, true, &share->staging_fd);
	if (error)
		return job_fail_folder(job, &share->share, SHARE_BASE, error);
	share->share.staging_fd = share->staging_fd;
	error = share_check_own(&share->share, share->staging_fd, "our staging folder", why);
	if (error)
		return job_fail(job, job_share_reason(error), "%s; %s",
				error == -EKEYREJECTED ? why : strerror(-error),
				share_remedy(error));
	return check_room(job, &share->share);
}

enum reason stage_open_shares(struct job *job)
{
	enum reason reason = REASON_NONE;
	/* always in the same order, so that no two jobs wait for each other's seats */
	for (size_t share = 0; share < job_rules(job)->shares_count; share++) {
		for (size_t i = 0; !reason && i < job->routes_count; i++) {
			struct job_route *route = &job->routes[i];
			if (route->place.share == share && !find_share(job, route))
				reason = open_share(job, route);
		}
	}
	return reason;
}

void stage_name(const struct job *job, const struct job_copy *copy, char name[STAGE_NAME_SIZE])
{
	snprintf(name, STAGE_NAME_SIZE, "%s.%u", job->id, copy->number);
}

static int staging_of(const struct job *job, size_t route)
{
	return job->shares[job->routes[route].share].staging_fd;
}

static enum reason disk_failed(struct job *job, size_t route, int error)
{
	return job_fail(job, job_share_reason(error), "%s: %s",
			job->shares[job->routes[route].share].share.rules->path, strerror(-error));
}

enum reason stage_open(struct job *job, size_t route, struct job_copy *copy)
{
	char name[STAGE_NAME_SIZE];
	copy->number = ++job->staged;
	stage_name(job, copy, name);
	copy->fd = openat(staging_of(job, route), name,
			  O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (copy->fd >= 0) {
		job->open_files++;
		return REASON_NONE;
	}
	int error = -errno;
	copy->number = 0;
	return disk_failed(job, route, error);
}

enum reason stage_write(struct job *job, struct job_copy *copy, const void *bytes, size_t size)
{
	int error = write_all(copy->fd, bytes, size);
	job_touch_seats(job);
	if (!error)
		return REASON_NONE;
	return job_fail(job, job_share_reason(error), "writing a part: %s; %s", strerror(-error),
			share_remedy(error));
}

/* An error is never tried again on this file. */
static int sync_file(int fd)
{
	return !is_weak(WEAKEN_NO_FSYNC) && fsync(fd) < 0 ? -errno : 0;
}

enum reason stage_close(struct job *job, size_t route, struct job_copy *copy)
{
	if (job->open_files <= STAGE_OPEN_MAX)
		return REASON_NONE;
	int error = sync_file(copy->fd);
	close_fd(&copy->fd);
	job->open_files--;
	return error ? disk_failed(job, route, error) : REASON_NONE;
}

/* It was closed for a while: is it still the file that we wrote? Its owner is ours, or the one that
 * the mount shows for everything, our staging folder included. */
static bool is_ours(const struct job *job, size_t route, int fd)
{
	struct stat file, folder;
	return fstat(fd, &file) == 0 && fstat(staging_of(job, route), &folder) == 0 &&
	       S_ISREG(file.st_mode) && file.st_nlink == 1 &&
	       (file.st_uid == geteuid() || file.st_uid == folder.st_uid);
}

int stage_reopen(const struct job *job, size_t route, const struct job_copy *copy, int *fd_out)
{
	char name[STAGE_NAME_SIZE];
	stage_name(job, copy, name);
	auto_close int fd = openat(staging_of(job, route), name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!is_ours(job, route, fd))
		return -ESTALE;
	*fd_out = take_fd(&fd);
	return 0;
}

/* What was asked for by name must be there; a mode that FAT can't keep is the mount's business. */
static enum reason check_lost(struct job *job, const struct job_route *route, unsigned lost)
{
	static const struct {
		unsigned bit;
		const char *word;
	} words[] = { { OWNER_LOST_OWNER, "owner" },
		      { OWNER_LOST_GROUP, "group" },
		      { OWNER_LOST_ACL, "acl" } };
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (lost & words[i].bit)
			return job_fail(job, REASON_SHARE,
					"%s can't keep the `%s` that is configured",
					share_of(job, &route->place)->path, words[i].word);
	}
	return REASON_NONE;
}

enum reason stage_finish(struct job *job, size_t route, struct job_copy *copy)
{
	const struct job_route *way = &job->routes[route];
	const struct owner owner = { way->place.owner, way->place.group, way->place.mode,
				     way->place.acl };
	unsigned lost = 0;
	int error =
		copy->fd < 0 ? stage_reopen(job, route, copy, &copy->fd) : (job->open_files--, 0);
	if (!error && is_weak(WEAKEN_CHOWN_LAST))
		error = sync_file(copy->fd);
	if (!error)
		error = owner_apply(copy->fd, way->folder_fd, &owner, &lost);
	/* last, so that the owner is inside the promise */
	if (!error && !is_weak(WEAKEN_CHOWN_LAST))
		error = sync_file(copy->fd);
	close_fd(&copy->fd);
	job_touch_seats(job);
	return error ? disk_failed(job, route, error) : check_lost(job, way, lost);
}

void stage_remove(struct job *job, size_t route, struct job_copy *copy)
{
	char name[STAGE_NAME_SIZE];
	if (copy->fd >= 0) {
		close_fd(&copy->fd);
		job->open_files--;
	}
	if (copy->number == 0)
		return;
	stage_name(job, copy, name);
	unlinkat(staging_of(job, route), name, 0);
	copy->number = 0;
}

void stage_done(struct job *job, bool remove)
{
	for (size_t p = 0; p < job->parts_count; p++) {
		for (size_t r = 0; r < job->routes_count; r++) {
			if (remove)
				stage_remove(job, r, &job->parts[p]->copies[r]);
			else
				close_fd(&job->parts[p]->copies[r].fd);
		}
	}
	for (size_t i = 0; i < job->shares_count; i++) {
		share_close(&job->shares[i].share);
		close_fd(&job->shares[i].staging_fd);
		seat_leave(&job->shares[i].seat);
	}
	job->shares_count = 0;
}

enum reason stage_sync(struct job *job)
{
	for (size_t i = 0; i < job->shares_count; i++) {
		int error = sync_folder(job->shares[i].staging_fd);
		job_touch_seats(job);
		if (error)
			return job_fail(job, job_share_reason(error), "%s: %s",
					job->shares[i].share.rules->path, strerror(-error));
	}
	return REASON_NONE;
}
