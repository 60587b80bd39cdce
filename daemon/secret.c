/* secret.c: carries secrets from who gets them to who needs them. Never keeps one. */
#define _GNU_SOURCE
#include "daemon/secret.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include "daemon/fdio.h"

int secret_ask(int socket_fd, bool refused, int64_t deadline_ms, int wake_fd,
	       struct secret_answer *answer_out)
{
	const struct secret_question question = { .refused = refused };
	ssize_t got = pass_and_receive(socket_fd, &question, sizeof question, answer_out,
				       sizeof *answer_out, wake_fd, deadline_ms);
	if (got == -ETIMEDOUT || got == -EINTR)
		return (int)got;
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
