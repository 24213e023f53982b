#include "plugin/routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/json.h"

static const struct route_spec {
	const char *path;
	enum route route;
	bool has_body, has_name, has_id;
} specs[] = {
	{"/Plugin.Activate", ROUTE_ACTIVATE, false, false, false},
	{"/VolumeDriver.Create", ROUTE_CREATE, true, true, false},
	{"/VolumeDriver.Remove", ROUTE_REMOVE, true, true, false},
	{"/VolumeDriver.Mount", ROUTE_MOUNT, true, true, true},
	{"/VolumeDriver.Unmount", ROUTE_UNMOUNT, true, true, true},
	{"/VolumeDriver.Path", ROUTE_PATH, true, true, false},
	{"/VolumeDriver.Get", ROUTE_GET, true, true, false},
	{"/VolumeDriver.List", ROUTE_LIST, false, false, false},
	{"/VolumeDriver.Capabilities", ROUTE_CAPABILITIES, false, false, false},
};

static const struct route_spec *find_spec(const char *path)
{
	size_t i;

	for (i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		if (strcmp(specs[i].path, path) == 0)
			return &specs[i];
	}
	return NULL;
}

static int parse_options(struct route_call *call, const struct json *object, struct error *error)
{
	const struct json *item;
	size_t count = json_count(object);

	if (object && !json_is_object(object) && !json_is_null(object))
		return error_set(error, -EINVAL, "the request's Opts are not an object");
	if (count == 0)
		return 0;
	call->options = calloc(count, sizeof(*call->options));
	if (!call->options)
		return -ENOMEM;
	for (item = json_first(object); item; item = json_next(item)) {
		struct definition_option *option = &call->options[call->option_count];

		if (!json_string(item))
			return error_set(error, -EINVAL, "option '%.64s' is no string",
					 json_name(item));
		option->name = string_copy(json_name(item));
		option->value = string_copy(json_string(item));
		call->option_count++;
		if (!option->name || !option->value)
			return -ENOMEM;
	}
	return 0;
}

static int parse_members(struct route_call *call, const struct route_spec *spec,
			 const struct json *root, struct error *error)
{
	const char *name = json_string(json_member(root, "Name"));
	const char *id = json_string(json_member(root, "ID"));

	if (!name || !*name)
		return error_set(error, -EINVAL, "the request names no volume");
	call->name = string_copy(name);
	if (!call->name)
		return -ENOMEM;
	if (spec->has_id) {
		if (!id || !*id)
			return error_set(error, -EINVAL,
					 "the request for volume '%.100s' has no ID", name);
		call->id = string_copy(id);
		if (!call->id)
			return -ENOMEM;
	}
	return spec->route == ROUTE_CREATE ? parse_options(call, json_member(root, "Opts"), error)
					   : 0;
}

int routes_parse(struct route_call *call, const char *path, const char *body, size_t len,
		 struct error *error)
{
	const struct route_spec *spec = find_spec(path);
	struct json *root;
	int err;

	memset(call, 0, sizeof(*call));
	if (!spec)
		return error_set(error, -ENOENT,
				 "'%.100s' is not part of the volume driver protocol", path);
	call->route = spec->route;
	if (!spec->has_body)
		return 0;
	if (body[strspn(body, " \t\r\n")] == '\0')
		return error_set(error, -EINVAL,
				 "the request has no body: the engine sends it again without one "
				 "when it could "
				 "not read the answer in time");
	root = json_parse(body, len);
	if (!json_is_object(root))
		err = error_set(error, -EINVAL, "the request is not a JSON object");
	else
		err = parse_members(call, spec, root, error);
	json_free(root);
	return err ? error_set(error, err, "out of memory") : 0;
}

void route_call_free(struct route_call *call)
{
	while (call->option_count > 0) {
		struct definition_option *option = &call->options[--call->option_count];

		free(option->name);
		free(option->value);
	}
	free(call->options);
	free(call->name);
	free(call->id);
	memset(call, 0, sizeof(*call));
}

static char *finish(struct buf *out)
{
	buf_putc(out, '\n');
	return buf_steal(out);
}

char *routes_format_error(const char *message)
{
	struct buf out = BUF_INIT;
	struct json_writer writer = JSON_WRITER_INIT(&out);

	json_begin_object(&writer, NULL);
	json_put_string(&writer, "Err", *message ? message : "unknown error");
	json_end_object(&writer);
	return finish(&out);
}

