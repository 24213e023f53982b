#include "fs/sizes.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

const struct sizes sizes_usual = {
	.put_max = 16 * MIB,
	.part_min = 5 * MIB, /* S3 user guide, "Amazon S3 multipart upload limits" */
	.part_unit = MIB,
	.copy_max = 5 * GIB, /* CopyObject API page */
	.copy_part = 512 * MIB,
	.stream_after = 32 * MIB,
	.whole_max = 8 * MIB,
	.range = 8 * MIB,
	.ahead = 64 * MIB,
};
