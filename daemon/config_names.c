/* config_names.c: names of users, groups and files -> what holds everywhere. Never reads a secret.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "daemon/config_inner.h"
#include "daemon/keep.h"
#include "daemon/users.h"
#include "policy/value.h"

static bool resolve_id(const char *name, bool group, uint32_t *id_out)
{
	uint64_t number;
	if (value_number(name, 0, UINT32_MAX - 1, &number)) {
		*id_out = (uint32_t)number;
		return true;
	}
	const struct passwd *user = group ? NULL : getpwnam(name);
	const struct group *found = group ? getgrnam(name) : NULL;
	if (!user && !found)
		return false;
	*id_out = user ? user->pw_uid : found->gr_gid;
	return true;
}

bool config_replace(struct loading *loading, size_t at, const char *value)
{
	return ini_replace(&loading->config->ini, at, value) ||
	       config_fail(loading, at, "out of memory");
}

/* Without root's rights, or that one of them (systemd's AmbientCapabilities), a file stays its
 * maker's, and its group is one of his. */
static bool can_give(uint32_t id, bool group)
{
	gid_t groups[256];
	bool given = prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0) == 1;
	if (geteuid() == 0 || given || id == (group ? getegid() : geteuid()))
		return true;
	int count = group ? getgroups(sizeof groups / sizeof groups[0], groups) : 0;
	for (int i = 0; i < count; i++) {
		if (groups[i] == id)
			return true;
	}
	return false;
}

static bool resolve_owner(struct loading *loading, size_t at, bool group)
{
	const char *name = loading->config->ini.lines[at].value;
	char number[16];
	uint32_t id;
	if (!*name || loading->resolved)
		return true;
	if (!resolve_id(name, group, &id))
		return config_fail(
			loading, at,
			"there is no %s `%.64s` on this system, a name or number is expected",
			group ? "group" : "user", name);
	if (!can_give(id, group) && !loading->config->cant_give) {
		config_fail(loading, at,
			    "`%s = %.64s` can only be given by root or with CAP_CHOWN (systemd: "
			    "AmbientCapabilities=), %s is expected",
			    group ? "group" : "owner", name,
			    group ? "a group of ours" : "no such line");
		loading->config->cant_give = strdup(loading->error);
	}
	snprintf(number, sizeof number, "%u", id);
	return config_replace(loading, at, number);
}

/* One entry of ACL text, `u:NAME:rwx`; writes it with the name as a number. */
static bool resolve_acl_entry(struct loading *loading, size_t at, char *entry, FILE *out)
{
	char *name = strchr(entry, ':');
	char *rights = name ? strchr(name + 1, ':') : NULL;
	uint32_t id;
	if (!rights || rights == name + 1) {
		fputs(entry, out);
		return true;
	}
	*name++ = *rights++ = '\0';
	bool group = entry[0] == 'g';
	if (!resolve_id(name, group, &id))
		return config_fail(
			loading, at,
			"there is no %s `%.64s` on this system, a name or number is expected in `acl`",
			group ? "group" : "user", name);
	fprintf(out, "%s:%u:%s", entry, id, rights);
	return true;
}

static bool resolve_acl(struct loading *loading, size_t at)
{
	const char *cursor = loading->config->ini.lines[at].value;
	char entry[160];
	bool fits, good = true;
	auto_free char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return config_fail(loading, at, "out of memory");
	for (int i = 0; good && value_next(&cursor, entry, sizeof entry, &fits); i++) {
		if (i > 0)
			fputc(',', out);
		good = fits ? resolve_acl_entry(loading, at, entry, out)
			    : config_fail(loading, at,
					  "an entry of `acl` is too long, g:GROUP:r-- is expected");
	}
	fclose(out);
	return good && config_replace(loading, at, text);
}

bool config_resolve_users(struct loading *loading, size_t at)
{
	const char *cursor = loading->config->ini.lines[at].value;
	char name[64], list[2048] = "";
	size_t used = 0;
	bool fits;
	uint32_t id;
	while (value_next(&cursor, name, sizeof name, &fits)) {
		if (!fits || !resolve_id(name, false, &id))
			return config_fail(
				loading, at,
				"there is no user `%.64s` on this system, a name or number is expected",
				name);
		used += (size_t)snprintf(list + used, sizeof list - used, "%s%u", used ? "," : "",
					 id);
		if (used >= sizeof list)
			return config_fail(loading, at, "too many users, at most 200 are expected");
	}
	return config_replace(loading, at, list);
}

