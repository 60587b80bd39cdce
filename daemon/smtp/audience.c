/* audience.c: keeps the connections of those who watch. Never waits for one of them. */
#define _GNU_SOURCE
#include "daemon/smtp/audience.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"

#define PAGE 4096

/* Two mappings of one page: ours is not passed on to children. */
static int map_page(struct audience *audience)
{
	auto_close int fd = -1;
	int error = memory_file("watched", &fd);
	if (error)
		return error;
	if (ftruncate(fd, PAGE) < 0)
		return -errno;
	void *ours = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	void *theirs = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	if (ours == MAP_FAILED || theirs == MAP_FAILED || madvise(ours, PAGE, MADV_DONTFORK) < 0)
		return -errno;
	audience->count = ours;
	audience->watched = theirs;
	return 0;
}

int audience_init(struct audience *audience, int request_fd)
{
	*audience = (struct audience){ .request_fd = request_fd };
	return request_fd >= 0 ? map_page(audience) : 0;
}

static void set_count(struct audience *audience, size_t count)
{
	audience->watchers_count = count;
	if (audience->count)
		*(volatile uint32_t *)audience->count = (uint32_t)count;
}

void audience_done(struct audience *audience)
{
	for (size_t i = 0; i < audience->watchers_count; i++)
		close_fd(&audience->watchers[i].fd);
	close_fd(&audience->request_fd);
	set_count(audience, 0);
}

static void drop(struct audience *audience, struct watcher *watcher)
{
	close_fd(&watcher->fd);
	*watcher = audience->watchers[audience->watchers_count - 1];
	set_count(audience, audience->watchers_count - 1);
}

static bool send_now(const struct watcher *watcher, struct dialogue *dialogue, const char *text)
{
	struct iovec parts[2] = { { dialogue, sizeof *dialogue },
				  { (void *)(uintptr_t)text, dialogue->size } };
	const struct msghdr head = { .msg_iov = parts, .msg_iovlen = 2 };
	return sendmsg(watcher->fd, &head, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

int audience_take(struct audience *audience)
{
	union {
		struct dialogue dialogue;
		char room[DIALOGUE_MAX];
	} request;
	auto_close int fd = -1;
	size_t count = 1;
	ssize_t size = receive_fds(audience->request_fd, &request, sizeof request, &fd, &count,
				   MSG_DONTWAIT);
	/* a reload: what is always ready would keep our signals from us */
	if (size == 0)
		close_fd(&audience->request_fd);
	if (size <= 0 || count != 1 || !dialogue_valid(&request, (size_t)size) ||
	    request.dialogue.kind != DIALOGUE_WATCH || audience->watchers_count == AUDIENCE_MAX)
		return -1;
	struct watcher watcher = { .fd = fd, .peer_known = request.dialogue.peer_known };
	memcpy(watcher.peer, request.dialogue.peer, sizeof watcher.peer);
	request.dialogue.kind = DIALOGUE_WELCOME;
	request.dialogue.size = 0;
	if (!send_now(&watcher, &request.dialogue, NULL))
		return -1;
	audience->watchers[audience->watchers_count] = watcher;
	set_count(audience, audience->watchers_count + 1);
	return take_fd(&fd);
}

bool audience_leave(struct audience *audience, int fd)
{
	for (size_t i = 0; i < audience->watchers_count; i++) {
		if (audience->watchers[i].fd != fd)
			continue;
		drop(audience, &audience->watchers[i]);
		return true;
	}
	return false;
}

static bool concerns(const struct watcher *watcher, const struct dialogue *dialogue)
{
	return !watcher->peer_known ||
	       (dialogue->peer_known &&
		memcmp(watcher->peer, dialogue->peer, sizeof watcher->peer) == 0);
}

/* False: he has to go. */
static bool tell_one(struct watcher *watcher, const struct dialogue *dialogue, const char *text)
{
	struct dialogue told = *dialogue;
	told.missed += watcher->missed;
	if (send_now(watcher, &told, text)) {
		watcher->missed = 0;
		watcher->stalled_ms = 0;
		return true;
	}
	if (errno != EAGAIN && errno != ENOBUFS)
		return false;
	int64_t now_ms = monotonic_ms();
	watcher->missed++;
	if (watcher->stalled_ms == 0)
		watcher->stalled_ms = now_ms;
	return now_ms - watcher->stalled_ms < AUDIENCE_STALL_MS;
}

void audience_tell(struct audience *audience, const struct dialogue *dialogue, const char *text)
{
	for (size_t i = audience->watchers_count; i-- > 0;) {
		struct watcher *watcher = &audience->watchers[i];
		if (concerns(watcher, dialogue) && !tell_one(watcher, dialogue, text))
			drop(audience, watcher);
	}
}
