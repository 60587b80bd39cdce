/* extractor.c: drives the extractor's template over its control socket. Never parses mail, never
 * believes a frame. */
#define _GNU_SOURCE
#include "daemon/extractor.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/role.h"

#define NOBODY        65534
#define PIPE_BYTES    (1 << 20)
#define PROGRESS_MS   60000 /* a child that says nothing for so long is stuck */
#define START_MS      20000 /* the template loads libmagic's database and every charset */
#define END_MS        10000 /* from the last frame to the word that the child ended */
#define CPU_LEAST_S   10
#define CPU_BYTES_A_S (20u << 20) /* a second more for each so many octets; 800 MB/s is usual */

void extractor_stop(struct extractor *extractor)
{
	if (extractor->control_fd < 0)
		return;
	close_fd(&extractor->control_fd);
	/* it ends at the end of file; if it is stuck nobody waits for it */
	long sent = syscall(SYS_pidfd_send_signal, extractor->pid_fd, SIGKILL, NULL, 0);
	waitpid(extractor->pid, NULL, sent == 0 ? 0 : WNOHANG);
	close_fd(&extractor->pid_fd);
}

static int take_ready(int control_fd, char *why_out)
{
	struct frame_ready ready;
	int error = wait_readable(control_fd, monotonic_ms() + START_MS);
	if (error) {
		snprintf(why_out, EXTRACTOR_ERROR_MAX, "the extractor did not start: %s",
			 strerror(-error));
		return error;
	}
	size_t none = 0;
	ssize_t got = receive_fds(control_fd, &ready, sizeof ready, NULL, &none, 0);
	if (got != sizeof ready || ready.version != FRAME_VERSION) {
		snprintf(why_out, EXTRACTOR_ERROR_MAX, "the extractor ended before it was ready");
		return -EPROTO;
	}
	if (ready.error != 0) {
		ready.text[sizeof ready.text - 1] = '\0';
		snprintf(why_out, EXTRACTOR_ERROR_MAX, "the extractor can't start: %s", ready.text);
		return ready.error > 0 ? -ready.error : -EPROTO;
	}
	return 0;
}

int extractor_start(struct extractor *extractor, char why_out[EXTRACTOR_ERROR_MAX])
{
	if (extractor->control_fd >= 0)
		return 0;
	auto_close int ours = -1, theirs = -1;
	int error = socket_pair(&ours, &theirs);
	if (error)
		return error;
	/* run by root, as by `letterchute extract`, it becomes nobody: it needs no file of
	 * anybody's */
	struct role_start start = { .role = ROLE_EXTRACT,
				    .fds = &theirs,
				    .fds_count = 1,
				    .config_fd = -1,
				    .program_fd = extractor->program_fd,
				    .uid = NOBODY,
				    .gid = NOBODY };
	error = role_start_held(&start, &extractor->pid, &extractor->pid_fd);
	if (error) {
		snprintf(why_out, EXTRACTOR_ERROR_MAX, "the extractor can't be executed: %s",
			 strerror(-error));
		return error;
	}
	close_fd(&theirs);
	extractor->control_fd = take_fd(&ours);
	error = take_ready(extractor->control_fd, why_out);
	if (error)
		extractor_stop(extractor);
	return error;
}

/* Sends the job; *frames_out is our end of the pipe. */
static int send_job(struct extractor *extractor, const struct extractor_job *job, int *frames_out)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	auto_close int in = ends[0];
	auto_close int out = ends[1];
	fcntl(out, F_SETPIPE_SZ,
	      PIPE_BYTES); /* for speed only: a user's pipe quota may forbid it */
	struct frame_job message = {
		.number = ++extractor->job,
		.reading = job->reading,
		.cpu_s = CPU_LEAST_S + (uint32_t)(job->bytes / CPU_BYTES_A_S),
		.limits = job->limits,
	};
	int fds[2] = { job->message_fd, out };
	int error = pass_fds(extractor->control_fd, &message, sizeof message, fds, 2);
	if (!error)
		*frames_out = take_fd(&in);
	return error;
}

/* Waits for the word on how the child of the job ended; those of earlier jobs, which were cut
 * short, are passed over. */
static int take_exit(struct extractor *extractor, int *status_out)
{
	for (;;) {
		struct frame_exit end;
		size_t none = 0;
		int error = wait_readable(extractor->control_fd, monotonic_ms() + END_MS);
		if (error == -EINTR)
			continue;
		if (error)
			return error;
		ssize_t got = receive_fds(extractor->control_fd, &end, sizeof end, NULL, &none, 0);
		if (got != sizeof end)
			return -EPROTO;
		if (end.number == extractor->job) {
			*status_out = end.status;
			return 0;
		}
	}
}

/* Feeds the sink until the end of file. 0, what the sink said (above 0), -ETIMEDOUT, -EPROTO, or
 * another -errno: the frames can't be read. *spoke_out: there was something to read. */
