/* keep.h: what is owned is declared owned, and handed over by name. Ground of daemon; header only.
 */
#pragma once
#include <stdlib.h>
#include <unistd.h>

static inline void keep_close_cleanup(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void keep_free_cleanup(void *pointer)
{
	free(*(void **)pointer);
}

/* A descriptor that is closed at the end of the block, unless take_fd has handed it over. */
#define auto_close __attribute__((cleanup(keep_close_cleanup)))

/* A pointer that is freed at the end of the block, unless take_pointer has handed it over. */
#define auto_free __attribute__((cleanup(keep_free_cleanup)))

/* Hands a descriptor over: the variable owns nothing after this. */
static inline int take_fd(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}

static inline void *take_pointer_at(void *pointer)
{
	void *taken = *(void **)pointer;
	*(void **)pointer = NULL;
	return taken;
}
#define take_pointer(pointer) ((__typeof__(*(pointer)))take_pointer_at(pointer))

/* Closes and forgets. */
static inline void close_fd(int *fd)
{
	keep_close_cleanup(fd);
	*fd = -1;
}
