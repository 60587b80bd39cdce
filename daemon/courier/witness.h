/* witness.h: how a folder is known again when nothing in it says so. Room daemon/courier.
 *
 * The file system, the inode number and the time of birth of a folder are those of no other. A
 * mount point whose disk is away is another folder, and so is the root of another disk. */
#pragma once
#include <stdbool.h>

#define WITNESS_SIZE 80 /* with its NUL */

/* One line without its end. False: the file system does not say enough. */
bool witness_of(int folder_fd, char text_out[WITNESS_SIZE]);

/* The same for folders of one file system, which may be another device tomorrow: without it. */
bool witness_within(int folder_fd, char text_out[WITNESS_SIZE]);
