/* hello.c: takes a ClientHello apart and puts it in words. Never speaks TLS and never decides
 * whether a handshake is made. */
#include "daemon/smtp/hello.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What is left to be read. Reading beyond the end gives zeros and sets `over`. */
struct cursor {
	const uint8_t *at, *end;
	bool over;
};

static size_t left_of(const struct cursor *c)
{
	return (size_t)(c->end - c->at);
}

static unsigned take_number(struct cursor *c, size_t octets)
{
	unsigned number = 0;
	if (left_of(c) < octets) {
		c->at = c->end;
		c->over = true;
		return 0;
	}
	for (size_t i = 0; i < octets; i++)
		number = number << 8 | *c->at++;
	return number;
}

/* The next `size` octets as a cursor of their own. */
static struct cursor take_piece(struct cursor *c, size_t size)
{
	struct cursor piece = { .at = c->at, .end = c->at };
	if (left_of(c) < size) {
		c->at = c->end;
		c->over = piece.over = true;
		return piece;
	}
	c->at += size;
	piece.end = c->at;
	return piece;
}

/* A piece with its length in front. */
static struct cursor take_vector(struct cursor *c, size_t octets)
{
	return take_piece(c, take_number(c, octets));
}

/* --- tables ----------------------------------------------------------------------------------- */

