#include "common/s3/credentials.h"

#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/s3/aws_profile.h"
#include "common/s3/passwd_file.h"
#include "common/s3/secret.h"

enum {
	PATH_BYTES_MAX = 4096,
	OWNER_ONLY = 077,     /* forbidden bits of a file with keys */
	OWNER_AND_GROUP = 037 /* s3fs allows the group to read /etc/passwd-s3fs */
};

struct places {
	char config[PATH_BYTES_MAX], credentials[PATH_BYTES_MAX], passwd[PATH_BYTES_MAX];
};

static const char *environment_value(const char *variable)
{
	const char *value = getenv(variable);

	return value && *value ? value : NULL;
}

static const char *home_directory(void)
{
	const char *home = environment_value("HOME");
	const struct passwd *user = home ? NULL : getpwuid(geteuid());

	return home ? home : user ? user->pw_dir : "/";
}

static void find_places(struct places *places)
{
	const char *home = home_directory();
	const char *config = environment_value("AWS_CONFIG_FILE");
	const char *credentials = environment_value("AWS_SHARED_CREDENTIALS_FILE");

	snprintf(places->config, sizeof(places->config), config ? "%s" : "%s/.aws/config",
		 config ? config : home);
	snprintf(places->credentials, sizeof(places->credentials),
		 credentials ? "%s" : "%s/.aws/credentials", credentials ? credentials : home);
	snprintf(places->passwd, sizeof(places->passwd), "%s/.passwd-s3fs", home);
}

static int read_profile_file(struct aws_profile *profile, enum aws_file kind, const char *name,
			     const char *path, struct error *error)
{
	char *text;
	int err = secret_file_read(path, 0, &text, error);

	if (err == -ENOENT || err == -ENOTDIR || err == -EACCES)
		return 0;
	if (!err)
		err = aws_profile_parse(profile, kind, name, text, path, error);
	secret_free(text);
	return err;
}

static const char *profile_name(const struct options *options)
{
	return options->profile ? options->profile : "default";
}

static int load_profile(struct aws_profile *profile, const struct options *options,
			const struct places *places, struct error *error)
{
	const char *name = profile_name(options);
	int err = read_profile_file(profile, AWS_CONFIG, name, places->config, error);

	if (!err)
		err = read_profile_file(profile, AWS_CREDENTIALS, name, places->credentials, error);
	if (!err && !profile->found && options->profile)
		err = error_set(
			error, -ENOENT,
			"there is no profile '%.64s' in %.200s or %.200s that this user may read",
			name, places->credentials, places->config);
	return err;
}

/* A value of the profile for an option that nothing else has set. */
static int adopt(struct options *options, const char *option, const char *value,
		 const char *setting, struct error *error)
{
	struct error inner = ERROR_INIT;
	uint64_t given = options->given;
	int err = options_set(options, OPTION_IN_MOUNT, option, value, &inner);

	options->given = given;
	if (err)
		return error_set(error, err, "profile '%.64s', setting %s: %s",
				 profile_name(options), setting, inner.message);
	return 0;
}

static bool endpoints_ignored(const struct aws_profile *profile)
{
	const char *value = environment_value("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");

	if (!value)
		value = profile->values[AWS_IGNORE_ENDPOINT_URLS];
	return value && strcasecmp(value, "true") == 0;
}

static int adopt_profile(struct options *options, const struct aws_profile *profile,
			 struct error *error)
{
	char *const *values = profile->values;
	const char *style = values[AWS_S3_ADDRESSING_STYLE];
	const char *endpoint = values[AWS_S3_ENDPOINT_URL] ? values[AWS_S3_ENDPOINT_URL]
							   : values[AWS_ENDPOINT_URL];
	int err = 0;

	if (values[AWS_REGION] && !options->region)
		err = adopt(options, "region", values[AWS_REGION], "region", error);
	if (!err && endpoint && !options->endpoint && !endpoints_ignored(profile))
		err = adopt(options, "endpoint", endpoint, "endpoint_url", error);
	if (!err && values[AWS_CA_BUNDLE] && !options->ca_file)
		err = adopt(options, "ca_file", values[AWS_CA_BUNDLE], "ca_bundle", error);
	if (err || !style || options->path_style != PATH_STYLE_AUTO ||
	    options_given(options, "path_style"))
		return err;
	if (strcmp(style, "path") == 0)
		options->path_style = PATH_STYLE_ON;
	else if (strcmp(style, "virtual") == 0)
		options->path_style = PATH_STYLE_OFF;
	return 0;
}