char *routes_format_done(enum route route)
{
	struct buf out = BUF_INIT;
	struct json_writer writer = JSON_WRITER_INIT(&out);

	json_begin_object(&writer, NULL);
	if (route == ROUTE_ACTIVATE) {
		json_begin_array(&writer, "Implements");
		json_put_string(&writer, NULL, "VolumeDriver");
		json_end_array(&writer);
	} else {
		if (route == ROUTE_CAPABILITIES) {
			/* Definitions are made on each node, as Swarm does it; "global" would
			 * promise more. */
			json_begin_object(&writer, "Capabilities");
			json_put_string(&writer, "Scope", "local");
			json_end_object(&writer);
		}
		json_put_string(&writer, "Err", "");
	}
	json_end_object(&writer);
	return finish(&out);
}

char *routes_format_mountpoint(const char *mountpoint)
{
	struct buf out = BUF_INIT;
	struct json_writer writer = JSON_WRITER_INIT(&out);

	json_begin_object(&writer, NULL);
	json_put_string(&writer, "Mountpoint", mountpoint);
	json_put_string(&writer, "Err", "");
	json_end_object(&writer);
	return finish(&out);
}

/* What people look for, in the words of `s3mount status`; the list of pending files is left out. */
static void put_mount(struct json_writer *writer, const char *text)
{
	struct json *root = json_parse(text, strlen(text));
	const struct json *item;
	int64_t number;

	for (item = json_first(root); item; item = json_next(item)) {
		if (json_string(item))
			json_put_string(writer, json_name(item), json_string(item));
		else if (json_integer(item, &number) == 0)
			json_put_integer(writer, json_name(item), number);
		else if (json_is_null(item))
			json_put_null(writer, json_name(item));
		else if (!json_is_object(item) && !json_is_array(item) &&
			 json_bool(item, false) == json_bool(item, true))
			json_put_bool(writer, json_name(item), json_bool(item, false));
	}
	json_free(root);
}

static void put_status(struct json_writer *writer, const struct route_status *status)
{
	const struct {
		const char *name, *value;
	} texts[] = {
		{"bucket", status->bucket},	      {"options", status->options},
		{"credentials", status->credentials}, {"last_error", status->last_error},
		{"last_crash", status->last_crash},   {"warning", status->warning},
	};
	size_t i;

	json_begin_object(writer, "Status");
	json_put_string(writer, "state", status->state);
	json_put_integer(writer, "references", status->references);
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (texts[i].value && *texts[i].value)
			json_put_string(writer, texts[i].name, texts[i].value);
	}
	if (status->mount) {
		json_begin_object(writer, "mount");
		put_mount(writer, status->mount);
		json_end_object(writer);
	}
	json_end_object(writer);
}

static void put_volume(struct json_writer *writer, const char *member,
		       const struct route_volume *volume)
{
	time_t seconds = (time_t)(volume->created_at / 1000000000);
	struct tm parts;
	char text[32];

	json_begin_object(writer, member);
	json_put_string(writer, "Name", volume->name);
	json_put_string(writer, "Mountpoint", volume->mountpoint);
	if (volume->created_at > 0 && gmtime_r(&seconds, &parts) &&
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts) > 0)
		json_put_string(writer, "CreatedAt", text);
	if (volume->status)
		put_status(writer, volume->status);
	json_end_object(writer);
}

char *routes_format_volume(const struct route_volume *volume)
{
	struct buf out = BUF_INIT;
	struct json_writer writer = JSON_WRITER_INIT(&out);

	json_begin_object(&writer, NULL);
	put_volume(&writer, "Volume", volume);
	json_put_string(&writer, "Err", "");
	json_end_object(&writer);
	return finish(&out);
}

char *routes_format_list(const struct route_volume *volumes, size_t count)
{
	struct buf out = BUF_INIT;
	struct json_writer writer = JSON_WRITER_INIT(&out);
	size_t i;

	json_begin_object(&writer, NULL);
	json_begin_array(&writer, "Volumes");
	for (i = 0; i < count; i++)
		put_volume(&writer, NULL, &volumes[i]);
	json_end_array(&writer);
	json_put_string(&writer, "Err", "");
	json_end_object(&writer);
	return finish(&out);
}