/* clang-format off */
/* The suites that matter (IANA). Names are OpenSSL's, shortened where nothing else is meant. */
static const struct suite {
	uint16_t number;
	uint8_t keys, usable;
	const char *name;
} suites[] = {
	{ 0x1301, 0, HELLO_STRONG, "TLS13-AES128-GCM" },
	{ 0x1302, 0, HELLO_STRONG, "TLS13-AES256-GCM" },
	{ 0x1303, 0, HELLO_STRONG, "TLS13-CHACHA20" },
	{ 0x1304, 0, HELLO_STRONG, "TLS13-AES128-CCM" },

	{ 0x002F, HELLO_BY_RSA, HELLO_STRONG, "AES128-SHA" },
	{ 0x0035, HELLO_BY_RSA, HELLO_STRONG, "AES256-SHA" },
	{ 0x003C, HELLO_BY_RSA, HELLO_STRONG, "AES128-SHA256" },
	{ 0x003D, HELLO_BY_RSA, HELLO_STRONG, "AES256-SHA256" },
	{ 0x009C, HELLO_BY_RSA, HELLO_STRONG, "AES128-GCM" },
	{ 0x009D, HELLO_BY_RSA, HELLO_STRONG, "AES256-GCM" },
	{ 0xC09C, HELLO_BY_RSA, HELLO_STRONG, "AES128-CCM" },
	{ 0xC09D, HELLO_BY_RSA, HELLO_STRONG, "AES256-CCM" },

	{ 0x0033, HELLO_BY_DHE, HELLO_STRONG, "DHE-RSA-AES128-SHA" },
	{ 0x0039, HELLO_BY_DHE, HELLO_STRONG, "DHE-RSA-AES256-SHA" },
	{ 0x0067, HELLO_BY_DHE, HELLO_STRONG, "DHE-RSA-AES128-SHA256" },
	{ 0x006B, HELLO_BY_DHE, HELLO_STRONG, "DHE-RSA-AES256-SHA256" },
	{ 0x009E, HELLO_BY_DHE, HELLO_STRONG, "DHE-RSA-AES128-GCM" },
	{ 0x009F, HELLO_BY_DHE, HELLO_STRONG, "DHE-RSA-AES256-GCM" },
	{ 0xC09E, HELLO_BY_DHE, HELLO_STRONG, "DHE-RSA-AES128-CCM" },
	{ 0xC09F, HELLO_BY_DHE, HELLO_STRONG, "DHE-RSA-AES256-CCM" },
	{ 0xCCAA, HELLO_BY_DHE, HELLO_STRONG, "DHE-RSA-CHACHA20" },

	{ 0xC013, HELLO_BY_ECDHE, HELLO_STRONG, "ECDHE-RSA-AES128-SHA" },
	{ 0xC014, HELLO_BY_ECDHE, HELLO_STRONG, "ECDHE-RSA-AES256-SHA" },
	{ 0xC027, HELLO_BY_ECDHE, HELLO_STRONG, "ECDHE-RSA-AES128-SHA256" },
	{ 0xC028, HELLO_BY_ECDHE, HELLO_STRONG, "ECDHE-RSA-AES256-SHA384" },
	{ 0xC02F, HELLO_BY_ECDHE, HELLO_STRONG, "ECDHE-RSA-AES128-GCM" },
	{ 0xC030, HELLO_BY_ECDHE, HELLO_STRONG, "ECDHE-RSA-AES256-GCM" },
	{ 0xCCA8, HELLO_BY_ECDHE, HELLO_STRONG, "ECDHE-RSA-CHACHA20" },

	{ 0x000A, HELLO_BY_RSA, HELLO_3DES, "3DES" },
	{ 0x0016, HELLO_BY_DHE, HELLO_3DES, "DHE-RSA-3DES" },
	{ 0xC012, HELLO_BY_ECDHE, HELLO_3DES, "ECDHE-RSA-3DES" },

	{ 0x0032, HELLO_BY_DHE, HELLO_FOREIGN, "DHE-DSS-AES128-SHA" },
	{ 0x0038, HELLO_BY_DHE, HELLO_FOREIGN, "DHE-DSS-AES256-SHA" },
	{ 0x0040, HELLO_BY_DHE, HELLO_FOREIGN, "DHE-DSS-AES128-SHA256" },
	{ 0x006A, HELLO_BY_DHE, HELLO_FOREIGN, "DHE-DSS-AES256-SHA256" },
	{ 0xC009, HELLO_BY_ECDHE, HELLO_FOREIGN, "ECDHE-ECDSA-AES128-SHA" },
	{ 0xC00A, HELLO_BY_ECDHE, HELLO_FOREIGN, "ECDHE-ECDSA-AES256-SHA" },
	{ 0xC023, HELLO_BY_ECDHE, HELLO_FOREIGN, "ECDHE-ECDSA-AES128-SHA256" },
	{ 0xC024, HELLO_BY_ECDHE, HELLO_FOREIGN, "ECDHE-ECDSA-AES256-SHA384" },
	{ 0xC02B, HELLO_BY_ECDHE, HELLO_FOREIGN, "ECDHE-ECDSA-AES128-GCM" },
	{ 0xC02C, HELLO_BY_ECDHE, HELLO_FOREIGN, "ECDHE-ECDSA-AES256-GCM" },
	{ 0xC0AC, HELLO_BY_ECDHE, HELLO_FOREIGN, "ECDHE-ECDSA-AES128-CCM" },
	{ 0xC0AD, HELLO_BY_ECDHE, HELLO_FOREIGN, "ECDHE-ECDSA-AES256-CCM" },
	{ 0xCCA9, HELLO_BY_ECDHE, HELLO_FOREIGN, "ECDHE-ECDSA-CHACHA20" },

	{ 0x0004, HELLO_BY_RSA, HELLO_DEAD, "RC4" },
	{ 0x0005, HELLO_BY_RSA, HELLO_DEAD, "RC4" },
	{ 0xC011, HELLO_BY_ECDHE, HELLO_DEAD, "ECDHE-RSA-RC4" },
	{ 0xC007, HELLO_BY_ECDHE, HELLO_DEAD, "ECDHE-ECDSA-RC4" },
	{ 0xC008, HELLO_BY_ECDHE, HELLO_DEAD, "ECDHE-ECDSA-3DES" },
	{ 0x0013, HELLO_BY_DHE, HELLO_DEAD, "DHE-DSS-3DES" },
	{ 0x0009, HELLO_BY_RSA, HELLO_DEAD, "DES" },
	{ 0x0012, HELLO_BY_DHE, HELLO_DEAD, "DHE-DSS-DES" },
	{ 0x0015, HELLO_BY_DHE, HELLO_DEAD, "DHE-RSA-DES" },
	{ 0x0007, HELLO_BY_RSA, HELLO_DEAD, "IDEA" },
	{ 0x0003, HELLO_BY_RSA, HELLO_DEAD, "EXPORT-RC4" },
	{ 0x0006, HELLO_BY_RSA, HELLO_DEAD, "EXPORT-RC2" },
	{ 0x0008, HELLO_BY_RSA, HELLO_DEAD, "EXPORT-DES" },
	{ 0x0011, HELLO_BY_DHE, HELLO_DEAD, "EXPORT-DHE-DSS-DES" },
	{ 0x0014, HELLO_BY_DHE, HELLO_DEAD, "EXPORT-DHE-RSA-DES" },
	{ 0x0041, HELLO_BY_RSA, HELLO_DEAD, "CAMELLIA128" },
	{ 0x0084, HELLO_BY_RSA, HELLO_DEAD, "CAMELLIA256" },
	{ 0x0045, HELLO_BY_DHE, HELLO_DEAD, "DHE-RSA-CAMELLIA128" },
	{ 0x0088, HELLO_BY_DHE, HELLO_DEAD, "DHE-RSA-CAMELLIA256" },
	{ 0x0096, HELLO_BY_RSA, HELLO_DEAD, "SEED" },
	{ 0x0001, HELLO_BY_RSA, HELLO_DEAD, "NULL" },
	{ 0x0002, HELLO_BY_RSA, HELLO_DEAD, "NULL" },
	{ 0x003B, HELLO_BY_RSA, HELLO_DEAD, "NULL" },
	{ 0x0018, HELLO_BY_DHE, HELLO_DEAD, "ADH-RC4" },
	{ 0x001B, HELLO_BY_DHE, HELLO_DEAD, "ADH-3DES" },
	{ 0x0034, HELLO_BY_DHE, HELLO_DEAD, "ADH-AES128-SHA" },
	{ 0x003A, HELLO_BY_DHE, HELLO_DEAD, "ADH-AES256-SHA" },
};

