/* vault.c: a session's questions to the keeper. Never keeps what it is told. */
#define _GNU_SOURCE
#include "daemon/smtp/vault.h"
#include <string.h>
#include <sys/socket.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"

int vault_visit(int link_fd, const struct facts_peer *peer)
{
	const struct vault_visitor visitor = { .peer = *peer };
	auto_close int ours = -1, theirs = -1;
	if (socket_pair(&ours, &theirs) != 0)
		return -1;
	return pass_fds_now(link_fd, &visitor, sizeof visitor, &theirs, 1) == 0 ? take_fd(&ours)
										: -1;
}

#define HEAD offsetof(struct vault_question, octets)

/* One packet each way. Returns octets of the answer, or less than 0. */
static ssize_t ask(const struct vault *vault, const struct vault_question *question, void *answer,
		   size_t room)
{
	if (vault->fd < 0)
		return -1;
	return pass_and_receive(vault->fd, question, HEAD + question->size, answer, room,
				vault->wake_fd, vault->deadline_ms);
}

enum vault_verdict vault_chain(const struct vault *vault, struct tls_public *public_out)
{
	const struct vault_question question = { .kind = VAULT_CHAIN };
	ssize_t got = ask(vault, &question, public_out, sizeof *public_out);
	const size_t head = offsetof(struct tls_public, chain);
	if (got < (ssize_t)head || public_out->size > (size_t)got - head)
		return VAULT_LATER;
	return public_out->size > 0 ? VAULT_YES : VAULT_NEVER;
}

static enum vault_verdict ask_short(const struct vault *vault, struct vault_question *question,
				    struct vault_answer *answer)
{
	const size_t head = offsetof(struct vault_answer, octets);
	ssize_t got = ask(vault, question, answer, sizeof *answer);
	if (got < (ssize_t)head || answer->size != (size_t)got - head ||
	    answer->verdict > VAULT_NEVER)
		return VAULT_LATER;
	return (enum vault_verdict)answer->verdict;
}

static ssize_t use_key(const struct vault *vault, enum vault_kind kind, uint32_t algorithm,
		       const void *octets, size_t size, uint8_t *out, size_t room)
{
	struct vault_question question = { .kind = kind, .algorithm = algorithm };
	struct vault_answer answer;
	if (size > sizeof question.octets)
		return -1;
	memcpy(question.octets, octets, size);
	question.size = (uint32_t)size;
	if (ask_short(vault, &question, &answer) != VAULT_YES || answer.size > room)
		return -1;
	ssize_t used = (ssize_t)answer.size;
	memcpy(out, answer.octets, answer.size);
	explicit_bzero(&answer, sizeof answer);
	return used;
}

ssize_t vault_sign(void *context, uint32_t algorithm, const void *hash, size_t size,
		   uint8_t signature_out[TLS_SIGNATURE_MAX])
{
	return use_key(context, VAULT_SIGN, algorithm, hash, size, signature_out,
		       TLS_SIGNATURE_MAX);
}

ssize_t vault_decrypt(void *context, const void *text, size_t size,
		      uint8_t plain_out[TLS_SECRET_SIZE])
{
	ssize_t got = use_key(context, VAULT_DECRYPT, 0, text, size, plain_out, TLS_SECRET_SIZE);
	return got == TLS_SECRET_SIZE ? got : -1;
}

enum vault_verdict vault_login(const struct vault *vault, const char *name, const char *password)
{
	struct vault_question question = { .kind = VAULT_LOGIN };
	struct vault_answer answer;
	size_t name_size = strlen(name) + 1, password_size = strlen(password) + 1;
	if (name_size + password_size > sizeof question.octets)
		return VAULT_NO;
	memcpy(question.octets, name, name_size);
	memcpy(question.octets + name_size, password, password_size);
	question.size = (uint32_t)(name_size + password_size);
	enum vault_verdict verdict = ask_short(vault, &question, &answer);
	explicit_bzero(&question, sizeof question);
	return verdict;
}
