/* fuzz_config.c: a configuration file. What is accepted must read the same after it was handed
 * over. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config config, role;
	char error[CONFIG_ERROR_MAX];
	int fd;
	if (size > 1 << 14)
		return 0;
	char *text = malloc(size + 1);
	memcpy(text, data, size);
	text[size] = '\0';
	if (config_load_text(text, "f", &config, error) == 0) {
		if (config_write(&config, &fd) != 0 || config_read(fd, &role, error) != 0)
			abort();
		if (role.rules.routes_count != config.rules.routes_count ||
		    role.listeners_count != config.listeners_count ||
		    role.ini.count != config.ini.count)
			abort();
		close(fd);
		config_done(&role);
		config_done(&config);
	}
	free(text);
	return 0;
}
