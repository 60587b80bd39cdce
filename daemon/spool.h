/* spool.h: the only file that spells paths below `state`. Ground of daemon.
 *
 *   state/                      0711, the boss's
 *     gateway.sock              where `drop` and `smtp-session` knock
 *     gateway.lock              the gateway that has locked it (flock) has made gateway.sock, and
 *                               no other may
 *     spool/                    0700, everything below belongs to `user`
 *       receiving/              nameless scratch of the sources
 *       lives/<life>            one file a courier, locked while it lives; holds the key of the job
 *                               in hand
 *       publishing/             plans: <key>.<job>.<life>
 *       done/<2 hex>/           marks: <key>.<job>
 *       tries/                  <key>: how often a message spoiled its courier
 *       kept/<source>           what became of messages that stay at their source (daemon/kept.h)
 *       sources/<source>        the state of a source, and of the roles, for `status`
 *                               (daemon/status.h)
 *       folders/                locks of destination folders and shares, also of who looks at
 *                               one (daemon/turn.h), and what we remember of them
 *       clock                   seconds that couriers have run, for the age of doubts
 *     shares/                   the identity of every share we know
 *     quarantine/               what must not vanish: daemon/aside.h
 *     tokens/<source>           OAuth2: its tokens (daemon/token/store.h)
 *     tls/                      cert.pem and key.pem: the pair of listeners that have no other
 *
 * Names are fixed here; everybody else gets descriptors. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Makes what is missing of the tree (0 or -errno, with the path at fault in `path_out`, of 4096
 * octets). As root the parts below spool/, shares/ and quarantine/ are given to uid and gid. */
int spool_make(const char *state, uint32_t uid, uint32_t gid, char *path_out);

/* Opens a folder of the tree (O_PATH is not used: it can be synced and listed). 0 or -errno. */
enum spool_folder {
	SPOOL_ROOT,
	SPOOL_RECEIVING,
	SPOOL_LIVES,
	SPOOL_PUBLISHING,
	SPOOL_DONE,
	SPOOL_TRIES,
	SPOOL_FOLDERS,
	SPOOL_KEPT,
	SPOOL_SOURCES,
	SPOOL_SHARES,
	SPOOL_QUARANTINE,
	SPOOL_TOKENS,
	SPOOL_TLS
};
int spool_open(const char *state, enum spool_folder folder, int *fd_out);

/* The path of the local socket, for bind and connect (108 octets at most, -ENAMETOOLONG). */
int spool_socket_path(const char *state, char *path, size_t size);

/* Opens (makes) gateway.lock, to be locked. 0 or -errno. */
int spool_open_lock(const char *state, int *fd_out);

/* Names of the trees, for Landlock: "STATE/spool" and so on, into 4096 octets. */
void spool_path(const char *state, enum spool_folder folder, char *path);
