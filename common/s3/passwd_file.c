#include "common/s3/passwd_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/s3/secret.h"

struct entry {
	const char *key, *secret; /* NULL: no such line yet */
	size_t key_len, secret_len;
};

struct line {
	const char *text;
	size_t len;
	unsigned number;
	const char *file;
};

static int malformed(const struct line *line, struct error *error, const char *what)
{
	return error_set(error, -EINVAL, "%.300s, line %u: %s", line->file, line->number, what);
}

static bool has_white_space(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (isspace((unsigned char)text[i]) || iscntrl((unsigned char)text[i]))
			return true;
	}
	return false;
}

/* As s3fs does it: what stands before the first of several colons is the bucket, after the last the
 * secret. */
static int parse_line(const struct line *line, const char *bucket, struct entry *own,
		      struct entry *general, struct error *error)
{
	const char *end = line->text + line->len;
	const char *first = memchr(line->text, ':', line->len);
	const char *last = first ? memrchr(line->text, ':', line->len) : NULL;
	const char *key = first && first != last ? first + 1 : line->text;
	struct entry *entry = general;

	if (line->text[0] == '[')
		return malformed(line, error,
				 "this looks like a file of AWS profiles; name one with the "
				 "option profile, and the file with "
				 "AWS_SHARED_CREDENTIALS_FILE");
	if (!first || last == key || last + 1 == end || memchr(key, ':', (size_t)(last - key)))
		return malformed(line, error, "expected KEY:SECRET or BUCKET:KEY:SECRET");
	if (has_white_space(line->text, line->len))
		return malformed(line, error, "white space inside of the line");
	if (key != line->text) {
		size_t len = (size_t)(first - line->text);

		if (!bucket || strlen(bucket) != len || memcmp(bucket, line->text, len) != 0)
			return 0;
		entry = own;
	}
	if (entry->key)
		return malformed(line, error, "a second line for the same bucket");
	*entry = (struct entry){key, last + 1, (size_t)(last - key), (size_t)(end - last - 1)};
	return 0;
}

int passwd_file_parse(const char *text, const char *file, const char *bucket, char **access_key,
		      char **secret_key, struct error *error)
{
	struct entry own = {NULL, NULL, 0, 0}, general = own;
	struct line line = {.file = file};

	while (*text) {
		size_t len = strcspn(text, "\n");
		int err;

		line.number++;
		line.text = text;
		line.len = len;
		text += len;
		text += *text == '\n';
		while (line.len > 0 && isspace((unsigned char)line.text[line.len - 1]))
			line.len--;
		if (line.len == 0 || line.text[0] == '#')
			continue;
		err = parse_line(&line, bucket, &own, &general, error);
		if (err)
			return err;
	}
	if (!own.key)
		own = general;
	if (!own.key)
		return error_set(error, -ENOENT,
				 "%.300s has no keys for bucket '%.64s': neither a line "
				 "%.64s:KEY:SECRET nor a general line KEY:SECRET",
				 file, bucket ? bucket : "", bucket ? bucket : "BUCKET");
	*access_key = secret_copy(own.key, own.key_len);
	*secret_key = secret_copy(own.secret, own.secret_len);
	if (*access_key && *secret_key)
		return 0;
	secret_free(*access_key);
	secret_free(*secret_key);
	*access_key = *secret_key = NULL;
	return error_set(error, -ENOMEM, "out of memory");
}