static bool is_clean(const char *text)
{
	for (; *text; text++) {
		if (!isgraph((unsigned char)*text))
			return false;
	}
	return true;
}

static int set_keys(struct credentials *credentials, const char *access_key, const char *secret_key,
		    const char *token, struct error *error)
{
	/* White space would break the header that they end up in; mostly it is a copied newline. */
	if (!is_clean(access_key) || !is_clean(secret_key) || (token && !is_clean(token)))
		return error_set(error, -EINVAL,
				 "%s: white space or other bytes that no key has, in the access "
				 "key, secret or "
				 "session token",
				 credentials->source);
	credentials->access_key = secret_copy(access_key, strlen(access_key));
	credentials->secret_key = secret_copy(secret_key, strlen(secret_key));
	credentials->session_token = token ? secret_copy(token, strlen(token)) : NULL;
	if (!credentials->access_key || !credentials->secret_key ||
	    (token && !credentials->session_token))
		return error_set(error, -ENOMEM, "out of memory");
	return 0;
}

static int from_passwd_file(struct credentials *credentials, const char *path, mode_t forbidden,
			    const char *bucket, struct error *error)
{
	char *text, *access_key = NULL, *secret_key = NULL;
	int err = secret_file_read(path, forbidden, &text, error);

	if (err == -EPERM) {
		if (error)
			error->code = -EACCES;
		return -EACCES;
	}
	if (err)
		return err;
	snprintf(credentials->source, sizeof(credentials->source), "%.120s", path);
	err = passwd_file_parse(text, path, bucket, &access_key, &secret_key, error);
	if (!err)
		err = set_keys(credentials, access_key, secret_key, NULL, error);
	secret_free(text);
	secret_free(access_key);
	secret_free(secret_key);
	return err;
}

/* 1: set. 0: not there. */
static int from_environment(struct credentials *credentials, struct error *error)
{
	const char *access_key = environment_value("AWS_ACCESS_KEY_ID");
	const char *secret_key = environment_value("AWS_SECRET_ACCESS_KEY");
	int err;

	if (!access_key && !secret_key)
		return 0;
	if (!access_key || !secret_key)
		return error_set(error, -EINVAL,
				 "the environment variable AWS_%s is set but AWS_%s is not; set "
				 "both or none",
				 access_key ? "ACCESS_KEY_ID" : "SECRET_ACCESS_KEY",
				 access_key ? "SECRET_ACCESS_KEY" : "ACCESS_KEY_ID");
	snprintf(credentials->source, sizeof(credentials->source), "environment");
	err = set_keys(credentials, access_key, secret_key, environment_value("AWS_SESSION_TOKEN"),
		       error);
	return err ? err : 1;
}

static const char *unsupported_source(const struct aws_profile *profile)
{
	return profile->values[AWS_ROLE_ARN]		 ? "role_arn"
	       : profile->values[AWS_SSO]		 ? "SSO"
	       : profile->values[AWS_CREDENTIAL_PROCESS] ? "credential_process"
							 : NULL;
}

/* 1: set. 0: not there. */
static int from_profile(struct credentials *credentials, const struct aws_profile *profile,
			const char *name, struct error *error)
{
	const char *access_key = profile->values[AWS_ACCESS_KEY];
	const char *secret_key = profile->values[AWS_SECRET_KEY];
	const char *unsupported = unsupported_source(profile);
	int err;

	if (unsupported && (!access_key || profile->values[AWS_ROLE_ARN]))
		return error_set(error, -EINVAL,
				 "profile '%.64s' takes its keys from %s, which is not supported; "
				 "write keys "
				 "into the profile, or run: eval \"$(aws configure "
				 "export-credentials --profile "
				 "%.64s --format env)\"",
				 name, unsupported, name);
	if (!access_key && !secret_key)
		return 0;
	if (!access_key || !secret_key)
		return error_set(error, -EINVAL, "profile '%.64s' has aws_%s but no aws_%s", name,
				 access_key ? "access_key_id" : "secret_access_key",
				 access_key ? "secret_access_key" : "access_key_id");
	snprintf(credentials->source, sizeof(credentials->source), "profile %.64s", name);
	err = set_keys(credentials, access_key, secret_key, profile->values[AWS_SESSION_TOKEN],
		       error);
	return err ? err : 1;
}

