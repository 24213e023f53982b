#include "common/s3/document.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct document document;
	char *text = fuzz_text(data, len);
	int64_t time;

	if (document_parse(&document, text, len) == 0) {
		EXPECT(memchr(document.etag, '\0', sizeof(document.etag)));
		EXPECT(memchr(document.upload_id, '\0', sizeof(document.upload_id)));
		for (size_t i = 0; i < document.entry_count; i++)
			EXPECT(document.entries[i].key);
	}
	document_free(&document);
	parse_iso_time(text, &time);
	parse_http_time(text, &time);
	free(text);
	return 0;
}
