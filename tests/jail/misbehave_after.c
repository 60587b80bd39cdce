/* misbehave_after.c: a window that obeys what it is asked with, Host:
 * window.ATTEMPT@misbehave.example. The linker puts these functions in the place of those that they
 * wrap; the program's own source knows nothing of it. */
#include <microhttpd.h>
#include "daemon/after/cage.h"
#include "tests/jail/attempts.h"

bool __real_cage_enter(const struct config *config);
bool __wrap_cage_enter(const struct config *config);
const char *__real_MHD_lookup_connection_value(struct MHD_Connection *connection,
					       enum MHD_ValueKind kind, const char *key);
const char *__wrap_MHD_lookup_connection_value(struct MHD_Connection *connection,
					       enum MHD_ValueKind kind, const char *key);

bool __wrap_cage_enter(const struct config *config)
{
	attempts_prepare();
	return __real_cage_enter(config);
}

const char *__wrap_MHD_lookup_connection_value(struct MHD_Connection *connection,
					       enum MHD_ValueKind kind, const char *key)
{
	const char *value = __real_MHD_lookup_connection_value(connection, kind, key);
	if (value)
		attempts_obey("window", value);
	return value;
}
