#include "common/json.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <string.h>

#include "common/utf8.h"

/* struct json is never defined: a pointer to it is a pointer to cJSON's node. */
static const cJSON *node(const struct json *value)
{
	return (const cJSON *)(const void *)value;
}

static const struct json *value_of(const cJSON *item)
{
	return (const struct json *)(const void *)item;
}

/* What cJSON does not refuse: NUL in strings (it would cut them), deep nesting (it has a limit of
 * its own, but one that each build of it may change) and bytes that are no UTF-8. Says nothing
 * about the rest. */
static bool is_acceptable(const char *text, size_t len)
{
	bool in_string = false;
	unsigned depth = 0;
	size_t size;

	for (size_t i = 0; i < len; i += size) {
		size = utf8_sequence(text + i, len - i);
		if (size == 0 || text[i] == '\0')
			return false;
		if (in_string && text[i] == '\\' && i + 1 < len) {
			if (len - i >= 6 && memcmp(text + i + 1, "u0000", 5) == 0)
				return false;
			size = 1 + utf8_sequence(text + i + 1, len - i - 1);
		} else if (text[i] == '"') {
			in_string = !in_string;
		} else if (in_string) {
			continue;
		} else if (text[i] == '{' || text[i] == '[') {
			if (++depth > JSON_DEPTH_MAX)
				return false;
		} else if ((text[i] == '}' || text[i] == ']') && depth > 0) {
			depth--;
		}
	}
	return true;
}

struct json *json_parse(const char *text, size_t len)
{
	const char *end = NULL;
	cJSON *root;

	if (len > JSON_BYTES_MAX || !is_acceptable(text, len))
		return NULL;
	root = cJSON_ParseWithLengthOpts(text, len, &end, 0);
	if (!root)
		return NULL;
	while (end < text + len && strchr(" \t\r\n", *end))
		end++;
	if (end != text + len) {
		cJSON_Delete(root);
		return NULL;
	}
	return (struct json *)(void *)root;
}

void json_free(struct json *root)
{
	cJSON_Delete((cJSON *)(void *)root);
}

bool json_is_object(const struct json *value)
{
	return cJSON_IsObject(node(value));
}

bool json_is_array(const struct json *value)
{
	return cJSON_IsArray(node(value));
}

bool json_is_null(const struct json *value)
{
	return cJSON_IsNull(node(value));
}

const struct json *json_member(const struct json *value, const char *name)
{
	if (!json_is_object(value))
		return NULL;
	return value_of(cJSON_GetObjectItemCaseSensitive(node(value), name));
}

const struct json *json_first(const struct json *value)
{
	return json_is_object(value) || json_is_array(value) ? value_of(node(value)->child) : NULL;
}

const struct json *json_next(const struct json *item)
{
	return value_of(node(item)->next);
}

size_t json_count(const struct json *value)
{
	size_t count = 0;

	for (const struct json *item = json_first(value); item; item = json_next(item))
		count++;
	return count;
}

const struct json *json_item(const struct json *value, size_t position)
{
	const struct json *item = json_first(value);

	while (item && position-- > 0)
		item = json_next(item);
	return item;
}

const char *json_name(const struct json *item)
{
	return item ? node(item)->string : NULL;
}

const char *json_string(const struct json *value)
{
	return cJSON_IsString(node(value)) ? node(value)->valuestring : NULL;
}

double json_number(const struct json *value, double fallback)
{
	return cJSON_IsNumber(node(value)) ? node(value)->valuedouble : fallback;
}

bool json_bool(const struct json *value, bool fallback)
{
	return cJSON_IsBool(node(value)) ? cJSON_IsTrue(node(value)) : fallback;
}

int json_integer(const struct json *value, int64_t *out)
{
	static const double exact = 9007199254740992.0; /* 2 to the 53rd */
	const double number = json_number(value, exact * 2);

	if (!(number >= -exact && number <= exact) || number != (double)(int64_t)number)
		return -EINVAL;
	*out = (int64_t)number;
	return 0;
}
