#include "plugin/s3_call.h"

#include "common/fiber.h"

struct call {
	struct fiber *fiber;
	bool done;
};

static void call_done(struct os_request *request)
{
	struct call *call = request->user;

	call->done = true;
	fiber_wake(call->fiber);
}

int s3_call(struct objstore *store, struct os_request *request)
{
	struct call call = {fiber_self(), false};

	request->user = &call;
	request->done = call_done;
	objstore_submit(store, request);
	while (!call.done)
		fiber_park();
	return request->result.err;
}
