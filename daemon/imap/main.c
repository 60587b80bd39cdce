/* main.c: letterchute-pull: run NAME | once NAME | check NAME. Never does more than read its
 * configuration and choose. */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "daemon/config.h"
#include "daemon/imap/cage.h"
#include "daemon/imap/look.h"
#include "daemon/imap/pull.h"
#include "daemon/log.h"
#include "daemon/role.h"

enum { FD_ASK = ROLE_FD_FIRST, FD_RECEIVING, FD_KEPT, FD_STATUS, FD_SECRET, FD_TOKENS, FD_REPORT };

int main(int argc, char **argv)
{
	static struct config config;
	log_open(false);
	if (argc < 3) {
		log_say(LOG_ERROR, "usage", "letterchute-pull run NAME | once NAME | check NAME");
		return 64;
	}
	int status = role_begin("letterchute-pull", &config);
	if (status)
		return status;
	const struct config_account *account = config_take_account(&config, argv[2]);
	enum jail_mode mode = (enum jail_mode)config.gateway.sandbox;
	const struct pull_settings settings = {
		.message_bytes = config.rules.limits.message_bytes,
		.answer_within_s = config.gateway.answer_within_s,
		.revision = config_revision(&config),
		.once = strcmp(argv[1], "once") == 0,
	};
	static const int signals[] = { SIGTERM, SIGHUP };
	const struct pull_fds fds = { .ask = FD_ASK,
				      .receiving = FD_RECEIVING,
				      .kept = FD_KEPT,
				      .status = FD_STATUS,
				      .secret = FD_SECRET,
				      .tokens = FD_TOKENS,
				      .wake = role_open_signals(
					      signals, sizeof signals / sizeof signals[0]) };
	/* there may be hundreds of us, and as many accounts in it */
	config_done(&config);
	close(ROLE_FD_CONFIG);
	if (!account || fds.wake < 0)
		return 70;
	tzset();
	if (!cage_enter(mode, account, FD_RECEIVING, FD_KEPT))
		return 70;
	if (strcmp(argv[1], "check") == 0) {
		look_at_account(account, &fds, FD_REPORT);
		return 0;
	}
	return pull_run(account, &settings, &fds);
}