/* RFC 8446 section 4.2.7. */
static const struct group {
	uint16_t number;
	const char *name;
} groups[] = {
	{ 0x0017, "P-256" }, { 0x0018, "P-384" }, { 0x0019, "P-521" }, { 0x001D, "X25519" }, { 0x001E, "X448" },
	{ 0x0015, "P-224" }, { 0x0013, "P-192" }, { 0x0100, "FFDHE2048" }, { 0x0101, "FFDHE3072" },
	{ 0x0102, "FFDHE4096" }, { 0x11EC, "X25519MLKEM768" },
};
/* clang-format on */

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct {
	uint16_t version;
	const char *name;
} versions[] = {
	{ HELLO_SSL2, "SSL 2.0" },  { HELLO_SSL3, "SSL 3.0" },  { HELLO_TLS10, "TLS 1.0" },
	{ HELLO_TLS11, "TLS 1.1" }, { HELLO_TLS12, "TLS 1.2" }, { HELLO_TLS13, "TLS 1.3" },
};

const char *hello_version(uint16_t version)
{
	for (size_t i = 0; i < COUNT(versions); i++) {
		if (versions[i].version == version)
			return versions[i].name;
	}
	return "an unknown version";
}

/* --- what a hello holds ----------------------------------------------------------------------- */

/* Values that mean nothing, to keep servers tolerant (RFC 8701). */
static bool is_grease(unsigned number)
{
	return (number & 0x0F0F) == 0x0A0A && number >> 8 == (number & 0xFF);
}

/* Signals in the clothes of suites (RFC 5746, RFC 7507). */
static bool is_signal(unsigned number)
{
	return number == 0x00FF || number == 0x5600;
}

static bool is_listed(const char *const *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(list[i], name) == 0)
			return true;
	}
	return false;
}

static void name_suite(struct hello *hello, const char *name)
{
	if (name && is_listed(hello->suites, hello->suites_count, name))
		return;
	if (name && hello->suites_count < HELLO_SUITES)
		hello->suites[hello->suites_count++] = name;
	else
		hello->suites_more++;
}

static void note_suite(struct hello *hello, unsigned number)
{
	if (is_grease(number) || is_signal(number))
		return;
	for (size_t i = 0; i < COUNT(suites); i++) {
		if (suites[i].number != number)
			continue;
		hello->keys |= suites[i].keys;
		hello->usable |= suites[i].usable;
		name_suite(hello, suites[i].name);
		return;
	}
	name_suite(hello, NULL);
}

static void read_suites(struct cursor list, struct hello *hello)
{
	while (left_of(&list) >= 2)
		note_suite(hello, take_number(&list, 2));
}

