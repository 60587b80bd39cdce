/* harmless.c: looks at descriptors without asking their file systems. Never reads or closes one. */
#define _GNU_SOURCE
#include "daemon/smtp/harmless.h"
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "daemon/spool.h"

/* What the kernel knows by itself. The mount is told apart too where it can be: where layers are
 * stacked the files of one mount may have different devices. */
static bool find_place(int fd, const char *path, unsigned type, struct harmless_place *place_out)
{
	struct statx found;
	if (statx(fd, path, AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_MNT_ID, &found) <
		    0 ||
	    (found.stx_mode & S_IFMT) != type)
		return false;
	place_out->device = (uint64_t)found.stx_dev_major << 32 | found.stx_dev_minor;
	place_out->mount = found.stx_mask & STATX_MNT_ID ? found.stx_mnt_id : UINT64_MAX;
	return true;
}

static void add_place(struct harmless *harmless, const char *path)
{
	if (find_place(AT_FDCWD, path, S_IFDIR, &harmless->places[harmless->count]))
		harmless->count++;
}

void harmless_init(struct harmless *harmless, const char *state)
{
	char path[PATH_MAX];
	harmless->count = 0;
	spool_path(state, SPOOL_ROOT, path);
	add_place(harmless, path);
	add_place(harmless, "/var/tmp");
	add_place(harmless, "/tmp");
}

static bool is_local_socket(int fd)
{
	int family;
	socklen_t size = sizeof family;
	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) == 0 && family == AF_UNIX;
}

/* Only files in memory have seals. */
static bool is_in_memory(int fd)
{
	return fcntl(fd, F_GET_SEALS) >= 0;
}

static bool lies_well(const struct harmless *harmless, int fd)
{
	struct harmless_place file;
	if (!find_place(fd, "", S_IFREG, &file))
		return false;
	for (size_t i = 0; i < harmless->count; i++) {
		const struct harmless_place *place = &harmless->places[i];
		if (file.device == place->device ||
		    (file.mount == place->mount && file.mount != UINT64_MAX))
			return true;
	}
	return false;
}

bool harmless_descriptor(const struct harmless *harmless, int fd)
{
	return is_local_socket(fd) || is_in_memory(fd) || lies_well(harmless, fd);
}
