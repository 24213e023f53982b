#include "plugin/volume.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)

/* One step: '+' and '-' a reference of the ID, 'e' an event, '?' what volume_next must answer,
 * 'r' removing, 't' the time in seconds. */
struct step {
	char what;
	const char *id;
	int value;
};

static void run(const struct step *steps, const char *name)
{
	struct volume volume = VOLUME_INIT;
	uint64_t now = 1000 * SECOND, wake_at;

	for (const struct step *step = steps; step->what; step++) {
		int line = (int)(step - steps);

		switch (step->what) {
		case '+': assert_int_equal(volume_reference(&volume, step->id), step->value); break;
		case '-':
			assert_int_equal(volume_unreference(&volume, step->id), step->value);
			break;
		case 'e':
			assert_int_equal(volume_event(&volume, (enum volume_event)step->value, now),
					 0);
			break;
		case 'r': volume.removing = true; break;
		case 't': now = (uint64_t)(1000 + step->value) * SECOND; break;
		case '#': assert_int_equal(volume_references(&volume), step->value); break;
		case '=': assert_int_equal(volume.phase, step->value); break;
		default:
			if ((int)volume_next(&volume, now, &wake_at) != step->value)
				fail_msg("%s, step %d", name, line);
		}
	}
	volume_free(&volume);
}

#define MOUNTED                                                                                    \
	{'+', "a", 0}, {'?', 0, VOLUME_START_MOUNT}, {'e', 0, VOLUME_EVENT_MOUNTED},               \
	{                                                                                          \
		'?', 0, VOLUME_NOTHING                                                             \
	}

static void docker_cp_on_a_running_container_leaves_it_mounted(void **state)
{
	static const struct step steps[] = {MOUNTED,
					    {'+', "a", 0},
					    {'?', 0, VOLUME_NOTHING},
					    {'-', "a", true},
					    {'?', 0, VOLUME_NOTHING},
					    {'=', 0, VOLUME_MOUNTED},
					    {'-', "a", true},
					    {'?', 0, VOLUME_START_UNMOUNT},
					    {0}};

	(void)state;
	run(steps, "docker cp");
}

static void an_unmount_of_an_unknown_id_changes_nothing(void **state)
{
	static const struct step steps[] = {
		MOUNTED,	   {'-', "b", false}, {'#', 0, 1}, {'-', "a", true},
		{'-', "a", false}, {'#', 0, 0},	      {0}};

	(void)state;
	run(steps, "unknown");
}

static void two_containers_share_one_mount(void **state)
{
	static const struct step steps[] = {MOUNTED,
					    {'+', "b", 0},
					    {'?', 0, VOLUME_NOTHING},
					    {'-', "a", true},
					    {'?', 0, VOLUME_NOTHING},
					    {'-', "b", true},
					    {'?', 0, VOLUME_START_UNMOUNT},
					    {0}};

	(void)state;
	run(steps, "two");
}

static void a_mount_during_an_unmount_mounts_again_afterwards(void **state)
{
	static const struct step steps[] = {MOUNTED,
					    {'-', "a", true},
					    {'?', 0, VOLUME_START_UNMOUNT},
					    {'+', "b", 0},
					    {'?', 0, VOLUME_NOTHING},
					    {'e', 0, VOLUME_EVENT_UNMOUNTED},
					    {'?', 0, VOLUME_START_MOUNT},
					    {0}};

	(void)state;
	run(steps, "again");
}

static void a_process_that_still_uploads_is_ended_when_the_volume_is_wanted_again(void **state)
{
	static const struct step steps[] = {MOUNTED,
					    {'-', "a", true},
					    {'?', 0, VOLUME_START_UNMOUNT},
					    {'e', 0, VOLUME_EVENT_DRAINING},
					    {'?', 0, VOLUME_NOTHING},
					    {'+', "a", 0},
					    {'?', 0, VOLUME_START_ENDING},
					    {'?', 0, VOLUME_NOTHING},
					    {'e', 0, VOLUME_EVENT_PROCESS_ENDED},
					    {'?', 0, VOLUME_START_MOUNT},
					    {0}};

	(void)state;
	run(steps, "draining");
}

static void an_unmount_during_a_mount_unmounts_when_it_is_done(void **state)
{
	static const struct step steps[] = {{'+', "a", 0},
					    {'?', 0, VOLUME_START_MOUNT},
					    {'-', "a", true},
					    {'?', 0, VOLUME_NOTHING},
					    {'e', 0, VOLUME_EVENT_MOUNTED},
					    {'?', 0, VOLUME_START_UNMOUNT},
					    {0}};

	(void)state;
	run(steps, "late");
}

