/* service.h — from the server's requests to the driver's calls and back. Owner thread. */
#ifndef PLUGIN_SERVICE_H
#define PLUGIN_SERVICE_H

#include "plugin/driver.h"
#include "plugin/server.h"

struct service {
	struct driver *driver;
	struct fiber_pool *pool; /* one fiber for each request under way */
};

/* server_config.handle; context is the struct service. */
void service_handle(void *context, struct server_request *request);

#endif
