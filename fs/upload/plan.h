/* plan.h — how a file becomes parts of a multipart upload. Pure.
 *
 * Limits: parts of sizes->part_min to 5 GiB, the last may be smaller, at most 10,000 (S3 user
 * guide, "Amazon S3 multipart upload limits").
 */
#ifndef FS_UPLOAD_PLAN_H
#define FS_UPLOAD_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/cache/extent.h"
#include "fs/sizes.h"

#define PART_MAX   (UINT64_C(5) << 30)
#define OBJECT_MAX (UINT64_C(5) << 40)

struct plan_part {
	uint64_t start, end;
	bool copy; /* UploadPartCopy of the same range of the base object; else upload */
};

struct plan {
	struct plan_part *parts; /* in order, without gaps, from 0 to size; none when size is 0 */
	size_t count;
};

/* Size of every part but the last when a stream of unknown length is cut: part_size until size
 * needs more. Grows so that 10,000 parts hold size. */
uint64_t plan_part_size(const struct sizes *sizes, uint64_t size, uint64_t part_size);

/* Parts for a file of size bytes, of which base (the object's version that the change is based on,
 * base_size bytes; 0: none) holds everything outside of changed. Long unchanged runs become copy
 * parts (up to PART_MAX each, never smaller than part_min), everything else is cut by part_size; a
 * part may take up to part_min more, and unchanged bytes beside a short change. Where 10,000 parts
 * are too few, parts grow and shorter unchanged runs are uploaded. Ranges beyond base_size are
 * never copied. A plan without copies has parts of one size but for the last (some servers insist
 * on that). Errors: -EFBIG over OBJECT_MAX, -ENOMEM. */
int plan_create(struct plan *plan, const struct sizes *sizes, uint64_t size, uint64_t base_size,
		const struct extent_set *changed, uint64_t part_size);
void plan_free(struct plan *plan);
uint64_t plan_upload_bytes(const struct plan *plan);

#endif
