#include "plugin/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/s3/aws_profile.h"
#include "common/s3/passwd_file.h"
#include "common/s3/secret.h"

#define CREDENTIALS_DIRECTORY "/etc/s3mount/credentials.d"

enum { FILE_FORBIDDEN_BITS = 0077 };

static const char *value_of(const char *variable)
{
	const char *value = getenv(variable);

	return value && *value ? value : NULL; /* Docker passes what is not set as empty */
}

/* Overwrites the value where the kernel shows it (/proc/PID/environ), then forgets the variable. */
static void wipe(const char *variable)
{
	char *value = getenv(variable);

	if (!value)
		return;
	explicit_bzero(value, strlen(value));
	unsetenv(variable);
}

static void wipe_secrets(void)
{
	static const char *const variables[] = {
		"S3FS_ACCESSKEY",    "S3FS_SECRETKEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
		"AWS_SESSION_TOKEN", "AWSACCESSKEYID", "AWSSECRETACCESSKEY"};
	size_t i;

	for (i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		wipe(variables[i]);
}

static int set(struct settings *settings, const char *variable, const char *option,
	       const char *value)
{
	struct error inner = ERROR_INIT;
	int err = options_set(&settings->options, OPTION_IN_VOLUME, option, value, &inner);

	if (err)
		error_set(&settings->problem, err, "%s: %s", variable, inner.message);
	return err;
}

/* REX-Ray's own SDK took hosts without a scheme for HTTPS ones. */
static int set_endpoint(struct settings *settings)
{
	const char *value = value_of("S3FS_ENDPOINT");
	struct buf url = BUF_INIT;
	int err;

	if (!value)
		return 0;
	buf_printf(&url, "%s%s", strstr(value, "://") ? "" : "https://", value);
	err = set(settings, "S3FS_ENDPOINT", "endpoint", buf_str(&url));
	buf_free(&url);
	return err;
}

/* "allow_other,url=http://x uid=33" or "-o uid=33": words between white space or commas. */
static int set_words(struct settings *settings)
{
	const char *words = value_of("S3FS_OPTIONS");
	struct error inner = ERROR_INIT;
	char *list, *at;
	int err;

	if (!words)
		return 0;
	list = strdup(words);
	if (!list)
		return -ENOMEM;
	for (at = list; *at; at++) {
		bool first = at == list || at[-1] == ',';

		if (first && at[0] == '-' && at[1] == 'o')
			at[0] = at[1] = ',';
		if (isspace((unsigned char)*at))
			*at = ',';
	}
	err = options_parse(&settings->options, OPTION_IN_VOLUME, list, &inner);
	if (err)
		error_set(&settings->problem, err, "S3FS_OPTIONS: %s", inner.message);
	free(list);
	return err;
}

static int set_options(struct settings *settings)
{
	const char *style = value_of("S3FS_DISABLEPATHSTYLE");
	int err = options_init(&settings->options, &settings->problem);

	if (!err)
		err = set_endpoint(settings);
	if (!err && value_of("S3FS_REGION"))
		err = set(settings, "S3FS_REGION", "region", value_of("S3FS_REGION"));
	if (!err && style && strcmp(style, "true") == 0)
		err = set(settings, "S3FS_DISABLEPATHSTYLE", "path_style", "off");
	if (!err && value_of("LINUX_VOLUME_ROOTPATH"))
		err = set(settings, "LINUX_VOLUME_ROOTPATH", "prefix",
			  value_of("LINUX_VOLUME_ROOTPATH"));
	return err ? err : set_words(settings);
}

/* White space would break the header and the file that they end up in. */
static bool is_clean(const char *key)
{
	for (; *key; key++) {
		if (!isgraph((unsigned char)*key))
			return false;
	}
	return true;
}

static int copy_pair(struct credentials *credentials, const char *access_key,
		     const char *secret_key)
{
	if (!access_key || !secret_key)
		return -EINVAL;
	credentials->access_key = secret_copy(access_key, strlen(access_key));
	credentials->secret_key = secret_copy(secret_key, strlen(secret_key));
	return credentials->access_key && credentials->secret_key ? 0 : -ENOMEM;
}

/* 1: set. 0: not there. */
static int pair_from(struct settings *settings, const char *key_variable,
		     const char *secret_variable)
{
	const char *access_key = value_of(key_variable), *secret_key = value_of(secret_variable);

	if (!access_key && !secret_key)
		return 0;
	if (!access_key || !secret_key)
		return error_set(&settings->problem, -EINVAL,
				 "%s is set but %s is not; set both or none",
				 access_key ? key_variable : secret_variable,
				 access_key ? secret_variable : key_variable);
	if (!is_clean(access_key) || !is_clean(secret_key))
		return error_set(&settings->problem, -EINVAL, "%s or %s has white space in it",
				 key_variable, secret_variable);
	snprintf(settings->credentials.source, sizeof(settings->credentials.source),
		 "the plugin's settings");
	return copy_pair(&settings->credentials, access_key, secret_key) ? -ENOMEM : 1;
}

static int set_credentials(struct settings *settings)
{
	struct error ignored = ERROR_INIT;
	int err = pair_from(settings, "S3FS_ACCESSKEY", "S3FS_SECRETKEY");

	if (!err)
		err = pair_from(settings, "AWSACCESSKEYID", "AWSSECRETACCESSKEY");
	if (err) {
		settings->has_credentials = err > 0;
		return err < 0 ? err : 0;
	}
	err = credentials_load(&settings->credentials, &settings->options, NULL, &ignored);
	settings->has_credentials = err == 0;
	if (err == -ENOENT || err == 0)
		return 0;
	return error_set(&settings->problem, err, "%s", ignored.message);
}

static char *text_or(const char *variable, const char *fallback)
{
	const char *value = value_of(variable);

	return strdup(value ? value : fallback);
}

/* Profiles are read from the state directory unless the environment says otherwise: the home
 * directory of a managed plugin goes with the plugin. s3mount inherits these names. */
static int name_profile_files(const char *state)
{
	struct buf path = BUF_INIT;
	int err;

	buf_printf(&path, "%s/aws/credentials", state);
	err = path.failed || setenv("AWS_SHARED_CREDENTIALS_FILE", buf_str(&path), 0);
	buf_reset(&path);
	buf_printf(&path, "%s/aws/config", state);
	err = err || path.failed || setenv("AWS_CONFIG_FILE", buf_str(&path), 0);
	buf_free(&path);
	return err ? -ENOMEM : 0;
}

const char *settings_socket(void)
{
	const char *value = value_of("S3MOUNT_PLUGIN_SOCKET");

	return value ? value : "/run/docker/plugins/s3mount.sock";
}

int settings_load(struct settings *settings)
{
	const char *level = value_of("S3MOUNT_LOG_LEVEL");
	int err;

	memset(settings, 0, sizeof(*settings));
	settings->volumes = text_or("S3MOUNT_PLUGIN_VOLUMES", "/mnt/volumes");
	settings->state = text_or("S3MOUNT_PLUGIN_STATE", "/var/lib/s3mount");
	settings->program = text_or("S3MOUNT_PLUGIN_PROGRAM", "/usr/bin/s3mount");
	if (!settings->volumes || !settings->state || !settings->program)
		return -ENOMEM;
	if (!level || log_level_parse(level, &settings->log_level))
		settings->log_level = LOG_LEVEL_INFO;
	if (name_profile_files(settings->state))
		return -ENOMEM;
	err = set_options(settings);
	if (!err)
		err = set_credentials(settings);
	wipe_secrets();
	if (err == -ENOMEM)
		return err;
	if (err && !settings->problem.code)
		error_set(&settings->problem, err, "the plugin's settings: %s", strerror(-err));
	return 0;
}

void settings_free(struct settings *settings)
{
	free(settings->volumes);
	free(settings->state);
	free(settings->program);
	options_free(&settings->options);
	credentials_free(&settings->credentials);
	memset(settings, 0, sizeof(*settings));
}

/* All but the volume's own. options_format and options_parse are each other's inverse. */
static int copy_options(const struct settings *settings, struct options *out, struct error *error)
{
	struct buf list = BUF_INIT;
	int err = options_init(out, error);

	if (err)
		return err;
	err = options_format(&settings->options, OPTION_IN_VOLUME, &list);
	if (!err)
		err = options_parse(out, OPTION_IN_VOLUME, buf_str(&list), error);
	buf_free(&list);
	return err;
}

int settings_for_volume(const struct settings *settings, const struct definition *definition,
			struct options *out, struct error *error)
{
	size_t i;
	int err;

	memset(out, 0, sizeof(*out));
	if (settings->problem.code)
		return error_set(error, settings->problem.code,
				 "the plugin's settings are wrong, put them right with docker "
				 "plugin set: %s",
				 settings->problem.message);
	err = copy_options(settings, out, error);
	for (i = 0; i < definition->option_count && !err; i++) {
		const struct definition_option *option = &definition->options[i];

		err = options_set(out, OPTION_IN_VOLUME, option->name,
				  *option->value ? option->value : NULL, error);
	}
	/* Containers run as anybody, s3mount as root. */
	if (!err)
		err = options_set(out, OPTION_IN_VOLUME, "allow_other", NULL, error);
	if (err) {
		options_free(out);
		return error_set(error, err, "%s", strerror(-err));
	}
	return 0;
}

/* AWS's format or s3fs's: the first begins with a section. */
static int parse_keys(const char *text, const char *path, const char *bucket,
		      struct options *options, struct credentials *out, struct error *error)
{
	struct aws_profile profile = AWS_PROFILE_INIT;
	const char *key, *secret, *token;
	int err;

	if (text[strspn(text, " \t\r\n")] != '[' && !strstr(text, "\n["))
		return passwd_file_parse(text, path, bucket, &out->access_key, &out->secret_key,
					 error);
	err = aws_profile_parse(&profile, AWS_CREDENTIALS, "default", text, path, error);
	key = profile.values[AWS_ACCESS_KEY];
	secret = profile.values[AWS_SECRET_KEY];
	token = profile.values[AWS_SESSION_TOKEN];
	if (!err && (!key || !secret))
		err = error_set(
			error, -EINVAL,
			"%s: no aws_access_key_id and aws_secret_access_key below [default]", path);
	if (!err)
		err = copy_pair(out, key, secret);
	if (!err && token) {
		out->session_token = secret_copy(token, strlen(token));
		err = out->session_token ? 0 : -ENOMEM;
	}
	if (!err && profile.values[AWS_REGION] && !options->region)
		err = options_set(options, OPTION_IN_VOLUME, "region", profile.values[AWS_REGION],
				  error);
	if (!err && profile.values[AWS_ENDPOINT_URL] && !options->endpoint)
		err = options_set(options, OPTION_IN_VOLUME, "endpoint",
				  profile.values[AWS_ENDPOINT_URL], error);
	aws_profile_free(&profile);
	return err;
}

static int read_named(const char *directory, const char *name, char **text, struct buf *path,
		      struct error *error)
{
	buf_reset(path);
	buf_printf(path, "%s/%s", directory, name);
	return path->failed ? -ENOMEM
			    : secret_file_read(buf_str(path), FILE_FORBIDDEN_BITS, text, error);
}

static int named_credentials(const struct settings *settings, const struct definition *definition,
			     struct options *options, struct credentials *out, struct error *error)
{
	struct buf path = BUF_INIT, own = BUF_INIT;
	struct error inner = ERROR_INIT;
	char *text = NULL;
	int err;

	buf_printf(&own, "%s/credentials", settings->state);
	err = read_named(CREDENTIALS_DIRECTORY, definition->credentials, &text, &path, &inner);
	if (err == -ENOENT || err == -ENOTDIR)
		err = read_named(buf_str(&own), definition->credentials, &text, &path, &inner);
	if (!err)
		err = parse_keys(text, buf_str(&path), definition->bucket, options, out, &inner);
	snprintf(out->source, sizeof(out->source), "credentials %.100s", definition->credentials);
	if (err && inner.code)
		error_set(error, err, "option 'credentials': %s", inner.message);
	else if (err)
		error_set(error, err,
			  "option 'credentials': the file '%s' is neither in %s nor in %s (%s); "
			  "write it on "
			  "this node, readable by root alone",
			  definition->credentials, CREDENTIALS_DIRECTORY, buf_str(&own),
			  strerror(-err));
	secret_free(text);
	buf_free(&path);
	buf_free(&own);
	return err;
}

/* Options of the volume itself that say where its keys are. */
static bool names_keys(const struct definition *definition)
{
	static const char *const names[] = {"profile", "passwd_file", "anonymous", "public_bucket"};
	size_t i, k;

	for (i = 0; i < definition->option_count; i++) {
		for (k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
			if (strcmp(definition->options[i].name, names[k]) == 0)
				return true;
		}
	}
	return false;
}

int settings_credentials(const struct settings *settings, const struct definition *definition,
			 struct options *options, struct credentials *out, bool *found,
			 struct error *error)
{
	int err = 0;

	memset(out, 0, sizeof(*out));
	*found = false;
	if (definition->credentials) {
		err = named_credentials(settings, definition, options, out, error);
	} else if (names_keys(definition)) {
		return 0;
	} else if (settings->has_credentials && !settings->credentials.anonymous) {
		const struct credentials *own = &settings->credentials;

		memcpy(out->source, own->source, sizeof(out->source));
		err = copy_pair(out, own->access_key, own->secret_key);
		if (!err && own->session_token)
			out->session_token = secret_copy(own->session_token,
							 strlen(own->session_token));
	} else {
		return 0;
	}
	*found = err == 0;
	if (err)
		credentials_free(out);
	return err;
}
