/* verify.c: hands a message to libopendkim, field by field, and judges every signature by itself.
 * Never takes the library's word that a message is good, and never lets it ask for a key. */
#define _GNU_SOURCE
#include "daemon/prover/verify.h"
#include <dkim.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/prover/fields.h"
#include "daemon/prover/keys.h"
#include "daemon/prover/lines.h"
#include "daemon/prover/resolve.h"
#include "policy/align.h"

#define BLOCK          (64 << 10) /* octets that are read at a time */
#define SIGNATURES_MAX 10         /* of a message; one that has more proves nothing */
#define LOOKUPS_MAX    4          /* keys that are asked for, for one message */
#define LOOKUPS_MS     10000      /* for all of them */
#define LEAVE_MS       2000       /* before the deadline no key is asked for any more */
#define KEY_BITS_MIN   1024       /* RSA (RFC 8301 section 3.2) */
#define NAME_MAX_SIZE  256        /* of a name in the DNS */
#define LOOK_NAME      "_domainkey.example.org"

static DKIM_LIB *library;

/* --- fields that decide what is in the message ------------------------------------------------ */

/* A second one on top would be read by us and not be covered; one that is not signed may have been
 * added by anybody. */
enum single {
	SINGLE_FROM,
	SINGLE_TYPE,
	SINGLE_ENCODING,
	SINGLE_DISPOSITION,
	SINGLE_VERSION,
	SINGLE_SUBJECT,
	SINGLE_DATE,
	SINGLE_TO,
	SINGLE_CC,
	SINGLES
};

/* `must`: be signed, where the message has one. */
#define FIELD(field, must)                                             \
	{                                                              \
		(field), "there are two " field " fields",             \
			(must) ? "it leaves " field " unsigned" : NULL \
	}

static const struct {
	const char *name, *twice, *open; /* what is wrong then; NULL: nothing */
} singles[SINGLES] = {
	[SINGLE_FROM] = FIELD("From", true),
	[SINGLE_TYPE] = FIELD("Content-Type", true),
	[SINGLE_ENCODING] = FIELD("Content-Transfer-Encoding", true),
	[SINGLE_DISPOSITION] = FIELD("Content-Disposition", true),
	[SINGLE_VERSION] = FIELD("MIME-Version", false),
	[SINGLE_SUBJECT] = FIELD("Subject", false),
	[SINGLE_DATE] = FIELD("Date", false),
	[SINGLE_TO] = FIELD("To", false),
	[SINGLE_CC] = FIELD("Cc", false),
};

/* --- one message ------------------------------------------------------------------------------ */

struct missed {
	const DKIM_SIGINFO *signature;
	const char *why;
	bool unsure; /* the key may be there */
};

struct work {
	const struct verify_settings *settings;
	const struct prove_question *question;
	DKIM *dkim;
	bool seen[SINGLES], matters[SINGLES]; /* it says something */
	unsigned fields, unreadable;          /* DKIM-Signature; those of them that are none */
	bool nothing;                         /* there is none to look at the body for */
	unsigned lookups;
	int64_t until_ms; /* for them */
	struct missed missed[SIGNATURES_MAX];
	size_t missed_count;
	const char *why; /* nothing can be proven; NULL: go on */
};

/* No memory to begin with, or what can't be. */
static void insist(bool condition)
{
	if (!condition)
		abort();
}

static enum align alignment(const struct work *work, DKIM_SIGINFO *signature)
{
	const u_char *domain = dkim_sig_getdomain(signature);
	enum align least = work->question->relaxed ? ALIGN_RELAXED : ALIGN_STRICT;
	enum align align =
		domain ? align_domains(work->question->domain, (const char *)domain) : ALIGN_NONE;
	return align >= least ? align : ALIGN_NONE;
}

/* --- keys ------------------------------------------------------------------------------------- */

static DKIM_CBSTAT miss(struct work *work, const DKIM_SIGINFO *signature, const char *why,
			bool unsure)
{
	insist(work->missed_count < SIGNATURES_MAX);
	work->missed[work->missed_count++] = (struct missed){ signature, why, unsure };
	/* the others are looked at all the same */
	return DKIM_CBSTAT_NOTFOUND;
}

static const struct missed *find_missed(const struct work *work, const DKIM_SIGINFO *signature)
{
	for (size_t i = 0; i < work->missed_count; i++) {
		if (work->missed[i].signature == signature)
			return &work->missed[i];
	}
	return NULL;
}

static const char name_octets[] =
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

