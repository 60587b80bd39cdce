/* fuzz_reply.c: an answer of a token server. What is accepted can be shown to an IMAP server and
 * written to the store. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/token/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t size)
{
	if (!memchr(text, '\0', size))
		abort();
	for (; *text; text++) {
		if (*text < 0x20 || *text > 0x7E)
			abort();
	}
}

/* The first octet is the status. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int statuses[] = { 200, 400, 401, 429, 503 };
	static struct reply reply;
	static struct reply_device device;
	if (size < 1 || size > 1 << 16)
		return 0;
	int status = statuses[data[0] % (sizeof statuses / sizeof statuses[0])];
	char *body = malloc(size);
	memcpy(body, data + 1, size - 1);
	body[size - 1] = '\0';
	reply_read(status, body, size - 1, &reply);
	check_text(reply.access, sizeof reply.access);
	check_text(reply.refresh, sizeof reply.refresh);
	check_text(reply.error, sizeof reply.error);
	check_text(reply.words, sizeof reply.words);
	if (reply.kind == REPLY_TOKEN && (!*reply.access || reply.lasts_s < 0 || status != 200))
		abort();
	if (reply.kind == REPLY_ERROR && !*reply.error)
		abort();
	reply_read_device(status, body, size - 1, &device);
	check_text(device.url, sizeof device.url);
	check_text(device.user_code, sizeof device.user_code);
	check_text(device.words, sizeof device.words);
	if (device.kind == REPLY_TOKEN && (!*device.device_code || device.interval_s < 0))
		abort();
	free(body);
	return 0;
}
