/* scout.h: looks at what may hang. Ground of daemon.
 *
 * Whoever touches a folder whose server hangs (FUSE, NFS) may stay there for ever, and not even
 * SIGKILL gets him out. So a child goes there, with nothing in its hands, and who sent it waits for
 * a limited time only. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* All zero: nobody is on the way. */
struct scout {
	pid_t pid;
	int word_fd; /* its word comes here; meaningful with `pid` */
	bool lost;   /* it was given up; it has been killed, but may be stuck */
};

/* Sends a child that calls `look` and says what that returns. While one that was lost is still
 * stuck, no other is sent after it. 0 or -errno. */
int scout_send(struct scout *scout, uint8_t (*look)(const void *context), const void *context);

/* Waits for the word until `deadline_ms` (monotonic clock); for one that was lost, not at all. What
 * it said, or -ETIMEDOUT when it is lost, or -EIO if it died. Its corpse is left to waitpid(-1), to
 * SIGCHLD being ignored or to our own end. */
int scout_hear(struct scout *scout, int64_t deadline_ms);

/* Waits no longer for what it might say. */
void scout_forget(struct scout *scout);
