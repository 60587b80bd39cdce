/* environment.c: the variables of our own container -> the text of a configuration, one table row
 * per variable. Never guesses what a value means: config.c reads the text like any other. */
#define _GNU_SOURCE
#include "daemon/cli/environment.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/cli/identity.h"
#include "daemon/cli/password.h"
#include "daemon/cli/verbs.h"
#include "daemon/fdio.h"
#include "daemon/ini.h"
#include "daemon/keep.h"
#include "daemon/log.h"
#include "daemon/users.h"
#include "policy/value.h"

extern char **environ;

#define CONTAINER  "LETTERCHUTE_CONTAINER"
#define TEXT_NAME  "environment" /* of the text, in errors of its reader */
#define LINES_MAX  64
#define SECRET_MAX 511 /* octets of a password that is too long */

struct row {
	const char *name;          /* of the variable */
	const char *section, *key; /* where its value goes; key NULL: it is seen to by itself */
	const char *preset;        /* in a container; NULL: that of the key */
	bool file;                 /* a file that we must be able to read */
	const char *help;          /* for the guide: system/container/the_guide_lists_them */
};

/* clang-format off */
static const struct row rows[] = {
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
#define ROWS (sizeof rows / sizeof rows[0])

/* Kubernetes and old links tell of a service called imap by IMAP_PORT=tcp://10.0.0.7:993. */
static bool is_link_value(const char *value)
{
	return strncmp(value, "tcp://", 6) == 0 || strncmp(value, "udp://", 6) == 0;
}

const char *environment_get(const char *name)
{
	const char *value = getenv(name);
	return value && value[strspn(value, " \t")] && !is_link_value(value) ? value : NULL;
}

bool environment_path(const char *name, char *path_out)
{
	const char *root = getenv(CONTAINER);
	if (!root || *root != '/')
		return false;
	int length = snprintf(path_out, ENVIRONMENT_PATH_MAX, "%s/%s",
			      strcmp(root, "/") == 0 ? "" : root, name);
	return length > 0 && length < ENVIRONMENT_PATH_MAX;
}

static int complain(const char *variable, const char *what)
{
	fprintf(stderr, "letterchute: %s: %s\n", variable, what);
	return EXIT_CONFIGURATION;
}

/* --- names that nobody knows ------------------------------------------------------------------ */

static const struct row *find_row(const char *name)
{
	for (size_t i = 0; i < ROWS; i++) {
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	}
	return NULL;
}

#define NAME_MAX_OCTETS 40
#define FAR             2 /* letters by which a name is another one */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Letters to insert, drop or change (Levenshtein). */
static size_t distance(const char *a, const char *b)
{
	size_t row[NAME_MAX_OCTETS + 1], width = strlen(b);
	if (width > NAME_MAX_OCTETS)
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

static const struct row *nearest(const char *name, size_t *distance_out)
{
	const struct row *found = rows;
	*distance_out = SIZE_MAX;
	for (size_t i = 0; i < ROWS; i++) {
		size_t far = distance(name, rows[i].name);
		/* a mailbox is no listener */
		bool other = is_ours(name) && strncmp(name, rows[i].name, PREFIX) != 0;
		if (far >= *distance_out || other)
			continue;
		*distance_out = far;
		found = &rows[i];
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
	if (!environment_get(name) || find_row(name) || is_link(name, value))
		return EXIT_OK;
	const struct row *meant = nearest(name, &far);
	if (is_ours(name)) {
		snprintf(what, sizeof what, "there is no such variable, %s is expected",
			 far <= FAR ? meant->name : "one of the manual's, or a file in /config,");
		return complain(name, what);
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
		char name[NAME_MAX_OCTETS + 1];
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

/* A value is one line of the text. The file of a secret is often somebody else's: who finds that
 * out when he logs in is at the wrong place. */
static int check_value(const struct row *row)
{
	const char *value = environment_get(row->name);
	char what[600];
	for (const char *s = value; s && *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7F)
			return complain(
				row->name,
				"it has a line end or another control character, text is expected");
	}
	if (!value || !row->file || faccessat(AT_FDCWD, value, R_OK, AT_EACCESS) == 0)
		return EXIT_OK;
	struct stat found;
	if (errno != EACCES || stat(value, &found) < 0)
		snprintf(what, sizeof what, "%.300s: %s, a file that is there is expected", value,
			 strerror(errno));
	else
		snprintf(what, sizeof what,
			 "%.300s belongs to %u:%u, mode %04o, one that %u:%u can read is expected",
			 value, found.st_uid, found.st_gid, found.st_mode & 07777, geteuid(),
			 getegid());
	return complain(row->name, what);
}

static int check_pair(const char *name)
{
	char file[NAME_MAX_OCTETS + 1], what[200];
	snprintf(file, sizeof file, "%s_FILE", name);
	if (!environment_get(name) || !environment_get(file))
		return EXIT_OK;
	snprintf(what, sizeof what, "%s is set too, one of the two is expected", file);
	return complain(name, what);
}

static int check_values(void)
{
	static const char *const secrets[] = { "IMAP_PASSWORD", "IMAP_CLIENT_SECRET",
					       "SMTP_PASSWORD" };
	int status = EXIT_OK;
	for (size_t i = 0; !status && i < sizeof secrets / sizeof secrets[0]; i++)
		status = check_pair(secrets[i]);
	for (size_t i = 0; !status && i < ROWS; i++)
		status = check_value(&rows[i]);
	return status;
}

/* --- what belongs together -------------------------------------------------------------------- */

struct wanted {
	bool mailbox, listener;
};

static const char *first_set(const char *section)
{
	for (size_t i = 0; i < ROWS; i++) {
		if (strncmp(rows[i].name, section, strlen(section)) == 0 &&
		    environment_get(rows[i].name))
			return rows[i].name;
	}
	return NULL;
}

static int want_listener(struct wanted *wanted)
{
	const char *word = environment_get("SMTP"), *other = first_set("SMTP_");
	static const char *const words[] = { "no", "yes", NULL };
	int asked = word ? value_word(word, words) : -1;
	if (word && asked < 0)
		return complain("SMTP", "yes or no is expected");
	wanted->listener = word ? asked == 1 : !wanted->mailbox || environment_get("SMTP_LISTEN");
	if (!wanted->listener && other)
		return complain(other, "there is no listener, `SMTP=yes` is expected beside it");
	if (!wanted->listener && !wanted->mailbox)
		return complain("SMTP", "there is neither a mailbox nor a listener, IMAP_HOST or "
					"`SMTP=yes` is expected");
	return EXIT_OK;
}

static int check_mailbox(const struct wanted *wanted)
{
	static const struct {
		const char *name, *either, * or, *expected;
	} needs[] = {
		{ "IMAP_USER", "IMAP_USER", "IMAP_USER",
		  "it is not set, the name of the login at IMAP_HOST is expected" },
		{ "IMAP_PASSWORD", "IMAP_PASSWORD_FILE", "IMAP_OAUTH",
		  "nobody can log in, IMAP_PASSWORD_FILE, IMAP_PASSWORD or IMAP_OAUTH is expected" },
	};
	const char *other = first_set("IMAP_");
	if (!wanted->mailbox)
		return other ? complain(other,
					"there is no mailbox, IMAP_HOST is expected beside it")
			     : EXIT_OK;
	for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++) {
		if (!environment_get(needs[i].name) && !environment_get(needs[i].either) &&
		    !environment_get(needs[i].or))
			return complain(needs[i].name, needs[i].expected);
	}
	if (environment_get("IMAP_OAUTH") && !environment_get("IMAP_CLIENT_ID"))
		return complain("IMAP_CLIENT_ID",
				"it is not set, the id of the application that is "
				"registered for IMAP_OAUTH is expected");
	return EXIT_OK;
}

static int find_wanted(struct wanted *wanted_out)
{
	*wanted_out = (struct wanted){ .mailbox = environment_get("IMAP_HOST") != NULL };
	int status = check_mailbox(wanted_out);
	return status ? status : want_listener(wanted_out);
}

/* --- a login ---------------------------------------------------------------------------------- */

static int read_first_line(const char *path, char *line, size_t size)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t got = fd < 0 ? -errno : read_all(fd, line, size - 1);
	line[got > 0 ? got : 0] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	return got < 0 ? (int)got : 0;
}

static int read_password(char password[SECRET_MAX + 1])
{
	const char *path = environment_get("SMTP_PASSWORD_FILE"),
		   *value = environment_get("SMTP_PASSWORD");
	const char *name = path ? "SMTP_PASSWORD_FILE" : "SMTP_PASSWORD";
	int error = path ? read_first_line(path, password, SECRET_MAX + 1) : 0;
	if (error)
		return complain(name, strerror(-error));
	if (path ? strlen(password) == SECRET_MAX : strlen(value) >= SECRET_MAX)
		return complain(name, "it is too long, at most 510 octets are expected");
	if (!path)
		strcpy(password, value);
	const char *fault = password_fault(password);
	return fault ? complain(name, fault) : EXIT_OK;
}

/* A file of logins in memory, which the listener's reader finds by our own descriptor. The same one
 * each time: a configuration that is read again shall not fill up the table. */
static int write_users(const char *user, const char *hash, char *path_out, size_t size)
{
	static int fd = -1;
	char line[USERS_NAME_MAX + SECRET_MAX + 3];
	int length = snprintf(line, sizeof line, "%s:%s\n", user, hash);
	int error = fd < 0 ? memory_file("users", &fd) : 0;
	if (!error && (ftruncate(fd, 0) < 0 || pwrite(fd, line, (size_t)length, 0) != length))
		error = -errno;
	snprintf(path_out, size, "/proc/self/fd/%d", fd);
	return error ? complain("SMTP_USER", strerror(-error)) : EXIT_OK;
}

/* "": no login. */
static int make_users(char *path_out, size_t size)
{
	const char *user = environment_get("SMTP_USER");
	char password[SECRET_MAX + 1], hash[PASSWORD_HASH_MAX];
	bool given = environment_get("SMTP_PASSWORD") || environment_get("SMTP_PASSWORD_FILE");
	path_out[0] = '\0';
	if (!user && !given)
		return EXIT_OK;
	if (!user || !given)
		return complain(user ? "SMTP_PASSWORD" : "SMTP_USER",
				"it is not set, SMTP_USER and one of SMTP_PASSWORD and "
				"SMTP_PASSWORD_FILE are expected");
	if (environment_get("SMTP_USERS_FILE"))
		return complain("SMTP_USER",
				"SMTP_USERS_FILE is set too, one of the two is expected");
	if (!users_is_name(user))
		return complain("SMTP_USER", "at most 63 characters, and no blanks, colons or "
					     "commas are expected");
	int status = read_password(password);
	if (!status && !password_hash(password, hash))
		status = EXIT_BUG;
	explicit_bzero(password, sizeof password);
	return status ? status : write_users(user, hash, path_out, size);
}

/* --- the text --------------------------------------------------------------------------------- */

/* What is being put together: behind each line the variable that it comes from, or its section. */
struct text {
	FILE *out;
	struct {
		const char *variable, *section;
	} from[LINES_MAX];
	size_t lines;
};

static void note_line(struct text *text, const char *variable, const char *section)
{
	assert(text->lines < LINES_MAX);
	text->from[text->lines].variable = variable;
	text->from[text->lines++].section = section;
}

static void open_section(struct text *text, const char *section, const char *variable)
{
	fprintf(text->out, "[%s]\n", section);
	note_line(text, variable, section);
}

static void put_line(struct text *text, const char *variable, const char *key, const char *value)
{
	fprintf(text->out, "%s = ", key);
	options_put_quoted(text->out, value);
	note_line(text, variable, NULL);
}

static void put_rows(struct text *text, const char *section)
{
	for (size_t i = 0; i < ROWS; i++) {
		const char *value = environment_get(rows[i].name);
		if (!rows[i].key || strcmp(rows[i].section, section) != 0)
			continue;
		if (!value)
			value = rows[i].preset;
		if (value)
			put_line(text, rows[i].name, rows[i].key, value);
	}
}

/* A kernel without IPv6 would not let us listen at all. */
static void forget_ipv6(void)
{
	auto_close int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 && errno == EAFNOSUPPORT && !environment_get("SMTP_LISTEN"))
		setenv("SMTP_LISTEN", "0.0.0.0:2525", true);
}

static void put_sources(struct text *text, const struct wanted *wanted, const char *users)
{
	if (wanted->listener) {
		forget_ipv6();
		open_section(text, "smtp lan", "SMTP");
		put_rows(text, "smtp");
		if (*users)
			put_line(text, "SMTP_USER", "users", users);
	}
	if (wanted->mailbox) {
		open_section(text, "imap mailbox", "IMAP_HOST");
		put_rows(text, "imap");
	}
}

/* Owner and group are what the kernel makes of whoever we are: as if he had made the file there. */
static void put_share(struct text *text)
{
	const unsigned mask = identity_umask();
	const struct {
		const char *key;
		unsigned all;
	} modes[] = { { "mode", 0666 }, { "folder_mode", 0777 } };
	char value[ENVIRONMENT_PATH_MAX];
	environment_path("share", value);
	open_section(text, "share", "the share");
	put_line(text, "the share", "path", value);
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		snprintf(value, sizeof value, "%04o", modes[i].all & ~mask);
		put_line(text, "UMASK", modes[i].key, value);
	}
	put_rows(text, "share");
}

