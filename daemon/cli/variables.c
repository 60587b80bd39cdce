/* variables.c: the variables of our own container, one table row each, and what can be wrong with
 * one by itself. Never asks what they mean together. */
#define _GNU_SOURCE
#include "daemon/cli/variables.h"
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/cli/fault.h"
#include "daemon/cli/verbs.h"
#include "daemon/keep.h"
#include "daemon/log.h"

extern char **environ;

/* clang-format off */
const struct variable variables[] = {
	{ "IMAP_HOST", "imap", "host", NULL, false, "the mail server; set: its mailbox is emptied into the share" },
	{ "IMAP_PORT", "imap", "port", NULL, false, "not set: 993, or 143 with `IMAP_TLS=starttls`" },
	{ "IMAP_TLS", "imap", "tls", NULL, false, "implicit or starttls" },
	{ "IMAP_USER", "imap", "user", NULL, false, "the name to log in with" },
	{ "IMAP_PASSWORD", "imap", "password", NULL, false, "its password; for Gmail an app password" },
	{ "IMAP_PASSWORD_FILE", "imap", "password_file", NULL, true, "the file that it is in" },
	{ "IMAP_MAILBOX", "imap", "mailbox", NULL, false, "the mailbox that is emptied" },
	{ "IMAP_AFTER", "imap", "after", NULL, false, "a mail that is on the share: expunge, move:NAME, seen, flag:NAME or keep" },
	{ "IMAP_REFUSED", "imap", "refused", NULL, false, "a mail that is not taken: move:NAME, flag:NAME, keep or expunge" },
	{ "IMAP_OAUTH", "imap", "oauth", NULL, false, "instead of a password: google or microsoft; then `letterchute login mailbox`, once" },
	{ "IMAP_CLIENT_ID", "imap", "client_id", NULL, false, "with IMAP_OAUTH: the registered application" },
	{ "IMAP_CLIENT_SECRET", "imap", "client_secret", NULL, false, "with IMAP_OAUTH: its secret, where it has one" },
	{ "IMAP_CLIENT_SECRET_FILE", "imap", "client_secret_file", NULL, true, "the file that it is in" },
	{ "IMAP_TENANT", "imap", "tenant", NULL, false, "with `IMAP_OAUTH=microsoft`: directory id, common, organizations or consumers" },
	{ "IMAP_CA_FILE", "imap", "ca_file", NULL, true, "certificates that may sign the server's; not set: the public ones" },
	{ "IMAP_PIN_SHA256", "imap", "pin_sha256", NULL, false, "instead: the SHA-256 sum of the server's public key, hex or base64" },

	{ "SMTP", NULL, NULL, NULL, false, "yes: a listener beside the mailbox; without IMAP_HOST there is one anyway" },
	{ "SMTP_LISTEN", "smtp", "listen", "0.0.0.0:2525, [::]:2525", false, "where it listens, inside the container" },
	{ "SMTP_PEERS", "smtp", "peers", "private", false, "who may connect: networks such as 192.168.1.0/24; private: every private one" },
	{ "SMTP_TLS", "smtp", "tls", NULL, false, "off, starttls, require or implicit" },
	{ "SMTP_TLS_COMPAT", "smtp", "tls_compat", NULL, false, "modern, or for old devices legacy (TLS 1.0) or ancient (3DES)" },
	{ "SMTP_TLS_CERT_FILE", "smtp", "tls_cert", NULL, true, "certificates, PEM; not set: a self-signed one is made" },
	{ "SMTP_TLS_KEY_FILE", "smtp", "tls_key", NULL, true, "the private key, PEM; not set: it is with the certificates" },
	{ "SMTP_AUTH", "smtp", "auth", NULL, false, "off, optional, require, or accept-any: any password will do, and proves nothing" },
	{ "SMTP_PLAINTEXT_AUTH", "smtp", "plaintext_auth", NULL, false, "yes: passwords are taken without TLS" },
	{ "SMTP_USER", NULL, NULL, NULL, false, "a login for devices" },
	{ "SMTP_PASSWORD", NULL, NULL, NULL, false, "its password" },
	{ "SMTP_PASSWORD_FILE", NULL, NULL, NULL, true, "the file that it is in" },
	{ "SMTP_USERS_FILE", "smtp", "users", NULL, true, "instead, for several: lines that `letterchute password NAME` prints" },
	{ "SMTP_LINE_ENDS", "smtp", "line_ends", NULL, false, "strict, or lenient: for devices that send bare line feeds" },

	{ "NAME", "share", "name", NULL, false, "how files are called" },
	{ "FREE_FLOOR", "share", "free_floor", NULL, false, "below this much free space the answer is \"later\"" },
	{ "FOLDER", "route", "folder", NULL, false, "a folder below the share, made as needed, such as {received:%Y}" },
	{ "TYPES", "route", "types", NULL, false, "file types by content, or any" },
	{ "FROM", "route", "from", NULL, false, "who may send, such as scanner@example.org, *@example.net; a filter, and no proof" },
	{ "MAX_SIZE", "limits", "message", NULL, false, "the longest mail" },

	{ "PUID", NULL, NULL, "1000", false, "started as root: the user that it becomes, and that owns the files" },
	{ "PGID", NULL, NULL, "1000", false, "the same for the group" },
	{ "UMASK", NULL, NULL, "022", false, "files get the mode 0666 without these bits, folders 0777" },
	{ "TZ", NULL, NULL, "UTC", false, "time zone of the dates in names, such as Europe/Berlin" },
};
/* clang-format on */
const size_t variables_count = sizeof variables / sizeof variables[0];