static bool is_name(const char *text)
{
	return text[strspn(text, name_octets)] == '\0';
}

/* Labels and dots between them: what may stand in a selector (RFC 6376 section 3.1), and what is no
 * name to anybody else. */
static bool is_selector(const char *text)
{
	size_t size = strlen(text);
	return size > 0 && is_name(text) && text[0] != '.' && text[size - 1] != '.' &&
	       !strstr(text, "..");
}

static DKIM_CBSTAT ask_for_key(struct work *work, const DKIM_SIGINFO *signature, const char *name,
			       char *record, size_t room)
{
	if (work->lookups == LOOKUPS_MAX)
		return miss(work, signature, "too many keys would have to be looked up", false);
	work->lookups++;
	switch (resolve_text(&work->settings->resolver, name, work->until_ms - monotonic_ms(),
			     record, room)) {
	case RESOLVE_FOUND: return DKIM_CBSTAT_CONTINUE;
	case RESOLVE_ABSENT: return miss(work, signature, "its key is not to be found", false);
	case RESOLVE_NOT_KNOWN: break;
	}
	return miss(work, signature, "its key can't be looked up now", true);
}

/* The library wants the key of a signature. */
static DKIM_CBSTAT look_up(DKIM *dkim, DKIM_SIGINFO *signature, u_char *record, size_t room)
{
	struct work *work = dkim_get_user_context(dkim);
	const char *selector = (const char *)dkim_sig_getselector(signature);
	const char *domain = (const char *)dkim_sig_getdomain(signature);
	char name[NAME_MAX_SIZE];
	if (alignment(work, signature) == ALIGN_NONE || !is_selector(selector) ||
	    (size_t)snprintf(name, sizeof name, "%s._domainkey.%s", selector, domain) >=
		    sizeof name)
		return miss(work, signature, "its key has no name", false);
	if (keys_find(work->settings->keys, name, (char *)record, room))
		return DKIM_CBSTAT_CONTINUE;
	return ask_for_key(work, signature, name, (char *)record, room);
}

static bool is_weak(DKIM_SIGINFO *signature)
{
	dkim_alg_t algorithm;
	return dkim_sig_getsignalg(signature, &algorithm) != DKIM_STAT_OK ||
	       (algorithm != DKIM_SIGN_RSASHA256 && algorithm != DKIM_SIGN_ED25519SHA256);
}

/* Signatures that could prove nothing are passed over: no key of theirs is asked for. */
static DKIM_CBSTAT choose(DKIM *dkim, DKIM_SIGINFO **signatures, int count)
{
	struct work *work = dkim_get_user_context(dkim);
	for (int i = 0; i < count; i++) {
		if (dkim_sig_geterror(signatures[i]) != DKIM_SIGERROR_UNKNOWN ||
		    alignment(work, signatures[i]) == ALIGN_NONE || is_weak(signatures[i]))
			dkim_sig_ignore(signatures[i]);
	}
	return DKIM_CBSTAT_CONTINUE;
}

bool verify_prepare(void)
{
	/* never FIXCRLF: a message that begins with an LF ends the process then */
	unsigned flags = DKIM_LIBFLAGS_STRICTHDRS;
	library = dkim_init(NULL, NULL);
	return library &&
	       dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags, sizeof flags) ==
		       DKIM_STAT_OK &&
	       dkim_set_key_lookup(library, look_up) == DKIM_STAT_OK &&
	       dkim_set_prescreen(library, choose) == DKIM_STAT_OK;
}

/* --- the header ------------------------------------------------------------------------------- */

/* Has it the domain in it that we were told is there? Whoever told may have read another field. */
static bool mentions(const char *value, size_t size, const char *domain)
{
	size_t length = strlen(domain);
	for (size_t i = 0; i + length < size; i++) {
		if (value[i] == '@' && strncasecmp(value + i + 1, domain, length) == 0 &&
		    (i + 1 + length == size || !strchr(name_octets, value[i + 1 + length])))
			return true;
	}
	return false;
}

/* An encoding that changes nothing may stand there unsigned: some servers write one. */
static bool is_identity(const char *value, size_t size)
{
	static const char *const words[] = { "7bit", "8bit", "binary" };
	while (size > 0 && (unsigned char)*value <= ' ') {
		value++;
		size--;
	}
	while (size > 0 && (unsigned char)value[size - 1] <= ' ')
		size--;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (strlen(words[i]) == size && strncasecmp(value, words[i], size) == 0)
			return true;
	}
	return false;
}

