/* ask.c: packs and unpacks questions and answers. Never opens, waits or decides. */
#include "daemon/ask.h"
#include <errno.h>
#include <string.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "policy/verdict.h"

#define KEY_LENGTH 64

static bool put_text(char *buffer, size_t *used, const char *text)
{
	size_t size = strlen(text) + 1;
	if (size > ASK_MAX - *used)
		return false;
	memcpy(buffer + *used, text, size);
	*used += size;
	return true;
}

ssize_t ask_write(const struct ask_head *head, const char *sender, const char *const *recipients,
		  void *buffer)
{
	if (head->recipients > ASK_RECIPIENTS_MAX)
		return -E2BIG;
	memcpy(buffer, head, sizeof *head);
	size_t used = sizeof *head;
	if (!put_text(buffer, &used, sender ? sender : ""))
		return -E2BIG;
	for (uint32_t i = 0; i < head->recipients; i++) {
		if (!put_text(buffer, &used, recipients[i]))
			return -E2BIG;
	}
	return (ssize_t)used;
}

/* The text at *at, or NULL if it does not end before `size`. */
static const char *take_text(const char *message, size_t size, size_t *at)
{
	const char *text = message + *at;
	const char *end = memchr(text, '\0', size - *at);
	if (!end)
		return NULL;
	*at += (size_t)(end - text) + 1;
	return text;
}

static bool ends_inside(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

bool ask_is_key(const char *text)
{
	return strlen(text) == KEY_LENGTH && strspn(text, "0123456789abcdef") == KEY_LENGTH;
}

bool ask_read(const void *message, size_t size, struct ask *ask_out)
{
	const struct ask_head *head = message;
	if (size < sizeof *head || size > ASK_MAX || head->recipients > ASK_RECIPIENTS_MAX)
		return false;
	if (head->kind < ASK_DELIVER || head->kind > ASK_RECALL)
		return false;
	if (!ends_inside(head->origin.source, sizeof head->origin.source) ||
	    !ends_inside(head->login, sizeof head->login) ||
	    !ends_inside(head->item, sizeof head->item) ||
	    !ends_inside(head->key, sizeof head->key))
		return false;
	if (head->kind == ASK_RETRY ? !ask_is_key(head->key) : *head->key != '\0')
		return false;
	struct ask ask = { .head = head };
	size_t at = sizeof *head;
	ask.sender = take_text(message, size, &at);
	if (!ask.sender)
		return false;
	for (uint32_t i = 0; i < head->recipients; i++) {
		ask.recipients[i] = take_text(message, size, &at);
		if (!ask.recipients[i])
			return false;
	}
	if (at != size)
		return false;
	*ask_out = ask;
	return true;
}

bool ask_answer_valid(const void *message, size_t size)
{
	const struct ask_answer *answer = message;
	return size == sizeof *answer && answer->kind >= ASK_PROMISED &&
	       answer->kind <= ASK_UNKNOWN && ends_inside(answer->job, sizeof answer->job) &&
	       ends_inside(answer->text, sizeof answer->text) && answer->reason < REASON_COUNT;
}

int ask_receive(int answer_fd, struct ask_answer *answer_out, int *mark_io, int flags)
{
	struct ask_answer answer;
	auto_close int came = -1;
	size_t count = 1;
	ssize_t got = receive_fds(answer_fd, &answer, sizeof answer, &came, &count, flags);
	if (got == -EAGAIN || got == -EINTR)
		return (int)got;
	if (got <= 0 || !ask_answer_valid(&answer, (size_t)got))
		return -EPIPE;
	if (count == 1) {
		close_fd(mark_io);
		*mark_io = take_fd(&came);
	}
	*answer_out = answer;
	return 0;
}

int64_t ask_deadline_ms(int64_t from_ms, uint64_t answer_within_s, uint64_t bytes)
{
	return from_ms + (int64_t)(answer_within_s + bytes / (10 << 20)) * 1000;
}
