/* jail.h: what the extractor may no longer do. Room extract; knows libseccomp and the resource
 * limits.
 *
 * Two jails, one inside the other: the template's, which can only receive a job, fork and wait; and
 * the child's, which can only read the message, write frames and end. Both are compiled at the
 * start, since compiling is slow and opens a file; entering one is a single system call. A call
 * that is not allowed ends the process (SIGSYS). */
#pragma once
#include <stdint.h>

/* Compiles both. To be called before either is entered. 0 or -errno. */
int jail_prepare(void);

/* No new privileges, no dumps, death with the parent. 0 or -errno. */
int jail_settle(void);

/* 0 or -errno. */
int jail_enter_template(void);

/* Closes every descriptor but the message and the pipe, sets the resource limits of one message,
 * then its jail. To be called in the child of the template, before it reads a byte of the message.
 * `cpu_s`: seconds of CPU until SIGXCPU. 0 or -errno. */
int jail_enter_child(uint32_t cpu_s, int message_fd, int pipe_fd);
