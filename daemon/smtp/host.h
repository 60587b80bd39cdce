/* host.h: who we are and who is there, from what the system calls give. Room daemon/smtp. */
#pragma once
#include <sys/socket.h>
#include "policy/facts.h"

#define HOST_MAX 64

/* Our name for the greeting: the machine's, or `letterchute` where that is no host name. */
void host_name(char name[HOST_MAX + 1]);

/* Not known where it is no internet address. IPv4 comes out the same however it came (RFC 4291
 * section 2.5.5.2). */
struct facts_peer host_peer(const struct sockaddr_storage *address);
