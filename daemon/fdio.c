/* fdio.c: thin, retrying wrappers around the calls that move bytes and descriptors. Never logs. */
#define _GNU_SOURCE
#include "daemon/fdio.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "daemon/keep.h"

ssize_t read_all(int fd, void *buffer, size_t size)
{
	size_t done = 0;
	while (done < size) {
		ssize_t got = read(fd, (char *)buffer + done, size - done);
		if (got == 0)
			break;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

int write_all(int fd, const void *buffer, size_t size)
{
	size_t done = 0;
	while (done < size) {
		ssize_t put = write(fd, (const char *)buffer + done, size - done);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		done += (size_t)put;
	}
	return 0;
}

int read_whole(int fd, size_t max, char **text_out, size_t *size_out)
{
	struct stat found;
	if (fstat(fd, &found) < 0)
		return -errno;
	if (!S_ISREG(found.st_mode) || (uint64_t)found.st_size > max)
		return -EFBIG;
	auto_free char *text = calloc(1, (size_t)found.st_size + 1);
	ssize_t size = text ? pread(fd, text, (size_t)found.st_size, 0) : -1;
	if (size < 0)
		return text ? -errno : -ENOMEM;
	*text_out = take_pointer(&text);
	*size_out = (size_t)size;
	return 0;
}

int read_file_at(int folder_fd, const char *name, size_t max, char **text_out, size_t *size_out)
{
	auto_close int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	auto_free char *text = malloc(max + 2);
	if (!text)
		return -ENOMEM;
	ssize_t got = read_all(fd, text, max + 1);
	if (got < 0)
		return (int)got;
	if ((size_t)got > max)
		return -EFBIG;
	text[got] = '\0';
	*text_out = take_pointer(&text);
	*size_out = (size_t)got;
	return 0;
}

int make_owned(int folder_fd, const char *name, int *fd_out)
{
	struct stat folder;
	int fd = openat(folder_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	/* who may not is not root, or root of a container that took the right away */
	if (fstat(folder_fd, &folder) == 0 && fchown(fd, folder.st_uid, folder.st_gid) < 0)
		errno = 0;
	*fd_out = fd;
	return 0;
}

static int write_new_file(int folder_fd, const char *name, const void *text, size_t size,
			  mode_t mode)
{
	auto_close int fd =
		openat(folder_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	int error = write_all(fd, text, size);
	if (error)
		return error;
	return fsync(fd) < 0 ? -errno : 0;
}

int write_file_at(int folder_fd, const char *name, const void *text, size_t size, mode_t mode)
{
	char fresh[300];
	if ((size_t)snprintf(fresh, sizeof fresh, ".%s.new", name) >= sizeof fresh)
		return -ENAMETOOLONG;
	if (unlinkat(folder_fd, fresh, 0) < 0 && errno != ENOENT)
		return -errno;
	int error = write_new_file(folder_fd, fresh, text, size, mode);
	if (!error && renameat(folder_fd, fresh, folder_fd, name) < 0)
		error = -errno;
	if (error) {
		unlinkat(folder_fd, fresh, 0);
		return error;
	}
	return sync_folder(folder_fd);
}

DIR *open_names(int folder_fd, const char *name)
{
	auto_close int fd =
		openat(folder_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *names = fd < 0 ? NULL : fdopendir(fd);
	if (names)
		take_fd(&fd);
	return names;
}

struct dirent *next_name(DIR *names, int *error_io)
{
	errno = 0;
	struct dirent *entry = readdir(names);
	if (!entry && errno)
		*error_io = -errno;
	return entry;
}

int sync_folder(int folder_fd)
{
	if (fsync(folder_fd) == 0 || errno == EINVAL)
		return 0;
	return -errno;
}

static int send_message(int socket_fd, const void *message, size_t size, const int *fds,
			size_t count, int flags)
{
	assert(count <= FDIO_PASS_MAX);
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int) * FDIO_PASS_MAX)];
	} control;
	/* sendmsg only reads, but its type does not say so */
	struct iovec part = { .iov_base = (void *)(uintptr_t)message, .iov_len = size };
	struct msghdr head = { .msg_iov = &part, .msg_iovlen = 1 };
	if (count > 0) {
		memset(&control, 0, sizeof control);
		head.msg_control = &control;
		head.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(&control.head), fds, sizeof(int) * count);
	}
	for (;;) {
		if (sendmsg(socket_fd, &head, MSG_NOSIGNAL | flags) >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

int pass_fds(int socket_fd, const void *message, size_t size, const int *fds, size_t count)
{
	return send_message(socket_fd, message, size, fds, count, 0);
}

int pass_fds_now(int socket_fd, const void *message, size_t size, const int *fds, size_t count)
{
	return send_message(socket_fd, message, size, fds, count, MSG_DONTWAIT);
}

/* Keeps the descriptors there is room for and closes the others. */
static void keep_fds(struct msghdr *head, int *fds, size_t *count_io)
{
	size_t room = *count_io, kept = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(head); c; c = CMSG_NXTHDR(head, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t came = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < came; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
			if (kept < room)
				fds[kept++] = fd;
			else
				close(fd);
		}
	}
	*count_io = kept;
}

ssize_t receive_fds(int socket_fd, void *message, size_t size, int *fds, size_t *count_io,
		    int flags)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int) * FDIO_PASS_MAX)];
	} control;
	struct iovec part = { .iov_base = message, .iov_len = size };
	struct msghdr head = { .msg_iov = &part,
			       .msg_iovlen = 1,
			       .msg_control = &control,
			       .msg_controllen = sizeof control };
	ssize_t got = recvmsg(socket_fd, &head, flags | MSG_CMSG_CLOEXEC);
	if (got < 0)
		return -errno;
	keep_fds(&head, fds, count_io);
	if (head.msg_flags & MSG_TRUNC) {
		while (*count_io > 0)
			close(fds[--*count_io]);
		return -EMSGSIZE;
	}
	return got;
}

