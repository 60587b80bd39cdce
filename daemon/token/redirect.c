/* redirect.c: reads one line of HTTP. Never answers. */
#define _GNU_SOURCE
#include "daemon/token/redirect.h"
#include <string.h>
#include "daemon/token/form.h"
#include "policy/value.h"

#define BEGIN "GET /?"

/* The query of `GET /?QUERY HTTP/1.1`. */
static bool find_query(const char *head, char *query_out, size_t size)
{
	size_t length = strlen(BEGIN);
	if (strncmp(head, BEGIN, length) != 0)
		return false;
	const char *query = head + length;
	size_t end = strcspn(query, " \r\n#");
	if (strncmp(query + end, " HTTP/1.", 8) != 0 || end >= size)
		return false;
	memcpy(query_out, query, end);
	query_out[end] = '\0';
	return true;
}

void redirect_read(const char *head, const char *state, struct redirect *redirect_out)
{
	char query[REDIRECT_HEAD_MAX], told[128];
	memset(redirect_out, 0, sizeof *redirect_out);
	if (!find_query(head, query, sizeof query) ||
	    !form_find(query, "state", told, sizeof told) || strcmp(told, state) != 0)
		return;
	if (form_find(query, "error", redirect_out->error, sizeof redirect_out->error) &&
	    value_is_printable(redirect_out->error))
		redirect_out->kind = REDIRECT_DENIED;
	else if (form_find(query, "code", redirect_out->code, sizeof redirect_out->code) &&
		 *redirect_out->code)
		redirect_out->kind = REDIRECT_CODE;
	explicit_bzero(query, sizeof query);
}
