/* single.c: one session on standard input and output, for inetd and its like. Never serves a second
 * one. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/log.h"
#include "daemon/smtp/cell.h"
#include "daemon/smtp/host.h"
#include "daemon/smtp/listen.h"
#include "daemon/smtp/notice.h"
#include "daemon/smtp/session.h"
#include "daemon/smtp/vault.h"
#include "daemon/spill.h"

/* Not known: a pipe, a terminal, a local socket. Who can give us those is local. */
static struct facts_peer find_peer(void)
{
	struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
	socklen_t size = sizeof address;
	if (getpeername(0, (struct sockaddr *)&address, &size) < 0)
		address.ss_family = AF_UNSPEC;
	return host_peer(&address);
}

/* The gateway's own folder if we were given it, else a public one; -1: memory has to do. */
static int find_scratch(void)
{
	struct stat found;
	if (fstat(FD_RECEIVING, &found) == 0 && S_ISDIR(found.st_mode))
		return FD_RECEIVING;
	return spill_open_temporary();
}

static struct session_settings settings_of(const struct config *config,
					   const struct config_listener *section)
{
	struct session_settings settings = {
		.peer = find_peer(),
		.keeper_fd = -1,
		.in_fd = 0,
		.out_fd = 1,
		.lent = true,
		.ask_fd = FD_QUEUE,
		.tell_fd = -1,
		.receiving_fd = find_scratch(),
	};
	session_configure(&settings, config, section);
	settings.peer_allowed = !settings.peer.known || network_is_loopback(&settings.peer) ||
				(section && network_match(&section->peers, &settings.peer));
	return settings;
}

int single_run(const struct config *config, const char *name)
{
	char host[HOST_MAX + 1];
	int on = 1;
	const struct config_listener *section = config_find_listener(config, name);
	struct session_settings settings = settings_of(config, section);
	host_name(host);
	settings.host = host;
	/* without a section nobody said who may connect but those who started us: routes still see
	 * that the peer is none of ours */
	if (section && !settings.peer_allowed) {
		session_refuse(1, SESSION_REFUSE_PEER);
		return 0;
	}
	notice_prepare();
	if (section && config_needs_keeper(section))
		settings.keeper_fd = vault_visit(FD_KEEPER, &settings.peer);
	/* the link by which the keeper is told of sessions is nothing for them */
	close(FD_KEEPER);
	if (section && section->tls != CONFIG_TLS_OFF &&
	    tls_server_prepare((enum tls_compat)section->tls_compat) != 0)
		return 70;
	setsockopt(1, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (cell_enter(CELL_SESSION, (enum jail_mode)config->gateway.sandbox,
		       settings.receiving_fd) != 0)
		return 70;
	session_run(&settings);
	return 0;
}