int wait_readable(int fd, int64_t deadline_ms)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	int64_t left = -1;
	if (deadline_ms >= 0) {
		left = deadline_ms - monotonic_ms();
		left = left < 0 ? 0 : left > 1 << 30 ? 1 << 30 : left;
	}
	int ready = poll(&wait, 1, (int)left);
	if (ready < 0)
		return -errno;
	return ready == 0 ? -ETIMEDOUT : 0;
}

int wait_or_wake(int fd, short events, int wake_fd, int64_t deadline_ms)
{
	struct pollfd waits[] = { { .fd = wake_fd, .events = POLLIN },
				  { .fd = fd, .events = events } };
	for (;;) {
		int64_t left = deadline_ms - monotonic_ms();
		int ready = poll(waits, 2, left <= 0 ? 0 : (int)(left < 1 << 30 ? left : 1 << 30));
		if (ready > 0)
			return waits[0].revents ? -EINTR : 0;
		if (ready == 0 && left <= 0)
			return -ETIMEDOUT;
		if (ready < 0 && errno != EINTR)
			return -errno;
	}
}

ssize_t pass_and_receive(int socket_fd, const void *question, size_t size, void *answer,
			 size_t room, int wake_fd, int64_t deadline_ms)
{
	size_t none = 0;
	/* a late answer to an earlier question is nobody's any more */
	while (recv(socket_fd, answer, room, MSG_DONTWAIT) > 0)
		;
	int error = pass_fds_now(socket_fd, question, size, NULL, 0);
	if (!error)
		error = wait_or_wake(socket_fd, POLLIN, wake_fd, deadline_ms);
	return error ? error : receive_fds(socket_fd, answer, room, NULL, &none, 0);
}

int64_t monotonic_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t wall_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void nap_ms(int ms)
{
	const struct timespec time = { ms / 1000, ms % 1000 * 1000000L };
	nanosleep(&time, NULL);
}

int reopen_read_only(int fd, int *fd_out)
{
	char path[40];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int fresh = open(path, O_RDONLY | O_CLOEXEC);
	if (fresh < 0)
		return -errno;
	*fd_out = fresh;
	return 0;
}

int memory_file(const char *label, int *fd_out)
{
	int fd = memfd_create(label, MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	*fd_out = fd;
	return 0;
}

int socket_pair(int *ours_out, int *theirs_out)
{
	int pair[2] = { -1, -1 };
	int error = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ? -errno : 0;
	*ours_out = pair[0];
	*theirs_out = pair[1];
	return error;
}

void raise_file_limit(void)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}
