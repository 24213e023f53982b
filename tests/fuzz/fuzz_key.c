#include "fs/vfs/key.h"
#include "tests/fuzz/fuzz.h"

static void check_component(const char *dir, const char *key)
{
	struct key_component found;
	bool hidden;
	char name[NAME_BYTES_MAX + 1];

	if (!key_component(dir, key, &found, &hidden))
		return;
	EXPECT(!hidden);
	EXPECT(found.name == key + strlen(dir));
	EXPECT(found.len > 0 && found.len <= NAME_BYTES_MAX);
	memcpy(name, found.name, found.len);
	name[found.len] = '\0';
	/* What is shown can be asked for. */
	EXPECT(key_check_name(name) == 0);
	EXPECT(found.name[found.len] == (found.is_directory ? '/' : '\0'));
}

static void check_prefix(const char *text)
{
	char *prefix = key_normalise_prefix(text), *again;

	if (!prefix)
		return;
	EXPECT(*prefix == '\0' || prefix[strlen(prefix) - 1] == '/');
	EXPECT(*prefix != '/' && !strstr(prefix, "//"));
	again = key_normalise_prefix(prefix);
	EXPECT(again && strcmp(again, prefix) == 0);
	free(again);
	free(prefix);
}

static void check_conflict_name(const char *name, const char *node, size_t len)
{
	char out[NAME_BYTES_MAX + 1];

	if (key_check_name(name))
		return;
	key_conflict_name(out, name, node, (long long)len * 1000000007 * 1000000, node);
	EXPECT(key_check_name(out) == 0);
}

/* The input is "first\nsecond". */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *first = fuzz_text(data, len), *second = strchr(first, '\n');

	if (second) {
		*second++ = '\0';
		check_component(first, second);
		check_component("", second);
		check_conflict_name(first, second, len);
	}
	check_prefix(first);
	free(first);
	return 0;
}
