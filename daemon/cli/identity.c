/* identity.c: becomes the user that the container is told to be. Never decides what he may do. */
#define _GNU_SOURCE
#include "daemon/cli/identity.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/cli/environment.h"
#include "daemon/cli/fault.h"
#include "daemon/cli/variables.h"
#include "daemon/cli/verbs.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/log.h"
#include "daemon/role.h"
#include "policy/value.h"

#define PRESET_ID    1000
#define PRESET_UMASK 022
#define DEPTH_MAX    8 /* folders inside each other that `state` never has */

struct ids {
	uint32_t uid, gid;
};

static int complain(const char *variable, const char *value, const char *expected)
{
	return fault_say(EXIT_CONFIGURATION, "%s: `%.80s` can't be used, %s is expected", variable,
			 value, expected);
}

/* --- variables -------------------------------------------------------------------------------- */

static int read_id(const char *variable, uint32_t least, uint32_t *id_out)
{
	const char *value = variable_get(variable);
	uint64_t number = PRESET_ID;
	if (value && !value_number(value, least, UINT32_MAX - 1, &number))
		return complain(variable, value,
				least ? "a number from 1, which is not root," : "a number");
	*id_out = (uint32_t)number;
	return EXIT_OK;
}

static bool read_umask(const char *value, unsigned *mask_out)
{
	size_t length = strlen(value);
	if (length == 0 || length > 4 || value[strspn(value, "01234567")] != '\0')
		return false;
	*mask_out = (unsigned)strtoul(value, NULL, 8);
	return *mask_out <= 0777;
}

unsigned identity_umask(void)
{
	const char *value = variable_get("UMASK");
	unsigned mask = PRESET_UMASK;
	if (value)
		read_umask(value, &mask);
	return mask;
}

/* Whoever can't read his own files is no help. */
static int check_umask(void)
{
	const char *value = variable_get("UMASK");
	unsigned mask;
	if (value && (!read_umask(value, &mask) || (mask & 0700)))
		return complain(
			"UMASK", value,
			"an octal number such as 022 or 002 that leaves the owner his rights");
	return EXIT_OK;
}

/* "CET-1CEST,M3.5.0,M10.5.0/3" needs no file (tzset(3)). */
static bool is_spelled_out(const char *value)
{
	bool quoted = *value == '<'; /* "<+03>-3" */
	const char *name = value + quoted, *end = name;
	while (isalpha((unsigned char)*end) ||
	       (quoted && *end && (isdigit((unsigned char)*end) || strchr("+-", *end))))
		end++;
	if (end - name < 3 || (quoted && *end++ != '>'))
		return false;
	return *end != '\0' && strchr("+-0123456789", *end);
}

/* Other files lie beside the zones (RFC 8536 section 3.1). */
static bool is_zone(const char *path)
{
	char magic[4];
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd >= 0 && read(fd, magic, sizeof magic) == sizeof magic &&
	       memcmp(magic, "TZif", sizeof magic) == 0;
}

/* libc takes a zone that it does not find for UTC, without a word. */
static int check_zone(void)
{
	const char *value = variable_get("TZ");
	char path[512];
	if (!value)
		return EXIT_OK;
	const char *name = *value == ':' ? value + 1 : value;
	snprintf(path, sizeof path, "%s%.400s", *name == '/' ? "" : "/usr/share/zoneinfo/", name);
	return (!strstr(name, "..") && is_zone(path)) || is_spelled_out(name)
		       ? EXIT_OK
		       : complain("TZ", value, "a time zone such as Europe/Berlin");
}

/* --- state ------------------------------------------------------------------------------------ */

static int give_folder(int fd, dev_t device, const struct ids *ids, int depth);

