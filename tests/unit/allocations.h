/* allocations.h: counts what a test allocates, and makes one allocation fail. Included by one file
 * of a program. Under the address sanitizer nothing can be made to fail: allocations_can_fail is
 * false. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

static unsigned long allocations;        /* so far */
static unsigned long allocation_to_fail; /* the n-th from 1; 0: none */

#if defined(__SANITIZE_ADDRESS__)
#define ALLOCATIONS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ALLOCATIONS_ASAN 1
#endif
#endif

#ifdef ALLOCATIONS_ASAN
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
					      void (*on_free)(const volatile void *));

static const bool allocations_can_fail = false;

static void allocations_count(const volatile void *pointer, size_t size)
{
	(void)pointer, (void)size;
	allocations++;
}

static void allocations_ignore(const volatile void *pointer)
{
	(void)pointer;
}

/* Counts from here. Once a program. */
static void allocations_start(void)
{
	__sanitizer_install_malloc_and_free_hooks(allocations_count, allocations_ignore);
}
#else
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *pointer, size_t size);

static const bool allocations_can_fail = true;

void *malloc(size_t size)
{
	return ++allocations == allocation_to_fail ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return ++allocations == allocation_to_fail ? NULL : __libc_calloc(count, size);
}

void *realloc(void *pointer, size_t size)
{
	return ++allocations == allocation_to_fail ? NULL : __libc_realloc(pointer, size);
}

static void allocations_start(void)
{
}
#endif
