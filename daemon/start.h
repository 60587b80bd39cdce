/* start.h: starts of roles that get files of the configuration: those may be for root alone, so
 * that whoever is root opens them and another reads them. For the boss, and for verbs that do
 * without him. Ground of daemon. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "daemon/config.h"
#include "daemon/role.h"
#include "daemon/source.h"

/* Opens a file of the configuration to be read by another; the caller's. 0 or -errno. */
int start_open_given(const char *path, int *fd_out);

/* Who looks at signatures. `alone`: nobody starts it again. 0 or -errno. */
int start_prover(const struct config *config, int config_fd, int questions_fd, bool alone,
		 pid_t *pid_out);

/* What whoever has the keys of listeners is started with. */
struct keys_start {
	const char *arguments[SOURCES_MAX + 2];
	int fds[ROLE_FDS_MAX];
	size_t names, count;
};

/* Nobody's yet. `mode` as in daemon/smtp/main.c, and what it finds first, borrowed. */
void start_keys_init(struct keys_start *how, const char *mode, int first_fd);

/* Adds those of one listener, whose other end is `link_fd`, borrowed. What can't be read is said,
 * and empty. False: there is no room for more. */
bool start_keys_add(struct keys_start *how, const struct config_listener *listener, int link_fd);

/* All but the links and the first descriptor are closed. */
void start_keys_close(struct keys_start *how);

/* 0 or -errno. It can be started again with the same. */
int start_keys(const struct config *config, const struct keys_start *how, int config_fd,
	       pid_t *pid_out);

/* What all who handle secrets of an account are given: their end of a socket, where they have one,
 * its secrets, and where tokens are kept. */
struct token_start {
	const struct config *config;
	const struct config_account *account;
	const char *const *arguments;
	int socket_fd, tokens_fd, config_fd;
	bool keep_standard;
};

/* Who answers questions for the secret of one account, or lets a person sign in to it. What can't
 * be read is said, and empty. 0 or -errno. */
int start_token(const struct token_start *how, pid_t *pid_out);