/* One size for all: a mail of one part that is as long as it may be is to be taken. */
static void put_limits(struct text *text)
{
	const char *size = environment_get("MAX_SIZE");
	open_section(text, "limits", "MAX_SIZE");
	put_rows(text, "limits");
	if (size)
		put_line(text, "MAX_SIZE", "part", size);
	open_section(text, "route files", "TYPES");
	put_rows(text, "route");
	if (size)
		put_line(text, "MAX_SIZE", "part_max", size);
}

static void put_all(struct text *text, const struct wanted *wanted, const char *users)
{
	char state[ENVIRONMENT_PATH_MAX];
	environment_path("state", state);
	open_section(text, "gateway", "the state");
	put_line(text, "the state", "state", state);
	put_sources(text, wanted, users);
	put_share(text);
	put_limits(text);
}

/* What is wrong with a section as a whole may name the key: `listen`. */
static const char *find_variable(const struct text *text, size_t line, const char *error)
{
	const char *section = text->from[line].section, *tick = strchr(error, '`');
	size_t length = tick ? strcspn(++tick, "` ") : 0;
	for (size_t i = 0; section && length > 0 && i < ROWS; i++) {
		size_t size = rows[i].key ? strlen(rows[i].section) : 0;
		if (size > 0 && strncmp(section, rows[i].section, size) == 0 &&
		    strlen(rows[i].key) == length && strncmp(rows[i].key, tick, length) == 0)
			return rows[i].name;
	}
	return text->from[line].variable;
}

