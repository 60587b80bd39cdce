/* boxname.c: encodes names of mailboxes. Never looks at what a server calls them. */
#include "daemon/imap/boxname.h"
#include <iconv.h>
#include <stdint.h>
#include <string.h>

static iconv_t coder;
static bool loaded;

bool boxname_load(void)
{
	if (!loaded)
		coder = iconv_open("UTF-7-IMAP", "UTF-8");
	loaded = coder != (iconv_t)-1;
	return loaded;
}

static bool is_plain(const char *name)
{
	for (; *name; name++) {
		if ((unsigned char)*name < 0x20 || (unsigned char)*name > 0x7E || *name == '&')
			return false;
	}
	return true;
}

/* The separator of the hierarchy is a letter like any other to the encoding. */
static bool put_separators(const char *name, char separator, char text[BOXNAME_MAX])
{
	if (strlen(name) >= BOXNAME_MAX)
		return false;
	strcpy(text, name);
	for (char *s = text; separator && *s; s++)
		*s = *s == '/' ? separator : *s;
	return true;
}

bool boxname_encode(const char *name, char separator, char encoded_out[BOXNAME_MAX])
{
	char text[BOXNAME_MAX], room[BOXNAME_MAX], *in = text, *out = room;
	size_t left = 0, free_room = sizeof room - 1;
	if (!put_separators(name, separator, text))
		return false;
	if (is_plain(text)) {
		strcpy(encoded_out, text);
		return true;
	}
	if (!boxname_load())
		return false;
	left = strlen(text);
	iconv(coder, NULL, NULL, NULL, NULL);
	bool good = iconv(coder, &in, &left, &out, &free_room) != (size_t)-1 &&
		    iconv(coder, NULL, NULL, &out, &free_room) != (size_t)-1;
	*out = '\0';
	if (good)
		strcpy(encoded_out, room);
	return good;
}
