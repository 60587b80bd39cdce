/* fuzz_rules.c: a policy as text, line by line. What is taken must decide and place whatever comes;
 * what is refused must say why. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "policy/decide.h"
#include "policy/filename.h"
#include "policy/place.h"
#include "policy/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* "[section name]" or "key = value". */
static bool read_line(struct rules *rules, char *line, unsigned at, struct rules_error *error)
{
	char *value = strchr(line, '=');
	char *blank = strchr(line, ' ');
	size_t length = strlen(line);
	if (*line == '[') {
		line[length - 1] = '\0';
		if (blank)
			*blank++ = '\0';
		return rules_open(rules, line + 1, blank && length > 2 ? blank : "", at, error);
	}
	if (!value)
		return true;
	*value++ = '\0';
	line[strcspn(line, " ")] = '\0';
	return rules_set(rules, line, value + strspn(value, " "), at, error);
}

static bool read_rules(struct rules *rules, char *text, struct rules_error *error)
{
	unsigned at = 0;
	rules_init(rules);
	if (!rules_add_source(rules, "lan", error))
		return false;
	for (char *line; (line = strsep(&text, "\n"));)
		if (*line && !read_line(rules, line, ++at, error))
			return false;
	return rules_finish(rules, error);
}

static void use_route(const struct rules *rules, size_t route, const struct facts *facts)
{
	static const struct facts_part part = { .name = "../Scan.pdf", .mime = "application/pdf" };
	struct place place;
	struct place_name name;
	char text[FILENAME_MAX_BYTES + 1];
	assert(rules->routes[route].share < rules->shares_count);
	decide_part(rules, route, &part);
	decide_part_wanted(rules, route, &part);
	decide_end(rules, route, 0, 0, 0, false);
	if (place_of(rules, route, facts, "a+b@c", &place))
		assert(*place.folder != '/' && !strstr(place.folder, ".."));
	place_name(rules, route, facts, "a+b@c", part.name, 1, "pdf", &name);
	place_number(&name, 1, 2, FILENAME_MAX_BYTES, text);
	assert(!strchr(text, '/') && strlen(text) <= FILENAME_MAX_BYTES);
}

static void use(const struct rules *rules)
{
	const char *recipients[] = { "a+b@c", "x@y" };
	struct facts facts = { .source = "lan",
			       .peer = { .known = true, .address = { [15] = 1 } },
			       .sender = "",
			       .recipients = recipients,
			       .recipients_count = 2,
			       .from_state = FACTS_FROM_ONE,
			       .from = "s@example.org",
			       .subject = "S" };
	struct decide_route routes[DECIDE_ROUTES_MAX];
	size_t count;
	bool early = decide_early(rules, &facts).reason == REASON_NONE;
	bool end = decide_routes(rules, &facts, routes, &count).reason == REASON_NONE;
	assert(early || !end);
	for (size_t i = 0; i < rules->routes_count; i++)
		use_route(rules, i, &facts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rules rules;
	struct rules_error error = { 0, "" };
	char *text = malloc(size + 1);
	memcpy(text, data, size);
	text[size] = '\0';
	if (read_rules(&rules, text, &error))
		use(&rules);
	else
		assert(*error.text);
	rules_done(&rules);
	free(text);
	return 0;
}
