/* identity.h: who we are in our own container: PUID, PGID, UMASK and TZ. Room daemon/cli. */
#pragma once
#include <stdbool.h>

/* Before anything else a verb does. Started as root it becomes PUID and PGID (1000 and 1000 unless
 * they are set), for good, with what is left of CHOWN, FOWNER and DAC_OVERRIDE, and with `gives` it
 * gives state/ to them before. As anybody else it stays who it is, and with `warns` says that PUID
 * and PGID have no effect. 0, or the exit status with the reason said. Outside of our own
 * container: nothing. */
int identity_take(bool warns, bool gives);

/* UMASK, 022 unless it is set; a bad one has been told by identity_take. */
unsigned identity_umask(void);
