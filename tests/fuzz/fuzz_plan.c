/* fuzz_plan.c: a plan's text, with a checksum that is made right, so that what lies behind it is
 * reached. */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/courier/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_plan(const struct plan *plan)
{
	for (size_t i = 0; i < plan->parts_count; i++) {
		const struct plan_part *part = &plan->parts[i];
		if (part->share >= plan->shares_count || strchr(part->staged, '/') ||
		    !*part->staged)
			abort();
		if (strchr(part->name.stem, '/') || strchr(part->name.extension, '/'))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct plan plan;
	struct digest digest;
	uint8_t value[DIGEST_SIZE];
	char hex[DIGEST_HEX];
	if (size > 1 << 16)
		return 0;
	if (plan_parse((const char *)data, size, &plan)) {
		check_plan(&plan);
		plan_done(&plan);
	}
	char *text = malloc(size + 4 + DIGEST_HEX);
	memcpy(text, data, size);
	digest_init(&digest);
	digest_add(&digest, text, size);
	digest_end(&digest, value);
	digest_hex(value, hex);
	memcpy(text + size, "end ", 4);
	memcpy(text + size + 4, hex, DIGEST_HEX - 1);
	text[size + 4 + DIGEST_HEX - 1] = '\n';
	if (plan_parse(text, size + 4 + DIGEST_HEX, &plan)) {
		check_plan(&plan);
		plan_done(&plan);
	}
	free(text);
	return 0;
}
