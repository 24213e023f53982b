#include "fs/upload/plan.h"

#include <errno.h>
#include <stdlib.h>

#include "common/s3/objstore.h"

#define PART_UNIT (UINT64_C(1) << 20) /* part sizes are multiples of it */
/* Copies are cut so that several run side by side and each ends before its deadline; a few thousand
 * at most. */
#define COPY_PART      (UINT64_C(512) << 20)
#define COPY_PARTS_MAX 2000
#define PART_GROWTH    8 /* tried before copies are given up for a plan that fits */

struct limits {
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

/* The smallest multiple of PART_UNIT with which count parts hold size. */
static uint64_t size_of_one(uint64_t size, uint64_t count)
{
	uint64_t one = size / count + (size % count != 0);

	return (one + PART_UNIT - 1) / PART_UNIT * PART_UNIT;
}

uint64_t plan_part_size(uint64_t size, uint64_t part_size)
{
	part_size = least(greatest(part_size, PART_MIN), PART_MAX);
	return greatest(part_size, least(size_of_one(size, OS_PART_COUNT_MAX), PART_MAX));
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

/* Cuts [start, end) by step; what would be left over too small to be a part goes with the one
 * before, unless it is the end of the file. */
static int append_cut(struct plan *plan, size_t *capacity, struct plan_part whole, uint64_t step,
		      bool at_end)
{
	struct plan_part part = whole;
	int err = 0;

	while (!err && part.start < whole.end) {
		uint64_t left = whole.end - part.start;

		part.end = left <= step ? whole.end : part.start + step;
		if (whole.end - part.end < PART_MIN && !at_end)
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
		if (run.start > done && run.start - done < PART_MIN)
			run.start = done + PART_MIN;
		if (run.start > run.end || run.end - run.start < limits->copy_min)
			continue;
		err = append_cut(plan, &capacity, (struct plan_part){done, run.start, false},
				 limits->part, false);
		if (!err)
			err = append_cut(plan, &capacity,
					 (struct plan_part){run.start, run.end, true},
					 limits->copy_part, false);
		done = run.end;
	}
	if (!err)
		err = append_cut(plan, &capacity, (struct plan_part){done, size, false},
				 limits->part, true);
	if (err)
		plan_free(plan);
	return err;
}

int plan_create(struct plan *plan, uint64_t size, uint64_t base_size,
		const struct extent_set *changed, uint64_t part_size)
{
	/* Room below PART_MAX for what a cut leaves over. */
	const uint64_t part_max = PART_MAX - PART_MIN;
	uint64_t part = least(plan_part_size(size, part_size), part_max);
	struct limits limits = {
		.copy_part = least(greatest(COPY_PART, size_of_one(size, COPY_PARTS_MAX)),
				   part_max),
		.copy_min = PART_MIN,
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
