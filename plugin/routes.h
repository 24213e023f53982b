/* routes.h — the VolumeDriver protocol: what a request asks for, and how the answer is written.
 * Pure.
 *
 * https://docs.docker.com/engine/extend/plugins_volume/, and what engines from 20.10 on really do:
 * - An answer that the engine could not read it asks for again, up to five times, with an EMPTY
 * body. So an empty body is an error, never a volume named "".
 * - "" for CreatedAt makes Get fail, and a failing Get makes the engine forget the volume: it is
 * left out.
 * - Unmount may come for an ID that is not known (after a crash of either side): no error.
 * - A status other than 200 and a non-empty Err are errors alike; the engine shows Err.
 */
#ifndef PLUGIN_ROUTES_H
#define PLUGIN_ROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "plugin/definition.h"

enum route {
	ROUTE_ACTIVATE,
	ROUTE_CREATE,
	ROUTE_REMOVE,
	ROUTE_MOUNT,
	ROUTE_UNMOUNT,
	ROUTE_PATH,
	ROUTE_GET,
	ROUTE_LIST,
	ROUTE_CAPABILITIES,
};

struct route_call {
	enum route route;
	char *name; /* NULL where the route has none */
	char *id;
	struct definition_option *options;
	size_t option_count;
};

/* call must be empty; route_call_free ends it, after an error, too.
 * Errors: -ENOENT (no such route), -EINVAL (body), -ENOMEM; message set. */
int routes_parse(struct route_call *call, const char *path, const char *body, size_t len,
		 struct error *error);
void route_call_free(struct route_call *call);

/* What docker volume inspect shows as Status. Strings may be NULL. */
struct route_status {
	const char *state;
	unsigned references;
	const char *bucket, *options, *credentials;
	const char *last_error, *last_crash, *warning;
	const char *mount; /* JSON of `s3mount status` */
};

struct route_volume {
	const char *name;
	const char *mountpoint;		   /* "" while it is not mounted */
	int64_t created_at;		   /* ns since the epoch; 0: left out */
	const struct route_status *status; /* NULL: none */
};

/* Each returns the whole body for the caller to free; NULL: out of memory. */
char *routes_format_error(const char *message);
char *routes_format_done(enum route route); /* CREATE, REMOVE, UNMOUNT, ACTIVATE, CAPABILITIES */
char *routes_format_mountpoint(const char *mountpoint);
char *routes_format_volume(const struct route_volume *volume);
char *routes_format_list(const struct route_volume *volumes, size_t count);

#endif