static void check_single(struct work *work, const struct fields *fields, enum single single)
{
	size_t size;
	const char *value = fields_value(fields, &size);
	if (work->seen[single])
		work->why = singles[single].twice;
	work->seen[single] = true;
	work->matters[single] = single != SINGLE_ENCODING || !is_identity(value, size);
	if (single == SINGLE_FROM && !mentions(value, size, work->question->domain))
		work->why = "the domain of From is not written out in it";
}

/* A signature that can't be one is left out by the library; no other needs to suffer from it. */
static void take_field(struct work *work, struct fields *fields)
{
	for (unsigned i = 0; i < SINGLES; i++) {
		if (fields_is(fields, singles[i].name))
			check_single(work, fields, (enum single)i);
	}
	bool signature = fields_is(fields, DKIM_SIGNHEADER);
	work->fields += signature;
	if (work->fields > SIGNATURES_MAX)
		work->why = "there are too many signatures";
	if (work->why)
		return;
	DKIM_STAT status = dkim_header(work->dkim, (u_char *)fields->text, fields->size);
	if (signature && status == DKIM_STAT_SYNTAX)
		work->unreadable++;
	else if (status != DKIM_STAT_OK)
		work->why = "its header can't be read";
}

/* What the library finds missing or twice is as RFC 5322 section 3.6 has it; it also gives up where
 * a field is longer than it can hold. */
static void end_header(struct work *work)
{
	DKIM_STAT status = dkim_eoh(work->dkim);
	work->nothing = status == DKIM_STAT_NOSIG;
	if (status == DKIM_STAT_SYNTAX)
		work->why = "its header lacks a field that every mail has, or has one twice";
	else if (status != DKIM_STAT_OK && !work->nothing)
		work->why = "its header has more in it than can be checked";
}

/* --- the message ------------------------------------------------------------------------------ */

static void give_body(struct work *work, u_char *at, size_t size)
{
	if (dkim_body(work->dkim, at, size) != DKIM_STAT_OK)
		work->why = "its body can't be read";
}

/* Octets with CRLF line ends, of the header or the body. */
static void take_octets(struct work *work, struct fields *fields, bool *in_body_io, char *at,
			size_t left)
{
	const char *rest = at;
	enum fields_state state = *in_body_io ? FIELDS_END : FIELDS_FIELD;
	while (state == FIELDS_FIELD && !work->why) {
		state = fields_take(fields, &rest, &left);
		if (state == FIELDS_FIELD)
			take_field(work, fields);
	}
	if (state == FIELDS_BAD)
		work->why = fields->why;
	if (work->why || state != FIELDS_END)
		return;
	if (!*in_body_io)
		end_header(work);
	*in_body_io = true;
	if (left > 0 && !work->why && !work->nothing)
		give_body(work, (u_char *)at + (rest - at), left);
}

static ssize_t read_block(int fd, char *block, off_t *offset_io)
{
	ssize_t got;
	do {
		got = pread(fd, block, BLOCK, *offset_io);
	} while (got < 0 && errno == EINTR);
	if (got > 0)
		*offset_io += got;
	return got;
}

/* From the first octet to the last, or as far as it is worth it. */
static void take_message(struct work *work, struct fields *fields, int message_fd)
{
	static char block[BLOCK], made[LINES_ROOM(BLOCK)];
	struct lines lines = { 0 };
	off_t offset = 0;
	bool in_body = false;
	ssize_t got;
	while (!work->why && !work->nothing &&
	       (got = read_block(message_fd, block, &offset)) != 0) {
		if (got < 0)
			_exit(EX_IOERR);
		take_octets(work, fields, &in_body, made,
			    lines_run(&lines, block, (size_t)got, made));
	}
	if (!work->why && !work->nothing)
		take_octets(work, fields, &in_body, made, lines_finish(&lines, made));
	if (!work->why && !in_body)
		work->why = "its header has no end";
	if (!work->why && !work->nothing)
		dkim_eom(work->dkim, NULL); /* its result is about one signature */
}

/* --- the signatures --------------------------------------------------------------------------- */

