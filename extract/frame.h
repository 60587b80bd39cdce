/* frame.h: the wire between the extractor and the program that runs it. The one header of this room
 * that daemon may include.
 *
 * Both ends are built together and run on one machine, so the structs below travel as they are:
 * fixed size, host byte order, every unused byte zero. Whoever reads them treats them as foreign
 * bytes (daemon/courier/checkpoint.h): the extractor parsed hostile mail and may have been taken
 * over.
 *
 * Control socket (seqpacket, FRAME_CONTROL_FD of the template):
 *   template -> us   struct frame_ready, once, when its jail is closed
 *   us -> template   struct frame_job with two descriptors: the message (read-only, read by pread
 *                    from 0) and the write end of a pipe for the frames
 *   template -> us   struct frame_exit when the child of that job has ended
 *
 * Frames pipe: a struct frame_head, then `length` bytes of payload. The order of one message:
 *   (ADDRESS | RESULTS)* MESSAGE (PART BYTES* END)* SHOWN* DONE
 *                                                     wholly parsed, valid only with exit status 0
 *   ... CAP                                           a cap was hit; nothing follows
 * Exit status 74 (EX_IOERR): the message could not be read, or nobody reads the pipe; 71
 * (EX_OSERR): the child could not close its jail.
 * Parts never nest: the walk enters multiparts and message/rfc822, and only leaves become parts. */
#pragma once
#include <stdint.h>

#define FRAME_VERSION    2
#define FRAME_CONTROL_FD 3 /* the template's control socket */

#define FRAME_BYTES_MAX     (256 * 1024) /* payload of one BYTES frame (octets) */
#define FRAME_ADDRESS_MAX   320          /* addr-spec (octets): local part 64, @, domain 255 */
#define FRAME_ADDRESSES_MAX 100  /* To and Cc addresses passed on; further ones are dropped */
#define FRAME_SUBJECT_MAX   998  /* decoded Subject (octets of UTF-8), cut at a character */
#define FRAME_NAME_MAX      8192 /* decoded file name (octets of UTF-8); cut like the Subject */
#define FRAME_TYPE_MAX      128  /* type/subtype (octets) */
#define FRAME_DOMAIN_MAX    255  /* domain, or what stands in its place (octets) */
#define FRAME_RESULTS_MAX   16   /* Authentication-Results fields, from the top; no others */
#define FRAME_SIGNERS_MAX   10   /* signatures of one such field that passed; no others */

/* How an ambiguous mail is read: where one thing has two values that differ, the first or the last
 * of them counts. A mail whose two readings give the same names and bytes is not ambiguous in
 * effect. */
enum frame_reading { FRAME_READ_FIRST, FRAME_READ_LAST };

struct frame_limits {
	uint32_t parts;        /* leaves, the text of the message included */
	uint32_t depth;        /* multiparts and messages inside each other */
	uint32_t header_bytes; /* one header block (octets) */
};

struct frame_ready {
	uint32_t version; /* FRAME_VERSION */
	int32_t error; /* 0, or an errno value: the template ends and `text` says what is wrong */
	char text[200];
};

struct frame_job {
	uint32_t number;  /* given back in frame_exit */
	uint32_t reading; /* enum frame_reading */
	uint32_t cpu_s;   /* CPU limit of the child (seconds) */
	struct frame_limits limits;
};

struct frame_exit {
	uint32_t number;
	int32_t status; /* as from waitpid(2) */
};

enum frame_type {
	FRAME_ADDRESS =
		1,     /* text: one addr-spec of To or Cc, FRAME_ADDRESS_MAX at most, without NUL */
	FRAME_MESSAGE, /* struct frame_message: the top header has been read */
	FRAME_PART,    /* struct frame_part, then `name_length` bytes of name */
	FRAME_BYTES,   /* decoded content of the part, FRAME_BYTES_MAX at most */
	FRAME_END,     /* struct frame_end */
	FRAME_SHOWN,   /* struct frame_shown: an HTML body refers to this part by cid: */
	FRAME_CAP,     /* struct frame_cap */
	FRAME_DONE,    /* struct frame_done */
	FRAME_RESULTS, /* struct frame_results: before MESSAGE, the topmost field first */
	FRAME_TYPE_COUNT
};

struct frame_head {
	uint32_t type;   /* enum frame_type */
	uint32_t length; /* octets of payload that follow */
};

