/* misbehave_extract.c: an extractor that obeys the mail that it reads: From:
 * <child.ATTEMPT@misbehave.example> or <template.ATTEMPT@...>; child.nonsense speaks no frames. The
 * linker puts these functions in
 * the place of those that they wrap; the program's own source knows nothing of it. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "extract/jail.h"
#include "tests/jail/attempts.h"

#define ALLOWED 200 /* exit status of a child that could */

int __real_jail_prepare(void);
int __wrap_jail_prepare(void);
int __real_jail_enter_child(uint32_t cpu_s, int message_fd, int pipe_fd);
int __wrap_jail_enter_child(uint32_t cpu_s, int message_fd, int pipe_fd);
ssize_t __real_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags);

static void read_words(int message_fd, char words[4096])
{
	ssize_t size = pread(message_fd, words, 4095, 0);
	words[size < 0 ? 0 : size] = '\0';
}

int __wrap_jail_prepare(void)
{
	attempts_prepare();
	return __real_jail_prepare();
}

/* A child has nothing to speak to but the frames: the exit status tells. */
int __wrap_jail_enter_child(uint32_t cpu_s, int message_fd, int pipe_fd)
{
	char words[4096];
	int error = __real_jail_enter_child(cpu_s, message_fd, pipe_fd);
	read_words(message_fd, words);
	if (strstr(words, "child.nonsense@"))
		_exit(write(pipe_fd, words, sizeof words) < 0);
	int outcome = error ? 0 : attempts_quietly("child", words);
	if (outcome != 0)
		_exit(outcome > 0 ? ALLOWED : -outcome);
	return error;
}

/* The template has just been given a message. */
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags)
{
	ssize_t got = __real_recvmsg(fd, message, flags);
	const struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(message) : NULL;
	if (header && header->cmsg_type == SCM_RIGHTS) {
		int message_fd;
		char words[4096];
		memcpy(&message_fd, CMSG_DATA(header), sizeof message_fd);
		read_words(message_fd, words);
		attempts_obey("template", words);
	}
	return got;
}
