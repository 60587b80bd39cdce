/* misbehave_watch.c: a watcher that obeys the names of files in its Maildir,
 * watcher.ATTEMPT@misbehave.example. The linker puts these functions in the place of those that
 * they wrap; the program's own source knows nothing of it. */
#include "daemon/maildir/cage.h"
#include "daemon/maildir/name.h"
#include "tests/jail/attempts.h"

bool __real_cage_enter(const struct config *config, const struct box *box);
bool __wrap_cage_enter(const struct config *config, const struct box *box);
bool __real_name_is_message(const char *name);
bool __wrap_name_is_message(const char *name);

bool __wrap_cage_enter(const struct config *config, const struct box *box)
{
	attempts_prepare();
	return __real_cage_enter(config, box);
}

bool __wrap_name_is_message(const char *name)
{
	attempts_obey("watcher", name);
	return __real_name_is_message(name);
}
