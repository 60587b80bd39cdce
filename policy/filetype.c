/* filetype.c: the table of file types, by the names that users write. Never looks at content: what
 * the bytes are is told by the extractor. */
#include "policy/filetype.h"
#include <string.h>
#include <strings.h>

#define OOXML "application/vnd.openxmlformats-officedocument."
#define ODF   "application/vnd.oasis.opendocument."

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* name, canonical ending, types (lower case), endings that agree, help. A type has one class. An
 * empty file (application/x-empty) has none: it is `other`. */
static const struct filetype types[] = {
	{ "pdf", "pdf", LIST("application/pdf"), LIST("pdf"), "PDF documents" },
	{ "jpeg", "jpg", LIST("image/jpeg"), LIST("jpg", "jpeg", "jpe", "jfif"), "JPEG pictures" },
	{ "png", "png", LIST("image/png", "image/apng"), LIST("png", "apng"), "PNG pictures" },
	{ "tiff", "tif", LIST("image/tiff"), LIST("tif", "tiff"),
	  "TIFF pictures, also with many pages (fax)" },
	{ "gif", "gif", LIST("image/gif"), LIST("gif"), "GIF pictures" },
	{ "bmp", "bmp", LIST("image/bmp", "image/x-ms-bmp"), LIST("bmp", "dib"),
	  "Windows bitmaps" },
	{ "webp", "webp", LIST("image/webp"), LIST("webp"), "WebP pictures" },
	{ "heic", "heic",
	  LIST("image/heic", "image/heif", "image/heic-sequence", "image/heif-sequence"),
	  LIST("heic", "heif", "hif"), "HEIC pictures of phones" },
	{ "avif", "avif", LIST("image/avif", "image/avif-sequence"), LIST("avif"),
	  "AVIF pictures" },
	{ "jxl", "jxl", LIST("image/jxl"), LIST("jxl"), "JPEG XL pictures" },
	{ "jp2", "jp2", LIST("image/jp2", "image/jpx", "image/jpm", "image/x-jp2-codestream"),
	  LIST("jp2", "jpx", "jpf", "jpm", "j2k", "j2c"), "JPEG 2000 pictures" },
	{ "svg", "svg", LIST("image/svg+xml"), LIST("svg"), "SVG drawings (may hold scripts)" },
	{ "ico", "ico", LIST("image/vnd.microsoft.icon", "image/x-icon"), LIST("ico"), "icons" },
	{ "psd", "psd", LIST("image/vnd.adobe.photoshop"), LIST("psd"), "Photoshop pictures" },
	{ "djvu", "djvu", LIST("image/vnd.djvu"), LIST("djvu", "djv"), "DjVu scans" },
	{ "dwg", "dwg", LIST("image/vnd.dwg"), LIST("dwg"), "AutoCAD drawings" },
	{ "dxf", "dxf", LIST("image/vnd.dxf"), LIST("dxf"), "drawing exchange files" },

	{ "text", "txt", LIST("text/plain"), LIST("txt", "text", "log", "md"),
	  "plain text; takes csv in as well, which text with commas looks like" },
	{ "csv", "csv", LIST("text/csv"), LIST("csv"), "tables as text" },
	{ "html", "html", LIST("text/html", "application/xhtml+xml"),
	  LIST("html", "htm", "xhtml", "shtml"), "web pages (may hold scripts)" },
	{ "xml", "xml", LIST("text/xml", "application/xml"), LIST("xml"), "XML" },
	{ "json", "json", LIST("application/json", "application/x-ndjson"),
	  LIST("json", "ndjson", "jsonl"), "JSON" },
	{ "rtf", "rtf", LIST("text/rtf", "application/rtf"), LIST("rtf"), "rich text" },
	{ "ics", "ics", LIST("text/calendar"), LIST("ics", "ical"), "calendar entries" },
	{ "vcf", "vcf", LIST("text/vcard", "text/x-vcard"), LIST("vcf", "vcard"), "address cards" },
	{ "eml", "eml", LIST("message/rfc822", "message/news"), LIST("eml", "mht", "mhtml"),
	  "whole mails" },
	{ "msg", "msg", LIST("application/vnd.ms-outlook"), LIST("msg"), "Outlook messages" },
	{ "tnef", "dat", LIST("application/vnd.ms-tnef", "application/ms-tnef"),
	  LIST("dat", "tnef"), "winmail.dat of Outlook" },

	{ "docx", "docx",
	  LIST(OOXML "wordprocessingml.document", OOXML "wordprocessingml.template"),
	  LIST("docx", "dotx"), "Word documents" },
	{ "xlsx", "xlsx", LIST(OOXML "spreadsheetml.sheet", OOXML "spreadsheetml.template"),
	  LIST("xlsx", "xltx"), "Excel tables" },
	{ "pptx", "pptx",
	  LIST(OOXML "presentationml.presentation", OOXML "presentationml.slideshow",
	       OOXML "presentationml.template"),
	  LIST("pptx", "ppsx", "potx"), "PowerPoint slides" },
	{ "docm", "docm",
	  LIST("application/vnd.ms-word.document.macroenabled.12",
	       "application/vnd.ms-word.template.macroenabled.12"),
	  LIST("docm", "dotm"), "Word documents with macros" },
	{ "xlsm", "xlsm",
	  LIST("application/vnd.ms-excel.sheet.macroenabled.12",
	       "application/vnd.ms-excel.template.macroenabled.12",
	       "application/vnd.ms-excel.sheet.binary.macroenabled.12"),
	  LIST("xlsm", "xltm", "xlsb"), "Excel tables with macros" },
	{ "pptm", "pptm",
	  LIST("application/vnd.ms-powerpoint.presentation.macroenabled.12",
	       "application/vnd.ms-powerpoint.slideshow.macroenabled.12"),
	  LIST("pptm", "ppsm"), "PowerPoint slides with macros" },
	{ "doc", "doc", LIST("application/msword"), LIST("doc", "dot"),
	  "old Word documents (may hold macros)" },
	{ "xls", "xls", LIST("application/vnd.ms-excel"), LIST("xls", "xlt"),
	  "old Excel tables (may hold macros)" },
	{ "ppt", "ppt", LIST("application/vnd.ms-powerpoint"), LIST("ppt", "pps"),
	  "old PowerPoint slides (may hold macros)" },
	{ "ole", "ole", LIST("application/x-ole-storage", "application/cdfv2"), LIST("ole"),
	  "old Office files of which no more is known" },
	{ "odt", "odt", LIST(ODF "text", ODF "text-template", ODF "text-master"),
	  LIST("odt", "ott", "odm"), "OpenDocument texts" },
	{ "ods", "ods", LIST(ODF "spreadsheet", ODF "spreadsheet-template"), LIST("ods", "ots"),
	  "OpenDocument tables" },
	{ "odp", "odp", LIST(ODF "presentation", ODF "presentation-template"), LIST("odp", "otp"),
	  "OpenDocument slides" },
	{ "odg", "odg", LIST(ODF "graphics", ODF "graphics-template"), LIST("odg", "otg"),
	  "OpenDocument drawings" },
	{ "epub", "epub", LIST("application/epub+zip"), LIST("epub"), "electronic books" },
	{ "ps", "ps", LIST("application/postscript"), LIST("ps", "eps", "ai"), "PostScript" },
	{ "eps", "eps", LIST("image/x-eps"), LIST("eps"),
	  "encapsulated PostScript with a preview" },

	{ "zip", "zip", LIST("application/zip", "application/x-zip-compressed"), LIST("zip"),
	  "ZIP archives" },
	{ "gz", "gz", LIST("application/gzip", "application/x-gzip"), LIST("gz", "tgz"), "gzip" },
	{ "7z", "7z", LIST("application/x-7z-compressed"), LIST("7z"), "7-Zip archives" },
	{ "rar", "rar", LIST("application/x-rar", "application/vnd.rar"), LIST("rar"),
	  "RAR archives" },
	{ "tar", "tar", LIST("application/x-tar", "application/x-gtar", "application/x-ustar"),
	  LIST("tar"), "tar archives" },

	{ "mp4", "mp4", LIST("video/mp4", "video/x-m4v"), LIST("mp4", "m4v"), "MP4 films" },
	{ "mov", "mov", LIST("video/quicktime"), LIST("mov", "qt"), "QuickTime films" },
	{ "avi", "avi", LIST("video/x-msvideo"), LIST("avi"), "AVI films" },
	{ "mkv", "mkv", LIST("video/x-matroska", "video/webm"), LIST("mkv", "webm"),
	  "Matroska and WebM films" },
	{ "mpeg", "mpg", LIST("video/mpeg", "video/mp2t", "video/mpeg4-generic"),
	  LIST("mpg", "mpeg", "ts"), "MPEG films" },
	{ "3gp", "3gp", LIST("video/3gpp", "video/3gpp2"), LIST("3gp", "3g2"),
	  "films of older phones and cameras" },
	{ "mp3", "mp3", LIST("audio/mpeg"), LIST("mp3"), "MP3 sound" },
	{ "wav", "wav", LIST("audio/x-wav", "audio/wav", "audio/vnd.wave"), LIST("wav"),
	  "WAV sound (answering machines)" },
	{ "ogg", "ogg", LIST("audio/ogg", "application/ogg", "video/ogg"),
	  LIST("ogg", "oga", "ogv", "opus"), "Ogg sound" },
	{ "m4a", "m4a", LIST("audio/x-m4a", "audio/mp4"), LIST("m4a"), "MPEG-4 sound" },
	{ "amr", "amr", LIST("audio/amr"), LIST("amr"), "AMR sound (voice messages)" },

	{ "exe", "exe",
	  LIST("application/x-dosexec", "application/vnd.microsoft.portable-executable",
	       "application/x-executable", "application/x-pie-executable",
	       "application/x-sharedlib", "application/x-mach-binary",
	       "application/x-ms-ne-executable", "application/x-msi"),
	  LIST("exe", "dll", "com", "scr", "msi"), "programs" },
	{ "other", "bin", LIST("application/octet-stream"), LIST("bin"),
	  "whatever is none of these" },
};

