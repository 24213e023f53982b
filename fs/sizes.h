/* sizes.h — from which size on a file is treated in another way. Plain data.
 *
 * The product has one set, sizes_usual. The simulation has one in which a file of some KiB goes in
 * parts, is copied in parts, goes while it is written, and is changed without being here whole.
 */
#ifndef FS_SIZES_H
#define FS_SIZES_H

#include <stdint.h>

struct sizes {		       /* bytes */
	uint64_t put_max;      /* larger files are uploaded in parts */
	uint64_t part_min;     /* the least that S3 takes as a part but for the last */
	uint64_t part_unit;    /* where parts must grow they do so in steps of this */
	uint64_t copy_max;     /* larger objects are copied in parts */
	uint64_t copy_part;    /* of a copy: several run side by side, each within its deadline */
	uint64_t stream_after; /* larger new files go to S3 while they are written */
	uint64_t whole_max;    /* smaller objects are fetched, and changed, as a whole */
	uint64_t range;	       /* of larger ones: what one request asks for, */
	uint64_t ahead;	       /* and how much is fetched ahead of a reader at most */
};

extern const struct sizes sizes_usual;

#endif
