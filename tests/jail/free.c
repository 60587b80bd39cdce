/* free.c: makes every attempt without any jail: what is denied to a role must be denied by its
 * jail. */
#include "tests/jail/attempts.h"

int main(void)
{
	attempts_prepare();
	attempts_all("free");
	return 0;
}