#define TYPES_COUNT (sizeof types / sizeof *types)
_Static_assert(TYPES_COUNT <= FILETYPE_MAX, "a set of classes is a uint64_t");

static bool list_holds(const char *const *list, const char *word)
{
	for (; *list; list++)
		if (strcasecmp(*list, word) == 0)
			return true;
	return false;
}

const struct filetype *filetype_table(size_t *count_out)
{
	*count_out = TYPES_COUNT;
	return types;
}

const struct filetype *filetype_of_mime(const char *mime)
{
	const struct filetype *type = types;
	while (type < &types[TYPES_COUNT - 1] && !list_holds(type->mimes, mime))
		type++;
	return type;
}

int filetype_index(const char *name)
{
	for (size_t i = 0; i < TYPES_COUNT; i++)
		if (strcasecmp(types[i].name, name) == 0)
			return (int)i;
	return -1;
}

bool filetype_set(const char *name, uint64_t *set_out)
{
	int index = filetype_index(name);
	if (strcasecmp(name, "any") == 0) {
		*set_out = UINT64_MAX;
		return true;
	}
	if (index < 0)
		return false;
	*set_out = (uint64_t)1 << index;
	if (strcmp(types[index].name, "text") == 0)
		*set_out |= (uint64_t)1 << filetype_index("csv");
	return true;
}

bool filetype_in_set(const struct filetype *type, uint64_t set)
{
	return set >> (type - types) & 1;
}

bool filetype_agrees(const struct filetype *type, const char *name)
{
	const char *dot = strrchr(name, '.');
	return dot && list_holds(type->endings, dot + 1);
}

bool filetype_is_ending(const char *ending)
{
	for (size_t i = 0; i < TYPES_COUNT; i++)
		if (list_holds(types[i].endings, ending))
			return true;
	return false;
}
