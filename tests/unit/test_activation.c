/* test_activation.c: what is told to who started us, and how often he wants to hear it. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "daemon/activation.h"

#define OURS "ours" /* stands for our own number */

static void set(const char *key, const char *value)
{
	char number[16];
	snprintf(number, sizeof number, "%d", (int)getpid());
	if (value)
		setenv(key, strcmp(value, OURS) == 0 ? number : value, 1);
	else
		unsetenv(key);
}

static void test_watchdog(void **state)
{
	static const struct {
		const char *usec, *pid;
		int ms;
	} rows[] = {
		{ NULL, NULL, -1 },
		{ "60000000", NULL, 30000 },
		{ "60000000", OURS, 30000 },
		{ "60000000", "1", -1 }, /* somebody else is watched */
		{ "60000000", "x", -1 },
		{ "0", OURS, -1 },
		{ "", OURS, -1 },
		{ "-1", OURS, -1 },
		{ "1", OURS, 1 },
		{ "86400000000", OURS, 43200000 },
		{ "9223372036854775807", OURS, INT_MAX },
		{ "18446744073709551616", OURS, -1 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		set("WATCHDOG_USEC", rows[i].usec);
		set("WATCHDOG_PID", rows[i].pid);
		assert_int_equal(activation_watchdog_ms(), rows[i].ms);
	}
}

static int64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* systemd takes no RELOADING=1 that is older than its question, and it asks in microseconds. */
static void test_reload(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0), used = 0;
	(void)state;
	snprintf(address.sun_path, sizeof address.sun_path, "/tmp/letterchute-notify-%" PRId64,
		 now_us());
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	set("NOTIFY_SOCKET", address.sun_path);
	for (int i = 0; i < 100; i++) {
		char text[100] = "";
		int64_t before = now_us(), told;
		activation_notify_reload();
		assert_true(recv(fd, text, sizeof text - 1, MSG_DONTWAIT) > 0);
		assert_int_equal(
			sscanf(text, "RELOADING=1\nMONOTONIC_USEC=%" SCNd64 "%n", &told, &used), 1);
		assert_int_equal(used, strlen(text));
		assert_in_range(told, before, now_us());
	}
	unlink(address.sun_path);
	close(fd);
	/* nobody listens any more, or never did: nothing */
	activation_notify_reload();
	set("NOTIFY_SOCKET", NULL);
	activation_notify_reload();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_watchdog),
		cmocka_unit_test(test_reload),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
