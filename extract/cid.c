/* cid.c: finds cid: references. Never parses HTML: whatever follows `cid:` up to a quote, blank or
 * bracket is one. */
#include "extract/cid.h"

static uint64_t slot_value(uint64_t hash)
{
	return hash ? hash : 1;
}

static size_t find_slot(const struct cid_set *set, uint64_t value)
{
	size_t i = value % CID_SLOTS;
	while (set->slots[i] != 0 && set->slots[i] != value)
		i = (i + 1) % CID_SLOTS;
	return i;
}

static void add(struct cid_set *set, uint64_t hash)
{
	size_t i = find_slot(set, slot_value(hash));
	if (set->slots[i] == 0 && set->count < LIMIT_CIDS_MAX) {
		set->slots[i] = slot_value(hash);
		set->count++;
	}
}

bool cid_set_has(const struct cid_set *set, uint64_t hash)
{
	uint64_t value = slot_value(hash);
	return set->slots[find_slot(set, value)] == value;
}

static void start(struct cid_scan *scan)
{
	scan->matched = 0;
	scan->hash = SPAN_HASH_START;
	scan->size = 0;
	scan->escape = 0;
}

void cid_scan_init(struct cid_scan *scan, struct cid_set *set)
{
	scan->set = set;
	start(scan);
}

static bool ends_reference(char c)
{
	return (uint8_t)c <= ' ' || c == '"' || c == '\'' || c == '<' || c == '>' || c == ')' ||
	       c == '&' || c == '\\' || c == ';';
}

static void take(struct cid_scan *scan, char c)
{
	scan->hash = span_hash_octet(scan->hash, c);
	scan->size++;
}

/* One character of a reference. */
static void add_character(struct cid_scan *scan, char c)
{
	if (scan->escape > 0 && span_hex(c) >= 0) {
		scan->digit = scan->digit << 4 | span_hex(c);
		if (scan->escape++ == 2) {
			take(scan, (char)scan->digit);
			scan->escape = 0;
		}
	} else if (ends_reference(c) || scan->size > LIMIT_CID_MAX) {
		if (scan->size > 0 && scan->size <= LIMIT_CID_MAX)
			add(scan->set, scan->hash);
		start(scan);
	} else if (c == '%') {
		scan->escape = 1;
		scan->digit = 0;
	} else {
		scan->escape = 0;
		take(scan, c);
	}
}

void cid_scan_add(struct cid_scan *scan, struct span html)
{
	static const char scheme[] = "cid:";
	for (size_t i = 0; i < html.size; i++) {
		char c = html.at[i];
		if (scan->matched == 4)
			add_character(scan, c);
		else if (span_lower(c) == scheme[scan->matched])
			scan->matched++;
		else
			scan->matched = span_lower(c) == 'c';
	}
}
