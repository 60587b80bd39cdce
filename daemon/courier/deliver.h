/* deliver.h: staged parts -> a durable promise -> visible files. Room daemon/courier.
 *
 * Everything before the promise may be thrown away at any instant; after it the delivery is rolled
 * forward, by us or by whoever adopts our life. */
#pragma once
#include "daemon/courier/job.h"

/* Gives the staged copies their final state, makes the plan durable, publishes, and makes the mark.
 * REASON_NONE: delivered, job->stored says how many files. A job that keeps nothing is delivered
 * without a plan. */
enum reason deliver(struct job *job);