/* "environment:12: what" -> "IMAP_PORT: what" */
static int complain_of_line(const struct text *text, const char *error)
{
	size_t line = 0;
	int length = 0;
	if (sscanf(error, TEXT_NAME ":%zu: %n", &line, &length) == 1 && length > 0 && line > 0 &&
	    line <= text->lines)
		return complain(find_variable(text, line - 1, error + length), error + length);
	fprintf(stderr, "letterchute: %s\n", error);
	return EXIT_CONFIGURATION;
}

static int load_text(const struct wanted *wanted, const char *users, struct config *config_out)
{
	char error[CONFIG_ERROR_MAX];
	auto_free char *octets = NULL;
	size_t size = 0;
	struct text text = { .out = open_memstream(&octets, &size) };
	if (!text.out)
		return EXIT_LATER;
	put_all(&text, wanted, users);
	if (fclose(text.out) != 0)
		return EXIT_LATER;
	int status = config_load_plain(octets, TEXT_NAME, config_out, error);
	explicit_bzero(octets, size);
	return status ? complain_of_line(&text, error) : EXIT_OK;
}

static int load_variables(bool warns, struct config *config_out)
{
	struct wanted wanted;
	char users[64];
	int status = check_names(warns);
	if (!status)
		status = check_values();
	if (!status)
		status = find_wanted(&wanted);
	if (!status)
		status = make_users(users, sizeof users);
	return status ? status : load_text(&wanted, users, config_out);
}

