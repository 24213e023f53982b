#include "common/mount_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/fileio.h"

enum { TABLE_BYTES_MAX = 64 * 1024 * 1024 }; /* the kernel's default limit is 100,000 mounts */

int mount_table_load(struct mount_table *table)
{
	struct buf text = BUF_INIT;
	int err = file_read("/proc/self/mountinfo", TABLE_BYTES_MAX, &text);

	*table = (struct mount_table){NULL, 0, 0};
	if (!err) {
		table->len = text.len;
		table->text = buf_steal(&text);
		err = table->text ? 0 : -ENOMEM;
	}
	buf_free(&text);
	return err;
}

int mount_table_parse(struct mount_table *table, const char *text, size_t len)
{
	struct buf copy = BUF_INIT;

	buf_append(&copy, text, len);
	*table = (struct mount_table){buf_steal(&copy), len, 0};
	return table->text ? 0 : -ENOMEM;
}

void mount_table_free(struct mount_table *table)
{
	free(table->text);
	*table = (struct mount_table){NULL, 0, 0};
}

static bool is_octal(const char *text)
{
	return text[0] >= '0' && text[0] <= '3' && text[1] >= '0' && text[1] <= '7' &&
	       text[2] >= '0' && text[2] <= '7';
}

/* seq_path and mangle write space, tab, newline, backslash and '#' as \ooo, and nothing else. */
static void unescape(char *text)
{
	char *out = text;

	for (const char *in = text; *in; in++) {
		if (*in != '\\' || !is_octal(in + 1)) {
			*out++ = *in;
			continue;
		}
		*out++ = (char)((in[1] - '0') << 6 | (in[2] - '0') << 3 | (in[3] - '0'));
		in += 3;
	}
	*out = '\0';
}

/* The next word, not yet unescaped. Exactly one blank is between two, so that an empty source stays
 * a word of its own; only a blank ends it, since the kernel leaves every other byte as it is. NULL
 * at the end. */
static char *take_word(char **line)
{
	char *word = *line, *end;

	if (!word)
		return NULL;
	end = strchr(word, ' ');
	if (end)
		*end++ = '\0';
	*line = end;
	return word;
}

/* "254:0" */
static bool parse_device(char *word, struct mount_entry *entry)
{
	char *colon = word ? strchr(word, ':') : NULL;
	int64_t major_number, minor_number;

	if (!colon)
		return false;
	*colon = '\0';
	if (parse_int(word, 0, UINT32_MAX, &major_number) ||
	    parse_int(colon + 1, 0, UINT32_MAX, &minor_number))
		return false;
	entry->device_major = (unsigned)major_number;
	entry->device_minor = (unsigned)minor_number;
	return true;
}

static bool parse_line(char *line, struct mount_entry *entry)
{
	char *root, *point, *options, *word, *type, *source, *super_options;

	if (!take_word(&line) || !take_word(&line)) /* numbers of the mount and of its parent */
		return false;
	if (!parse_device(take_word(&line), entry))
		return false;
	root = take_word(&line);
	point = take_word(&line);
	options = take_word(&line);
	do
		word = take_word(&line); /* any number of optional fields, up to "-" */
	while (word && strcmp(word, "-") != 0);
	type = take_word(&line);
	source = take_word(&line);
	super_options = take_word(&line);
	if (!super_options)
		return false;
	unescape(root);
	unescape(point);
	unescape(options);
	unescape(type);
	unescape(source);
	unescape(super_options);
	entry->root = root;
	entry->point = point;
	entry->options = options;
	entry->type = type;
	entry->source = source;
	entry->super_options = super_options;
	return true;
}

bool mount_table_next(struct mount_table *table, struct mount_entry *entry)
{
	while (table->position < table->len) {
		char *line = table->text + table->position;
		char *end = memchr(line, '\n', table->len - table->position);

		if (!end)
			end = table->text + table->len; /* its NUL */
		*end = '\0';
		table->position = (size_t)(end - table->text) + 1;
		if (parse_line(line, entry))
			return true;
	}
	return false;
}

bool mount_table_find(struct mount_table *table, const char *path, struct mount_entry *entry)
{
	struct mount_entry candidate;
	bool found = false;

	while (mount_table_next(table, &candidate))
		if (strcmp(candidate.point, path) == 0) {
			*entry = candidate;
			found = true;
		}
	return found;
}

int mount_point_check(const char *path, const char *type)
{
	struct mount_table table;
	struct mount_entry entry;
	int err = mount_table_load(&table), found = 0;

	if (!err && mount_table_find(&table, path, &entry))
		found = !type || strcmp(entry.type, type) == 0;
	mount_table_free(&table);
	return err ? err : found;
}
