#include "plugin/definition.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bucket_name.h"
#include "common/json.h"
#include "common/option_word.h"
#include "common/options.h"

enum { FORMAT_VERSION = 1 };

int definition_check_name(const char *name, struct error *error)
{
	struct buf file_name = BUF_INIT;
	const char *at;
	bool too_long;

	if (*name == '\0')
		return error_set(error, -EINVAL, "the request names no volume");
	if (strchr(name, '/'))
		return error_set(error, -EINVAL,
				 "volume '%.200s': a name has no '/'; for a part of a bucket give "
				 "-o bucket=BUCKET "
				 "-o prefix=PATH",
				 name);
	for (at = name; *at; at++) {
		if (iscntrl((unsigned char)*at))
			return error_set(error, -EINVAL,
					 "a volume's name has no control characters");
	}
	definition_put_file_name(name, &file_name);
	too_long = file_name.failed || file_name.len > DEFINITION_NAME_BYTES_MAX;
	buf_free(&file_name);
	if (too_long)
		return error_set(error, -EINVAL, "volume '%.100s..': the name is too long", name);
	return 0;
}

void definition_put_file_name(const char *name, struct buf *out)
{
	/* "." and ".." are directories, and what begins with a dot is hidden. */
	if (*name == '.') {
		buf_puts(out, "%2E");
		name++;
	}
	buf_put_uri(out, name, strlen(name), false);
}

