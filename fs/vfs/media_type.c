#include "fs/vfs/media_type.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/fileio.h"
#include "common/map.h"

enum {
	FILE_BYTES_MAX = 4 << 20,
	TYPE_BYTES_MAX = 127, /* RFC 6838, 4.2: each half of a type */
	EXTENSION_BYTES_MAX = 32,
};

/* What pages are made of. Names: IANA media types registry. */
static const char built_in[] = "application/gzip gz\n"
			       "application/json json map\n"
			       "application/manifest+json webmanifest\n"
			       "application/pdf pdf\n"
			       "application/wasm wasm\n"
			       "application/xml xml\n"
			       "application/zip zip\n"
			       "audio/mpeg mp3\n"
			       "audio/ogg ogg\n"
			       "font/ttf ttf\n"
			       "font/woff woff\n"
			       "font/woff2 woff2\n"
			       "image/avif avif\n"
			       "image/gif gif\n"
			       "image/jpeg jpeg jpg\n"
			       "image/png png\n"
			       "image/svg+xml svg\n"
			       "image/vnd.microsoft.icon ico\n"
			       "image/webp webp\n"
			       "text/css css\n"
			       "text/csv csv\n"
			       "text/html html htm\n"
			       "text/javascript js mjs\n"
			       "text/markdown md\n"
			       "text/plain txt\n"
			       "video/mp4 mp4\n"
			       "video/webm webm\n";

struct media_types {
	char *text; /* cut into words, which the map's values point to */
	struct map *by_extension;
};

static bool lower(const char *extension, char out[EXTENSION_BYTES_MAX + 1])
{
	size_t len = strlen(extension);

	if (len == 0 || len > EXTENSION_BYTES_MAX)
		return false;
	for (size_t i = 0; i <= len; i++)
		out[i] = (char)tolower((unsigned char)extension[i]);
	return true;
}

/* It goes into a header as it is. */
static bool is_type(const char *word)
{
	const char *slash = strchr(word, '/');

	if (!slash || slash == word || !slash[1] || strlen(word) > 2 * TYPE_BYTES_MAX + 1)
		return false;
	for (; *word; word++)
		if (!isgraph((unsigned char)*word))
			return false;
	return true;
}

static int read_line(struct media_types *types, char *line)
{
	static const char blanks[] = " \t\r";
	char extension[EXTENSION_BYTES_MAX + 1], *rest;
	char *type = strtok_r(line, blanks, &rest), *word;
	int err = 0;

	if (!type || !is_type(type))
		return 0;
	while (!err && (word = strtok_r(NULL, blanks, &rest)))
		if (lower(word, extension))
			err = map_put(types->by_extension, extension, type, NULL);
	return err;
}

static int read_lines(struct media_types *types)
{
	char *line, *rest;
	int err = 0;

	for (line = strtok_r(types->text, "\n", &rest); line && !err;
	     line = strtok_r(NULL, "\n", &rest)) {
		line[strcspn(line, "#")] = '\0';
		err = read_line(types, line);
	}
	return err;
}

struct media_types *media_types_parse(const char *text)
{
	struct media_types *types = calloc(1, sizeof(*types));

	if (!types)
		return NULL;
	types->text = string_copy(text ? text : built_in);
	types->by_extension = map_create();
	if (types->text && types->by_extension && read_lines(types) == 0)
		return types;
	media_types_free(types);
	return NULL;
}

int media_types_load(const char *path, struct media_types **out, struct error *error)
{
	struct buf text = BUF_INIT;
	int err = file_read(path, FILE_BYTES_MAX, &text);

	if (err) {
		error_set(error, err, "the media types in %s cannot be read: %s", path,
			  strerror(-err));
	} else {
		*out = media_types_parse(buf_str(&text));
		if (!*out)
			err = error_set(error, -ENOMEM, "out of memory");
	}
	buf_free(&text);
	return err;
}

void media_types_free(struct media_types *types)
{
	if (!types)
		return;
	map_destroy(types->by_extension);
	free(types->text);
	free(types);
}

const char *media_type_of(const struct media_types *types, const char *name)
{
	const char *dot = strrchr(name, '.'), *type = NULL;
	char extension[EXTENSION_BYTES_MAX + 1];

	if (types && dot && dot != name && lower(dot + 1, extension))
		type = map_get(types->by_extension, extension);
	return type ? type : MEDIA_TYPE_NONE;
}
