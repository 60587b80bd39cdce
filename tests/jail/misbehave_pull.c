/* misbehave_pull.c: a puller that obeys its server, wherever in its words there is
 * puller.ATTEMPT@misbehave.example; and one that lies to whom it asks, once for each
 * puller.lie.WORD@misbehave.example: see the table. The linker puts these functions in the place of
 * those that they wrap; the program's own source knows nothing of it. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/ask.h"
#include "daemon/fdio.h"
#include "daemon/imap/cage.h"
#include "daemon/role.h"
#include "daemon/stream.h"
#include "tests/jail/attempts.h"

#define LIE       "puller.lie."
#define HUGE_LIST (17 << 20)

enum { FD_ASK = ROLE_FD_FIRST, FD_RECEIVING };

bool __real_cage_enter(enum jail_mode mode, const struct config_account *account, int receiving_fd,
		       int kept_fd);
bool __wrap_cage_enter(enum jail_mode mode, const struct config_account *account, int receiving_fd,
		       int kept_fd);
ssize_t __real_stream_read(struct stream *stream, void *buffer, size_t size);
ssize_t __wrap_stream_read(struct stream *stream, void *buffer, size_t size);
ssize_t __real_ask_write(const struct ask_head *head, const char *sender,
			 const char *const *recipients, void *buffer);
ssize_t __wrap_ask_write(const struct ask_head *head, const char *sender,
			 const char *const *recipients, void *buffer);
int __real_reopen_read_only(int fd, int *fd_out);
int __wrap_reopen_read_only(int fd, int *fd_out);
int __real_pass_fds(int socket_fd, const void *message, size_t size, const int *fds, size_t count);
int __wrap_pass_fds(int socket_fd, const void *message, size_t size, const int *fds, size_t count);

/* The lie that is to be told next, and the path that came with it. */
static char lie[24], path[512];

static bool is_told(const char *word)
{
	if (strcmp(lie, word) != 0)
		return false;
	lie[0] = '\0';
	return true;
}

bool __wrap_cage_enter(enum jail_mode mode, const struct config_account *account, int receiving_fd,
		       int kept_fd)
{
	attempts_prepare();
	return __real_cage_enter(mode, account, receiving_fd, kept_fd);
}

/* puller.lie.WORD@misbehave.example PATH */
static void listen_to(const char *words)
{
	const char *at = strstr(words, LIE);
	if (at)
		sscanf(at + strlen(LIE), "%23[a-z]@misbehave.example %511[^ \r\n]", lie, path);
	else
		attempts_obey("puller", words);
}

ssize_t __wrap_stream_read(struct stream *stream, void *buffer, size_t size)
{
	char words[4096];
	ssize_t got = __real_stream_read(stream, buffer, size);
	size_t length = got < 0 ? 0 : (size_t)got < sizeof words ? (size_t)got : sizeof words - 1;
	memcpy(words, buffer, length);
	words[length] = '\0';
	listen_to(words);
	return got;
}

/* --- words ------------------------------------------------------------------------------------ */

static void say_source(struct ask_head *head)
{
	strcpy(head->origin.source, "lan");
	strcpy(head->login, "boss");
	head->origin.kind = ASK_SOURCE_SMTP;
	head->origin.peer_known = 1;
	head->origin.peer_allowed = 1;
	head->origin.peer[15] = 7;
}

static void say_envelope(struct ask_head *head)
{
	head->has_envelope = 1;
}

static void say_explain(struct ask_head *head)
{
	head->kind = ASK_EXPLAIN;
}

static void say_farewell(struct ask_head *head)
{
	head->kind = ASK_FAREWELL;
}

static void say_retry(struct ask_head *head)
{
	head->kind = ASK_RETRY;
	memset(head->key, '0', 64);
}

static void say_place(struct ask_head *head)
{
	head->place[1] |= 1ULL << 32;
}

static void say_bytes(struct ask_head *head)
{
	head->bytes += 1 << 20;
}

static const struct {
	const char *word;
	void (*say)(struct ask_head *head);
} sayings[] = {
	{ "source", say_source },     { "envelope", say_envelope }, { "explain", say_explain },
	{ "farewell", say_farewell }, { "retry", say_retry },       { "place", say_place },
	{ "bytes", say_bytes },
};

ssize_t __wrap_ask_write(const struct ask_head *head, const char *sender,
			 const char *const *recipients, void *buffer)
{
	struct ask_head told = *head;
	for (size_t i = 0; head->kind == ASK_DELIVER && i < sizeof sayings / sizeof sayings[0];
	     i++) {
		if (is_told(sayings[i].word))
			sayings[i].say(&told);
	}
	return __real_ask_write(&told, sender, recipients, buffer);
}

/* --- descriptors ------------------------------------------------------------------------------ */

int __wrap_reopen_read_only(int fd, int *fd_out)
{
	char same[40];
	if (!is_told("writable"))
		return __real_reopen_read_only(fd, fd_out);
	snprintf(same, sizeof same, "/proc/self/fd/%d", fd);
	*fd_out = open(same, O_RDWR | O_CLOEXEC);
	return *fd_out < 0;
}

/* Something else than a message, or than a mark of ours; -1: no lie. */
static int other_descriptor(const struct ask_head *head)
{
	if (head->kind == ASK_SETTLE)
		return is_told("mark") ? open(path, O_PATH | O_CLOEXEC) : -1;
	if (is_told("path"))
		return open(path, O_PATH | O_CLOEXEC);
	if (is_told("directory"))
		return FD_RECEIVING;
	if (is_told("socket"))
		return FD_ASK;
	if (is_told("fifo"))
		return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return -1;
}

/* Forget what is known of another's messages, or of ours by a list that is none. */
static void forget(const char *source, size_t octets)
{
	static char question[ASK_MAX];
	struct ask_head head = { .kind = ASK_COMPACT, .place = { 1000, 1 } };
	int pair[2], fds[2];
	strcpy(head.origin.source, source);
	head.origin.kind = ASK_SOURCE_IMAP;
	if (memory_file("uids", &fds[0]) != 0 || socket_pair(&pair[0], &pair[1]) != 0 ||
	    (octets > 0 && pwrite(fds[0], "", 1, (off_t)octets - 1) != 1))
		abort();
	fds[1] = pair[1];
	ssize_t size = __real_ask_write(&head, "", NULL, question);
	__real_pass_fds(FD_ASK, question, (size_t)size, fds, 2);
}

int __wrap_pass_fds(int socket_fd, const void *message, size_t size, const int *fds, size_t count)
{
	const struct ask_head *head = message;
	if (is_told("forget"))
		forget("other", 0);
	else if (is_told("odd"))
		forget("office", 7);
	else if (is_told("huge"))
		forget("office", HUGE_LIST);
	int other = count == 2 ? other_descriptor(head) : -1;
	const int told[] = { other, count == 2 ? fds[1] : -1 };
	return __real_pass_fds(socket_fd, message, size, other >= 0 ? told : fds, count);
}
