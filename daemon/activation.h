/* activation.h: what whoever started us hands over and wants to hear: systemd, and those who do as
 * it does (sd_listen_fds(3), sd_notify(3)). Ground of daemon. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define ACTIVATION_MAX  64
#define ACTIVATION_NAME 64 /* octets of the name of a listener, NUL included */

/* A socket that listens already. */
struct activated {
	int fd; /* owned */
	struct sockaddr_storage address;
	socklen_t size;
	char claimed[ACTIVATION_NAME]; /* by this listener; "": by none */
};

struct activation {
	struct activated list[ACTIVATION_MAX];
	size_t count;
};

/* Takes over the sockets that LISTEN_FDS speaks of, if it is meant for us; it is meant for no child
 * of ours. Before other descriptors are opened. False: one of them is none that listens, said. */
bool activation_take(struct activation *activation_out);

/* For a new look at the configuration: no listener has claimed anything. */
void activation_renew(struct activation *activation);

enum activation_claim {
	ACTIVATION_NONE,   /* nobody handed over a socket for this address */
	ACTIVATION_TAKEN,  /* there is one */
	ACTIVATION_SHARED, /* this listener has it already: [::]:25 may take IPv4 too */
	ACTIVATION_OTHERS  /* another listener has it */
};

/* A socket for the address that `listen` names. ACTIVATION_TAKEN: *fd_out is the caller's. */
enum activation_claim activation_claim(struct activation *activation, const char *listener,
				       const struct sockaddr_storage *wanted, socklen_t size,
				       int *fd_out);

/* Is there a socket that no listener has claimed? Each is said. */
bool activation_has_rest(const struct activation *activation);

/* An address that can't be listened to: says which sockets that nobody has claimed have its port.
 */
void activation_tell_taken(const struct activation *activation,
			   const struct sockaddr_storage *wanted);

/* Accept=yes without StandardInput=socket: makes the one connection that was handed over standard
 * input and output. False: what was handed over is no connection, said. */
bool activation_use_connection(void);

/* "READY=1" and the like, to who waits for it; nobody does: nothing. */
void activation_notify(const char *state);

/* A new configuration is looked at; READY=1 ends it, whatever has come of it (sd_notify(3),
 * RELOADING).
 */
void activation_notify_reload(void);

/* How often who started us wants to hear that we live (sd_watchdog_enabled(3)): milliseconds
 * between two words of activation_notify("WATCHDOG=1"), half of what he bears; -1: he does not ask.
 */
int activation_watchdog_ms(void);
