/* notice.h: signals as notices that are read where the program waits. Room daemon/smtp.
 *
 * SIGTERM and SIGHUP are blocked except inside ppoll and epoll_pwait with notice_mask(), so none is
 * ever missed between a look and a wait. SIGINT stays blocked, as it was when the role was started:
 * the boss says SIGTERM. Children of fork inherit the set-up. */
#pragma once
#include <signal.h>
#include <stdbool.h>

/* Once per program; also ignores SIGPIPE, and SIGCHLD so that children leave no corpses. */
void notice_prepare(void);

/* What to wait with. */
const sigset_t *notice_mask(void);

bool notice_stop(void);  /* SIGTERM came */
bool notice_drain(void); /* SIGHUP came */
