/* redirect.h: the request with which a browser comes back from the provider (RFC 6749 section
 * 4.1.2) -> plain data. Room daemon/token: pure. Octets from outside. */
#pragma once

#define REDIRECT_HEAD_MAX  (8 * 1024) /* octets of a request */
#define REDIRECT_CODE_MAX  4096
#define REDIRECT_ERROR_MAX 64

enum redirect_kind {
	REDIRECT_OTHER, /* somebody else's, or the browser's own: /favicon.ico */
	REDIRECT_CODE,
	REDIRECT_DENIED
};

struct redirect {
	enum redirect_kind kind;
	char code[REDIRECT_CODE_MAX];
	char error[REDIRECT_ERROR_MAX]; /* printable ASCII */
};

/* `head`: NUL-terminated, at least the first line. `state`: what was sent along; only who has it
 * comes from there. */
void redirect_read(const char *head, const char *state, struct redirect *redirect_out);
