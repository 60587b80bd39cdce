/* fdio.h: descriptors: whole reads and writes, durable folders, and descriptors sent between
 * programs. Ground of daemon.
 *
 * All return 0 (or a count where said) or -errno. All retry EINTR, but those that wait, which
 * return -EINTR so that the caller can look at its signals. */
#pragma once
#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FDIO_PASS_MAX 4 /* descriptors in one message */

/* Fills the buffer up to the end of file. Returns octets read, or -errno. */
ssize_t read_all(int fd, void *buffer, size_t size);

int write_all(int fd, const void *buffer, size_t size);

/* A regular file from its beginning, wherever its offset is; NUL-terminated, *text_out is the
 * caller's to free. -EFBIG above `max`, and for what is no regular file. */
int read_whole(int fd, size_t max, char **text_out, size_t *size_out);

/* A whole small file below a folder, NUL-terminated; *text_out is the caller's to free. -EFBIG
 * above `max`. */
int read_file_at(int folder_fd, const char *name, size_t max, char **text_out, size_t *size_out);

/* Writes a new file and makes it and its name durable: `name` appears whole or not at all.
 * Replaces. */
int write_file_at(int folder_fd, const char *name, const void *text, size_t size, mode_t mode);

/* Opens (makes) a file of ours below a folder, to read and write. As root it is given to whom the
 * folder belongs to: his gateway, today or tomorrow, works with it too. */
int make_owned(int folder_fd, const char *name, int *fd_out);

/* The names in a folder below a folder ("." for itself), to be closed by the caller; NULL: see
 * errno. A symbolic link is not followed. */
DIR *open_names(int folder_fd, const char *name);

/* The next of them; NULL at the end, or with *error_io set to -errno where they can't be read on:
 * then nobody knows which are missing. */
struct dirent *next_name(DIR *names, int *error_io);

/* fsync on a folder; file systems that know no such thing (EINVAL) count as synced. */
int sync_folder(int folder_fd);

/* One seqpacket message with `count` descriptors, which stay the caller's. Never raises SIGPIPE.
 * Waits while the other end does not read. */
int pass_fds(int socket_fd, const void *message, size_t size, const int *fds, size_t count);

/* The same without ever waiting: -EAGAIN when the other end does not read. */
int pass_fds_now(int socket_fd, const void *message, size_t size, const int *fds, size_t count);

/* Takes one seqpacket message. *count_io: room in `fds`, then how many came; they are the caller's
 * and close-on-exec. Returns octets, 0 at end of file, or -errno (-EAGAIN with MSG_DONTWAIT in
 * `flags`); -EMSGSIZE: it was cut. */
ssize_t receive_fds(int socket_fd, void *message, size_t size, int *fds, size_t *count_io,
		    int flags);

/* Waits until `fd` is readable or hung up. `deadline_ms`: monotonic clock, or -1. 0, -ETIMEDOUT or
 * -EINTR. */
int wait_readable(int fd, int64_t deadline_ms);

/* Waits until `fd` is ready (`events` of poll(2)) or hung up, looking at least once. `wake_fd`:
 * where our signals, or whoever else wants us, can be read; -1: none. 0, -ETIMEDOUT, -EINTR for the
 * latter, or another -errno. */
int wait_or_wake(int fd, short events, int wake_fd, int64_t deadline_ms);

/* One question and its answer on a seqpacket socket, without descriptors; what lies there from
 * earlier ones is thrown away. Returns octets of the answer; 0 at end of file; -ETIMEDOUT and
 * -EINTR as above, or another -errno. */
ssize_t pass_and_receive(int socket_fd, const void *question, size_t size, void *answer,
			 size_t room, int wake_fd, int64_t deadline_ms);

/* Now, on the monotonic clock (milliseconds). */
int64_t monotonic_ms(void);

/* Now, on the wall clock (milliseconds since 1970). */
int64_t wall_ms(void);

/* Sleeps, or less if a signal comes. */
void nap_ms(int ms);

/* Opens the same file anew, read-only, so that the new descriptor can't write. Needs /proc. */
int reopen_read_only(int fd, int *fd_out);

/* A nameless file in memory. */
int memory_file(const char *label, int *fd_out);

/* A connected pair of seqpacket sockets, close-on-exec; -1 both when there is none. */
int socket_pair(int *ours_out, int *theirs_out);

/* Raises the soft limit of open files to the hard one. */
void raise_file_limit(void);