/* Three octets each; with a zero in front those of later versions, else SSL 2.0's own. */
static void read_old_suites(struct cursor list, struct hello *hello)
{
	static const struct {
		unsigned number;
		const char *name;
	} olds[] = {
		{ 0x010080, "RC4" },        { 0x020080, "EXPORT-RC4" }, { 0x030080, "RC2" },
		{ 0x040080, "EXPORT-RC2" }, { 0x050080, "IDEA" },       { 0x060040, "DES" },
		{ 0x0700C0, "SSL2-3DES" },
	};
	while (left_of(&list) >= 3) {
		unsigned number = take_number(&list, 3);
		const char *name = NULL;
		if (number <= 0xFFFF) {
			note_suite(hello, number);
			continue;
		}
		for (size_t i = 0; i < COUNT(olds); i++)
			name = olds[i].number == number ? olds[i].name : name;
		hello->usable |= HELLO_DEAD;
		hello->keys |= HELLO_BY_RSA;
		name_suite(hello, name);
	}
}

/* RFC 6066 section 3. The name is shown, so nothing but what is fit for it is taken. */
static void read_server_name(struct cursor c, struct hello *hello)
{
	struct cursor list = take_vector(&c, 2);
	if (take_number(&list, 1) != 0)
		return;
	struct cursor name = take_vector(&list, 2);
	size_t size = left_of(&name);
	if (name.over || size > HELLO_NAME_MAX)
		return;
	for (size_t i = 0; i < size; i++) {
		if (name.at[i] <= ' ' || name.at[i] > '~')
			return;
	}
	memcpy(hello->server_name, name.at, size);
	hello->server_name[size] = '\0';
}

/* RFC 8446 section 4.2.1. */
static void read_versions(struct cursor c, struct hello *hello)
{
	struct cursor list = take_vector(&c, 1);
	unsigned newest = 0, oldest = 0;
	while (left_of(&list) >= 2) {
		unsigned version = take_number(&list, 2);
		if (version < HELLO_SSL3 || version > HELLO_TLS13)
			continue;
		newest = version > newest ? version : newest;
		oldest = oldest == 0 || version < oldest ? version : oldest;
	}
	if (newest == 0)
		return;
	hello->newest = (uint16_t)newest;
	hello->oldest = (uint16_t)oldest;
}

static void read_groups(struct cursor c, struct hello *hello)
{
	struct cursor list = take_vector(&c, 2);
	while (left_of(&list) >= 2) {
		unsigned number = take_number(&list, 2);
		for (size_t i = 0; i < COUNT(groups); i++) {
			if (groups[i].number == number && hello->groups_count < HELLO_GROUPS &&
			    !is_listed(hello->groups, hello->groups_count, groups[i].name))
				hello->groups[hello->groups_count++] = groups[i].name;
		}
	}
}

/* RFC 5246 section 7.4.1.4.1: the hash is the first octet; in TLS 1.3 the numbers from 0x0804 on
 * name both in one, all with SHA-256 or better. */
static void read_signatures(struct cursor c, struct hello *hello)
{
	struct cursor list = take_vector(&c, 2);
	while (left_of(&list) >= 2) {
		unsigned hash = take_number(&list, 2) >> 8;
		if (hash == 1)
			hello->hashes |= HELLO_MD5;
		else if (hash == 2)
			hello->hashes |= HELLO_SHA1;
		else if (hash >= 4 && hash <= 8)
			hello->hashes |= HELLO_SHA256;
	}
}

static void read_extensions(struct cursor *c, struct hello *hello)
{
	static const struct {
		unsigned number;
		void (*read)(struct cursor c, struct hello *hello);
	} readers[] = {
		{ 0, read_server_name },
		{ 10, read_groups },
		{ 13, read_signatures },
		{ 43, read_versions },
	};
	struct cursor list = take_vector(c, 2);
	while (left_of(&list) >= 4) {
		unsigned number = take_number(&list, 2);
		struct cursor body = take_vector(&list, 2);
		for (size_t i = 0; i < COUNT(readers) && !body.over; i++) {
			if (readers[i].number == number)
				readers[i].read(body, hello);
		}
	}
}

/* The body of the handshake message (RFC 8446 section 4.1.2). Before there were extensions, nothing
 * follows the compression methods. */
