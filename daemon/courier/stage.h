/* stage.h: staged files: parts of a message on their share, in our own folder, not yet visible.
 * Room daemon/courier.
 *
 * A copy is opened, written, and finished: given its final owner, mode and ACL, and synced. Up to
 * STAGE_OPEN_MAX files of a job stay open in between, so that an error of the disk while writing
 * back is seen by the sync; further ones are synced before they are closed, and opened again. */
#pragma once
#include <stddef.h>
#include "daemon/courier/job.h"

#define STAGE_OPEN_MAX 64

/* Opens the share of every route, and its staging folder. REASON_NONE or what is wrong, told. */
enum reason stage_open_shares(struct job *job);

/* Opens a new staged file for a part on a route. */
enum reason stage_open(struct job *job, size_t route, struct job_copy *copy);
enum reason stage_write(struct job *job, struct job_copy *copy, const void *bytes, size_t size);
/* All has been written. */
enum reason stage_close(struct job *job, size_t route, struct job_copy *copy);

/* Final owner, mode and ACL, then fsync. The route's folder_fd must be open. */
enum reason stage_finish(struct job *job, size_t route, struct job_copy *copy);

/* Opens a staged file again. 0; -ESTALE: it is not the one that was written; or -errno. */
int stage_reopen(const struct job *job, size_t route, const struct job_copy *copy, int *fd_out);

/* It is not wanted after all. */
void stage_remove(struct job *job, size_t route, struct job_copy *copy);

/* Removes every copy that is still staged, and closes everything. */
void stage_done(struct job *job, bool remove);

/* Syncs the staging folders that hold something. */
enum reason stage_sync(struct job *job);

/* <job>.<number> */
#define STAGE_NAME_SIZE 24
void stage_name(const struct job *job, const struct job_copy *copy, char name[STAGE_NAME_SIZE]);
