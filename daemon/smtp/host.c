/* host.c: addresses and names in the shape that facts have. Never asks a name server. */
#define _GNU_SOURCE
#include "daemon/smtp/host.h"
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

void host_name(char name[HOST_MAX + 1])
{
	const char *fit = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
	if (gethostname(name, HOST_MAX) != 0)
		name[0] = '\0';
	name[HOST_MAX] = '\0';
	if (!*name || name[strspn(name, fit)])
		strcpy(name, "letterchute");
}

struct facts_peer host_peer(const struct sockaddr_storage *address)
{
	struct facts_peer peer = { .known = false };
	if (address->ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
		memset(peer.address + 10, 0xFF, 2);
		memcpy(peer.address + 12, &v4->sin_addr, 4);
		peer.known = true;
	} else if (address->ss_family == AF_INET6) {
		memcpy(peer.address, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
		peer.known = true;
	}
	return peer;
}
