/* notice.c: remembers which signals came. Never does anything about them. */
#include "daemon/smtp/notice.h"
#include <stddef.h>

static volatile sig_atomic_t stop_came, drain_came;
static sigset_t while_waiting;

static void note(int signal_number)
{
	if (signal_number == SIGTERM)
		stop_came = 1;
	else
		drain_came = 1;
}

void notice_prepare(void)
{
	sigset_t ours;
	sigemptyset(&ours);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGHUP);
	sigprocmask(SIG_BLOCK, &ours, &while_waiting);
	sigdelset(&while_waiting, SIGTERM);
	sigdelset(&while_waiting, SIGHUP);
	struct sigaction action = { .sa_handler = note };
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigaction(SIGPIPE, &ignore, NULL);
	ignore.sa_flags = SA_NOCLDWAIT;
	sigaction(SIGCHLD, &ignore, NULL);
}

const sigset_t *notice_mask(void)
{
	return &while_waiting;
}

bool notice_stop(void)
{
	return stop_came;
}

bool notice_drain(void)
{
	return drain_came;
}
