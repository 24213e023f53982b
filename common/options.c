#include "common/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/option_text.h"
#include "common/option_word.h"

#define NS_PER_SECOND INT64_C(1000000000)

/* What a message says the value is of: an option, or the variable that sets it. */
struct subject {
	const char *kind, *name;
};

static void *field_of(const struct option_spec *spec, const struct options *options)
{
	return (char *)options + spec->offset;
}

const struct option_spec *option_find(const char *name)
{
	size_t i;

	for (i = 0; i < option_count; i++) {
		if (strcmp(option_table[i].name, name) == 0)
			return &option_table[i];
	}
	return NULL;
}

static int refuse(const struct option_spec *spec, struct subject subject, const char *value,
		  const char *accepted, struct error *error)
{
	struct buf text = BUF_INIT;
	/* A URL with a user in it holds a password, which must not reach the log. */
	bool hide = strchr(value, '@') && strcmp(spec->name, "endpoint") == 0;

	if (!accepted) {
		option_put_accepted(spec, &text);
		accepted = buf_str(&text);
	}
	if (hide)
		error_set(error, -EINVAL,
			  "%s '%s': the value has a user or password in it; accepted: %s",
			  subject.kind, subject.name, accepted);
	else
		error_set(error, -EINVAL, "%s '%s': '%.200s' is not accepted; accepted: %s",
			  subject.kind, subject.name, value, accepted);
	buf_free(&text);
	return -EINVAL;
}

