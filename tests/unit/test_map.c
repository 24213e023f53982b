#include "common/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void *number(uintptr_t n)
{
	return (void *)n;
}

static void what_was_put_is_found_until_it_is_removed(void **state)
{
	struct map *map = map_create();
	void *old = number(9);
	char key[] = "key";

	(void)state;
	assert_null(map_get(map, "key"));
	assert_null(map_remove(map, "key"));
	assert_int_equal(map_put(map, key, number(1), &old), 0);
	assert_null(old);
	key[0] = 'X'; /* the map has its own copy */
	assert_ptr_equal(map_get(map, "key"), number(1));
	assert_null(map_get(map, "ke"));
	assert_null(map_get(map, "key2"));
	assert_int_equal(map_put(map, "key", number(2), &old), 0);
	assert_ptr_equal(old, number(1));
	assert_int_equal(map_put(map, "", number(3), NULL), 0);
	assert_int_equal(map_count(map), 2);
	assert_ptr_equal(map_remove(map, "key"), number(2));
	assert_null(map_get(map, "key"));
	assert_null(map_remove(map, "key"));
	assert_ptr_equal(map_get(map, ""), number(3));
	assert_int_equal(map_count(map), 1);
	map_destroy(map);
	map_destroy(NULL);
}

static void numbers_are_keys_of_their_own_kind(void **state)
{
	struct map *map = map_create();

	(void)state;
	assert_null(map_get_u64(map, 0));
	assert_int_equal(map_put_u64(map, 0, number(1), NULL), 0);
	assert_int_equal(map_put_u64(map, UINT64_MAX, number(2), NULL), 0);
	assert_int_equal(map_put_u64(map, UINT64_C(1) << 32, number(3), NULL), 0);
	assert_ptr_equal(map_get_u64(map, 0), number(1));
	assert_ptr_equal(map_get_u64(map, UINT64_MAX), number(2));
	assert_ptr_equal(map_get_u64(map, UINT64_C(1) << 32), number(3));
	assert_null(map_get_u64(map, 1));
	assert_ptr_equal(map_remove_u64(map, 0), number(1));
	assert_null(map_get_u64(map, 0));
	map_destroy(map);
}

/* xorshift64: the same sequence at each run. */
static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

enum { KEYS = 3000, OPERATIONS = 60 * 1000 };

static void random_operations_agree_with_an_array(void **state)
{
	static uintptr_t model[KEYS]; /* 0: not there */
	struct map *texts = map_create(), *numbers = map_create();
	uint64_t random = 88172645463325252;
	size_t count = 0;
	char key[32];
	void *old;

	(void)state;
	memset(model, 0, sizeof(model));
	for (uintptr_t i = 1; i <= OPERATIONS; i++) {
		/* The range of keys changes, so that the map grows, empties and grows again. */
		const size_t k = next_random(&random) % (i / 10000 % 2 ? 10 : KEYS);

		snprintf(key, sizeof(key), "directory/%zu", k);
		if (next_random(&random) % 5 < (i / 20000 % 2 ? 4 : 2)) {
			assert_ptr_equal(map_remove(texts, key), number(model[k]));
			assert_ptr_equal(map_remove_u64(numbers, k), number(model[k]));
			count -= model[k] != 0;
			model[k] = 0;
		} else {
			assert_int_equal(map_put(texts, key, number(i), &old), 0);
			assert_ptr_equal(old, number(model[k]));
			assert_int_equal(map_put_u64(numbers, k, number(i), &old), 0);
			assert_ptr_equal(old, number(model[k]));
			count += model[k] == 0;
			model[k] = i;
		}
		assert_int_equal(map_count(texts), count);
	}
	for (size_t k = 0; k < KEYS; k++) {
		snprintf(key, sizeof(key), "directory/%zu", k);
		assert_ptr_equal(map_get(texts, key), number(model[k]));
		assert_ptr_equal(map_get_u64(numbers, k), number(model[k]));
	}
	map_destroy(texts);
	map_destroy(numbers);
}

static void entries_come_in_the_order_of_insertion_and_may_be_removed_on_the_way(void **state)
{
	struct map *map = map_create();
	size_t position = 0, seen = 0;
	uint64_t key = 0;
	void *value = NULL;

	(void)state;
	assert_false(map_next(map, &position, NULL, &key, &value));
	for (uintptr_t i = 0; i < 1000; i++)
		assert_int_equal(map_put_u64(map, i * 7919, number(i + 1), NULL), 0);
	while (map_next(map, &position, NULL, &key, &value)) {
		assert_int_equal(key, seen * 7919);
		assert_ptr_equal(value, number(++seen));
		if (seen % 3)
			assert_ptr_equal(map_remove_u64(map, key), value);
	}
	assert_int_equal(seen, 1000);
	assert_int_equal(map_count(map), 333);
	for (position = 0, seen = 0; map_next(map, &position, NULL, &key, NULL); seen++)
		assert_int_equal(key % (3 * 7919), 2 * 7919);
	assert_int_equal(seen, 333);
	map_destroy(map);
}

static void texts_come_with_their_key(void **state)
{
	static const char *const keys[] = {"b", "a",
					   "long enough to fill several words of the hash"};
	struct map *map = map_create();
	size_t position = 0, seen = 0;
	const char *key = NULL;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(map_put(map, keys[i], number(i + 1), NULL), 0);
	while (seen < 3 && map_next(map, &position, &key, NULL, NULL))
		assert_string_equal(key, keys[seen++]);
	assert_int_equal(seen, 3);
	assert_false(map_next(map, &position, &key, NULL, NULL));
	map_destroy(map);
}

static void memory_does_not_grow_with_the_number_of_operations(void **state)
{
	struct map *map = map_create();
	size_t position = 0;

	(void)state;
	for (uint64_t i = 0; i < 100 * 1000; i++) {
		assert_int_equal(map_put_u64(map, i, number(1), NULL), 0);
		assert_ptr_equal(map_remove_u64(map, i), number(1));
	}
	assert_int_equal(map_put_u64(map, 5, number(1), NULL), 0);
	assert_true(map_next(map, &position, NULL, NULL, NULL));
	assert_true(position <= 16);
	map_destroy(map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_put_is_found_until_it_is_removed),
		cmocka_unit_test(numbers_are_keys_of_their_own_kind),
		cmocka_unit_test(random_operations_agree_with_an_array),
		cmocka_unit_test(
			entries_come_in_the_order_of_insertion_and_may_be_removed_on_the_way),
		cmocka_unit_test(texts_come_with_their_key),
		cmocka_unit_test(memory_does_not_grow_with_the_number_of_operations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
