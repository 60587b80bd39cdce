/* reply.h: what a token server or a device flow answers -> plain data. Room daemon/token: pure.
 * Octets from outside. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "daemon/secret.h"

#define REPLY_TOKEN_MAX SECRET_TEXT_MAX
#define REPLY_ERROR_MAX 64
#define REPLY_WORDS_MAX 160
#define REPLY_CODE_MAX  2048
#define REPLY_URL_MAX   512

enum reply_kind {
	REPLY_TOKEN,
	REPLY_ERROR,  /* an error of RFC 6749 section 5.2 or RFC 8628 section 3.5 */
	REPLY_TROUBLE /* anything else: it may be better later */
};

/* All texts NUL-terminated and of printable ASCII. */
struct reply {
	enum reply_kind kind;
	char access[REPLY_TOKEN_MAX];
	char refresh[REPLY_TOKEN_MAX]; /* "": none came */
	int64_t lasts_s;               /* the access token, from now on */
	char error[REPLY_ERROR_MAX];   /* with REPLY_ERROR */
	char words[REPLY_WORDS_MAX]; /* of the server, about the error; may repeat what was sent */
};

/* `status`: of HTTP. `body` ends with a NUL, which `size` does not count. */
void reply_read(int status, const char *body, size_t size, struct reply *reply_out);

/* RFC 8628 section 3.2 */
struct reply_device {
	enum reply_kind kind; /* REPLY_TOKEN: here are the codes */
	char device_code[REPLY_CODE_MAX];
	char user_code[REPLY_ERROR_MAX];
	char url[REPLY_URL_MAX];
	int64_t lasts_s, interval_s;
	char error[REPLY_ERROR_MAX];
	char words[REPLY_WORDS_MAX];
};

void reply_read_device(int status, const char *body, size_t size, struct reply_device *reply_out);