/* 1: set. 0: not there, or not readable for this user. */
static int from_default_passwd_files(struct credentials *credentials, const struct places *places,
				     const char *bucket, struct error *error)
{
	const char *const paths[] = {places->passwd, "/etc/passwd-s3fs"};
	const mode_t forbidden[] = {OWNER_ONLY, OWNER_AND_GROUP};
	size_t i;

	for (i = 0; i < 2; i++) {
		struct error inner = ERROR_INIT;
		int err = from_passwd_file(credentials, paths[i], forbidden[i], bucket, &inner);

		if (!err)
			return 1;
		if (inner.code && err != -ENOENT)
			return error_set(error, err, "%s", inner.message);
	}
	return 0;
}

static int none_found(const struct options *options, const struct places *places,
		      const char *bucket, struct error *error)
{
	if (options_given(options, "profile"))
		return error_set(
			error, -ENOENT,
			"profile '%.64s' has no keys in %.200s or %.200s; run: aws configure "
			"--profile %.64s",
			options->profile, places->credentials, places->config, options->profile);
	return error_set(
		error, -ENOENT,
		"no credentials found%s%.64s%s; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
		"or "
		"run \"aws configure\", or write KEY:SECRET into a file for -o passwd_file=FILE, "
		"or "
		"use -o anonymous for a public bucket (looked at: the environment, profile '%.64s' "
		"in %.120s and %.120s, %.120s, /etc/passwd-s3fs; not at roles of the machine)",
		bucket ? " for bucket '" : "", bucket ? bucket : "", bucket ? "'" : "",
		profile_name(options), places->credentials, places->config, places->passwd);
}

static int load_named_file(struct credentials *credentials, const char *path, const char *bucket,
			   struct error *error)
{
	struct error inner = ERROR_INIT;
	int err = from_passwd_file(credentials, path, OWNER_ONLY, bucket, &inner);

	if (!err)
		return 0;
	if (inner.code)
		return error_set(error, err, "option 'passwd_file': %s", inner.message);
	return error_set(error, err, "option 'passwd_file': cannot open %.300s: %s", path,
			 strerror(-err));
}

static int load_keys(struct credentials *credentials, const struct options *options,
		     const struct aws_profile *profile, const struct places *places,
		     const char *bucket, struct error *error)
{
	bool named = options_given(options, "profile");
	int found = 0;

	if (options->anonymous) {
		credentials->anonymous = true;
		snprintf(credentials->source, sizeof(credentials->source), "anonymous");
		return 0;
	}
	if (options->passwd_file)
		return load_named_file(credentials, options->passwd_file, bucket, error);
	if (!named)
		found = from_environment(credentials, error);
	if (!found)
		found = from_profile(credentials, profile, profile_name(options), error);
	if (!found && !named)
		found = from_default_passwd_files(credentials, places, bucket, error);
	if (!found)
		return none_found(options, places, bucket, error);
	return found < 0 ? found : 0;
}

int credentials_load(struct credentials *credentials, struct options *options, const char *bucket,
		     struct error *error)
{
	struct aws_profile profile = AWS_PROFILE_INIT;
	struct places places;
	int err;

	memset(credentials, 0, sizeof(*credentials));
	find_places(&places);
	if (options->anonymous && options_given(options, "anonymous") &&
	    options_given(options, "passwd_file"))
		return error_set(error, -EINVAL,
				 "options 'anonymous' and 'passwd_file' exclude each other");
	err = load_profile(&profile, options, &places, error);
	if (!err)
		err = adopt_profile(options, &profile, error);
	if (!err)
		err = load_keys(credentials, options, &profile, &places, bucket, error);
	aws_profile_free(&profile);
	if (err)
		credentials_free(credentials);
	return err;
}

int credentials_reload(struct credentials *credentials, const struct options *options,
		       const char *bucket, struct error *error)
{
	struct aws_profile profile = AWS_PROFILE_INIT;
	struct places places;
	int err;

	memset(credentials, 0, sizeof(*credentials));
	find_places(&places);
	err = load_profile(&profile, options, &places, error);
	if (!err)
		err = load_keys(credentials, options, &profile, &places, bucket, error);
	aws_profile_free(&profile);
	if (err)
		credentials_free(credentials);
	return err;
}

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool credentials_equal(const struct credentials *a, const struct credentials *b)
{
	return a->anonymous == b->anonymous && same(a->access_key, b->access_key) &&
	       same(a->secret_key, b->secret_key) && same(a->session_token, b->session_token);
}

void credentials_free(struct credentials *credentials)
{
	secret_free(credentials->access_key);
	secret_free(credentials->secret_key);
	secret_free(credentials->session_token);
	memset(credentials, 0, sizeof(*credentials));
}