static int read_frames(int frames_fd, struct frames *frames, const struct frames_sink *sink,
		       int64_t deadline_ms, bool *spoke_out)
{
	static uint8_t block[256 * 1024];
	for (;;) {
		/* most reads find something: the look at the clock comes only when none does */
		ssize_t got = read(frames_fd, block, sizeof block);
		if (got == 0)
			return 0;
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return -EIO;
		if (got < 0) {
			int64_t limit = monotonic_ms() + PROGRESS_MS;
			if (deadline_ms >= 0 && deadline_ms < limit)
				limit = deadline_ms;
			int error = wait_readable(frames_fd, limit);
			if (error && error != -EINTR)
				return error;
			continue;
		}
		*spoke_out = true;
		int stop = frames_feed(frames, block, (size_t)got, sink);
		if (stop)
			return stop;
	}
}

static enum extractor_result crashed(char *why_out, const char *what)
{
	snprintf(why_out, EXTRACTOR_ERROR_MAX, "%s", what);
	return EXTRACTOR_CRASH;
}

/* The frames ended: how did the child? */
static enum extractor_result judge_end(int status, const struct frames *frames, uint32_t *cap_out,
				       char *why_out)
{
	if (WIFSIGNALED(status)) {
		snprintf(why_out, EXTRACTOR_ERROR_MAX, "the extractor died of signal %d",
			 WTERMSIG(status));
		return role_is_fault(WTERMSIG(status)) ? EXTRACTOR_CRASH : EXTRACTOR_KILLED;
	}
	if (WEXITSTATUS(status) != 0) {
		snprintf(why_out, EXTRACTOR_ERROR_MAX, "the extractor ended with status %d",
			 WEXITSTATUS(status));
		/* it says that it could not enter its jail, or not read: our trouble */
		return WEXITSTATUS(status) == EX_OSERR || WEXITSTATUS(status) == EX_IOERR
			       ? EXTRACTOR_KILLED
			       : EXTRACTOR_CRASH;
	}
	*cap_out = frames->cap;
	if (frames->state == FRAMES_CAPPED)
		return EXTRACTOR_CAP;
	return frames->state == FRAMES_COMPLETE
		       ? EXTRACTOR_OK
		       : crashed(why_out, "the extractor stopped in the middle");
}

/* *gone_out: the template is gone and has said nothing about the job. */
static enum extractor_result run_job(struct extractor *extractor, const struct extractor_job *job,
				     const struct frames_sink *sink, uint32_t *cap_out,
				     int *stop_out, char *why_out, bool *gone_out)
{
	static struct frames frames;
	auto_close int frames_fd = -1;
	bool spoke = false;
	int error = send_job(extractor, job, &frames_fd);
	if (error) {
		*gone_out = true;
		snprintf(why_out, EXTRACTOR_ERROR_MAX, "the extractor takes no job: %s",
			 strerror(-error));
		return EXTRACTOR_KILLED;
	}
	fcntl(frames_fd, F_SETFL, O_NONBLOCK);
	frames_init(&frames);
	int stop = read_frames(frames_fd, &frames, sink, job->deadline_ms, &spoke), status;
	close_fd(&frames_fd); /* a child that is still writing ends by this */
	if (stop == 0 && take_exit(extractor, &status) == 0)
		return judge_end(status, &frames, cap_out, why_out);
	if (stop == 0) {
		*gone_out = !spoke;
		snprintf(why_out, EXTRACTOR_ERROR_MAX, "the extractor's template is gone");
		return EXTRACTOR_KILLED;
	}
	if (stop == -ETIMEDOUT)
		return EXTRACTOR_DEADLINE;
	if (stop == -EPROTO)
		return crashed(why_out, "the extractor spoke nonsense");
	if (stop < 0) {
		snprintf(why_out, EXTRACTOR_ERROR_MAX, "the extractor can't be heard: %s",
			 strerror(-stop));
		return EXTRACTOR_KILLED;
	}
	*stop_out = stop;
	return EXTRACTOR_STOPPED;
}

enum extractor_result extractor_run(struct extractor *extractor, const struct extractor_job *job,
				    const struct frames_sink *sink, uint32_t *cap_out,
				    int *stop_out, char why_out[EXTRACTOR_ERROR_MAX])
{
	enum extractor_result result;
	bool idle, gone;
	/* a template that died while it had nothing to do is nothing that the message has to wait
	 * for: once it is started anew */
	do {
		idle = extractor->control_fd >= 0;
		gone = false;
		if (extractor_start(extractor, why_out) != 0)
			return EXTRACTOR_KILLED;
		result = run_job(extractor, job, sink, cap_out, stop_out, why_out, &gone);
		/* after a fault: new addresses for the next try; after silence: the child may hang
		 * for ever */
		if (result == EXTRACTOR_CRASH || result == EXTRACTOR_KILLED ||
		    result == EXTRACTOR_DEADLINE)
			extractor_stop(extractor);
	} while (idle && gone);
	return result;
}
