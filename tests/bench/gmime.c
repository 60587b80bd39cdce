/* gmime.c: takes a mail apart with GMime, for comparison: every leaf into a file of its own. */
#include <fcntl.h>
#include <gmime/gmime.h>
#include <stdio.h>
#include <unistd.h>

struct target {
	const char *folder;
	int count;
};

static void write_leaf(GMimeObject *parent, GMimeObject *leaf, gpointer data)
{
	struct target *target = data;
	char path[4096];
	(void)parent;
	if (!GMIME_IS_PART(leaf))
		return;
	GMimeDataWrapper *content = g_mime_part_get_content(GMIME_PART(leaf));
	snprintf(path, sizeof path, "%s/part-%d", target->folder, ++target->count);
	GMimeStream *out = g_mime_stream_fs_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600, NULL);
	if (content && out)
		g_mime_data_wrapper_write_to_stream(content, out);
	if (out)
		g_object_unref(out);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 64;
	g_mime_init();
	GMimeStream *in = g_mime_stream_fs_open(argv[2], O_RDONLY, 0, NULL);
	if (!in)
		return 66;
	GMimeParser *parser = g_mime_parser_new_with_stream(in);
	GMimeMessage *message = g_mime_parser_construct_message(parser, NULL);
	struct target target = { argv[1], 0 };
	if (message)
		g_mime_message_foreach(message, write_leaf, &target);
	return target.count == 0;
}
