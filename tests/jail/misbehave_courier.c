/* misbehave_courier.c: a courier that obeys the sender of the mail in hand,
 * <courier.ATTEMPT@misbehave.example>, and a keeper that obeys the file spool/misbehave, which
 * holds <keeper.ATTEMPT@...> and which it removes first. The linker puts these functions in the
 * place of those that they wrap; the program's own source knows nothing of it. */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#include "daemon/courier/gather.h"
#include "daemon/courier/jails.h"
#include "daemon/courier/life.h"
#include "tests/jail/attempts.h"

bool __real_jails_enter(const struct config *config);
bool __wrap_jails_enter(const struct config *config);
enum reason __real_gather(struct job *job);
enum reason __wrap_gather(struct job *job);
void __real_life_sweep(const struct spool *spool, const struct config *config);
void __wrap_life_sweep(const struct spool *spool, const struct config *config);

bool __wrap_jails_enter(const struct config *config)
{
	attempts_prepare();
	return __real_jails_enter(config);
}

/* Else nobody could hear how a child ended. */
static void obey(const char *role, const char *words)
{
	signal(SIGCHLD, SIG_DFL);
	attempts_obey(role, words);
	signal(SIGCHLD, SIG_IGN);
}

enum reason __wrap_gather(struct job *job)
{
	if (job->facts.sender)
		obey("courier", job->facts.sender);
	return __real_gather(job);
}

void __wrap_life_sweep(const struct spool *spool, const struct config *config)
{
	char words[256] = "";
	int fd = openat(spool->root_fd, "misbehave", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (read(fd, words, sizeof words - 1) < 0)
			words[0] = '\0';
		close(fd);
		unlinkat(spool->root_fd, "misbehave", 0);
	}
	obey("keeper", words);
	__real_life_sweep(spool, config);
}