/* Relative paths start at the folder of the configuration file. */
bool config_resolve_path(struct loading *loading, size_t at)
{
	const struct ini *ini = &loading->config->ini;
	const char *path = ini->lines[at].value;
	const char *file = ini->files[ini->lines[at].file];
	char whole[PATH_MAX], folder[PATH_MAX], absolute[PATH_MAX];
	if (!*path)
		return config_fail(loading, at, "`%s` is empty, a path is expected",
				   ini->lines[at].key);
	if (*path == '/')
		return true;
	const char *slash = strrchr(file, '/');
	snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - file + 1) : 1,
		 slash ? file : ".");
	if (!realpath(folder, absolute) ||
	    (size_t)snprintf(whole, sizeof whole, "%s/%s", absolute, path) >= sizeof whole)
		return config_fail(loading, at, "`%s` can't be made absolute, a path is expected",
				   ini->lines[at].key);
	return config_replace(loading, at, whole);
}

/* Whether it can be read is found out when it is: by then the rights may be others. */
bool config_resolve_file(struct loading *loading, size_t at)
{
	const struct ini_line *line = &loading->config->ini.lines[at];
	if (!*line->value || loading->resolved)
		return true;
	if (!config_resolve_path(loading, at))
		return false;
	line = &loading->config->ini.lines[at];
	/* a folder that is closed to us may be open to who needs the file */
	if (access(line->value, F_OK) == 0 || (errno == EACCES && geteuid() != 0))
		return true;
	return config_fail(loading, at, "`%s = %.160s`: %s, a file that is there is expected",
			   line->key, line->value, strerror(errno));
}

/* Names and addresses of a file of logins, for the roles: a line each, "NAME ADDRESS,ADDRESS". The
 * hashes are not handed on. */
static bool write_logins(const struct users *users, char **text_out)
{
	auto_free char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return false;
	for (size_t i = 0; i < users->count; i++)
		fprintf(out, "%s%s %s", i ? "\n" : "", users->list[i].name,
			users->list[i].addresses);
	if (fclose(out) != 0 || size > INI_VALUE_MAX)
		return false;
	*text_out = take_pointer(&text);
	return true;
}

/* Whoever can't read the file can't start a gateway with it. */
bool config_resolve_logins(struct loading *loading, size_t at)
{
	const char *path = loading->config->ini.lines[at].value;
	char why[USERS_ERROR_MAX];
	struct users users;
	unsigned line = 0;
	auto_free char *text = NULL;
	if (!*path || loading->resolved)
		return true;
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int error = fd < 0 ? -errno : users_read(fd, &users, &line, why);
	/* a local user of `drop` may read the configuration, and not this */
	if (error == -EACCES && geteuid() != 0) {
		((struct config_listener *)loading->base)->users_hidden = true;
		return config_replace(loading, at, "");
	}
	if (error == -EINVAL) {
		snprintf(loading->error, CONFIG_ERROR_MAX, "%.200s:%u: %s", path, line, why);
		return false;
	}
	if (error)
		return config_fail(loading, at,
				   "`users = %.160s`: %s, a file of logins is expected", path,
				   strerror(-error));
	bool fits = write_logins(&users, &text), nobody = users.count == 0;
	users_done(&users);
	if (nobody)
		return config_fail(loading, at,
				   "`users = %.160s` has nobody in it, a login is expected", path);
	if (!fits)
		return config_fail(loading, at,
				   "`users = %.160s` has too many lines, fewer are expected", path);
	return config_replace(loading, at, text);
}

bool config_resolve_line(struct loading *loading, size_t at)
{
	const char *key = loading->config->ini.lines[at].key;
	bool rules = loading->section->reader == READ_RULES;
	if (rules && strcmp(key, "owner") == 0)
		return resolve_owner(loading, at, false);
	if (rules && strcmp(key, "group") == 0)
		return resolve_owner(loading, at, true);
	if (rules && strcmp(key, "acl") == 0)
		return resolve_acl(loading, at);
	if (rules && strcmp(key, "path") == 0)
		return config_resolve_path(loading, at);
	return true;
}

/* As root: `user`, else the account letterchute, else nobody. As anybody else: ourselves. */
bool config_resolve_identity(struct loading *loading)
{
	struct config *config = loading->config;
	config->uid = getuid();
	config->gid = getgid();
	if (config->uid != 0)
		return true;
	const char *name = config->gateway.user;
	uint64_t number;
	const struct passwd *user = getpwnam(*name ? name : "letterchute");
	if (!user && value_number(name, 0, UINT32_MAX - 1, &number)) {
		config->uid = (uint32_t)number;
		user = getpwuid(config->uid);
		config->gid = user ? user->pw_gid : (uint32_t)number;
		return true;
	}
	if (!user && !*name)
		user = getpwnam("nobody");
	if (!user)
		return config_fail(
			loading, config_line_of(config, "gateway", "user"),
			"there is no user `%.64s` on this system, a name or number is expected",
			name);
	config->uid = user->pw_uid;
	config->gid = user->pw_gid;
	return true;
}