/* What the From fields say (RFC 5322 section 3.6.2). Only FRAME_FROM_ONE carries an address. */
enum frame_from {
	FRAME_FROM_NONE, /* no From field */
	FRAME_FROM_ONE,  /* one field with one address */
	FRAME_FROM_MANY, /* several fields, several addresses or a group */
	FRAME_FROM_BAD   /* unreadable, or with a NUL or a bare CR in it */
};

enum {
	FRAME_HAS_MESSAGE_ID = 1,
	FRAME_HAS_DATE = 2,  /* the Date field was readable */
	FRAME_DATE_LOCAL = 4 /* ... and has no zone: date_s is as if it were UTC */
};

struct frame_message {
	uint32_t from_state; /* enum frame_from */
	uint32_t flags;
	int64_t date_s; /* Date (seconds since 1970 UTC), with FRAME_HAS_DATE */
	char from[FRAME_ADDRESS_MAX + 1];
	char subject[FRAME_SUBJECT_MAX + 1]; /* RFC 2047 decoded, UTF-8, no NUL inside */
};

/* Which grammar an Authentication-Results field follows. */
enum frame_form {
	FRAME_RESULTS_BAD,      /* none: all the rest is zero */
	FRAME_RESULTS_RFC,      /* RFC 8601, with an authserv-id */
	FRAME_RESULTS_MICROSOFT /* starts with a result at once */
};

/* What one Authentication-Results field says, whoever wrote it. Texts are ASCII in lower case. */
struct frame_results {
	uint32_t form;       /* enum frame_form */
	uint32_t dmarc;      /* results of the method dmarc */
	uint32_t dmarc_pass; /* 1: there is one, and it is `pass` */
	uint32_t signers;    /* how many of `signer` are there */
	char id[FRAME_DOMAIN_MAX + 1];
	char dmarc_from[FRAME_DOMAIN_MAX + 1]; /* of the one result: domain of header.from, or "" */
	/* of each result of dkim that is `pass`: header.d, or else the domain of header.i */
	char signer[FRAME_SIGNERS_MAX][FRAME_DOMAIN_MAX + 1];
};

enum frame_disposition {
	FRAME_DISPOSITION_NONE,
	FRAME_DISPOSITION_INLINE,
	FRAME_DISPOSITION_ATTACHMENT
};

enum {
	FRAME_PART_TEXT_BODY = 1, /* the message's own text (or a report about it): no name, not an
				     attachment; its BYTES are UTF-8, whatever the charset was */
	FRAME_PART_HAS_NAME = 2,
	FRAME_PART_AMBIGUOUS = 4 /* its header gives two values that differ for one thing */
};

struct frame_part {
	uint32_t number;      /* counts the leaves of the message from 1 */
	uint32_t disposition; /* enum frame_disposition */
	uint32_t flags;
	uint32_t name_length;          /* octets of UTF-8 that follow, no NUL inside */
	char declared[FRAME_TYPE_MAX]; /* the declared type/subtype, lower case; NUL-terminated */
};

enum {
	FRAME_END_DAMAGED = 1,  /* some of it, or another part behind it, is lost: the encoding was
				   damaged, or the mail was cut within a line of it */
	FRAME_END_TRUNCATED = 2 /* the mail ended inside this part */
};

struct frame_end {
	uint64_t size; /* octets of content, the sum of its BYTES frames */
	uint32_t flags;
	char mime[FRAME_TYPE_MAX]; /* what the bytes are, lower case; NUL-terminated */
	uint32_t zero;
};

struct frame_shown {
	uint32_t number; /* of the part */
};

enum frame_cap_kind { FRAME_CAP_PARTS = 1, FRAME_CAP_DEPTH, FRAME_CAP_HEADER };

struct frame_cap {
	uint32_t cap; /* enum frame_cap_kind */
};

enum {
	FRAME_DONE_AMBIGUOUS =
		1, /* somewhere one thing had two values that differ: read it the other way too */
	FRAME_DONE_ENCODED =
		2, /* a multipart boundary or base64 was seen: a mail without parts is suspicious */
	FRAME_DONE_DAMAGED = 4 /* a part is lost in a text or beside the parts, behind a spoiled
				  delimiter, or a message inside is damaged */
};

struct frame_done {
	uint32_t parts; /* leaves seen, the text of the message included */
	uint32_t flags;
};