static enum hello_result read_body(struct cursor c, struct hello *hello)
{
	hello->newest = (uint16_t)take_number(&c, 2);
	take_piece(&c, 32); /* random */
	take_vector(&c, 1); /* session */
	read_suites(take_vector(&c, 2), hello);
	take_vector(&c, 1); /* compression */
	if (c.over || hello->newest < HELLO_SSL3 || hello->newest >> 8 != 3)
		return HELLO_BAD;
	if (left_of(&c) > 0)
		read_extensions(&c, hello);
	return HELLO_OK;
}

/* --- records ---------------------------------------------------------------------------------- */

/* Two octets of length with the highest bit set, then message 1 and the newest version. */
static bool is_old_format(const uint8_t *s, size_t size)
{
	return size >= 5 && (s[0] & 0x80) && s[2] == 1 &&
	       ((s[3] == 0 && s[4] == 2) || (s[3] == 3 && s[4] <= 4));
}

static enum hello_result read_old_format(struct cursor c, struct hello *hello)
{
	size_t size = take_number(&c, 2) & 0x7FFF;
	if (size > HELLO_MAX)
		return HELLO_BAD;
	struct cursor body = take_piece(&c, size);
	if (body.over)
		return HELLO_SHORT;
	take_number(&body, 1);
	hello->old_format = true;
	hello->newest = (uint16_t)take_number(&body, 2);
	size_t list = take_number(&body, 2);
	take_number(&body, 4); /* lengths of session and challenge */
	struct cursor numbers = take_piece(&body, list);
	read_old_suites(numbers, hello);
	return numbers.over ? HELLO_BAD : HELLO_OK;
}

/* A message may lie in several records (RFC 8446 section 5.1): their contents are put together. */
static enum hello_result join_records(struct cursor c, uint8_t *joined, size_t *size_out)
{
	size_t used = 0, wanted = 4;
	while (used < wanted) {
		if (left_of(&c) < 5)
			return HELLO_SHORT;
		unsigned type = take_number(&c, 1), version = take_number(&c, 2);
		size_t size = take_number(&c, 2);
		if (type != 0x16 || version >> 8 != 3 || size == 0 || size > HELLO_MAX - used)
			return HELLO_BAD;
		struct cursor piece = take_piece(&c, size);
		if (piece.over)
			return HELLO_SHORT;
		memcpy(joined + used, piece.at, size);
		used += size;
		if (used < 4)
			continue;
		wanted = 4 + ((size_t)joined[1] << 16 | (size_t)joined[2] << 8 | joined[3]);
		if (joined[0] != 1 || wanted > HELLO_MAX)
			return HELLO_BAD;
	}
	*size_out = wanted;
	return HELLO_OK;
}

enum hello_result hello_read(const void *bytes, size_t size, struct hello *hello_out)
{
	uint8_t joined[HELLO_MAX];
	struct cursor c = { .at = bytes, .end = (const uint8_t *)bytes + size };
	struct hello hello = { .newest = 0 };
	enum hello_result result;
	size_t whole;
	if (is_old_format(bytes, size)) {
		result = read_old_format(c, &hello);
	} else {
		result = join_records(c, joined, &whole);
		if (result == HELLO_OK)
			result = read_body(
				(struct cursor){ .at = joined + 4, .end = joined + whole }, &hello);
	}
	if (result == HELLO_OK)
		*hello_out = hello;
	return result;
}

/* --- words ------------------------------------------------------------------------------------ */

/* A text that grows; what does not fit is left out. */
struct words {
	char *text;
	size_t used;
};

static void say(struct words *words, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct words *words, const char *format, ...)
{
	size_t room = HELLO_WORDS_MAX - words->used;
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(words->text + words->used, room, format, arguments);
	va_end(arguments);
	words->used += length > 0 && (size_t)length < room ? (size_t)length : 0;
	words->text[words->used] = '\0';
}

static void say_list(struct words *words, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		say(words, "%s%s", i > 0 ? ", " : "", list[i]);
}

/* Before TLS 1.3 a device names its newest version alone. Of those below 1.1 there is nothing worth
 * falling back to. */
