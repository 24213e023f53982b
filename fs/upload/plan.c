#include "fs/upload/plan.h"

#include <errno.h>
#include <stdlib.h>

#include "common/s3/objstore.h"

enum {
	COPY_PARTS_MAX = 2000,
	PART_GROWTH = 8, /* tried before copies are given up for a plan that fits */
};

struct limits {
	uint64_t part_min;  /* of every part but the last */
	uint64_t part;	    /* size of an upload part */
	uint64_t copy_part; /* .. of a copy part */
	uint64_t copy_min;  /* shorter unchanged runs are uploaded */
};

static uint64_t greatest(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The smallest multiple of part_unit with which count parts hold size. */
static uint64_t size_of_one(const struct sizes *sizes, uint64_t size, uint64_t count)
{
	uint64_t one = size / count + (size % count != 0);

	return (one + sizes->part_unit - 1) / sizes->part_unit * sizes->part_unit;
}

uint64_t plan_part_size(const struct sizes *sizes, uint64_t size, uint64_t part_size)
{
	part_size = least(greatest(part_size, sizes->part_min), PART_MAX);
	return greatest(part_size, least(size_of_one(sizes, size, OS_PART_COUNT_MAX), PART_MAX));
}

static int append(struct plan *plan, size_t *capacity, struct plan_part part)
{
	if (plan->count == OS_PART_COUNT_MAX)
		return -E2BIG;
	if (plan->count == *capacity) {
		size_t wanted = *capacity ? *capacity * 2 : 16;
		struct plan_part *parts = reallocarray(plan->parts, wanted, sizeof(*parts));

		if (!parts)
			return -ENOMEM;
		plan->parts = parts;
		*capacity = wanted;
	}
	plan->parts[plan->count++] = part;
	return 0;
}

/* Cuts [start, end); what would be left over too small to be a part goes with the one
 * before, unless it is the end of the file. */
static int append_cut(struct plan *plan, size_t *capacity, struct plan_part whole,
		      const struct limits *limits, bool at_end)
{
	uint64_t step = whole.copy ? limits->copy_part : limits->part;
	struct plan_part part = whole;
	int err = 0;

	while (!err && part.start < whole.end) {
		uint64_t left = whole.end - part.start;

		part.end = left <= step ? whole.end : part.start + step;
		if (whole.end - part.end < limits->part_min && !at_end)
			part.end = whole.end;
		err = append(plan, capacity, part);
		part.start = part.end;
	}
	return err;
}

/* One attempt. Errors: -E2BIG too many parts, -ENOMEM. */
static int cut(struct plan *plan, uint64_t size, uint64_t copyable,
	       const struct extent_set *changed, const struct limits *limits)
{
	struct extent run;
	uint64_t done = 0, look = 0; /* everything before done is planned */
	size_t capacity = 0;
	int err = 0;

	while (!err && extent_first_gap(changed, look, copyable, &run)) {
		look = run.end;
		/* An upload part before the copy that is too small takes some of it. */
		if (run.start > done && run.start - done < limits->part_min)
			run.start = done + limits->part_min;
		if (run.start > run.end || run.end - run.start < limits->copy_min)
			continue;
		err = append_cut(plan, &capacity, (struct plan_part){done, run.start, false},
				 limits, false);
		if (!err)
			err = append_cut(plan, &capacity,
					 (struct plan_part){run.start, run.end, true}, limits,
					 false);
		done = run.end;
	}
	if (!err)
		err = append_cut(plan, &capacity, (struct plan_part){done, size, false}, limits,
				 true);
	if (err)
		plan_free(plan);
	return err;
}

int plan_create(struct plan *plan, const struct sizes *sizes, uint64_t size, uint64_t base_size,
		const struct extent_set *changed, uint64_t part_size)
{
	/* Room below PART_MAX for what a cut leaves over. */
	const uint64_t part_max = PART_MAX - sizes->part_min;
	uint64_t part = least(plan_part_size(sizes, size, part_size), part_max);
	uint64_t copy_part = greatest(sizes->copy_part, size_of_one(sizes, size, COPY_PARTS_MAX));
	struct limits limits = {
		.part_min = sizes->part_min,
		.copy_part = least(copy_part, part_max),
		.copy_min = sizes->part_min,
	};

	*plan = (struct plan){NULL, 0};
	if (size > OBJECT_MAX)
		return -EFBIG;
	/* Ends: when copy_min passes size nothing is copied, and plan_part_size fits that. */
	for (;; limits.copy_min += limits.copy_min / 4) {
		for (unsigned growth = 1; growth <= PART_GROWTH; growth *= PART_GROWTH) {
			int err;

			limits.part = least(part * growth, part_max);
			err = cut(plan, size, least(size, base_size), changed, &limits);
			if (err != -E2BIG)
				return err;
		}
	}
}

void plan_free(struct plan *plan)
{
	free(plan->parts);
	*plan = (struct plan){NULL, 0};
}

uint64_t plan_upload_bytes(const struct plan *plan)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < plan->count; i++) {
		if (!plan->parts[i].copy)
			bytes += plan->parts[i].end - plan->parts[i].start;
	}
	return bytes;
}
