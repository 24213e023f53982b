#include "fs/front/protocol.h"
#include "tests/fuzz/fuzz.h"

/* Any request, and any reply to it: nothing is read or written but what is there, and of the reply
 * nothing changes but the two words of flags. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	enum { HEADER = 16, FLAGS_AT = 12, FLAGS_END = 16, FLAGS2_AT = 32, FLAGS2_END = 36 };
	size_t request_len = len / 2, body_len = len - request_len;
	struct protocol_init init = {0, UINT32_MAX, true};
	uint8_t *request = malloc(request_len + 1), *body = malloc(body_len + 1), header[HEADER];

	EXPECT(request && body);
	memcpy(request, data, request_len);
	memcpy(body, data + request_len, body_len);
	protocol_kills_privileges(request, request_len);
	protocol_read_init(request, request_len, &init);
	memset(header, 0, sizeof(header));
	memcpy(header + 8, &init.unique, sizeof(init.unique));
	if (!protocol_complete_init(&init, header, sizeof(header), body, body_len)) {
		EXPECT(memcmp(body, data + request_len, body_len) == 0);
	} else {
		EXPECT(memcmp(body, data + request_len, FLAGS_AT) == 0);
		EXPECT(memcmp(body + FLAGS_END, data + request_len + FLAGS_END,
			      FLAGS2_AT - FLAGS_END) == 0);
		EXPECT(memcmp(body + FLAGS2_END, data + request_len + FLAGS2_END,
			      body_len - FLAGS2_END) == 0);
	}
	free(request);
	free(body);
	return 0;
}