static const struct {
	int error;
	const char *why;
} errors[] = {
	{ DKIM_SIGERROR_VERSION, "its version is not known" },
	{ DKIM_SIGERROR_DOMAIN, "its i= is not below its d=" },
	{ DKIM_SIGERROR_EXPIRED, "it has expired" },
	{ DKIM_SIGERROR_FUTURE, "it is from the future: is the clock right?" },
	{ DKIM_SIGERROR_TIMESTAMPS, "it expires before it was made" },
	{ DKIM_SIGERROR_INVALID_HC, "its c= is not known" },
	{ DKIM_SIGERROR_INVALID_BC, "its c= is not known" },
	{ DKIM_SIGERROR_INVALID_A, "its algorithm is not known" },
	{ DKIM_SIGERROR_INVALID_H, "it leaves From unsigned" },
	{ DKIM_SIGERROR_INVALID_L, "its l= is no number" },
	{ DKIM_SIGERROR_TOOLARGE_L, "the body is shorter than it says" },
	{ DKIM_SIGERROR_CORRUPT_B, "it is damaged" },
	{ DKIM_SIGERROR_NOKEY, "its key is not to be found" },
	{ DKIM_SIGERROR_DNSSYNTAX, "its key can't be read" },
	{ DKIM_SIGERROR_KEYVERSION, "its key is of another version" },
	{ DKIM_SIGERROR_KEYUNKNOWNHASH, "its key is for a hash that is not known" },
	{ DKIM_SIGERROR_KEYHASHMISMATCH, "its key is for another hash" },
	{ DKIM_SIGERROR_NOTEMAILKEY, "its key is not for mail" },
	{ DKIM_SIGERROR_KEYTYPEMISSING, "its key has no type" },
	{ DKIM_SIGERROR_KEYTYPEUNKNOWN, "its key is of a type that is not known" },
	{ DKIM_SIGERROR_KEYREVOKED, "its key was revoked" },
	{ DKIM_SIGERROR_KEYDECODE, "its key can't be read" },
	{ DKIM_SIGERROR_KEYTOOSMALL, "its key is too short" },
	{ DKIM_SIGERROR_SUBDOMAIN, "its key is not for subdomains" },
};

static const char *word_of(int error)
{
	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
		if (errors[i].error == error)
			return errors[i].why;
	}
	return "it can't be read";
}

/* NULL: it covers all of the body. */
static const char *find_gap(const struct work *work, DKIM_SIGINFO *signature)
{
	ssize_t limit;
	if (dkim_sig_getcanonlen(work->dkim, signature, NULL, NULL, &limit) != DKIM_STAT_OK)
		return "it can't be read";
	return limit != -1 ? "it covers a part of the body only (l=)" : NULL;
}

/* Is the field in its h=, from which the library took the blanks? Asked itself, it takes an entry
 * for the field that is only its beginning, and an empty one for any. */
static bool is_signed(DKIM_SIGINFO *signature, const char *name)
{
	u_char tag[] = "h";
	const char *at = (const char *)dkim_sig_gettagvalue(signature, false, tag);
	size_t length = strlen(name);
	for (size_t size; at && *at; at += size + (at[size] == ':')) {
		size = strcspn(at, ":");
		if (size == length && strncasecmp(at, name, length) == 0)
			return true;
	}
	return false;
}

/* The first field that it leaves open though it must not; NULL: none. */
static const char *find_unsigned(const struct work *work, DKIM_SIGINFO *signature)
{
	for (unsigned i = 0; i < SINGLES; i++) {
		if (singles[i].open && work->matters[i] && !is_signed(signature, singles[i].name))
			return singles[i].open;
	}
	return NULL;
}

/* What speaks against its key; NULL: nothing. */
static const char *find_key_fault(DKIM_SIGINFO *signature)
{
	dkim_alg_t algorithm;
	unsigned bits = 0;
	u_char tag[] = "k";
	const char *kind = (const char *)dkim_sig_gettagvalue(signature, true, tag);
	if (dkim_sig_getflags(signature) & DKIM_SIGFLAG_TESTKEY)
		return "its key is for tests (t=y)";
	if (dkim_sig_getsignalg(signature, &algorithm) != DKIM_STAT_OK ||
	    dkim_sig_getkeysize(signature, &bits) != DKIM_STAT_OK)
		return "its key can't be read";
	bool edwards = algorithm == DKIM_SIGN_ED25519SHA256;
	if (strcmp(kind ? kind : "rsa", edwards ? "ed25519" : "rsa") != 0)
		return "its key is of another kind";
	return !edwards && bits < KEY_BITS_MIN ? "its key is too short" : NULL;
}

