/* line.h: bytes of one command line -> command (RFC 5321 section 4.1). Room daemon/smtp: pure,
 * allocates nothing.
 *
 * What a device may do that the RFC does not allow, since devices do it: verbs and keywords in any
 * case; blanks and tabs after a verb and around the colon of MAIL FROM: and RCPT TO:, or no colon
 * at all; an address without <>; blanks in a local part without quotes; a HELO without a name or
 * with any garbage for one; bytes that are not UTF-8, which are read as Latin-1; parameters glued
 * to the >.
 *
 * An address leaves as valid UTF-8 without control characters. Source routes are dropped. A quoted
 * local part loses its quotes where they say nothing ("scan"@x is scan@x) and keeps them otherwise,
 * so that "a@b"@c never looks like another address. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE_MAX_BYTES \
	4096 /* of a command line, its end included (octets); RFC 5321 asks for 512 and a bit */
#define LINE_ADDRESS_MAX 400 /* of an address as it leaves (octets) */

enum line_verb {
	LINE_UNKNOWN,
	LINE_HELO,
	LINE_EHLO,
	LINE_MAIL,
	LINE_RCPT,
	LINE_DATA,
	LINE_BDAT,
	LINE_RSET,
	LINE_NOOP,
	LINE_VRFY,
	LINE_HELP,
	LINE_QUIT,
	LINE_AUTH,
	LINE_STARTTLS,
	LINE_NEVER, /* known, never to be offered: EXPN, TURN, ETRN, SEND, SOML, SAML */
	LINE_HTTP,  /* an HTTP request */
	LINE_FIELD, /* `Name: value`: no command, but a line of a mail or of a web request */
	LINE_VERB_COUNT
};

enum line_result {
	LINE_OK,
	LINE_BAD_ARGUMENT, /* missing, or not to be understood */
	LINE_BAD_ADDRESS,
	LINE_BAD_VALUE,       /* of a parameter we know */
	LINE_OTHER_PARAMETER, /* one we don't know, or a value we don't offer */
	LINE_RESULT_COUNT
};

struct line_command {
	enum line_verb verb;
	const char *argument; /* what follows the verb, trimmed; borrowed, not NUL-terminated */
	size_t argument_size;

	char address[LINE_ADDRESS_MAX + 1]; /* MAIL, RCPT: NUL-terminated, "" for <> */
	uint64_t size;                      /* MAIL: SIZE= (octets, RFC 1870); 0: not declared */

	uint64_t chunk; /* BDAT: octets that follow (RFC 3030) */
	bool last;
};

/* `text` is a line without its end; it may hold any byte. The verb is set whatever the result. */
enum line_result line_parse(const char *text, size_t size, struct line_command *command_out);

/* The verb alone; what line_parse takes for a field or for HTTP by what follows is LINE_UNKNOWN. */
enum line_verb line_verb(const char *text, size_t size);

/* Are these the first bytes of a TLS record with a ClientHello? One byte is enough for a yes, but
 * in the form of SSL 2.0. */
bool line_is_tls(const void *bytes, size_t size);

/* Could these first bytes be the start of a command? False: another protocol. */
bool line_is_command(const void *bytes, size_t size);
