#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/s3/store.h"
#include "common/s3/xml.h"

int call_flush(struct s3_call *call)
{
	const struct os_sink *sink = &call->request->sink;
	int err;

	if (call->chunk_len == 0)
		return 0;
	err = sink->write(sink->context, call->chunk, call->chunk_len, call->delivered);
	if (err)
		return err < 0 ? err : -EIO;
	call->delivered += call->chunk_len;
	call->chunk_len = 0;
	return 0;
}

static int reserve(struct s3_call *call, size_t len)
{
	size_t capacity = call->chunk_capacity ? call->chunk_capacity : 8 << 10;
	char *chunk;

	while (capacity < len)
		capacity *= 2;
	if (capacity == call->chunk_capacity)
		return 0;
	chunk = realloc(call->chunk, capacity);
	if (!chunk)
		return -ENOMEM;
	call->chunk = chunk;
	call->chunk_capacity = capacity;
	return 0;
}

/* data is for the offset delivered + chunk_len. */
static int deliver(struct s3_call *call, const char *data, size_t len)
{
	while (len > 0) {
		size_t room = CALL_CHUNK - call->chunk_len, piece = len < room ? len : room;
		int err = reserve(call, call->chunk_len + piece);

		if (err)
			return err;
		memcpy(call->chunk + call->chunk_len, data, piece);
		call->chunk_len += piece;
		data += piece;
		len -= piece;
		if (call->chunk_len == CALL_CHUNK) {
			err = call_flush(call);
			if (err)
				return err;
		}
	}
	return 0;
}

void call_reply(const struct s3_call *call, struct s3_reply *reply)
{
	reply->status = call->exchange.status;
	reply->headers = buf_str(&call->exchange.answer_headers);
	reply->headers_len = call->exchange.answer_headers.len;
	reply->body = buf_str(&call->body);
	reply->body_len = call->body.len;
}

static int begin_stream(struct s3_call *call)
{
	struct s3_reply reply;
	int err;

	call_reply(call, &reply);
	err = s3_response_body_start(&reply, &call->position);
	if (err)
		return err;
	call->streaming = true;
	/* A server may answer with more than was asked for, never with what lies behind. */
	return call->position > call->delivered ? -EPROTO : 0;
}

static int on_stream(struct s3_call *call, const char *data, size_t len)
{
	uint64_t next = call->delivered + call->chunk_len;
	int err;

	if (!call->streaming) {
		err = begin_stream(call);
		if (err)
			return err;
	}
	if (call->position < next) {
		uint64_t skip = next - call->position;

		if (skip > len)
			skip = len;
		call->position += skip;
		data += skip;
		len -= (size_t)skip;
	}
	if (len > call->wanted_end - call->position) {
		err = deliver(call, data, (size_t)(call->wanted_end - call->position));
		call->position = call->wanted_end;
		return err ? err : 1;
	}
	call->position += len;
	return deliver(call, data, len);
}

int call_on_body(struct http_exchange *exchange, const char *data, size_t len)
{
	struct s3_call *call = container_of(exchange, struct s3_call, exchange);
	bool success = exchange->status >= 200 && exchange->status < 300;

	if (success && call->request->op == OS_GET)
		return on_stream(call, data, len);
	if (!success && call->body.len + len > CALL_ERROR_MAX)
		return 1;
	if (call->body.len + len > XML_SIZE_MAX)
		return -EPROTO;
	buf_append(&call->body, data, len);
	return call->body.failed ? -ENOMEM : 0;
}
