/* name.c: takes the names of messages apart. Never looks at a folder. */
#include "daemon/maildir/name.h"
#include <stdio.h>
#include <string.h>

#define INFO ":2,"

bool name_is_message(const char *name)
{
	return name[0] != '.';
}

size_t name_base_size(const char *name)
{
	const char *info = strstr(name, INFO);
	return info ? (size_t)(info - name) : strlen(name);
}

void name_base(const char *name, char base_out[NAME_SIZE])
{
	snprintf(base_out, NAME_SIZE, "%.*s", (int)name_base_size(name), name);
}

bool name_has_base(const char *name, const char *base)
{
	size_t size = strlen(base);
	return name_base_size(name) == size && memcmp(name, base, size) == 0;
}

bool name_for_cur(const char *name, char name_out[NAME_SIZE])
{
	bool plain = name[name_base_size(name)] == '\0';
	if (strlen(name) + (plain ? strlen(INFO) : 0) >= NAME_SIZE)
		return false;
	stpcpy(stpcpy(name_out, name), plain ? INFO : "");
	return true;
}

void name_fresh(long long seconds, unsigned long long random, char name_out[NAME_SIZE])
{
	snprintf(name_out, NAME_SIZE, "%lld.R%016llx.letterchute" INFO, seconds, random);
}
