/* main.c: letterchute-watch: run NAME | once NAME. Never does more than read its configuration,
 * become who it is to be, and choose. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "daemon/config.h"
#include "daemon/log.h"
#include "daemon/maildir/box.h"
#include "daemon/maildir/cage.h"
#include "daemon/maildir/owner.h"
#include "daemon/maildir/watch.h"
#include "daemon/role.h"

enum { FD_ASK = ROLE_FD_FIRST, FD_STATUS };

static int serve(const struct config *config, const struct config_maildir *maildir,
		 struct watch_fds *fds, bool once)
{
	static struct box box;
	int found_fd = -1;
	box_init(&box, maildir);
	int error = owner_become(config, maildir, &found_fd);
	if (error == -EPERM) {
		log_say(LOG_ERROR, "start", "source %s: the identity of its owner can't be taken",
			maildir->name);
		return 70;
	}
	if (!error)
		error = box_open(&box, found_fd);
	if (error)
		box_done(&box);
	else
		watch_open_events(&box, fds);
	uint32_t reader = geteuid();
	if (!cage_enter(config, &box))
		return 70;
	int status = error ? watch_wait(maildir, fds, once, reader, error)
			   : watch_run(config, &box, fds, once);
	box_done(&box);
	return status;
}

int main(int argc, char **argv)
{
	static struct config config; /* freed by the end of the process */
	log_open(false);
	if (argc < 3) {
		log_say(LOG_ERROR, "usage", "letterchute-watch run NAME | once NAME");
		return 64;
	}
	int status = role_begin("letterchute-watch", &config);
	if (status)
		return status;
	/* a file may be opened by somebody while we ask whether he writes it */
	signal(SIGIO, SIG_IGN);
	const struct config_maildir *maildir = config_find_maildir(&config, argv[2]);
	static const int signals[] = { SIGTERM, SIGHUP };
	struct watch_fds fds = { .ask = FD_ASK,
				 .status = FD_STATUS,
				 .wake = role_open_signals(signals,
							   sizeof signals / sizeof signals[0]),
				 .events = -1 };
	if (!maildir || fds.wake < 0)
		return 70;
	return serve(&config, maildir, &fds, strcmp(argv[1], "once") == 0);
}
