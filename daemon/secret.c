/* secret.c: carries secrets from who gets them to who needs them. Never keeps one. */
#define _GNU_SOURCE
#include "daemon/secret.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include "daemon/fdio.h"

int secret_ask(int socket_fd, bool refused, int64_t deadline_ms, int wake_fd,
	       struct secret_answer *answer_out)
{
	const struct secret_question question = { .refused = refused };
	size_t none = 0;
	/* a late answer to an earlier question is nobody's any more */
	while (recv(socket_fd, answer_out, sizeof *answer_out, MSG_DONTWAIT) > 0)
		;
	if (pass_fds_now(socket_fd, &question, sizeof question, NULL, 0) != 0)
		return -EPIPE;
	int error = wait_or_wake(socket_fd, POLLIN, wake_fd, deadline_ms);
	if (error)
		return error == -ETIMEDOUT || error == -EINTR ? error : -EPIPE;
	ssize_t got = receive_fds(socket_fd, answer_out, sizeof *answer_out, NULL, &none, 0);
	if (got != sizeof *answer_out || answer_out->kind < SECRET_PASSWORD ||
	    answer_out->kind > SECRET_NEVER ||
	    !memchr(answer_out->text, '\0', sizeof answer_out->text))
		return -EPIPE;
	return 0;
}

int secret_take(int socket_fd, struct secret_question *question_out)
{
	size_t none = 0;
	ssize_t got = receive_fds(socket_fd, question_out, sizeof *question_out, NULL, &none,
				  MSG_DONTWAIT);
	return got == sizeof *question_out ? 0 : -EPIPE;
}

int secret_give(int socket_fd, const struct secret_answer *answer)
{
	return pass_fds_now(socket_fd, answer, sizeof *answer, NULL, 0) == 0 ? 0 : -EPIPE;
}
