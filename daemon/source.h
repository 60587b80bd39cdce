/* source.h: where messages come from, as the boss holds them: listening sockets, the local door,
 * and those who pull; and the pair of sockets that their questions travel on. Ground of daemon.
 *
 * A reload makes a new set out of the old one: a listening socket that is still wanted is handed
 * over, so that no connection is refused meanwhile. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include "daemon/activation.h"
#include "daemon/config.h"

#define SOURCES_MAX 512
#define SOCKETS_MAX 16 /* of one listener */

/* The window listens as a source does, but brings no mail. */
enum source_kind { SOURCE_LISTENER, SOURCE_DOOR, SOURCE_IMAP, SOURCE_MAILDIR, SOURCE_WINDOW };

#define SOURCE_WINDOW_NAME "[http]" /* no source of the configuration is called so */
#define SOURCE_DOOR_NAME   "*"      /* nor so */

/* An address, compared octet for octet: what is not used of it is zero. */
struct address {
	struct sockaddr_storage octets;
	socklen_t size;
};

struct listening {
	int fd;
	struct address wanted; /* as configured: port 0 for any that is free */
	bool told;             /* the log says that it is ready for this source */
	bool taken;            /* by a new configuration */
};

/* The door is ours as long as we have the lock: nobody else makes a socket at its path. */
struct door_hold {
	int lock_fd; /* -1: it is another gateway's */
	dev_t device;
	ino_t inode; /* of the path that we made */
};

struct source {
	char *name; /* as configured; SOURCE_WINDOW_NAME, SOURCE_DOOR_NAME */
	enum source_kind kind;
	int asks[2];   /* the source's end, the couriers' end; of the window -1 */
	int keeps[2];  /* of a listener that needs a keeper: its end, the keeper's; else -1 */
	int watch[2];  /* of a listener: its end, the door's end, where those who want to watch are
			  handed over; -1 */
	int secret_fd; /* who pulls asks here for a password (daemon/secret.h); -1: none does now */
	struct door_hold hold;
	struct listening sockets[SOCKETS_MAX];
	size_t sockets_count;
};

struct sources {
	struct source *list; /* owned; SOURCES_MAX of them */
	size_t count;
};

/* Opens what the configuration asks for; `old`: whose sockets may be taken; NULL at start.
 * `handed`: what we were given, all of which must be wanted; NULL: no listeners. False: said. */
bool sources_open(struct sources *sources, const struct config *config, struct sources *old,
		  struct activation *handed);
void sources_close(struct sources *sources);

/* The local door. It is a convenience: what is wrong with it is said, and borne. */
void sources_open_door(struct sources *sources, const char *state);
void sources_inherit_door(struct sources *sources, const struct sources *old);

/* Is it another gateway's that runs on this state, or has somebody removed it? Then: what is left
 * of it is closed; is it free, and ours now? */
bool sources_lack_door(const struct sources *sources, const char *state);
bool sources_try_door(struct sources *sources, const char *state);

/* Removes it, if it is ours; before sources_close. */
void sources_remove_door(const struct sources *sources, const char *state);

/* An old listener goes on asking for its sessions: the couriers of the new configuration read its
 * questions too. */
void sources_keep_asks(struct sources *fresh, struct sources *old);

/* No courier takes another question: those that none has taken are dropped. */
void sources_hush(struct sources *sources);

/* Says in the log which addresses are listened to. `sandbox`: enum jail_mode. */
void sources_tell_ready(struct sources *sources, int sandbox);

/* Connects to the gateway that runs on this state. 0; -ENOENT, -ECONNREFUSED: none does; or -errno.
 */
int source_connect(const char *state, int *fd_out);