/* What has a second name may be somebody else's, who put it there. */
static int give_entry(int folder_fd, const char *name, dev_t device, const struct ids *ids,
		      int depth)
{
	struct stat found;
	if (fstatat(folder_fd, name, &found, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (found.st_dev != device)
		return 0;
	if (S_ISDIR(found.st_mode)) {
		auto_close int fd =
			openat(folder_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		return fd < 0 ? -errno : depth > 0 ? give_folder(fd, device, ids, depth - 1) : 0;
	}
	/* looked at and given by one descriptor: the name may mean something else by now */
	auto_close int fd = openat(folder_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &found) < 0)
		return errno == ENOENT ? 0 : -errno;
	if ((!S_ISREG(found.st_mode) && !S_ISSOCK(found.st_mode)) || found.st_nlink > 1 ||
	    found.st_dev != device)
		return 0;
	return fchownat(fd, "", ids->uid, ids->gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

/* Itself last: whose folder it is says whether all of it has been given. */
static int give_folder(int fd, dev_t device, const struct ids *ids, int depth)
{
	DIR *names = open_names(fd, ".");
	int error = names ? 0 : -errno;
	for (struct dirent *entry; !error && (entry = next_name(names, &error));) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			error = give_entry(fd, entry->d_name, device, ids, depth);
	}
	if (names)
		closedir(names);
	return error ? error : fchown(fd, ids->uid, ids->gid) < 0 ? -errno : 0;
}

/* It is our state, or will be: nothing but an empty folder is given away that we have not filled.
 */
static bool is_state(int fd)
{
	struct stat found;
	int error = 0;
	bool ours = fstatat(fd, "spool", &found, AT_SYMLINK_NOFOLLOW) == 0, empty = true;
	DIR *names = ours ? NULL : open_names(fd, ".");
	for (struct dirent *entry; names && (entry = next_name(names, &error));)
		empty &= entry->d_name[0] == '.' || strcmp(entry->d_name, "lost+found") == 0;
	if (names)
		closedir(names);
	return ours || (empty && !error);
}

/* Where it can't be given, it may be that he may write to it all the same; else he says so. */
static void give_state(const struct ids *ids)
{
	char path[ENVIRONMENT_PATH_MAX];
	struct stat found;
	if (!environment_path("state", path))
		return;
	auto_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &found) < 0 ||
	    (found.st_uid == ids->uid && found.st_gid == ids->gid) || !is_state(fd))
		return;
	int error = give_folder(fd, found.st_dev, ids, DEPTH_MAX);
	if (error)
		log_say(LOG_WARNING, "container",
			"%s belongs to %u:%u and can't be given to %u:%u: %s; chown it, or let the "
			"container have CHOWN and DAC_OVERRIDE",
			path, found.st_uid, found.st_gid, ids->uid, ids->gid, strerror(-error));
	else
		log_say(LOG_INFO, "container", "%s belonged to %u:%u and is %u:%u's now", path,
			found.st_uid, found.st_gid, ids->uid, ids->gid);
}

/* --- the change ------------------------------------------------------------------------------- */

static int become(const struct ids *ids, bool gives)
{
	if (gives)
		give_state(ids);
	int error = role_take_identity(ids->uid, ids->gid);
	if (!error && geteuid() == ids->uid && getegid() == ids->gid)
		return EXIT_OK;
	return fault_say(EXIT_CONFIGURATION,
			 "PUID: root of this container can't become %u:%u%s%s: give it the "
			 "capabilities SETUID and SETGID, or start it as that user (--user)",
			 ids->uid, ids->gid, error ? ": " : "", error ? strerror(-error) : "");
}

static void warn_of(const char *variable, uint32_t wanted, uint32_t found)
{
	if (variable_get(variable) && wanted != found)
		log_say(LOG_WARNING, "container",
			"%s has no effect: the container was started as %u:%u (--user, user:), which "
			"counts",
			variable, geteuid(), getegid());
}

int identity_take(bool warns, bool gives)
{
	char path[ENVIRONMENT_PATH_MAX];
	struct ids ids;
	if (!environment_path("state", path))
		return EXIT_OK;
	variables_trim();
	int status = read_id("PUID", 1, &ids.uid);
	if (!status)
		status = read_id("PGID", 0, &ids.gid);
	if (!status)
		status = check_umask();
	if (!status)
		status = check_zone();
	if (status || geteuid() == 0)
		return status ? status : become(&ids, gives);
	if (warns) {
		warn_of("PUID", ids.uid, geteuid());
		warn_of("PGID", ids.gid, getegid());
	}
	return EXIT_OK;
}