static void say_versions(struct words *words, const struct hello *hello)
{
	const char *newest = hello_version(hello->newest);
	if (hello->oldest != 0 && hello->oldest != hello->newest)
		say(words, "%s to %s", hello_version(hello->oldest), newest);
	else if (hello->oldest != 0 || hello->newest <= HELLO_TLS10)
		say(words, "%s only", newest);
	else
		say(words, "at most %s", newest);
	if (hello->old_format && hello->newest != HELLO_SSL2)
		say(words, " (in the form of SSL 2.0)");
}

static void say_keys(struct words *words, unsigned keys)
{
	const char *names[3];
	size_t count = 0;
	if (keys & HELLO_BY_ECDHE)
		names[count++] = "ECDHE";
	if (keys & HELLO_BY_DHE)
		names[count++] = "DHE";
	if (keys & HELLO_BY_RSA)
		names[count++] = "RSA";
	for (size_t i = 0; i < count; i++)
		say(words, "%s%s", i == 0 ? ", with " : i + 1 < count ? ", " : " and ", names[i]);
	if (count > 0)
		say(words, " key exchange");
}

static void say_suites(struct words *words, const struct hello *hello)
{
	if (hello->suites_count + hello->suites_more == 0)
		return;
	say(words, ": ");
	say_list(words, hello->suites, hello->suites_count);
	if (hello->suites_count == 0)
		say(words, "%zu ciphers that we don't know", hello->suites_more);
	else if (hello->suites_more > 0)
		say(words, " and %zu more", hello->suites_more);
}

void hello_describe(const struct hello *hello, char words_out[HELLO_WORDS_MAX])
{
	struct words words = { .text = words_out };
	say(&words, "offers ");
	say_versions(&words, hello);
	say_keys(&words, hello->keys);
	say_suites(&words, hello);
	if (hello->groups_count > 0) {
		say(&words, "; groups ");
		say_list(&words, hello->groups, hello->groups_count);
	}
	if (hello->hashes != 0 && !(hello->hashes & HELLO_SHA256))
		say(&words, "; signatures by SHA-1 at best");
	if (*hello->server_name)
		say(&words, "; asks for %s", hello->server_name);
}

#define WITHOUT "let it send without TLS, through a listener with tls = off and `peers`"

/* What is wrong with the suites. HELLO_3DES and better can be had. */
static bool judge_suites(const struct hello *hello, const struct hello_port *port,
			 struct words *words)
{
	if (hello->usable & HELLO_STRONG)
		return false;
	if (hello->usable & HELLO_3DES) {
		if (port->compat == TLS_ANCIENT)
			return false;
		say(words, "offers 3DES at best: set tls_compat = ancient for this listener");
	} else if (hello->usable & HELLO_FOREIGN) {
		say(words, "asks for a certificate with a key that is not RSA: set tls_cert and "
			   "tls_key to one of the kind ");
		say(words, hello->keys & HELLO_BY_ECDHE ? "ECDSA" : "DSA");
	} else if (hello->usable & HELLO_DEAD) {
		say(words, "offers only ciphers that are not available (");
		say_list(words, hello->suites, hello->suites_count);
		say(words, "): " WITHOUT);
	} else
		return false;
	return true;
}

bool hello_judge(const struct hello *hello, const struct hello_port *port,
		 char words_out[HELLO_WORDS_MAX])
{
	struct words words = { .text = words_out };
	const char *version = hello_version(hello->newest);
	words_out[0] = '\0';
	if (port->at_once && !port->tls)
		say(&words, "speaks TLS at once on a port without it: switch TLS/SSL off at the "
			    "device, or set tls = implicit for this listener");
	else if (port->at_once)
		say(&words,
		    "speaks TLS at once on a port that begins without it: choose STARTTLS at "
		    "the device, or set tls = implicit for this listener");
	if (port->at_once) {
		struct hello_port there = *port;
		char more[HELLO_WORDS_MAX];
		there.at_once = false;
		if (hello_judge(hello, &there, more))
			say(&words, "; it %s", more);
	} else if (hello->newest <= HELLO_SSL3)
		say(&words, "speaks %s only, which is not available: " WITHOUT, version);
	else if (!judge_suites(hello, port, &words) && hello->newest < HELLO_TLS12 &&
		 port->compat == TLS_MODERN)
		say(&words, "offers %s %s: set tls_compat = legacy for this listener", version,
		    hello->newest == HELLO_TLS10 ? "only" : "at most");
	return words.used > 0;
}