static int check_credentials_name(const char *name, struct error *error)
{
	static const char accepted[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	if (*name == '\0' || *name == '.' || strlen(name) > 64 || name[strspn(name, accepted)])
		return error_set(
			error, -EINVAL,
			"option 'credentials' is the name of a file in the plugin's credentials "
			"directory: letters, digits, '-', '_' and '.'");
	return 0;
}

static int refuse_secret(const char *name, struct error *error)
{
	const struct option_word *word = option_word_find(name);

	if (!word || word->origin != WORD_SECRET)
		return 0;
	return error_set(
		error, -EINVAL,
		"option '%.64s': keys are never given for a volume, where docker volume inspect "
		"shows them; write them to s3mount/credentials/NAME in the plugin's state "
		"directory "
		"(/var/lib) on each node, and give -o credentials=NAME",
		name);
}

static int add_option(struct definition *definition, const char *name, const char *value)
{
	struct definition_option *option = &definition->options[definition->option_count];

	option->name = string_copy(name);
	option->value = string_copy(value);
	if (!option->name || !option->value) {
		free(option->name);
		free(option->value);
		return -ENOMEM;
	}
	definition->option_count++;
	return 0;
}

static int take_option(struct definition *definition, const struct definition_option *option,
		       struct error *error)
{
	char **field;
	int err = refuse_secret(option->name, error);

	if (err)
		return err;
	if (strcmp(option->name, "bucket") == 0) {
		field = &definition->bucket;
		err = bucket_name_check(option->value, error);
	} else if (strcmp(option->name, "credentials") == 0) {
		field = &definition->credentials;
		err = check_credentials_name(option->value, error);
	} else {
		return add_option(definition, option->name, option->value);
	}
	if (err)
		return err;
	free(*field);
	*field = string_copy(option->value);
	return *field ? 0 : -ENOMEM;
}

static int take_bucket_from_name(struct definition *definition, struct error *error)
{
	struct error inner = ERROR_INIT;

	if (bucket_name_check(definition->name, &inner))
		return error_set(
			error, -EINVAL,
			"volume '%s' names no bucket, and its own name cannot be one (%s); give -o "
			"bucket=BUCKET",
			definition->name, inner.message);
	definition->bucket = string_copy(definition->name);
	return definition->bucket ? 0 : -ENOMEM;
}

int definition_create(struct definition *definition, const char *name,
		      const struct definition_option *options, size_t count, struct error *error)
{
	int err = definition_check_name(name, error);
	size_t i;

	if (!err && count > DEFINITION_OPTIONS_MAX)
		err = error_set(error, -EINVAL, "volume '%s': more than %d options", name,
				DEFINITION_OPTIONS_MAX);
	if (err)
		return err;
	memset(definition, 0, sizeof(*definition));
	definition->name = string_copy(name);
	definition->options = calloc(count + 1, sizeof(*definition->options));
	err = definition->name && definition->options ? 0 : -ENOMEM;
	for (i = 0; i < count && !err; i++)
		err = take_option(definition, &options[i], error);
	if (!err && !definition->bucket)
		err = take_bucket_from_name(definition, error);
	if (err) {
		definition_free(definition);
		return error_set(error, err, "out of memory");
	}
	return 0;
}

int definition_imply(struct definition *definition, const char *name, struct error *error)
{
	int err = definition_create(definition, name, NULL, 0, error);

	if (!err)
		definition->implied = true;
	return err;
}

void definition_free(struct definition *definition)
{
	while (definition->option_count > 0) {
		struct definition_option *option = &definition->options[--definition->option_count];

		free(option->name);
		free(option->value);
	}
	free(definition->options);
	free(definition->name);
	free(definition->bucket);
	free(definition->credentials);
	memset(definition, 0, sizeof(*definition));
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool definition_equal(const struct definition *a, const struct definition *b)
{
	size_t i, k;

	if (!same_text(a->bucket, b->bucket) || !same_text(a->credentials, b->credentials) ||
	    a->option_count != b->option_count)
		return false;
	for (i = 0; i < a->option_count; i++) {
		for (k = 0; k < b->option_count; k++) {
			if (strcmp(a->options[i].name, b->options[k].name) == 0 &&
			    strcmp(a->options[i].value, b->options[k].value) == 0)
				break;
		}
		if (k == b->option_count)
			return false;
	}
	return true;
}

char *definition_format(const struct definition *definition)
{
	struct buf out = BUF_INIT;
	struct json_writer writer = JSON_WRITER_INIT(&out);
	char created_at[24];
	size_t i;

	json_begin_object(&writer, NULL);
	json_put_integer(&writer, "version", FORMAT_VERSION);
	json_put_string(&writer, "name", definition->name);
	json_put_string(&writer, "bucket", definition->bucket);
	if (definition->credentials)
		json_put_string(&writer, "credentials", definition->credentials);
	json_put_bool(&writer, "implied", definition->implied);
	/* As text: a double does not hold the nanoseconds of today. */
	snprintf(created_at, sizeof(created_at), "%lld", (long long)definition->created_at);
	json_put_string(&writer, "created_at", created_at);
	json_begin_object(&writer, "options");
	for (i = 0; i < definition->option_count; i++)
		json_put_string(&writer, definition->options[i].name, definition->options[i].value);
	json_end_object(&writer);
	json_end_object(&writer);
	buf_putc(&out, '\n');
	return buf_steal(&out);
}

static int parse_options(struct definition *definition, const struct json *object)
{
	size_t count = json_count(object);
	const struct json *item;
	int err = 0;

	if (count > DEFINITION_OPTIONS_MAX)
		return -EINVAL;
	definition->options = calloc(count + 1, sizeof(*definition->options));
	if (!definition->options)
		return -ENOMEM;
	for (item = json_first(object); item && !err; item = json_next(item))
		err = json_string(item) ? add_option(definition, json_name(item), json_string(item))
					: -EINVAL;
	return err;
}

static int parse_root(struct definition *definition, const struct json *root, struct error *error)
{
	const char *name = json_string(json_member(root, "name"));
	const char *bucket = json_string(json_member(root, "bucket"));
	const char *credentials = json_string(json_member(root, "credentials"));
	const char *created_at = json_string(json_member(root, "created_at"));
	int64_t version = 0;

	if (json_integer(json_member(root, "version"), &version) || version < 1 || !name || !bucket)
		return error_set(error, -EINVAL, "it is no definition of a volume");
	if (version > FORMAT_VERSION)
		return error_set(error, -EINVAL,
				 "a newer version of the plugin wrote it (format %lld)",
				 (long long)version);
	if (definition_check_name(name, error) || bucket_name_check(bucket, error) ||
	    (credentials && check_credentials_name(credentials, error)))
		return -EINVAL;
	if (created_at && parse_int(created_at, 0, INT64_MAX, &definition->created_at))
		return error_set(error, -EINVAL, "its date is no number");
	definition->implied = json_bool(json_member(root, "implied"), false);
	definition->name = string_copy(name);
	definition->bucket = string_copy(bucket);
	definition->credentials = string_copy(credentials);
	if (!definition->name || !definition->bucket || (credentials && !definition->credentials))
		return -ENOMEM;
	return parse_options(definition, json_member(root, "options"));
}

int definition_parse(struct definition *definition, const char *text, size_t len,
		     struct error *error)
{
	struct json *root = json_parse(text, len);
	int err;

	memset(definition, 0, sizeof(*definition));
	err = root ? parse_root(definition, root, error)
		   : error_set(error, -EINVAL, "it is not JSON");
	json_free(root);
	if (err) {
		definition_free(definition);
		return error_set(error, err, "%s", strerror(-err));
	}
	return 0;
}
