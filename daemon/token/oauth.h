/* oauth.h: access tokens of an account, had from its provider and renewed in time. Room
 * daemon/token.
 *
 * RFC 6749: refresh tokens (section 6) and client credentials (section 4.4). What a provider gives
 * is durable in the store (store.h) before it is used: whoever is killed at any point leaves either
 * the old tokens, of which the new ones have not been shown to anybody, or the new ones. */
#pragma once
#include <stdbool.h>
#include "daemon/config.h"
#include "daemon/http_out.h"
#include "daemon/secret.h"
#include "daemon/token/form.h"
#include "daemon/token/provider.h"
#include "daemon/token/reply.h"
#include "daemon/token/store.h"

#define OAUTH_WHY_MAX 400

struct oauth {
	const struct config_account *account;
	struct provider provider;
	int tokens_fd;
	char secret[4096];            /* of the client; "": it has none */
	char seed[REPLY_TOKEN_MAX];   /* of token_file; "": none */
	char seed_digest[DIGEST_HEX]; /* of that; "": none */
	char account_digest[DIGEST_HEX];
};

/* All descriptors are borrowed. `secret_fd` and `seed_fd`: files whose first line is the client's
 * secret and a refresh token to begin with; they may be empty. */
void oauth_init(struct oauth *oauth, const struct config_account *account, int secret_fd,
		int seed_fd, int tokens_fd);
void oauth_wipe(struct oauth *oauth);

/* The first line of a file, by pread; "" where there is none, or it does not fit. */
void oauth_read_line(int fd, char *line_out, size_t size);

/* Answers for an access token: SECRET_TOKEN, or why there is none. `refused`: the one before was
 * not taken. Blocks for the lock (20 s) and the provider (daemon/http_out.h). */
void oauth_answer(struct oauth *oauth, bool refused, struct secret_answer *answer_out);

/* --- for a sign-in ---------------------------------------------------------------------------- */

/* A form with what every request of ours to a provider has. `grant_type`: "": none. */
void oauth_begin(const struct oauth *oauth, const char *grant_type, struct form *form);

/* Posts it, and wipes it in any case. As http_post_form. */
bool oauth_post(const struct oauth *oauth, const char *url, struct form *form,
		struct http_reply *reply_out, char why_out[HTTP_WHY_MAX]);

/* The same to token_url. REPLY_TROUBLE: `why_out` is a sentence about it. */
enum reply_kind oauth_exchange(const struct oauth *oauth, struct form *form,
			       struct reply *reply_out, char why_out[OAUTH_WHY_MAX]);

/* A sentence about an error that the provider told, and whether a person has to act on it. */
bool oauth_explain(const struct oauth *oauth, const struct reply *reply,
		   char why_out[OAUTH_WHY_MAX]);

/* Stores what a sign-in brought. 0 or -errno. */
int oauth_keep(const struct oauth *oauth, const struct reply *reply);
