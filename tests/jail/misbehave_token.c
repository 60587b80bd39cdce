/* misbehave_token.c: who asks a provider for tokens, and obeys its answer:
 * {"error": "token.ATTEMPT@misbehave.example"}. The linker puts these functions in the place of
 * those that they wrap; the program's own source knows nothing of it. */
#define _GNU_SOURCE
#include <string.h>
#include "daemon/token/cage.h"
#include "daemon/token/reply.h"
#include "tests/jail/attempts.h"

bool __real_cage_enter(const struct config *config, const struct config_account *account,
		       enum cage cage, int tokens_fd);
bool __wrap_cage_enter(const struct config *config, const struct config_account *account,
		       enum cage cage, int tokens_fd);
void __real_reply_read(int status, const char *body, size_t size, struct reply *reply_out);
void __wrap_reply_read(int status, const char *body, size_t size, struct reply *reply_out);

bool __wrap_cage_enter(const struct config *config, const struct config_account *account,
		       enum cage cage, int tokens_fd)
{
	attempts_prepare();
	bool good = __real_cage_enter(config, account, cage, tokens_fd);
	/* who reads a file and asks nobody is told by the name of its user */
	if (good && cage == CAGE_FILE)
		attempts_obey("file", account->user);
	return good;
}

void __wrap_reply_read(int status, const char *body, size_t size, struct reply *reply_out)
{
	attempts_obey("token", body);
	__real_reply_read(status, body, size, reply_out);
}
