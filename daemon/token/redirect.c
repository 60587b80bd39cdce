/* redirect.c: reads one line of HTTP. Never answers. */
#define _GNU_SOURCE
#include "daemon/token/redirect.h"
#include <stdio.h>
#include <string.h>
#include "daemon/token/form.h"

#define BEGIN "GET /?"

/* The query of `GET /?QUERY HTTP/1.1`. */
static int find_query(const char *head, char *query_out, size_t size)
{
	size_t length = strlen(BEGIN);
	if (strncmp(head, BEGIN, length) != 0)
		return -1;
	const char *query = head + length;
	size_t end = strcspn(query, " \r\n#");
	if (strncmp(query + end, " HTTP/1.", 8) != 0 || end >= size)
		return -1;
	memcpy(query_out, query, end);
	query_out[end] = '\0';
	return 0;
}

static int is_printable(const char *text)
{
	for (; *text; text++) {
		if (*text < 0x20 || *text > 0x7E)
			return 0;
	}
	return 1;
}

void redirect_read(const char *head, const char *state, struct redirect *redirect_out)
{
	char query[REDIRECT_HEAD_MAX], told[128];
	memset(redirect_out, 0, sizeof *redirect_out);
	if (find_query(head, query, sizeof query) != 0 ||
	    !form_find(query, "state", told, sizeof told) || strcmp(told, state) != 0)
		return;
	if (form_find(query, "error", redirect_out->error, sizeof redirect_out->error) &&
	    is_printable(redirect_out->error))
		redirect_out->kind = REDIRECT_DENIED;
	else if (form_find(query, "code", redirect_out->code, sizeof redirect_out->code) &&
		 *redirect_out->code)
		redirect_out->kind = REDIRECT_CODE;
	explicit_bzero(query, sizeof query);
}