/* Kubernetes and old links tell of a service called imap by IMAP_PORT=tcp://10.0.0.7:993. */
static bool is_link_value(const char *value)
{
	return strncmp(value, "tcp://", 6) == 0 || strncmp(value, "udp://", 6) == 0;
}

const char *variable_get(const char *name)
{
	const char *value = getenv(name);
	return value && value[strspn(value, " \t")] && !is_link_value(value) ? value : NULL;
}

/* Itself, or, with _FILE, the file that it is in. */
static bool is_of_secret(const struct variable *row)
{
	static const char *const names[] = { "IMAP_PASSWORD", "IMAP_CLIENT_SECRET",
					     "SMTP_PASSWORD" };
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strncmp(row->name, names[i], strlen(names[i])) == 0)
			return true;
	}
	return false;
}

static bool is_secret(const struct variable *row)
{
	return is_of_secret(row) && !row->file;
}

static void trim(const char *name)
{
	const char *value = variable_get(name);
	size_t blank = value ? strspn(value, " \t") : 0;
	auto_free char *copy = value ? strdup(value + blank) : NULL;
	if (!copy)
		return;
	size_t length = strlen(copy);
	while (length > 0 && strchr(" \t", copy[length - 1]))
		length--;
	copy[length] = '\0';
	if (strcmp(copy, value) != 0)
		setenv(name, copy, true);
}

void variables_trim(void)
{
	for (size_t i = 0; i < variables_count; i++) {
		if (!is_secret(&variables[i]))
			trim(variables[i].name);
	}
}

int variable_complain(const char *variable, const char *what)
{
	return fault_say(EXIT_CONFIGURATION, "%s: %s", variable, what);
}

/* --- names that nobody knows ------------------------------------------------------------------ */

static const struct variable *find_row(const char *name)
{
	for (size_t i = 0; i < variables_count; i++) {
		if (strcmp(variables[i].name, name) == 0)
			return &variables[i];
	}
	return NULL;
}

#define FAR 2 /* letters by which a name is another one */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Letters to insert, drop or change (Levenshtein). */
static size_t distance(const char *a, const char *b)
{
	size_t row[VARIABLE_NAME_MAX + 1], width = strlen(b);
	if (width > VARIABLE_NAME_MAX)
		return SIZE_MAX;
	for (size_t i = 0; i <= width; i++)
		row[i] = i;
	for (size_t line = 1; *a; a++, line++) {
		size_t corner = row[0];
		row[0] = line;
		for (size_t i = 1; i <= width; i++) {
			size_t changed = corner + (*a != b[i - 1]);
			corner = row[i];
			row[i] = least(changed, least(row[i], row[i - 1]) + 1);
		}
	}
	return row[width];
}

#define PREFIX 5

/* All that begin so are ours. */
static bool is_ours(const char *name)
{
	return strncmp(name, "IMAP_", PREFIX) == 0 || strncmp(name, "SMTP_", PREFIX) == 0;
}

static const struct variable *nearest(const char *name, size_t *distance_out)
{
	const struct variable *found = variables;
	*distance_out = SIZE_MAX;
	for (size_t i = 0; i < variables_count; i++) {
		size_t far = distance(name, variables[i].name);
		/* a mailbox is no listener */
		bool other = is_ours(name) && strncmp(name, variables[i].name, PREFIX) != 0;
		if (far >= *distance_out || other)
			continue;
		*distance_out = far;
		found = &variables[i];
	}
	return found;
}

/* And by IMAP_SERVICE_HOST and IMAP_PORT_993_TCP: nobody has set those for us. */
static bool is_link(const char *name, const char *value)
{
	return is_link_value(value) || strstr(name, "_SERVICE_") || strstr(name, "_ENV_") ||
	       (strstr(name, "_PORT_") && (strstr(name, "_TCP") || strstr(name, "_UDP")));
}

/* Others may be anybody's, but one letter apart from ours is a slip. */
static int judge_name(const char *name, const char *value, bool warns)
{
	char what[200];
	size_t far;
	if (!variable_get(name) || find_row(name) || is_link(name, value))
		return EXIT_OK;
	const struct variable *meant = nearest(name, &far);
	if (is_ours(name)) {
		snprintf(what, sizeof what, "there is no such variable, %s is expected",
			 far <= FAR ? meant->name : "one of the manual's, or a file in /config,");
		return variable_complain(name, what);
	}
	if (warns && far == 1 && strlen(name) > 2 && strcmp(name, "UID") != 0 &&
	    strcmp(name, "GID") != 0)
		log_say(LOG_WARNING, "container", "%s has no effect: is %s meant?", name,
			meant->name);
	return EXIT_OK;
}

