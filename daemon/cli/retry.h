/* retry.h: a message that was put aside is tried once more. Room daemon/cli. */
#pragma once
#include <stdbool.h>
#include "daemon/config.h"

/* Asks a courier of our own, who knows the rules of `config`, about an entry. Delivered, its entry
 * is removed; else it stays. Whoever is killed at it leaves either the entry alone, or the entry
 * and a mark by which the next retry knows that it was delivered. Says what became of it; returns
 * the exit status. */
int retry(const struct config *config, int quarantine_fd, const char *id, bool as_json);