static int parse_flag(const char *text, bool *out)
{
	static const char *const words[] = {"no", "yes", "false", "true", "0", "1", "off", "on"};
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(text, words[i]) == 0) {
			*out = i % 2;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_octal(const char *text, int64_t min, int64_t max, int64_t *out)
{
	size_t len = strlen(text);
	int64_t value;

	if (len == 0 || len > 12 || strspn(text, "01234567") != len)
		return -EINVAL;
	value = strtoll(text, NULL, 8);
	if (value < min || value > max)
		return -ERANGE;
	*out = value;
	return 0;
}

/* "1", "0.5", "2s": nanoseconds, exactly; what is finer is cut off. */
static int parse_seconds(const char *text, int64_t min, int64_t max, int64_t *out)
{
	int64_t whole = 0, fraction = 0, unit = NS_PER_SECOND;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	for (; isdigit((unsigned char)*text); text++) {
		whole = whole * 10 + (*text - '0');
		if (whole > max)
			return -ERANGE;
	}
	if (*text == '.') {
		for (text++; isdigit((unsigned char)*text); text++) {
			unit /= 10;
			fraction += unit * (*text - '0');
		}
	}
	if (strcmp(text, "s") == 0)
		text++;
	if (*text != '\0')
		return -EINVAL;
	if (whole < min || (whole == max && fraction > 0))
		return -ERANGE;
	*out = whole * NS_PER_SECOND + fraction;
	return 0;
}

static int parse_choice(const char *text, const char *const *choices, int64_t *out)
{
	bool flag;
	int64_t i;

	for (i = 0; choices[i]; i++) {
		if (strcasecmp(text, choices[i]) == 0) {
			*out = i;
			return 0;
		}
	}
	/* A switch with a third position takes the other words for on and off, too. */
	if (parse_flag(text, &flag))
		return -EINVAL;
	for (i = 0; choices[i]; i++) {
		if (strcmp(choices[i], flag ? "on" : "off") == 0) {
			*out = i;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_number(const struct option_spec *spec, const char *value, int64_t *out)
{
	uint64_t size;

	switch (spec->type) {
	case OPTION_CHOICE: return parse_choice(value, spec->choices, out);
	case OPTION_OCTAL: return parse_octal(value, spec->min, spec->max, out);
	case OPTION_SECONDS: return parse_seconds(value, spec->min, spec->max, out);
	case OPTION_SIZE:
		if (parse_size(value, &size))
			return -EINVAL;
		if (size < (uint64_t)spec->min || size > (uint64_t)spec->max)
			return -ERANGE;
		*out = (int64_t)size;
		return 0;
	default: return parse_int(value, spec->min, spec->max, out);
	}
}

/* NULL with errno set: no memory, or no current directory. */
static char *absolute_path(const char *path)
{
	const char *home = getenv("HOME");
	struct buf out = BUF_INIT;
	char *base = NULL;

	if (string_has_prefix(path, "~/") && home && *home == '/') {
		buf_puts(&out, home);
		path++;
	} else if (*path != '/') {
		base = getcwd(NULL, 0);
		if (!base)
			return NULL;
		buf_puts(&out, base);
		buf_putc(&out, '/');
		free(base);
	}
	buf_puts(&out, path);
	errno = ENOMEM;
	return buf_steal(&out);
}

static int set_string(struct options *options, const struct option_spec *spec,
		      struct subject subject, const char *value, struct error *error)
{
	char **field = field_of(spec, options);
	const char *accepted;
	char *copy;

	if (strlen(value) > OPTION_VALUE_BYTES_MAX)
		return error_set(error, -EINVAL, "%s '%s': the value is longer than %d bytes",
				 subject.kind, subject.name, OPTION_VALUE_BYTES_MAX);
	copy = spec->type == OPTION_PATH && *value ? absolute_path(value) : string_copy(value);
	if (!copy)
		return error_set(error, -errno, "%s '%s': %s", subject.kind, subject.name,
				 strerror(errno));
	accepted = spec->check ? spec->check(copy) : NULL;
	if (accepted) {
		free(copy);
		return refuse(spec, subject, value, accepted, error);
	}
	free(*field);
	*field = copy;
	return 0;
}

static int set_value(struct options *options, const struct option_spec *spec,
		     struct subject subject, const char *value, struct error *error)
{
	if (!value) {
		bool flag = spec->type == OPTION_FLAG ||
			    (spec->type == OPTION_CHOICE &&
			     parse_choice("on", spec->choices, &(int64_t){0}) == 0);

		if (!flag) {
			struct buf text = BUF_INIT;

			option_put_accepted(spec, &text);
			error_set(error, -EINVAL,
				  "%s '%s' needs a value, as in %s=VALUE; accepted: %s",
				  subject.kind, subject.name, spec->name, buf_str(&text));
			buf_free(&text);
			return -EINVAL;
		}
		value = "on";
	}
	if (spec->type == OPTION_STRING || spec->type == OPTION_PATH)
		return set_string(options, spec, subject, value, error);
	if (spec->type == OPTION_FLAG ? parse_flag(value, field_of(spec, options))
				      : parse_number(spec, value, field_of(spec, options)))
		return refuse(spec, subject, value, NULL, error);
	return 0;
}

/* s3fs calls the region "endpoint". No host name of ours looks like one: a URL has "://". */
static bool is_region_name(const char *value)
{
	size_t len, parts = 0;

	for (; islower((unsigned char)*value); value += len + 1, parts++) {
		len = strspn(value, "abcdefghijklmnopqrstuvwxyz");
		if (value[len] != '-' || (parts == 0 && len != 2))
			return false;
	}
	return parts >= 2 && isdigit((unsigned char)*value) &&
	       value[strspn(value, "0123456789")] == '\0';
}

static int set_word(struct options *options, enum option_where where,
		    const struct option_word *word, const char *name, const char *value,
		    struct error *error)
{
	const struct option_spec *spec;
	struct subject subject = {"option", name};
	struct buf text = BUF_INIT;
	int err;

	if (word->kind == WORD_REFUSED)
		return error_set(error, -EINVAL, "option '%.64s' is not supported: %s", name,
				 word->reason);
	if (word->kind == WORD_IGNORED) {
		if (word->value && strcmp(word->value, value ? value : "") != 0)
			return error_set(error, -EINVAL, "option '%.64s' is not supported: %s",
					 name, word->reason);
		return 0;
	}
	spec = option_find(word->target);
	if (!(spec->where & where))
		return 0;
	if (word->suffix && value) {
		buf_printf(&text, "%.64s%s", value, word->suffix);
		value = buf_str(&text);
	}
	err = set_value(options, spec, subject, word->value ? word->value : value, error);
	buf_free(&text);
	if (!err)
		options->given |= UINT64_C(1) << (spec - option_table);
	return err;
}

int options_set(struct options *options, enum option_where where, const char *name,
		const char *value, struct error *error)
{
	const struct option_spec *spec = option_find(name);
	const struct option_word *word = spec ? NULL : option_word_find(name);
	struct subject subject = {"option", name};
	const char *near;
	int err;

	if (word)
		return set_word(options, where, word, name, value, error);
	if (!spec) {
		near = option_hint(name, where);
		if (near)
			return error_set(error, -EINVAL,
					 "unknown option '%.64s'; did you mean '%s'?", name, near);
		return error_set(error, -EINVAL, "unknown option '%.64s'; --help lists the options",
				 name);
	}
	if (!(spec->where & where))
		return error_set(error, -EINVAL, "option '%s' cannot be set for a single volume",
				 name);
	if (value && strcmp(name, "endpoint") == 0 && is_region_name(value))
		spec = option_find("region");
	err = set_value(options, spec, subject, value, error);
	if (!err)
		options->given |= UINT64_C(1) << (spec - option_table);
	return err;
}

/* Takes one "name" or "name=value" off *list into out, without the escapes. false: at the end. */
static bool next_item(const char **list, struct buf *out)
{
	const char *at = *list;

	buf_reset(out);
	while (*at == ',')
		at++;
	if (*at == '\0')
		return false;
	for (; *at && *at != ','; at++) {
		if (*at == '\\' && (at[1] == ',' || at[1] == '\\'))
			at++;
		buf_putc(out, *at);
	}
	*list = at;
	return true;
}

int options_parse(struct options *options, enum option_where where, const char *list,
		  struct error *error)
{
	struct buf item = BUF_INIT;
	int err = 0;

	if (strlen(list) > OPTION_LIST_BYTES_MAX)
		return error_set(error, -EINVAL, "the list of options is longer than %d bytes",
				 OPTION_LIST_BYTES_MAX);
	while (!err && next_item(&list, &item)) {
		char *value;

		if (item.failed) {
			err = error_set(error, -ENOMEM, "out of memory");
			break;
		}
		value = strchr(item.data, '=');
		if (value)
			*value++ = '\0';
		err = options_set(options, where, item.data, value, error);
	}
	buf_free(&item);
	return err;
}

static const char *environment_value(const char *variable)
{
	const char *value = getenv(variable);

	return value && *value ? value : NULL; /* containers pass what is not set as empty */
}

/* AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is of the same page as the endpoint variables. */
static bool ignored_variable(const struct option_variable *variable)
{
	bool ignore = false;
	const char *value = environment_value("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");

	return value && strcmp(variable->option, "endpoint") == 0 && !parse_flag(value, &ignore) &&
	       ignore;
}

static int set_from_environment(struct options *options, const struct option_spec *spec,
				struct error *error)
{
	const char *value = environment_value(spec->environment);
	struct subject subject = {"environment variable", spec->environment};
	size_t i;

	for (i = 0; i < option_variable_count && !value; i++) {
		const struct option_variable *other = &option_variables[i];

		if (strcmp(other->option, spec->name) != 0 || ignored_variable(other))
			continue;
		value = environment_value(other->variable);
		subject.name = other->variable;
	}
	return value ? set_value(options, spec, subject, value, error) : 0;
}

static void set_default(struct options *options, const struct option_spec *spec)
{
	if (!spec->default_text && (spec->type == OPTION_INT || spec->type == OPTION_OCTAL))
		*(int64_t *)field_of(spec, options) = -1;
	else if (spec->default_text && spec->type == OPTION_FLAG)
		parse_flag(spec->default_text, field_of(spec, options));
	else if (spec->default_text && spec->type != OPTION_STRING && spec->type != OPTION_PATH)
		parse_number(spec, spec->default_text, field_of(spec, options));
}

int options_init(struct options *options, struct error *error)
{
	size_t i;
	int err;

	memset(options, 0, sizeof(*options));
	for (i = 0; i < option_count; i++) {
		const struct option_spec *spec = &option_table[i];
		char **field = field_of(spec, options);

		set_default(options, spec);
		if (spec->default_text &&
		    (spec->type == OPTION_STRING || spec->type == OPTION_PATH)) {
			*field = string_copy(spec->default_text);
			if (!*field) {
				err = error_set(error, -ENOMEM, "out of memory");
				goto fail;
			}
		}
		err = set_from_environment(options, spec, error);
		if (err)
			goto fail;
	}
	return 0;

fail:
	options_free(options);
	return err;
}

void options_free(struct options *options)
{
	size_t i;

	for (i = 0; i < option_count; i++) {
		const struct option_spec *spec = &option_table[i];

		if (spec->type == OPTION_STRING || spec->type == OPTION_PATH)
			free(*(char **)field_of(spec, options));
	}
	memset(options, 0, sizeof(*options));
}

bool options_given(const struct options *options, const char *name)
{
	const struct option_spec *spec = option_find(name);

	return spec && (options->given >> (spec - option_table) & 1);
}

unsigned options_umask(const struct options *options)
{
	return options->umask < 0 ? 022 : (unsigned)options->umask;
}

unsigned options_dirmask(const struct options *options)
{
	return options->dirmask < 0 ? options_umask(options) : (unsigned)options->dirmask;
}
