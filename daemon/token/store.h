/* store.h: what is known of the tokens of a source: state/tokens/<source>. Room daemon/token.
 *
 * One line of JSON, replaced as a whole and durable before anybody acts on what it says. Who
 * changes it holds the lock of the source, from the look at it to the write. */
#pragma once
#include <stdint.h>
#include "daemon/digest.h"
#include "daemon/token/reply.h"

struct store_record {
	char refresh[REPLY_TOKEN_MAX]; /* "": none */
	char access[REPLY_TOKEN_MAX];  /* "": none */
	int64_t had_ms, until_ms; /* of the access token; wall clock (milliseconds since 1970) */
	char account[DIGEST_HEX]; /* of whom these are: provider, client and user */
	char seed[DIGEST_HEX];    /* the token_file that was heeded last; "": none was */
};

/* Waits for the lock until `deadline_ms` (monotonic clock). The descriptor holds it. 0, or -errno:
 * -EWOULDBLOCK: somebody else has it. */
int store_lock(int folder_fd, const char *source, int64_t deadline_ms, int *fd_out);

/* 0; -ENOENT: there is none; -EBADMSG: it is not whole; or -errno. */
int store_read(int folder_fd, const char *source, struct store_record *record_out);

/* Makes it durable, and what was there before gone. 0 or -errno; then it is still there. */
int store_write(int folder_fd, const char *source, const struct store_record *record);

/* Takes the room that store_write will need, so that a full disk is found out while the old tokens
 * are still good; and gives it back. 0 or -errno. */
int store_reserve(int folder_fd, const char *source);
void store_release(int folder_fd, const char *source);
