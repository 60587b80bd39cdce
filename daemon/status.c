/* status.c: writes and reads where a source stands. Never decides anything. */
#define _GNU_SOURCE
#include "daemon/status.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"

int status_open(int folder_fd, const char *source, int *fd_out)
{
	return make_owned(folder_fd, source, fd_out);
}

void status_write(int fd, struct status *status, enum status_state state)
{
	if (status->version != STATUS_VERSION || status->state != state)
		status->since_ms = wall_ms();
	status->version = STATUS_VERSION;
	status->state = state;
	/* a report that can't be written is missed by nobody but who looks */
	if (fd >= 0 && pwrite(fd, status, sizeof *status, 0) < 0)
		return;
}

bool status_read_at(int fd, struct status *status_out)
{
	struct status status;
	if (fd < 0 || pread(fd, &status, sizeof status, 0) != sizeof status ||
	    status.version != STATUS_VERSION || status.state > STATUS_WAITING)
		return false;
	status.error[sizeof status.error - 1] = '\0';
	*status_out = status;
	return true;
}

void status_load(int fd, struct status *status_out)
{
	*status_out = (struct status){ 0 };
	status_read_at(fd, status_out);
	status_out->error[0] = '\0';
}

int status_open_to_read(int folder_fd, const char *source)
{
	return openat(folder_fd, source, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}
