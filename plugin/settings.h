/* settings.h — what the plugin's environment says, and what it means for a volume.
 *
 * The names of the s3fs plugin of REX-Ray work as they did (S3FS_ACCESSKEY, S3FS_SECRETKEY,
 * S3FS_REGION, S3FS_ENDPOINT, S3FS_OPTIONS, S3FS_DISABLEPATHSTYLE, LINUX_VOLUME_ROOTPATH), beside
 * AWS_* and S3MOUNT_*. Precedence for a volume, lowest first: defaults, AWS_* and S3MOUNT_*,
 * S3FS_*, S3FS_OPTIONS, the volume's own options.
 *
 * Docker shows a plugin's environment to everyone who may inspect it; that is where secrets given
 * that way end. They are wiped from the process's own environment as soon as they have been read,
 * and children get them by an anonymous file (settings.h knows nothing of that: mounter.h). Read
 * only once loaded, then any thread.
 */
#ifndef PLUGIN_SETTINGS_H
#define PLUGIN_SETTINGS_H

#include <stdbool.h>

#include "common/error.h"
#include "common/log.h"
#include "common/options.h"
#include "common/s3/credentials.h"
#include "plugin/definition.h"

struct settings {
	char *volumes; /* S3MOUNT_PLUGIN_VOLUMES: mount points are made below it */
	char *state;   /* S3MOUNT_PLUGIN_STATE: survives the plugin */
	char *program; /* S3MOUNT_PLUGIN_PROGRAM: s3mount */
	enum log_level log_level;
	struct options options; /* for every volume */
	struct credentials credentials;
	bool has_credentials;
	/* The environment does not make sense; volumes cannot be used until `docker plugin set` has
	 * put it right. The plugin starts all the same, to be able to say so. */
	struct error problem;
};

/* S3MOUNT_PLUGIN_SOCKET: where the engine connects. Apart, because listening comes before all else.
 */
const char *settings_socket(void);

/* Reads and wipes. Must run before there are other threads. Errors: -ENOMEM. */
int settings_load(struct settings *settings);
void settings_free(struct settings *settings);

/* The options with which the volume is mounted. out must be empty; options_free ends it.
 * Errors: -EINVAL with the option's name, -ENOMEM. */
int settings_for_volume(const struct settings *settings, const struct definition *definition,
			struct options *out, struct error *error);

/* The keys for a volume: those that credentials=NAME names, or the plugin's, which may be none
 * (*found is false: s3mount looks for itself, with profile= or passwd_file=). Region and endpoint
 * that the file has fill gaps of options. Reads files: may block. Errors: -ENOENT, -EACCES,
 * -EINVAL: no such file, or nothing usable in it; message set. */
int settings_credentials(const struct settings *settings, const struct definition *definition,
			 struct options *options, struct credentials *out, bool *found,
			 struct error *error);

#endif