/* --- files ------------------------------------------------------------------------------------ */

#define FILES_MAX (1 << 20) /* octets that are looked through */

/* Does a file mention ${NAME}? */
static bool mentions(const char *text, const char *name)
{
	char opening[NAME_MAX_OCTETS + 4];
	size_t length = (size_t)snprintf(opening, sizeof opening, "${%s", name);
	for (const char *at = text; (at = strstr(at, opening)); at++) {
		if (at[length] == '}' || at[length] == ':')
			return true;
	}
	return false;
}

/* What all of them say, for a look at the names in it. */
static char *read_files(const char *folder)
{
	struct dirent **found = NULL;
	int count = scandir(folder, &found, ini_is_file, alphasort);
	auto_close int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *all = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&all, &size);
	for (int i = 0; i < count; i++) {
		auto_close int file = openat(fd, found[i]->d_name, O_RDONLY | O_CLOEXEC);
		auto_free char *text = NULL;
		size_t length;
		if (out && file >= 0 && read_whole(file, FILES_MAX, &text, &length) == 0)
			fputs(text, out);
		free(found[i]);
	}
	free(found);
	if (out)
		fclose(out);
	return all;
}

/* PUID and its like hold in both cases. */
static bool is_for_both(const struct row *row)
{
	static const char *const names[] = { "PUID", "PGID", "TZ" };
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(row->name, names[i]) == 0)
			return true;
	}
	return false;
}

