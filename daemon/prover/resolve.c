/* resolve.c: asks for one record and reads the answer. Never keeps any. */
#define _GNU_SOURCE
#include "daemon/prover/resolve.h"
#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX 8192 /* octets */
#define WAIT_S     2    /* for each server; the second time they share twice as much */

/* The strings of a TXT record, joined (RFC 6376 section 3.6.2.2). */
static bool join(const uint8_t *at, size_t left, char *text_out, size_t room)
{
	size_t used = 0;
	while (left > 0) {
		size_t size = *at++;
		left--;
		if (size > left || size >= room - used || memchr(at, '\0', size))
			return false;
		memcpy(text_out + used, at, size);
		used += size;
		at += size;
		left -= size;
	}
	text_out[used] = '\0';
	return used > 0;
}

bool resolve_read(const uint8_t *answer, size_t size, char *text_out, size_t room)
{
	ns_msg message;
	ns_rr record;
	unsigned found = 0;
	bool good = false;
	if (size > ANSWER_MAX || ns_initparse(answer, (int)size, &message) < 0)
		return false;
	for (int i = 0; i < ns_msg_count(message, ns_s_an); i++) {
		if (ns_parserr(&message, ns_s_an, i, &record) < 0)
			return false;
		if (ns_rr_type(record) != ns_t_txt || ns_rr_class(record) != ns_c_in)
			continue; /* what led there: CNAME */
		if (++found > 1)
			return false;
		good = join(ns_rr_rdata(record), ns_rr_rdlen(record), text_out, room);
	}
	return good;
}

/* One server instead of those of the system. One of IPv6 lies where res_ninit would put it. */
static bool point_at(struct __res_state *state, const struct config_resolver *who)
{
	const struct sockaddr_storage *address = &who->address;
	state->nscount = 1;
	if (address->ss_family == AF_INET) {
		memcpy(&state->nsaddr_list[0], address, sizeof state->nsaddr_list[0]);
		return true;
	}
	struct sockaddr_in6 *six = malloc(sizeof *six);
	if (!six)
		return false;
	memcpy(six, address, sizeof *six);
	memset(&state->nsaddr_list[0], 0, sizeof state->nsaddr_list[0]);
	free(state->_u._ext.nsaddrs[0]);
	state->_u._ext.nsaddrs[0] = six; /* res_nclose frees it */
	return true;
}

/* Octets of the answer, or -1 with h_errno in the state. */
static int ask(struct __res_state *state, const struct config_resolver *who, const char *name,
	       int64_t left_ms, uint8_t answer[ANSWER_MAX])
{
	if (who->kind == CONFIG_RESOLVER_ADDRESS && !point_at(state, who))
		return -1;
	bool plenty = left_ms >= (state->nscount + 2) * WAIT_S * 1000;
	state->retrans = plenty ? WAIT_S : 1;
	state->retry = plenty ? 2 : 1;
	return res_nquery(state, name, ns_c_in, ns_t_txt, answer, ANSWER_MAX);
}

enum resolve_result resolve_text(const struct config_resolver *who, const char *name,
				 int64_t left_ms, char *text_out, size_t room)
{
	uint8_t answer[ANSWER_MAX];
	struct __res_state state = { 0 };
	if (who->kind == CONFIG_RESOLVER_NONE)
		return RESOLVE_ABSENT;
	if (left_ms < 1000 || res_ninit(&state) < 0)
		return RESOLVE_NOT_KNOWN;
	int size = ask(&state, who, name, left_ms, answer), error = state.res_h_errno;
	res_nclose(&state);
	if (size < 0)
		return error == HOST_NOT_FOUND || error == NO_DATA ? RESOLVE_ABSENT
								   : RESOLVE_NOT_KNOWN;
	return resolve_read(answer, (size_t)size, text_out, room) ? RESOLVE_FOUND : RESOLVE_ABSENT;
}
