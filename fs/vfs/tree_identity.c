#include "fs/vfs/tree_identity.h"

#include <stdio.h>
#include <string.h>

#include "fs/upload/upload.h"

int tree_add_put_id(struct os_meta *meta, const char *etag)
{
	char text[OS_ETAG_MAX];
	size_t len;

	if (os_meta_get(meta, META_PUT_ID))
		return 0;
	etag += strspn(etag, "\"");
	len = strcspn(etag, "\"");
	snprintf(text, sizeof(text), "%.*s", (int)len, etag);
	return os_meta_set(meta, META_PUT_ID, text);
}

static bool tells_source(const struct os_result *source, const struct os_result *target)
{
	struct os_meta expected = OS_META_INIT;
	bool same = os_meta_copy(&expected, &source->meta) == 0 &&
		    tree_add_put_id(&expected, source->etag) == 0 &&
		    os_meta_equal(&expected, &target->meta);

	os_meta_free(&expected);
	return same;
}

bool tree_is_copy(const struct os_result *source, const struct os_result *target)
{
	return source->size == target->size &&
	       (strcmp(source->etag, target->etag) == 0 || tells_source(source, target));
}

bool tree_is_same(const struct os_result *source, const struct os_result *target)
{
	bool equal = strcmp(source->etag, target->etag) == 0 &&
		     os_meta_equal(&source->meta, &target->meta);

	return source->size == target->size && (equal || tells_source(source, target));
}

bool tree_is_copied_marker(const struct os_result *source, const struct os_result *target)
{
	return source->size == target->size &&
	       (os_meta_equal(&source->meta, &target->meta) || tells_source(source, target));
}
