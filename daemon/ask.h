/* ask.h: question and answer between programs: a source asks, a courier answers. Ground of daemon.
 *
 * A question is one seqpacket message: a struct ask_head, then texts, each ending in NUL, in this
 * order: sender, recipients. With it travel descriptors:
 *   ASK_DELIVER, ASK_EXPLAIN   the message, read-only and nameless (or the Maildir's own file), and
 *                              one end of a fresh socket pair for the answer; ASK_EXPLAIN also a
 *                              pipe for the report
 *   ASK_RETRY                  as ASK_DELIVER, for a message that was put aside: with the key that
 *                              it had, and only from who started the courier for himself
 *   ASK_SETTLE                 the mark that came with the answer, and one end of a fresh socket
 *                              pair: the source knows that the sender knows
 *   ASK_FAREWELL               the same, from who started the courier for himself and now ends: the
 *                              courier first ends its life, then settles, and exits
 *   ASK_RECALL                 as ASK_DELIVER, with an empty file: was this message delivered
 * without anybody knowing? Then it is answered like that, with the mark; else ASK_UNKNOWN
 *   ASK_COMPACT                a file of UIDs (uint32_t) that the source still lists under
 *                              UIDVALIDITY place[0], and one end of a fresh socket pair: what is
 *                              remembered of others up to the UID place[1] is forgotten
 *                              (daemon/kept.h). Not answered
 *
 * Who the source is belongs to the socket, never to the question: the first hop (the SMTP listener
 * for its sessions, the courier for pullers) overwrites `origin`. The questions of all sources wait
 * in sockets that all couriers read from; whichever is free takes the next one.
 *
 * Answers come over the pair: ASK_PROMISED at most once, when the courier starts to write its plan,
 * then ASK_FINAL. With PROMISED travels the mark, an open descriptor with a lock (flock) on it.
 * While any descriptor of it is open, in a process or in a socket's queue, the session lives; when
 * all are gone without a SETTLE, the delivery is in doubt, and the next equal message is answered
 * without being written. So a source keeps the mark after a FINAL that says delivered, until it
 * settles or knows nothing, and closes it at once after any other FINAL, and before it asks again
 * because the courier died (end of file on the pair without a FINAL).
 *
 * A SETTLE is answered by ASK_SETTLED once the mark is removed. Until then the source keeps it, and
 * asks once more if the courier died (end of file without a word).
 *
 * A courier never waits for the source to read: a pair that takes no answer is a source that went
 * away. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ASK_MAX            (48 * 1024) /* octets of a question */
#define ASK_RECIPIENTS_MAX 100
#define ASK_SOURCE_MAX     63 /* octets of a source's name */
#define ASK_TEXT_MAX       127
#define ASK_KEY_SIZE       72 /* 64 hex digits; what is not used is zero */

enum ask_kind {
	ASK_DELIVER = 1,
	ASK_SETTLE,
	ASK_EXPLAIN,
	ASK_FAREWELL,
	ASK_RETRY,
	ASK_COMPACT,
	ASK_RECALL
};
enum ask_source_kind {
	ASK_SOURCE_SMTP = 1,
	ASK_SOURCE_DROP,
	ASK_SOURCE_IMAP, /* this and the next are pulled: the message waits at its source */
	ASK_SOURCE_MAILDIR
};
#define ASK_ITEM_MAX 255 /* octets of a file's name */

/* Which outcomes leave the message where it is: the courier remembers them before it answers. */
enum { ASK_STAYS_DELIVERED = 1, ASK_STAYS_REFUSED = 2 };

struct ask_origin {
	char source[ASK_SOURCE_MAX + 1]; /* name of the source */
	uint32_t kind;                   /* enum ask_source_kind */
	uint8_t peer_known;
	uint8_t peer_allowed; /* the listener's `peers` matched */
	uint8_t peer[16];     /* as in policy/facts.h */
	uint8_t zero[2];
};

struct ask_head {
	uint32_t kind; /* enum ask_kind */
	uint32_t zero;
	struct ask_origin origin;
	char login[ASK_SOURCE_MAX + 1]; /* "" : none */
	uint64_t bytes;                 /* octets of the message; of one that is pulled, more than
					   are given if its source says so: it is judged by that */
	uint64_t place[2]; /* where it waits; IMAP: UIDVALIDITY and UID; Maildir: device and inode
			      of the folder; else 0 */
	char item[ASK_ITEM_MAX + 1]; /* its name there; Maildir: of the file, before any flags */
	int64_t received_ms;         /* wall clock (milliseconds since 1970 UTC) */
	int64_t deadline_ms;         /* monotonic clock; 0: none */
	uint32_t stays;              /* ASK_STAYS_… */
	uint32_t has_envelope;
	uint32_t recipients; /* texts that follow the sender */
	uint32_t nothing;
	char key[ASK_KEY_SIZE]; /* ASK_RETRY: that of the first time; else "" */
};

/* A question taken apart; texts point into the message that was given. */
struct ask {
	const struct ask_head *head;
	const char *sender;
	const char *recipients[ASK_RECIPIENTS_MAX];
};

enum ask_answer_kind { ASK_PROMISED = 1, ASK_FINAL, ASK_SETTLED, ASK_UNKNOWN };

struct ask_answer {
	uint32_t kind;               /* enum ask_answer_kind */
	uint32_t reason;             /* enum reason of policy/verdict.h; 0: delivered */
	uint32_t parts;              /* files written */
	char job[20];                /* of the log line; NUL-terminated */
	char text[ASK_TEXT_MAX + 1]; /* words for the sender; NUL-terminated, ASCII */
};

/* What everybody who asks holds to. */
#define ASK_TRIES       2     /* couriers: the first may die over the question */
#define ASK_PROMISED_MS 60000 /* so much longer may it take to keep a promise */
#define ASK_SETTLE_MS   3000  /* for one courier to take a mark away */

/* Until when an answer is waited for: 1 s more for each 10 MB. */
int64_t ask_deadline_ms(int64_t from_ms, uint64_t answer_within_s, uint64_t bytes);

/* Puts a question together. Returns its size in octets, or -E2BIG. `buffer` holds ASK_MAX. */
ssize_t ask_write(const struct ask_head *head, const char *sender, const char *const *recipients,
		  void *buffer);

/* Takes it apart; false: not a question. Every text is checked to end inside the message. `message`
 * must be aligned for struct ask_head. */
bool ask_read(const void *message, size_t size, struct ask *ask_out);

/* Is it a key, as couriers make them? */
bool ask_is_key(const char *text);

/* Checks an answer that came. */
bool ask_answer_valid(const void *message, size_t size);

/* Takes the next answer; a mark that comes with it replaces *mark_io. `flags`: of recv(2). 0;
 * -EAGAIN or -EINTR: none is there yet; -EPIPE: the courier is gone, or lost its mind. */
int ask_receive(int answer_fd, struct ask_answer *answer_out, int *mark_io, int flags);
