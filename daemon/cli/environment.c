/* environment.c: the variables of our own container -> the text of a configuration. Never guesses
 * what a value means: config.c reads the text like any other. */
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
#include "daemon/cli/fault.h"
#include "daemon/cli/folder.h"
#include "daemon/cli/identity.h"
#include "daemon/cli/password.h"
#include "daemon/cli/variables.h"
#include "daemon/cli/verbs.h"
#include "daemon/fdio.h"
#include "daemon/ini.h"
#include "daemon/keep.h"
#include "daemon/log.h"
#include "daemon/users.h"
#include "policy/value.h"

#define CONTAINER  "LETTERCHUTE_CONTAINER"
#define LINES_MAX  64
#define SECRET_MAX 511 /* octets of a password that is too long */

bool environment_path(const char *name, char *path_out)
{
	const char *root = getenv(CONTAINER);
	if (!root || *root != '/')
		return false;
	int length = snprintf(path_out, ENVIRONMENT_PATH_MAX, "%s/%s",
			      strcmp(root, "/") == 0 ? "" : root, name);
	return length > 0 && length < ENVIRONMENT_PATH_MAX;
}

/* --- what belongs together -------------------------------------------------------------------- */

struct wanted {
	bool mailbox, listener;
};

static const char *first_set(const char *section)
{
	for (size_t i = 0; i < variables_count; i++) {
		if (strncmp(variables[i].name, section, strlen(section)) == 0 &&
		    variable_get(variables[i].name))
			return variables[i].name;
	}
	return NULL;
}

static int want_listener(struct wanted *wanted)
{
	const char *word = variable_get("SMTP"), *other = first_set("SMTP_");
	static const char *const words[] = { "no", "yes", NULL };
	int asked = word ? value_word(word, words) : -1;
	if (word && asked < 0)
		return variable_complain("SMTP", "yes or no is expected");
	wanted->listener = word ? asked == 1 : !wanted->mailbox || variable_get("SMTP_LISTEN");
	if (!wanted->listener && other)
		return variable_complain(other,
					 "there is no listener, `SMTP=yes` is expected beside it");
	if (!wanted->listener && !wanted->mailbox)
		return variable_complain("SMTP",
					 "there is neither a mailbox nor a listener, IMAP_HOST or "
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
		return other ? variable_complain(
				       other,
				       "there is no mailbox, IMAP_HOST is expected beside it")
			     : EXIT_OK;
	for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++) {
		if (!variable_get(needs[i].name) && !variable_get(needs[i].either) &&
		    !variable_get(needs[i].or))
			return variable_complain(needs[i].name, needs[i].expected);
	}
	if (variable_get("IMAP_OAUTH") && !variable_get("IMAP_CLIENT_ID"))
		return variable_complain("IMAP_CLIENT_ID",
					 "it is not set, the id of the application that is "
					 "registered for IMAP_OAUTH is expected");
	return EXIT_OK;
}

static int find_wanted(struct wanted *wanted_out)
{
	*wanted_out = (struct wanted){ .mailbox = variable_get("IMAP_HOST") != NULL };
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
	const char *path = variable_get("SMTP_PASSWORD_FILE"),
		   *value = variable_get("SMTP_PASSWORD");
	const char *name = path ? "SMTP_PASSWORD_FILE" : "SMTP_PASSWORD";
	int error = path ? read_first_line(path, password, SECRET_MAX + 1) : 0;
	if (error)
		return variable_complain(name, strerror(-error));
	if (path ? strlen(password) == SECRET_MAX : strlen(value) >= SECRET_MAX)
		return variable_complain(name, "it is too long, at most 510 octets are expected");
	if (!path)
		strcpy(password, value);
	const char *fault = password_fault(password);
	return fault ? variable_complain(name, fault) : EXIT_OK;
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
	return error ? variable_complain("SMTP_USER", strerror(-error)) : EXIT_OK;
}

/* "": no login. */
static int make_users(char *path_out, size_t size)
{
	const char *user = variable_get("SMTP_USER");
	char password[SECRET_MAX + 1], hash[PASSWORD_HASH_MAX];
	bool given = variable_get("SMTP_PASSWORD") || variable_get("SMTP_PASSWORD_FILE");
	path_out[0] = '\0';
	if (!user && !given)
		return EXIT_OK;
	if (!user || !given)
		return variable_complain(user ? "SMTP_PASSWORD" : "SMTP_USER",
					 "it is not set, SMTP_USER and one of SMTP_PASSWORD and "
					 "SMTP_PASSWORD_FILE are expected");
	if (variable_get("SMTP_USERS_FILE"))
		return variable_complain("SMTP_USER",
					 "SMTP_USERS_FILE is set too, one of the two is expected");
	if (!users_is_name(user))
		return variable_complain("SMTP_USER",
					 "at most 63 characters, and no blanks, colons or "
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
	for (size_t i = 0; i < variables_count; i++) {
		const char *value = variable_get(variables[i].name);
		if (!variables[i].key || strcmp(variables[i].section, section) != 0)
			continue;
		if (!value)
			value = variables[i].preset;
		if (value)
			put_line(text, variables[i].name, variables[i].key, value);
	}
}

/* A kernel without IPv6 would not let us listen at all. */
static void forget_ipv6(void)
{
	auto_close int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 && errno == EAFNOSUPPORT && !variable_get("SMTP_LISTEN"))
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
	const char *size = variable_get("MAX_SIZE");
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
	const char *name = NULL;
	if (section && tick)
		name = variable_of_key(section, tick + 1, strcspn(tick + 1, "` "));
	return name ? name : text->from[line].variable;
}

