/* fuzz_line.c: any bytes as a command line. What comes out must be what line.h promises. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/smtp/line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* Valid UTF-8, no control character, and it ends inside its room. */
static void check_address(const char *address)
{
	size_t length = strnlen(address, LINE_ADDRESS_MAX + 1);
	require(length <= LINE_ADDRESS_MAX);
	const unsigned char *s = (const unsigned char *)address;
	while (*s) {
		size_t more = *s < 0x80 ? 0 : *s >= 0xF0 ? 3 : *s >= 0xE0 ? 2 : 1;
		require(*s >= 0x20 && *s != 0x7F && (*s < 0x80 || *s >= 0xC2) && *s < 0xF5);
		require(*s != 0xC2 || s[1] >= 0xA0);
		for (s++; more > 0; more--)
			require((*s++ & 0xC0) == 0x80);
	}
}

/* An address that we gave out is read the same again. */
static void check_again(const struct line_command *command)
{
	char line[LINE_ADDRESS_MAX + 16] = "MAIL FROM:<";
	struct line_command again;
	strcat(strcat(line, command->address), ">");
	require(line_parse(line, strlen(line), &again) == LINE_OK);
	require(strcmp(again.address, command->address) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct line_command command;
	const char *text = (const char *)data;
	enum line_result result = line_parse(text, size, &command);
	require(command.verb < LINE_VERB_COUNT && result < LINE_RESULT_COUNT);
	require(command.argument >= text &&
		command.argument + command.argument_size <= text + size);
	if (result == LINE_OK && (command.verb == LINE_MAIL || command.verb == LINE_RCPT)) {
		check_address(command.address);
		check_again(&command);
		require(command.verb == LINE_MAIL || *command.address);
	}
	line_is_tls(data, size);
	/* what is a command as a whole is one from its first byte on */
	static const bool none[LINE_VERB_COUNT] = {
		[LINE_UNKNOWN] = true, [LINE_HTTP] = true, [LINE_FIELD] = true
	};
	if (result == LINE_OK && !none[command.verb]) {
		for (size_t i = 0; i <= size && i <= 16; i++)
			require(line_is_command(data, i));
	}
	return 0;
}