static int check_names(bool warns)
{
	int status = EXIT_OK;
	for (char **entry = environ; !status && *entry; entry++) {
		const char *equals = strchr(*entry, '=');
		char name[VARIABLE_NAME_MAX + 1];
		size_t length = equals ? (size_t)(equals - *entry) : 0;
		if (length == 0 || length >= sizeof name)
			continue;
		memcpy(name, *entry, length);
		name[length] = '\0';
		status = judge_name(name, equals + 1, warns);
	}
	return status;
}

/* --- values ----------------------------------------------------------------------------------- */

/* What is wrong with a file that we may read. */
static const char *file_fault(const struct variable *row, const char *path)
{
	struct stat found;
	char first = '\n';
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &found) < 0)
		return strerror(errno);
	if (S_ISDIR(found.st_mode))
		return "it is a folder, as an engine makes for a mount whose file is not there; a "
		       "file is expected";
	if (!S_ISREG(found.st_mode))
		return "it is no file, one is expected";
	ssize_t got = pread(fd, &first, 1, 0);
	if (got <= 0)
		return got < 0 ? strerror(errno) : "it is empty, a file with a line is expected";
	return is_of_secret(row) && (first == '\n' || first == '\r' || first == '\0')
		       ? "its first line is empty, the secret is expected there"
		       : NULL;
}

static int check_file(const struct variable *row, const char *path)
{
	char what[600];
	const char *fault = file_fault(row, path);
	if (!fault)
		return EXIT_OK;
	snprintf(what, sizeof what, "%.300s: %s", path, fault);
	return variable_complain(row->name, what);
}

/* A value is one line of the text. The file of a secret is often somebody else's: who finds that
 * out when he logs in is at the wrong place. */
static int check_value(const struct variable *row)
{
	const char *value = variable_get(row->name);
	char what[600];
	for (const char *s = value; s && *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7F)
			return variable_complain(
				row->name,
				"it has a line end or another control character, text is expected");
	}
	if (!value || !row->file)
		return EXIT_OK;
	if (faccessat(AT_FDCWD, value, R_OK, AT_EACCESS) == 0)
		return check_file(row, value);
	struct stat found;
	if (errno != EACCES || stat(value, &found) < 0)
		snprintf(what, sizeof what, "%.300s: %s, a file that is there is expected", value,
			 strerror(errno));
	else
		snprintf(what, sizeof what,
			 "%.300s belongs to %u:%u, mode %04o, one that %u:%u can read is expected",
			 value, found.st_uid, found.st_gid, found.st_mode & 07777, geteuid(),
			 getegid());
	return variable_complain(row->name, what);
}

static int check_pair(const char *name)
{
	char file[VARIABLE_NAME_MAX + 1], what[200];
	snprintf(file, sizeof file, "%s_FILE", name);
	if (!variable_get(name) || !variable_get(file))
		return EXIT_OK;
	snprintf(what, sizeof what, "%s is set too, one of the two is expected", file);
	return variable_complain(name, what);
}

int variables_check(bool warns)
{
	int status = check_names(warns);
	for (size_t i = 0; !status && i < variables_count; i++)
		status = is_secret(&variables[i]) ? check_pair(variables[i].name) : EXIT_OK;
	for (size_t i = 0; !status && i < variables_count; i++)
		status = check_value(&variables[i]);
	return status;
}

/* --- keys ------------------------------------------------------------------------------------- */

#define LETTERS "abcdefghijklmnopqrstuvwxyz_0123456789"

static bool is_same(const char *text, const char *part, size_t length)
{
	return strlen(text) == length && strncmp(text, part, length) == 0;
}

const char *variable_of_key(const char *section, const char *key, size_t length)
{
	size_t first = strcspn(section, " ");
	for (size_t i = 0; i < variables_count; i++) {
		if (variables[i].key && is_same(variables[i].section, section, first) &&
		    is_same(variables[i].key, key, length))
			return variables[i].name;
	}
	return NULL;
}

void variables_name_keys(const char *section, const char *text, char *out, size_t size)
{
	bool list = strncmp(text, "look at ", 8) == 0;
	size_t used = 0;
	out[0] = '\0';
	for (const char *at = text; *at && used < size;) {
		size_t length = strspn(at, LETTERS), other = length ? 0 : 1;
		bool marked = memchr(at, '_', length) || (at > text && at[-1] == '`') ||
			      strncmp(at + length, " = ", 3) == 0;
		const char *name = marked || list ? variable_of_key(section, at, length) : NULL;
		bool left_out = list && !name && memchr(at, '_', length);
		if (!left_out)
			used += (size_t)snprintf(out + used, size - used, "%.*s",
						 (int)(name ? strlen(name) : length + other),
						 name ? name : at);
		at += length + other;
		if (left_out)
			at += strspn(at, ", ");
	}
}
