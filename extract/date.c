/* date.c: reads a date-time. Never asks the clock and never the local zone. */
#include "extract/date.h"

struct cursor {
	struct span rest;
};

/* Blanks, commas, dashes between numbers and comments. */
static void skip(struct cursor *cursor, const char *also)
{
	size_t depth = 0;
	while (cursor->rest.size > 0) {
		char c = cursor->rest.at[0];
		bool gap = span_is_blank(c) || c == also[0] || c == also[1];
		if (c == '(')
			depth++;
		else if (c == ')' && depth > 0)
			depth--;
		else if (depth == 0 && !gap)
			return;
		cursor->rest = span_after(cursor->rest, 1);
	}
}

/* A number of at most `digits` digits; -1: there is none. *count_out is how many. */
static int take_number(struct cursor *cursor, int digits, int *count_out)
{
	int number = 0, count = 0;
	while (count < digits && cursor->rest.size > 0 && span_is_digit(cursor->rest.at[0])) {
		number = number * 10 + (cursor->rest.at[0] - '0');
		cursor->rest = span_after(cursor->rest, 1);
		count++;
	}
	*count_out = count;
	return count > 0 ? number : -1;
}

static struct span take_word(struct cursor *cursor)
{
	size_t size = 0;
	while (size < cursor->rest.size && span_lower(cursor->rest.at[size]) >= 'a' &&
	       span_lower(cursor->rest.at[size]) <= 'z')
		size++;
	struct span word = span_first(cursor->rest, size);
	cursor->rest = span_after(cursor->rest, size);
	return word;
}

static int month_number(struct span word)
{
	static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
	for (int i = 0; i < 12 && word.size >= 3; i++)
		if (span_starts_alike(word, span_of(names + 3 * i, 3)))
			return i + 1;
	return -1;
}

/* RFC 5322 section 4.3. */
static int full_year(int year, int digits)
{
	if (digits >= 4)
		return year;
	if (digits == 3)
		return 1900 + year;
	return digits == 2 ? year + (year < 50 ? 2000 : 1900) : -1;
}

struct date {
	int year, month, day, hour, minute, second;
	int zone;   /* minutes east of Greenwich */
	bool local; /* it has no zone: a clock on a wall */
};

static bool take_day(struct cursor *cursor, struct date *date)
{
	int digits;
	skip(cursor, ",.");
	if (cursor->rest.size > 0 && !span_is_digit(cursor->rest.at[0]))
		take_word(cursor); /* the day of the week is not looked at */
	skip(cursor, ",.");
	date->day = take_number(cursor, 2, &digits);
	skip(cursor, "-.");
	date->month = month_number(take_word(cursor));
	skip(cursor, "-.");
	int year = take_number(cursor, 4, &digits);
	date->year = full_year(year, digits);
	return date->day >= 1 && date->day <= 31 && date->month > 0 && date->year >= 1900;
}

/* `: number`; 0 where there is none. */
static int take_next(struct cursor *cursor, bool *found_out)
{
	int digits;
	skip(cursor, "  ");
	*found_out =
		cursor->rest.size > 0 && (cursor->rest.at[0] == ':' || cursor->rest.at[0] == '.');
	if (!*found_out)
		return 0;
	cursor->rest = span_after(cursor->rest, 1);
	skip(cursor, "  ");
	return take_number(cursor, 2, &digits);
}

/* `.123` behind the seconds. */
static void skip_fraction(struct cursor *cursor)
{
	struct span rest = cursor->rest;
	if (rest.size < 2 || (rest.at[0] != '.' && rest.at[0] != ',') || !span_is_digit(rest.at[1]))
		return;
	do
		rest = span_after(rest, 1);
	while (rest.size > 0 && span_is_digit(rest.at[0]));
	cursor->rest = rest;
}

static bool take_time(struct cursor *cursor, struct date *date)
{
	int digits;
	bool found;
	skip(cursor, ",,");
	date->hour = take_number(cursor, 2, &digits);
	date->minute = take_next(cursor, &found);
	if (!found)
		return false;
	date->second = take_next(cursor, &found);
	if (found)
		skip_fraction(cursor);
	return date->hour >= 0 && date->hour <= 23 && date->minute >= 0 && date->minute <= 59 &&
	       date->second >= 0 && date->second <= 60;
}

static const struct {
	struct span name;
	int hours;
} zones[] = {
	{ { "EST", 3 }, -5 }, { { "EDT", 3 }, -4 }, { { "CST", 3 }, -6 }, { { "CDT", 3 }, -5 },
	{ { "MST", 3 }, -7 }, { { "MDT", 3 }, -6 }, { { "PST", 3 }, -8 }, { { "PDT", 3 }, -7 },
};

/* The zones whose names may stand before a number. */
static bool is_greenwich(struct span name)
{
	return span_alike(name, SPAN("GMT")) || span_alike(name, SPAN("UTC")) ||
	       span_alike(name, SPAN("UT"));
}

/* A name; what is not known is UTC (RFC 5322 section 4.3). */
static int zone_of(struct span name)
{
	for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++)
		if (span_alike(name, zones[i].name))
			return zones[i].hours * 60;
	return 0;
}

/* hhmm, hh:mm, hmm, hh or h, in minutes; more than a day is UTC. */
static int take_offset(struct cursor *cursor)
{
	int digits, minutes = 0, hours = take_number(cursor, 4, &digits);
	if (digits > 2) {
		minutes = hours % 100;
		hours /= 100;
	} else if (cursor->rest.size > 0 && cursor->rest.at[0] == ':') {
		cursor->rest = span_after(cursor->rest, 1);
		minutes = take_number(cursor, 2, &digits);
	}
	if (hours < 0 || hours > 24 || minutes > 59)
		return 0;
	return hours * 60 + (minutes < 0 ? 0 : minutes);
}

/* A name, an offset, or both (`GMT+0200`). */
static void take_zone(struct cursor *cursor, struct date *date)
{
	skip(cursor, "  ");
	date->local = cursor->rest.size == 0;
	struct span name = take_word(cursor);
	if (name.size > 0 && !is_greenwich(name)) {
		date->zone = zone_of(name);
		return;
	}
	skip(cursor, "  ");
	char sign = cursor->rest.size > 0 ? cursor->rest.at[0] : ' ';
	if (sign != '+' && sign != '-')
		return;
	cursor->rest = span_after(cursor->rest, 1);
	date->zone = take_offset(cursor) * (sign == '-' ? -1 : 1);
}

static bool is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days from 1970 to the first of January. */
static int64_t days_before_year(int year)
{
	int64_t past = year - 1;
	int64_t days = past * 365 + past / 4 - past / 100 + past / 400;
	return days - 719162; /* the same for 1970 */
}

static int64_t seconds_of(const struct date *date)
{
	int64_t days = days_before_year(date->year) + date->day - 1;
	for (int month = 1; month < date->month; month++)
		days += days_in_month(date->year, month);
	return ((days * 24 + date->hour) * 60 + date->minute - date->zone) * 60 + date->second;
}

bool date_read(struct span value, int64_t *seconds_out, bool *local_out)
{
	struct cursor cursor = { value };
	struct date date = { 0 };
	if (!take_day(&cursor, &date) || !take_time(&cursor, &date) ||
	    date.day > days_in_month(date.year, date.month))
		return false;
	take_zone(&cursor, &date);
	*seconds_out = seconds_of(&date);
	*local_out = date.local;
	return true;
}