/* What is wrong with a signature whose domain is aligned; NULL: nothing. */
static const char *find_fault(const struct work *work, DKIM_SIGINFO *signature)
{
	int error = dkim_sig_geterror(signature);
	unsigned flags = dkim_sig_getflags(signature);
	const struct missed *missed = find_missed(work, signature);
	if (missed)
		return missed->why;
	if (flags & DKIM_SIGFLAG_IGNORE)
		return error == DKIM_SIGERROR_UNKNOWN && is_weak(signature)
			       ? "it is made with SHA-1"
			       : word_of(error);
	/* that it passed is about the header alone */
	if (dkim_sig_getbh(signature) == DKIM_SIGBH_MISMATCH)
		return "body hash differs";
	if (error == DKIM_SIGERROR_BADSIG)
		return "the signed header fields were changed";
	if (error != DKIM_SIGERROR_OK || !(flags & DKIM_SIGFLAG_PASSED) ||
	    dkim_sig_getbh(signature) != DKIM_SIGBH_MATCH)
		return word_of(error);
	const char *fault = find_key_fault(signature);
	if (!fault)
		fault = find_gap(work, signature);
	return fault ? fault : find_unsigned(work, signature);
}

/* A domain that somebody else wrote, for our words. */
static const char *name_of(DKIM_SIGINFO *signature)
{
	const char *domain = (const char *)dkim_sig_getdomain(signature);
	return domain && strlen(domain) <= 100 && is_name(domain) ? domain : "somebody";
}

static void say(struct prove_answer *answer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void say(struct prove_answer *answer, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(answer->text, sizeof answer->text, format, arguments);
	va_end(arguments);
}

/* Keeps the best, and the first that was bad. */
static void judge(const struct work *work, DKIM_SIGINFO *signature, struct prove_answer *answer)
{
	enum align align = alignment(work, signature);
	if (align == ALIGN_NONE)
		return;
	const char *fault = find_fault(work, signature);
	uint32_t verdict = align == ALIGN_STRICT ? PROVE_SIGNED : PROVE_RELATED;
	const struct missed *missed = find_missed(work, signature);
	answer->unsure |= missed && missed->unsure;
	if (fault && !*answer->text)
		say(answer, "signature of %s: %s", name_of(signature), fault);
	if (fault || verdict <= answer->verdict)
		return;
	answer->verdict = verdict;
	say(answer, "signed by %s", name_of(signature));
}

static void judge_all(const struct work *work, struct prove_answer *answer)
{
	DKIM_SIGINFO **signatures = NULL;
	int count = 0;
	if (dkim_getsiglist(work->dkim, &signatures, &count) != DKIM_STAT_OK)
		count = 0;
	for (int i = 0; i < count; i++)
		judge(work, signatures[i], answer);
	/* what would be as good as it gets needs no other */
	if (answer->verdict == PROVE_SIGNED)
		answer->unsure = 0;
	if (*answer->text)
		return;
	if (count > 0)
		say(answer, "no signature of %s, but of %s", work->question->domain,
		    name_of(signatures[0]));
	else
		say(answer, work->unreadable ? "its signature can't be read" : "it is not signed");
}

/* --- answers ---------------------------------------------------------------------------------- */

static void run(struct work *work, int message_fd, struct prove_answer *answer)
{
	struct fields fields;
	DKIM_STAT status;
	insist(fields_init(&fields, work->settings->header_bytes));
	work->dkim = dkim_verify(library, (const u_char *)"message", NULL, &status);
	insist(work->dkim && dkim_set_user_context(work->dkim, work) == DKIM_STAT_OK);
	take_message(work, &fields, message_fd);
	if (work->why)
		say(answer, "%s", work->why);
	else
		judge_all(work, answer);
	dkim_free(work->dkim);
	fields_done(&fields);
}

void verify_message(const struct verify_settings *settings, const struct prove_question *question,
		    int message_fd, struct prove_answer *answer_out)
{
	struct work work = { .settings = settings, .question = question };
	struct prove_answer answer = { .verdict = PROVE_NOTHING };
	work.until_ms = monotonic_ms() + LOOKUPS_MS;
	if (work.until_ms > question->deadline_ms - LEAVE_MS)
		work.until_ms = question->deadline_ms - LEAVE_MS;
	if (align_domains(question->domain, question->domain) == ALIGN_STRICT)
		run(&work, message_fd, &answer);
	else
		say(&answer, "the domain of From is not one that can sign");
	*answer_out = answer;
}

void verify_look(const struct verify_settings *settings, struct prove_answer *answer_out)
{
	char record[1024];
	struct prove_answer answer = { .verdict = PROVE_NOTHING };
	answer.unsure = resolve_text(&settings->resolver, LOOK_NAME, LOOKUPS_MS, record,
				     sizeof record) == RESOLVE_NOT_KNOWN;
	*answer_out = answer;
}