static void warn_unused(const char *folder)
{
	char list[600] = "";
	size_t used = 0;
	auto_free char *text = read_files(folder);
	for (size_t i = 0; i < ROWS && used < sizeof list; i++) {
		if (is_for_both(&rows[i]) || !environment_get(rows[i].name) ||
		    (text && mentions(text, rows[i].name)))
			continue;
		used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "",
					 rows[i].name);
	}
	if (used)
		log_say(LOG_WARNING, "container",
			"%s: no effect, since the files in %s are the configuration; they can "
			"mention a variable, ${NAME}",
			list, folder);
}

static int load_files(const char *folder, bool warns, struct config *config_out)
{
	char error[CONFIG_ERROR_MAX];
	if (warns)
		warn_unused(folder);
	if (config_load(folder, config_out, error) == 0)
		return EXIT_OK;
	fprintf(stderr, "letterchute: %s\n", error);
	return EXIT_CONFIGURATION;
}

int environment_load(bool warns, struct config *config_out)
{
	char folder[ENVIRONMENT_PATH_MAX], what[200];
	struct dirent **found = NULL;
	if (!environment_path("config", folder))
		return complain(CONTAINER, "an absolute path is expected");
	int count = scandir(folder, &found, ini_is_file, alphasort);
	int error = count < 0 ? errno : 0;
	for (int i = 0; i < count; i++)
		free(found[i]);
	free(found);
	if (error && error != ENOENT) {
		snprintf(what, sizeof what, "%s, a folder that %u:%u can read is expected",
			 strerror(error), geteuid(), getegid());
		return complain(folder, what);
	}
	return count > 0 ? load_files(folder, warns, config_out)
			 : load_variables(warns, config_out);
}

/* --- volumes ---------------------------------------------------------------------------------- */

/* False where the kernel can't say (Linux 5.8). Asks no server: one that hangs holds up nobody. */
static bool is_inside(const char *path)
{
	struct statx found;
	if (statx(AT_FDCWD, path, AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_TYPE, &found) < 0 ||
	    !(found.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT))
		return false;
	return !(found.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

void environment_look(environment_told told, void *context)
{
	static const struct {
		const char *name, *what, *remedy;
	} folders[] = {
		{ "share", "the files are lost with the container",
		  "mount the folder that they are for there: --volume /srv/scans:/share" },
		{ "state", "what is promised and remembered is lost with the container",
		  "give it a volume: --volume letterchute:/state" },
	};
	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		char path[ENVIRONMENT_PATH_MAX], text[ENVIRONMENT_PATH_MAX + 200];
		if (!environment_path(folders[i].name, path) || !is_inside(path))
			continue;
		snprintf(text, sizeof text, "%s is no volume: %s", path, folders[i].what);
		told(context, folders[i].name, text, folders[i].remedy);
	}
}
