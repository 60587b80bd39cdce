/* turn.h: whose turn it is to touch a share that may hang, for those who only want to know how it
 * is. Ground of daemon.
 *
 * Of a share that hangs one of them is stuck then, for as long as it hangs, and the others wait for
 * their turn, where they can be ended. */
#pragma once

/* For the share at `path`; -1: nobody is waited for. As root the file is given to whom its folder
 * belongs to. */
int turn_open(const char *state, const char *path);

/* Waits as long as it takes. `fd` -1: nothing. */
void turn_take(int fd);
void turn_give(int fd);