static void a_dead_mount_is_detached_before_the_next_mount(void **state)
{
	static const struct step steps[] = {MOUNTED,
					    {'e', 0, VOLUME_EVENT_PROCESS_ENDED},
					    {'=', 0, VOLUME_DEAD},
					    {'?', 0, VOLUME_START_DETACH},
					    {'e', 0, VOLUME_EVENT_DETACHED},
					    {'?', 0, VOLUME_START_MOUNT},
					    {0}};

	(void)state;
	run(steps, "dead");
}

static void a_dead_mount_that_nobody_uses_stays_down(void **state)
{
	static const struct step steps[] = {MOUNTED,
					    {'e', 0, VOLUME_EVENT_PROCESS_ENDED},
					    {'-', "a", true},
					    {'?', 0, VOLUME_START_DETACH},
					    {'e', 0, VOLUME_EVENT_DETACHED},
					    {'?', 0, VOLUME_NOTHING},
					    {0}};

	(void)state;
	run(steps, "dead, unused");
}

static void a_failed_mount_is_tried_again_later_and_at_once_for_a_new_user(void **state)
{
	static const struct step steps[] = {{'+', "a", 0},
					    {'?', 0, VOLUME_START_MOUNT},
					    {'e', 0, VOLUME_EVENT_MOUNT_FAILED},
					    {'?', 0, VOLUME_NOTHING},
					    {'t', 0, 1},
					    {'?', 0, VOLUME_START_MOUNT},
					    {'e', 0, VOLUME_EVENT_MOUNT_FAILED},
					    {'t', 0, 2},
					    {'?', 0, VOLUME_NOTHING},
					    {'+', "b", 0},
					    {'?', 0, VOLUME_START_MOUNT},
					    {0}};

	(void)state;
	run(steps, "retry");
}

static void removal_waits_for_the_unmount_and_refuses_new_users(void **state)
{
	static const struct step steps[] = {MOUNTED,
					    {'r', 0, 0},
					    {'+', "b", -EBUSY},
					    {'?', 0, VOLUME_START_UNMOUNT},
					    {'e', 0, VOLUME_EVENT_DRAINING},
					    {'?', 0, VOLUME_NOTHING},
					    {'e', 0, VOLUME_EVENT_PROCESS_ENDED},
					    {'?', 0, VOLUME_FORGET},
					    {0}};

	(void)state;
	run(steps, "remove");
}

static void retries_slow_down_to_once_a_minute(void **state)
{
	static const unsigned seconds[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};
	struct volume volume = VOLUME_INIT;
	uint64_t now = 5, wake_at;

	(void)state;
	assert_int_equal(volume_reference(&volume, "a"), 0);
	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		assert_int_equal(volume_next(&volume, now, &wake_at), VOLUME_START_MOUNT);
		assert_int_equal(volume_event(&volume, VOLUME_EVENT_MOUNT_FAILED, now), 0);
		assert_int_equal(volume_next(&volume, now, &wake_at), VOLUME_NOTHING);
		assert_int_equal(wake_at - now, seconds[i] * SECOND);
		now = wake_at;
	}
	assert_int_equal(volume_next(&volume, now, &wake_at), VOLUME_START_MOUNT);
	assert_int_equal(volume_event(&volume, VOLUME_EVENT_MOUNTED, now), 0);
	assert_int_equal(volume.failures, 0);
	volume_free(&volume);
}

static void events_are_accepted_only_in_the_phases_where_they_can_happen(void **state)
{
	static const struct {
		enum volume_phase phase;
		enum volume_event event;
		enum volume_phase to;
	} possible[] = {
		{VOLUME_MOUNTING, VOLUME_EVENT_MOUNTED, VOLUME_MOUNTED},
		{VOLUME_MOUNTING, VOLUME_EVENT_MOUNT_FAILED, VOLUME_IDLE},
		{VOLUME_MOUNTED, VOLUME_EVENT_PROCESS_ENDED, VOLUME_DEAD},
		{VOLUME_UNMOUNTING, VOLUME_EVENT_UNMOUNTED, VOLUME_IDLE},
		{VOLUME_UNMOUNTING, VOLUME_EVENT_DRAINING, VOLUME_DRAINING},
		{VOLUME_DRAINING, VOLUME_EVENT_PROCESS_ENDED, VOLUME_IDLE},
		{VOLUME_ENDING, VOLUME_EVENT_PROCESS_ENDED, VOLUME_IDLE},
		{VOLUME_DETACHING, VOLUME_EVENT_DETACHED, VOLUME_IDLE},
	};
	const size_t count = sizeof(possible) / sizeof(possible[0]);

	(void)state;
	for (int phase = 0; phase < VOLUME_PHASES; phase++) {
		for (int event = 0; event < VOLUME_EVENTS; event++) {
			struct volume volume = {.phase = (enum volume_phase)phase};
			int err = volume_event(&volume, (enum volume_event)event, 0);
			size_t i = 0;

			while (i < count &&
			       ((int)possible[i].phase != phase || (int)possible[i].event != event))
				i++;
			assert_int_equal(err, i < count ? 0 : -EINVAL);
			assert_int_equal(volume.phase, i < count ? (int)possible[i].to : phase);
		}
	}
}

