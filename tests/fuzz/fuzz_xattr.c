#include "fs/vfs/xattr_codec.h"
#include "tests/fuzz/fuzz.h"

/* What was read can be written, and then means the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct xattr_set first = {NULL, 0}, second = {NULL, 0};
	struct buf text = BUF_INIT;
	char *input = fuzz_text(data, len);

	if (xattr_decode(input, &first) == 0) {
		xattr_encode(&first, &text);
		EXPECT(!text.failed);
		if (text.len <= XATTR_TEXT_BYTES_MAX) {
			EXPECT(xattr_decode(buf_str(&text), &second) == 0);
			EXPECT(second.count == first.count);
		}
		for (size_t i = 0; i < second.count; i++) {
			const struct xattr *one = &first.items[i], *other = &second.items[i];

			EXPECT(strcmp(one->name, other->name) == 0 && *one->name);
			EXPECT(strlen(one->name) <= XATTR_NAME_BYTES_MAX);
			EXPECT(one->len == other->len &&
			       !memcmp(one->value, other->value, one->len));
			EXPECT(xattr_set_find(&second, one->name) == other);
		}
		while (second.count)
			EXPECT(xattr_set_remove(&second, second.items[second.count / 2].name));
	} else {
		EXPECT(first.count == 0);
	}
	xattr_set_free(&first);
	xattr_set_free(&second);
	buf_free(&text);
	free(input);
	return 0;
}
