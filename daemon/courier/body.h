/* body.h: what `body` stores beside the attachments: the text, the whole mail, or a description of
 * it. Room daemon/courier. */
#pragma once
#include "daemon/courier/job.h"

/* Stages it for every route that asks for it, as a further part called `mail`; of the texts of the
 * message only the first plain one is kept, else the first. A dry run only numbers what would be
 * staged. */
enum reason body_stage(struct job *job);