static void bad_ids_are_refused(void **state)
{
	struct volume volume = VOLUME_INIT;
	char id[VOLUME_ID_BYTES_MAX + 2];

	(void)state;
	assert_int_equal(volume_reference(&volume, ""), -EINVAL);
	memset(id, 'x', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	assert_int_equal(volume_reference(&volume, id), -EINVAL);
	for (int i = 0; i < VOLUME_IDS_MAX; i++) {
		snprintf(id, sizeof(id), "%d", i);
		assert_int_equal(volume_reference(&volume, id), 0);
	}
	assert_int_equal(volume_reference(&volume, "one more"), -EMFILE);
	assert_int_equal(volume_reference(&volume, "7"), 0);
	assert_int_equal(volume_references(&volume), VOLUME_IDS_MAX + 1);
	volume_free(&volume);
}

/* Whatever comes in whatever order: what volume_next asks for is answered, and a volume that nobody
 * uses ends unmounted, one that somebody uses ends mounted. */
static void random_sequences_settle_in_the_phase_that_the_references_ask_for(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 2000; seed++) {
		struct volume volume = VOLUME_INIT;
		uint64_t now = 0, wake_at;
		unsigned random = seed;

		for (int step = 0; step < 60; step++) {
			char id[2] = {(char)('a' + rand_r(&random) % 3), '\0'};
			bool settle = step > 40;

			now += SECOND;
			if (!settle && rand_r(&random) % 2)
				assert_int_equal(volume_reference(&volume, id), 0);
			else if (!settle)
				volume_unreference(&volume, id);
			if (!settle && volume.phase == VOLUME_MOUNTED && rand_r(&random) % 5 == 0)
				volume_event(&volume, VOLUME_EVENT_PROCESS_ENDED, now);
			switch (volume_next(&volume, now, &wake_at)) {
			case VOLUME_START_MOUNT:
				volume_event(&volume,
					     settle || rand_r(&random) % 3
						     ? VOLUME_EVENT_MOUNTED
						     : VOLUME_EVENT_MOUNT_FAILED,
					     now);
				break;
			case VOLUME_START_UNMOUNT:
				volume_event(&volume,
					     rand_r(&random) % 2 ? VOLUME_EVENT_UNMOUNTED
								 : VOLUME_EVENT_DRAINING,
					     now);
				break;
			case VOLUME_START_DETACH:
				volume_event(&volume, VOLUME_EVENT_DETACHED, now);
				break;
			case VOLUME_START_ENDING:
				volume_event(&volume, VOLUME_EVENT_PROCESS_ENDED, now);
				break;
			default: now = wake_at == UINT64_MAX ? now : wake_at;
			}
		}
		if (volume_references(&volume) > 0)
			assert_int_equal(volume.phase, VOLUME_MOUNTED);
		else
			assert_true(volume.phase == VOLUME_IDLE || volume.phase == VOLUME_DRAINING);
		volume_free(&volume);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(docker_cp_on_a_running_container_leaves_it_mounted),
		cmocka_unit_test(an_unmount_of_an_unknown_id_changes_nothing),
		cmocka_unit_test(two_containers_share_one_mount),
		cmocka_unit_test(a_mount_during_an_unmount_mounts_again_afterwards),
		cmocka_unit_test(
			a_process_that_still_uploads_is_ended_when_the_volume_is_wanted_again),
		cmocka_unit_test(an_unmount_during_a_mount_unmounts_when_it_is_done),
		cmocka_unit_test(a_dead_mount_is_detached_before_the_next_mount),
		cmocka_unit_test(a_dead_mount_that_nobody_uses_stays_down),
		cmocka_unit_test(a_failed_mount_is_tried_again_later_and_at_once_for_a_new_user),
		cmocka_unit_test(removal_waits_for_the_unmount_and_refuses_new_users),
		cmocka_unit_test(retries_slow_down_to_once_a_minute),
		cmocka_unit_test(events_are_accepted_only_in_the_phases_where_they_can_happen),
		cmocka_unit_test(bad_ids_are_refused),
		cmocka_unit_test(random_sequences_settle_in_the_phase_that_the_references_ask_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
