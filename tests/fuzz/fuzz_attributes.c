#include "fs/vfs/attributes.h"
#include "tests/fuzz/fuzz.h"

static bool has_file_type(uint32_t mode)
{
	return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode) || S_ISCHR(mode) || S_ISBLK(mode) ||
	       S_ISFIFO(mode) || S_ISSOCK(mode);
}

/* Lines of "name=value". */
static void fill(struct os_meta *meta, char *text)
{
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n"))) {
		char *value = strchr(line, '=');

		if (!value)
			continue;
		*value++ = '\0';
		EXPECT(os_meta_set(meta, line, value) == 0);
	}
}

/* What was decoded can be written, and then means the same. */
static void check_round_trip(const struct attributes *first, struct os_meta *meta,
			     bool is_directory, const struct attribute_defaults *defaults)
{
	struct attributes second;

	if (attributes_encode(first, meta))
		return;
	attributes_decode(&second, meta, attributes_content_type(first->mode), 1, is_directory,
			  defaults);
	EXPECT(second.mode == first->mode);
	EXPECT(second.uid == first->uid && second.gid == first->gid);
	EXPECT(second.rdev == first->rdev);
	EXPECT(second.atime == first->atime && second.mtime == first->mtime &&
	       second.ctime == first->ctime);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct attribute_defaults defaults = {1000, 100, 0644, 0755};
	static const char *const content_types[] = {NULL, "application/x-directory", "text/plain"};
	struct os_meta meta = OS_META_INIT;
	struct attributes attributes;
	bool is_directory;
	char *text;

	if (len == 0)
		return 0;
	is_directory = data[0] & 1;
	text = fuzz_text(data + 1, len - 1);
	fill(&meta, text);
	attributes_decode(&attributes, &meta, content_types[(data[0] >> 1) % 3], 0, is_directory,
			  &defaults);
	EXPECT(has_file_type(attributes.mode) && (attributes.mode & ~0177777u) == 0);
	EXPECT(!is_directory || S_ISDIR(attributes.mode));
	check_round_trip(&attributes, &meta, is_directory, &defaults);
	os_meta_free(&meta);
	free(text);
	return 0;
}
