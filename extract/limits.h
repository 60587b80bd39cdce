/* limits.h: every cap of the extractor, with unit and reason. Room extract.
 *
 * What a route may widen (parts, depth, header) comes with struct frame_job and is clamped to the
 * *_MAX here; the rest is fixed, since no device comes near it. A cap that is hit is an answer,
 * never a crash or a guess. */
#pragma once

/* Clamps of what the job says: leaves (the table of Content-IDs has a row for each), containers
 * inside each other (each has a row on the stack), one header block (octets; it is held whole, but
 * what a job leaves out is not touched). */
#define LIMIT_PARTS_MAX  10000
#define LIMIT_DEPTH_MAX  200
#define LIMIT_HEADER_MAX (1024 * 1024)

/* Containers for each leaf that the job allows: mails have fewer containers than leaves, and a mail
 * that has nothing but containers would cost without ever hitting the cap of leaves. */
#define LIMIT_CONTAINERS 10

/* Encoded messages inside encoded messages: each needs a window of its own and a walk of its
 * own. */
#define LIMIT_LAYERS_MAX 4

/* A boundary (octets). RFC 2046 allows 70; devices go to 200. */
#define LIMIT_BOUNDARY_MAX 2048

/* Parameters of one field, and RFC 2231 sections of one parameter. Real names need 3 and 20. */
#define LIMIT_PARAMS_MAX   5000
#define LIMIT_SECTIONS_MAX 256

/* A From field (octets, folding included). */
#define LIMIT_FROM_MAX 4096

/* Comments inside each other in an Authentication-Results field. Receivers need 1. */
#define LIMIT_COMMENTS_MAX 20

/* Windows on the message and on an encoded message inside it (octets). */
#define LIMIT_WINDOW       (128 * 1024)
#define LIMIT_LAYER_WINDOW (64 * 1024)

/* What libmagic sees of a part, and what is kept of its end for the directory of a zip file
 * (octets). */
#define LIMIT_SNIFF_HEAD (64 * 1024)
#define LIMIT_SNIFF_TAIL (128 * 1024)

/* What is looked at ahead of the walk, in one place and in a whole message (octets): boundaries
 * that have to be guessed, encodings that may be a lie. Beyond it what the header says is
 * believed. */
#define LIMIT_LOOK       (32 * 1024)
#define LIMIT_LOOK_START 128 /* of a text that may be a file */
#define LIMIT_LOOK_ALL   (4 * 1024 * 1024)

/* Different cid: references of one message, and the length of one (octets). */
#define LIMIT_CIDS_MAX 2048
#define LIMIT_CID_MAX  512

/* Resources of the child that reads one message: address space (octets; 40 MB are libraries and the
 * magic database), and descriptors. */
#define LIMIT_CHILD_MEMORY      (256UL * 1024 * 1024)
#define LIMIT_CHILD_DESCRIPTORS 8
