/* extractor.h: start the extractor's template, hand it messages, read what it says. Ground of
 * daemon: the courier and the verb `extract` run the same one.
 *
 * A template is started on first use and serves one job after the other; each message is read by a
 * child of its own that has lived for nothing else. */
#pragma once
#include <stdint.h>
#include <sys/types.h>
#include "daemon/frames.h"

#define EXTRACTOR_ERROR_MAX 256

struct extractor {
	int control_fd; /* -1: no template runs */
	pid_t pid;
	int pid_fd;     /* the same process, whoever gets its number later; -1: not to be had */
	int program_fd; /* borrowed, from role_open_program; -1: to be found */
	uint32_t job;   /* number of the last one */
};

enum extractor_result {
	EXTRACTOR_OK,      /* wholly parsed */
	EXTRACTOR_CAP,     /* a cap was hit: *cap_out */
	EXTRACTOR_STOPPED, /* the sink stopped it: *stop_out */
	EXTRACTOR_CRASH,   /* the child died of a fault or a limit, or spoke nonsense */
	EXTRACTOR_KILLED,  /* it was killed from outside, or did not start: nobody's fault */
	EXTRACTOR_DEADLINE /* not done in time */
};

struct extractor_job {
	int message_fd; /* borrowed; read-only */
	uint64_t bytes; /* its size */
	enum frame_reading reading;
	struct frame_limits limits;
	int64_t deadline_ms; /* monotonic; -1: none. 60 s without progress end it anyway */
};

#define EXTRACTOR_INIT                                           \
	{                                                        \
		.control_fd = -1, .pid_fd = -1, .program_fd = -1 \
	}

/* Runs one message. A template that is not there, or is found dead, is started; one that misbehaved
 * is ended. `why_out` says in words what went wrong (EXTRACTOR_CRASH, EXTRACTOR_KILLED). */
enum extractor_result extractor_run(struct extractor *extractor, const struct extractor_job *job,
				    const struct frames_sink *sink, uint32_t *cap_out,
				    int *stop_out, char why_out[EXTRACTOR_ERROR_MAX]);

/* Starts the template if none runs, so that the first message does not wait for it. 0 or -errno. */
int extractor_start(struct extractor *extractor, char why_out[EXTRACTOR_ERROR_MAX]);

/* Ends the template. */
void extractor_stop(struct extractor *extractor);
