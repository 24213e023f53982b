#include "common/s3/response.h"
#include "tests/fuzz/fuzz.h"

/* OPERATION STATUS HEADERS "\0" BODY */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const int statuses[] = {200, 206, 204, 304, 301, 307, 400, 403, 404, 409, 412, 500};
	static const char *const keys[] = {"a", "b"};
	struct os_request request = {.delete_keys = keys, .delete_count = 2};
	struct os_result *result = &request.result;
	struct s3_hints hints;
	struct s3_reply reply;
	const char *end;
	uint64_t first;
	char *text;

	if (len < 2)
		return 0;
	text = fuzz_text(data, len);
	request.op = (enum os_op)((unsigned char)text[0] % (OS_BUCKET_HEAD + 1));
	reply.status = statuses[(unsigned char)text[1] % (sizeof(statuses) / sizeof(statuses[0]))];
	reply.headers = text + 2;
	end = memchr(reply.headers, '\0', len - 2);
	reply.headers_len = end ? (size_t)(end - reply.headers) : len - 2;
	reply.body = end ? end + 1 : "";
	reply.body_len = end ? len - 2 - reply.headers_len - 1 : 0;

	s3_response_read(&request, "bkt", &reply, result, &hints);
	EXPECT(memchr(result->etag, '\0', sizeof(result->etag)));
	EXPECT(memchr(result->message, '\0', sizeof(result->message)));
	EXPECT(memchr(hints.region, '\0', sizeof(hints.region)));
	/* Whoever goes on needs what the operation promises. */
	if (result->err == 0 && request.op == OS_MPU_COMPLETE)
		EXPECT(result->etag[0]);
	if (result->err == 0 && request.op == OS_MPU_CREATE)
		EXPECT(result->upload_id[0]);
	if (result->err == 0 && request.op == OS_DELETE_MANY)
		EXPECT(result->delete_errors);
	if (result->err)
		EXPECT(result->message[0] || result->code[0]);
	s3_response_body_start(&reply, &first);
	os_request_free_result(&request);
	free(text);
	return 0;
}
