/* fuzz_redirect.c: a request to the port that a browser comes back to. Nobody is heeded who does
 * not bring the state. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/token/form.h"
#include "daemon/token/redirect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct redirect redirect;
	static struct form form;
	char value[64];
	if (size >= REDIRECT_HEAD_MAX)
		return 0;
	char *head = malloc(size + 1);
	memcpy(head, data, size);
	head[size] = '\0';
	redirect_read(head, "state-1", &redirect);
	if (redirect.kind != REDIRECT_OTHER && !strstr(head, "state"))
		abort();
	if (redirect.kind == REDIRECT_CODE && !*redirect.code)
		abort();
	/* what is written is read again */
	form_init(&form);
	form_add(&form, "x", head);
	if (*head && strlen(head) < sizeof value &&
	    (!form_find(form.text, "x", value, sizeof value) || strcmp(value, head) != 0))
		abort();
	free(head);
	return 0;
}
