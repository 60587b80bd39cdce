/* cell.h: the jails of this program, as data: who may make which system call. Room daemon/smtp. */
#pragma once
#include "daemon/jail.h"

enum cell {
	CELL_LISTENER, /* and, before they close their own door, the sessions it forks */
	CELL_DOOR,
	CELL_KEEPER,
	CELL_SESSION
};

/* For a session forked inside CELL_LISTENER: takes away what the listener may and a session may
 * not. A few instructions instead of a whole list, since every child pays for their translation. 0
 * or -errno. */
int cell_prepare_session(struct jail_filter *filter_out);

/* Locks this process in: of all files only `folder_fd` (-1: none) stays reachable, for scratch, and
 * only the calls of the cell. What `sandbox` allows to be missing is borne: the boss has said it.
 * 0; else it is logged, and the caller must not go on. */
int cell_enter(enum cell cell, enum jail_mode mode, int folder_fd);
