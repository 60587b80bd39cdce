/* load_rules.h: a policy written as text, for the tests. The daemon reads its file with more
 * care. */
#pragma once
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "policy/rules.h"

/* "[route a]", "key = value", or "@source name addresses": somebody who can log in. */
static bool load_line(struct rules *rules, char *line, unsigned at, struct rules_error *error)
{
	char section[64] = "", name[600] = "", addresses[600] = "", *value = strchr(line, '=');
	if (sscanf(line, "@%63s %599s %599[^\n]", section, name, addresses) >= 2)
		return rules_add_login(rules, section, name, addresses, error);
	if (sscanf(line, "[%63[^] ] %599[^]]]", section, name) >= 1)
		return rules_open(rules, section, name, at, error);
	if (!value)
		return true;
	*value++ = '\0';
	value += *value == ' ';
	if (line[0] && line[strlen(line) - 1] == ' ')
		line[strlen(line) - 1] = '\0';
	return rules_set(rules, line, value, at, error);
}

/* Lines count from 1; error->at is the line. The sources lan and office exist, and drop. `rules`
 * goes to rules_done in any case. */
static bool load_rules(struct rules *rules, const char *text, struct rules_error *error)
{
	char line[2048];
	rules_init(rules);
	if (!rules_add_source(rules, "lan", error) || !rules_add_source(rules, "office", error) ||
	    !rules_add_source(rules, "drop", error))
		return false;
	for (unsigned at = 1; *text; at++) {
		size_t length = strcspn(text, "\n");
		snprintf(line, sizeof line, "%.*s", (int)length, text);
		if (!load_line(rules, line, at, error))
			return false;
		text += length + (text[length] == '\n');
	}
	return rules_finish(rules, error);
}
