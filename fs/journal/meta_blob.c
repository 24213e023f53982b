#include "fs/journal/meta_blob.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, NUMBER = 4, ITEMS_MAX = 4096 };

size_t meta_blob_size(const struct os_meta *meta)
{
	return 1 + NUMBER + meta->count * 2 * NUMBER + os_meta_bytes(meta);
}

static unsigned char *put_number(unsigned char *out, size_t value)
{
	for (int i = 0; i < NUMBER; i++)
		out[i] = (unsigned char)(value >> (8 * i));
	return out + NUMBER;
}

static unsigned char *put_string(unsigned char *out, const char *text)
{
	size_t len = strlen(text);

	out = put_number(out, len);
	/* Without the NUL: the length stands before it. */
	for (size_t i = 0; i < len; i++)
		out[i] = (unsigned char)text[i];
	return out + len;
}

void meta_blob_encode(const struct os_meta *meta, void *data)
{
	unsigned char *out = data;

	*out++ = VERSION;
	out = put_number(out, meta->count);
	for (size_t i = 0; i < meta->count; i++) {
		out = put_string(out, meta->items[i].name);
		out = put_string(out, meta->items[i].value);
	}
}

struct reader {
	const unsigned char *at, *end;
};

static bool get_number(struct reader *reader, size_t *value)
{
	if (reader->end - reader->at < NUMBER)
		return false;
	*value = 0;
	for (int i = 0; i < NUMBER; i++)
		*value |= (size_t)reader->at[i] << (8 * i);
	reader->at += NUMBER;
	return true;
}

/* A copy that the caller frees. Errors: -EUCLEAN, -ENOMEM. */
static int get_string(struct reader *reader, char **out)
{
	size_t len;

	if (!get_number(reader, &len) || len > (size_t)(reader->end - reader->at) ||
	    memchr(reader->at, '\0', len))
		return -EUCLEAN;
	*out = strndup((const char *)reader->at, len);
	reader->at += len;
	return *out ? 0 : -ENOMEM;
}

static int get_item(struct reader *reader, struct os_meta *meta)
{
	char *name = NULL, *value = NULL;
	int err = get_string(reader, &name);

	if (err == 0)
		err = get_string(reader, &value);
	if (err == 0)
		err = os_meta_set(meta, name, value);
	free(name);
	free(value);
	return err;
}

int meta_blob_decode(const void *data, size_t len, struct os_meta *meta)
{
	struct reader reader = {data, (const unsigned char *)data + len};
	size_t count;
	int err = 0;

	if (len < 1 || len > META_BLOB_MAX || *reader.at++ != VERSION ||
	    !get_number(&reader, &count) || count > ITEMS_MAX)
		return -EUCLEAN;
	for (size_t i = 0; i < count && err == 0; i++)
		err = get_item(&reader, meta);
	/* Fewer items than announced: a name came twice. */
	if (err == 0 && (reader.at != reader.end || meta->count != count))
		err = -EUCLEAN;
	if (err)
		os_meta_free(meta);
	return err;
}