/* "environment:12: what" -> "IMAP_PORT: what" */
static int complain_of_line(const struct text *text, const char *error)
{
	size_t line = 0;
	int length = 0;
	if (sscanf(error, INI_OF_VARIABLES ":%zu: %n", &line, &length) == 1 && length > 0 &&
	    line > 0 && line <= text->lines)
		return variable_complain(find_variable(text, line - 1, error + length),
					 error + length);
	return fault_say(EXIT_CONFIGURATION, "%s", error);
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
	int status = config_load_plain(octets, INI_OF_VARIABLES, config_out, error);
	explicit_bzero(octets, size);
	return status ? complain_of_line(&text, error) : EXIT_OK;
}

static int load_variables(bool warns, struct config *config_out)
{
	struct wanted wanted;
	char users[64];
	int status = variables_check(warns);
	if (!status)
		status = find_wanted(&wanted);
	if (!status)
		status = make_users(users, sizeof users);
	return status ? status : load_text(&wanted, users, config_out);
}

/* --- files ------------------------------------------------------------------------------------ */

/* Does a file mention ${NAME}? */
static bool mentions(const char *text, const char *name)
{
	char opening[VARIABLE_NAME_MAX + 4];
	size_t length = (size_t)snprintf(opening, sizeof opening, "${%s", name);
	for (const char *at = text; (at = strstr(at, opening)); at++) {
		if (at[length] == '}' || at[length] == ':')
			return true;
	}
	return false;
}

/* PUID and its like hold in both cases. */
static bool is_for_both(const struct variable *variable)
{
	static const char *const names[] = { "PUID", "PGID", "TZ" };
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(variable->name, names[i]) == 0)
			return true;
	}
	return false;
}

static void warn_unused(const char *folder)
{
	char list[600] = "";
	size_t used = 0;
	auto_free char *text = folder_read(folder);
	for (size_t i = 0; i < variables_count && used < sizeof list; i++) {
		if (is_for_both(&variables[i]) || !variable_get(variables[i].name) ||
		    (text && mentions(text, variables[i].name)))
			continue;
		used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "",
					 variables[i].name);
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
	return fault_say(EXIT_CONFIGURATION, "%s", error);
}

static bool is_of_variable(const struct stat *file)
{
	for (size_t i = 0; i < variables_count; i++) {
		const char *path = variables[i].file ? variable_get(variables[i].name) : NULL;
		struct stat found;
		if (path && stat(path, &found) == 0 && found.st_dev == file->st_dev &&
		    found.st_ino == file->st_ino)
			return true;
	}
	return false;
}

/* The first that no variable names. */
static bool take_name(void *context, const char *name, const struct stat *file)
{
	if (is_of_variable(file))
		return true;
	snprintf(context, FOLDER_PATH_MAX, "%s", name);
	return false;
}

/* Whoever wrote rules there does not want those that hold without them. */
static int check_nothing_left_out(const char *folder)
{
	char path[ENVIRONMENT_PATH_MAX + FOLDER_PATH_MAX], name[FOLDER_PATH_MAX] = "";
	folder_each_left_out(folder, take_name, name);
	if (!*name)
		return EXIT_OK;
	snprintf(path, sizeof path, "%s/%s", folder, name);
	return variable_complain(path, "not read, its name must end in .conf; " FOLDER_ADVICE
				       ": without a *.conf the variables are the configuration");
}

static int load_instead(const char *folder, bool warns, struct config *config_out)
{
	int status = check_nothing_left_out(folder);
	return status ? status : load_variables(warns, config_out);
}

int environment_load(bool warns, struct config *config_out)
{
	char folder[ENVIRONMENT_PATH_MAX], what[200];
	if (!environment_path("config", folder))
		return variable_complain(CONTAINER, "an absolute path is expected");
	int count = folder_count(folder);
	if (count < 0 && count != -ENOENT) {
		snprintf(what, sizeof what, "%s, a folder that %u:%u can read is expected",
			 strerror(-count), geteuid(), getegid());
		return variable_complain(folder, what);
	}
	return count > 0 ? load_files(folder, warns, config_out)
			 : load_instead(folder, warns, config_out);
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
