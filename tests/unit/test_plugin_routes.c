#include "plugin/routes.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/json.h"

static int parse(struct route_call *call, const char *path, const char *body, struct error *error)
{
	*error = (struct error)ERROR_INIT;
	return routes_parse(call, path, body, strlen(body), error);
}

static void requests_of_the_engine_are_understood(void **state)
{
	static const struct {
		const char *path, *body;
		enum route route;
		const char *name, *id;
		size_t options;
	} cases[] = {
		{"/Plugin.Activate", "", ROUTE_ACTIVATE, NULL, NULL, 0},
		{"/VolumeDriver.Capabilities", "{}\n", ROUTE_CAPABILITIES, NULL, NULL, 0},
		{"/VolumeDriver.List", "{}\n", ROUTE_LIST, NULL, NULL, 0},
		{"/VolumeDriver.List", "", ROUTE_LIST, NULL, NULL, 0},
		{"/VolumeDriver.Get", "{\"Name\":\"v\"}\n", ROUTE_GET, "v", NULL, 0},
		{"/VolumeDriver.Path", "{\"Name\":\"v\"}", ROUTE_PATH, "v", NULL, 0},
		{"/VolumeDriver.Remove", "{\"Name\":\"v\"}", ROUTE_REMOVE, "v", NULL, 0},
		{"/VolumeDriver.Create", "{\"Name\":\"v\"}", ROUTE_CREATE, "v", NULL, 0},
		{"/VolumeDriver.Create", "{\"Name\":\"v\",\"Opts\":null}", ROUTE_CREATE, "v", NULL,
		 0},
		{"/VolumeDriver.Create", "{\"Name\":\"v\",\"Opts\":{\"uid\":\"33\",\"ro\":\"\"}}",
		 ROUTE_CREATE, "v", NULL, 2},
		{"/VolumeDriver.Mount", "{\"Name\":\"v\",\"ID\":\"4f\"}", ROUTE_MOUNT, "v", "4f",
		 0},
		{"/VolumeDriver.Unmount", "{\"ID\":\"4f\",\"Name\":\"v\"}", ROUTE_UNMOUNT, "v",
		 "4f", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct route_call call;
		struct error error;

		assert_int_equal(parse(&call, cases[i].path, cases[i].body, &error), 0);
		assert_int_equal(call.route, cases[i].route);
		if (cases[i].name)
			assert_string_equal(call.name, cases[i].name);
		else
			assert_null(call.name);
		if (cases[i].id)
			assert_string_equal(call.id, cases[i].id);
		else
			assert_null(call.id);
		assert_int_equal(call.option_count, cases[i].options);
		route_call_free(&call);
	}
}

static void what_is_no_request_is_refused_with_a_message(void **state)
{
	static const struct {
		const char *path, *body;
		int err;
	} cases[] = {
		{"/VolumeDriver.Mount", "", -EINVAL},
		{"/VolumeDriver.Get", " \r\n", -EINVAL},
		{"/VolumeDriver.Create", "", -EINVAL},
		{"/VolumeDriver.Create", "{}", -EINVAL},
		{"/VolumeDriver.Create", "{\"Name\":\"\"}", -EINVAL},
		{"/VolumeDriver.Create", "{\"Name\":5}", -EINVAL},
		{"/VolumeDriver.Create", "{\"Name\":null}", -EINVAL},
		{"/VolumeDriver.Create", "[]", -EINVAL},
		{"/VolumeDriver.Create", "\"v\"", -EINVAL},
		{"/VolumeDriver.Create", "{\"Name\":\"v\"", -EINVAL},
		{"/VolumeDriver.Create", "{\"Name\":\"v\",\"Opts\":[]}", -EINVAL},
		{"/VolumeDriver.Create", "{\"Name\":\"v\",\"Opts\":{\"uid\":33}}", -EINVAL},
		{"/VolumeDriver.Mount", "{\"Name\":\"v\"}", -EINVAL},
		{"/VolumeDriver.Mount", "{\"Name\":\"v\",\"ID\":\"\"}", -EINVAL},
		{"/VolumeDriver.Unmount", "{\"ID\":\"x\"}", -EINVAL},
		{"/VolumeDriver.GetCapabilities", "{}", -ENOENT},
		{"/volumedriver.get", "{\"Name\":\"v\"}", -ENOENT},
		{"/", "", -ENOENT},
		{"", "", -ENOENT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct route_call call;
		struct error error;

		assert_int_equal(parse(&call, cases[i].path, cases[i].body, &error), cases[i].err);
		assert_int_equal(error.code, cases[i].err);
		assert_true(strlen(error.message) > 0);
		route_call_free(&call);
	}
}

static struct json *parsed(char *text)
{
	struct json *root = json_parse(text, strlen(text));

	assert_non_null(root);
	free(text);
	return root;
}

static void errors_are_never_empty(void **state)
{
	struct json *root = parsed(routes_format_error("no \"such\" thing"));

	(void)state;
	assert_string_equal(json_string(json_member(root, "Err")), "no \"such\" thing");
	json_free(root);
	root = parsed(routes_format_error(""));
	assert_true(strlen(json_string(json_member(root, "Err"))) > 0);
	json_free(root);
}

static void a_volume_without_a_date_has_no_created_at(void **state)
{
	const struct route_volume volume = {"v", "", 0, NULL};
	struct json *root = parsed(routes_format_volume(&volume));
	const struct json *member = json_member(root, "Volume");

	(void)state;
	assert_null(json_member(member, "CreatedAt"));
	assert_null(json_member(member, "Status"));
	assert_string_equal(json_string(json_member(member, "Name")), "v");
	json_free(root);
}

static void a_volume_shows_its_date_in_rfc_3339_and_its_status(void **state)
{
	const struct route_status status = {
		.state = "mounted",
		.references = 2,
		.bucket = "b",
		.options = "uid=33",
		.last_error = "",
		.last_crash = "2026-01-02T03:04:05Z: s3mount was killed",
		.mount = "{\"dirty_bytes\":7,\"last_error\":null,\"accepts_writes\":true,"
			 "\"pending\":[1,2]}",
	};
	const struct route_volume volume = {"v", "/mnt/volumes/v", 1700000000123456789, &status};
	struct json *root = parsed(routes_format_volume(&volume));
	const struct json *member = json_member(root, "Volume"),
			  *shown = json_member(member, "Status");
	const struct json *mount = json_member(shown, "mount");

	(void)state;
	assert_string_equal(json_string(json_member(member, "CreatedAt")), "2023-11-14T22:13:20Z");
	assert_string_equal(json_string(json_member(shown, "state")), "mounted");
	assert_string_equal(json_string(json_member(shown, "options")), "uid=33");
	assert_null(json_member(shown, "last_error"));
	assert_non_null(strstr(json_string(json_member(shown, "last_crash")), "was killed"));
	assert_true(json_number(json_member(shown, "references"), 0) == 2);
	assert_true(json_number(json_member(mount, "dirty_bytes"), 0) == 7);
	assert_true(json_bool(json_member(mount, "accepts_writes"), false));
	assert_true(json_is_null(json_member(mount, "last_error")));
	assert_null(json_member(mount, "pending"));
	json_free(root);
}

static void a_status_that_is_not_json_is_left_empty(void **state)
{
	const struct route_status status = {.state = "mounted", .mount = "<html>"};
	const struct route_volume volume = {"v", "", 0, &status};
	struct json *root = parsed(routes_format_volume(&volume));

	(void)state;
	assert_int_equal(json_count(json_member(json_member(json_member(root, "Volume"), "Status"),
						"mount")),
			 0);
	json_free(root);
}

static void lists_have_all_volumes_in_order(void **state)
{
	const struct route_volume volumes[] = {{"a", "/m/a", 0, NULL}, {"b\n", "", 0, NULL}};
	struct json *root = parsed(routes_format_list(volumes, 2));
	const struct json *list = json_member(root, "Volumes");

	(void)state;
	assert_int_equal(json_count(list), 2);
	assert_string_equal(json_string(json_member(json_item(list, 1), "Name")), "b\n");
	assert_string_equal(json_string(json_member(root, "Err")), "");
	json_free(root);
	root = parsed(routes_format_list(NULL, 0));
	assert_true(json_is_array(json_member(root, "Volumes")));
	json_free(root);
}

static void activation_names_the_protocol_and_capabilities_the_scope(void **state)
{
	struct json *root = parsed(routes_format_done(ROUTE_ACTIVATE));

	(void)state;
	assert_string_equal(json_string(json_item(json_member(root, "Implements"), 0)),
			    "VolumeDriver");
	json_free(root);
	root = parsed(routes_format_done(ROUTE_CAPABILITIES));
	assert_string_equal(json_string(json_member(json_member(root, "Capabilities"), "Scope")),
			    "local");
	json_free(root);
	root = parsed(routes_format_mountpoint("/m"));
	assert_string_equal(json_string(json_member(root, "Mountpoint")), "/m");
	json_free(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_of_the_engine_are_understood),
		cmocka_unit_test(what_is_no_request_is_refused_with_a_message),
		cmocka_unit_test(errors_are_never_empty),
		cmocka_unit_test(a_volume_without_a_date_has_no_created_at),
		cmocka_unit_test(a_volume_shows_its_date_in_rfc_3339_and_its_status),
		cmocka_unit_test(a_status_that_is_not_json_is_left_empty),
		cmocka_unit_test(lists_have_all_volumes_in_order),
		cmocka_unit_test(activation_names_the_protocol_and_capabilities_the_scope),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
