/* secret.h: how a puller comes by the password or access token of its account. Ground of daemon.
 *
 * The puller never holds a secret for longer than a login. It asks over a seqpacket socket; the
 * boss, who has the other end, starts the program letterchute-token on it, which answers and ends.
 * One question at a time. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECRET_TEXT_MAX (16 * 1024)

struct secret_question {
	uint32_t refused; /* 1: the server did not take the last one */
	uint32_t zero;
};

enum secret_kind {
	SECRET_PASSWORD = 1,
	SECRET_TOKEN, /* an OAuth2 access token */
	SECRET_LATER, /* none could be had; `text` says why */
	SECRET_NEVER  /* a person has to do something; `text` says what */
};

struct secret_answer {
	uint32_t kind; /* enum secret_kind */
	uint32_t zero;
	char text[SECRET_TEXT_MAX]; /* NUL-terminated */
};

/* Asks and waits. 0; -ETIMEDOUT; -EINTR: `wake_fd` can be read; -EPIPE: nobody answered. The answer
 * is to be wiped after use (explicit_bzero). */
int secret_ask(int socket_fd, bool refused, int64_t deadline_ms, int wake_fd,
	       struct secret_answer *answer_out);

/* The other end. 0 or -EPIPE. */
int secret_take(int socket_fd, struct secret_question *question_out);
int secret_give(int socket_fd, const struct secret_answer *answer);
