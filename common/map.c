/* Two arrays: entries in the order of insertion, and an open-addressing table of indices into them.
 * So iteration does not depend on the hash, which is seeded at random per map: whoever may name
 * objects in a bucket cannot make the lookups of a mount slow.
 *
 * A removed entry stays as a hole, its slot as a tombstone, until the entries are full and are
 * rebuilt. Invariant: each used slot belongs to one entry or hole, so that a table with as many
 * slots as TABLE_SLOTS says always has a free one and every probe ends.
 */
#include "common/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/check.h"

enum {
	SLOT_FREE = 0,
	ENTRIES_FIRST = 8,
};
#define SLOT_TOMBSTONE	     UINT32_MAX
#define ENTRIES_MAX	     (UINT32_C(1) << 30)
#define TABLE_SLOTS(entries) ((size_t)(entries)*2)

struct entry {
	union {
		char *text;
		uint64_t number;
	} key;
	void *value;
	uint32_t hash;
	bool live;
};

struct map {
	struct entry *entries;
	uint32_t *slots;   /* SLOT_FREE, SLOT_TOMBSTONE or 1 + index of the entry */
	uint32_t capacity; /* of entries; a power of two; 0 before the first insertion */
	uint32_t used;	   /* entries and holes */
	uint32_t live;
	bool text_keys;
	uint64_t seed[2];
};

struct map *map_create(void)
{
	return calloc(1, sizeof(struct map));
}

void map_destroy(struct map *map)
{
	if (!map)
		return;
	for (uint32_t i = 0; map->text_keys && i < map->used; i++)
		if (map->entries[i].live)
			free(map->entries[i].key.text);
	free(map->entries);
	free(map->slots);
	free(map);
}

size_t map_count(const struct map *map)
{
	return map->live;
}

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

/* SipHash-1-3 (Aumasson, Bernstein: "SipHash: a fast short-input PRF"), with fewer rounds than the
 * paper's 2-4, as is usual for tables. */
static uint64_t hash_bytes(const uint64_t seed[2], const char *data, size_t len)
{
	uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575, seed[1] ^ 0x646f72616e646f6d,
			 seed[0] ^ 0x6c7967656e657261, seed[1] ^ 0x7465646279746573};
	uint64_t word, last = (uint64_t)len << 56;
	size_t i;

	for (i = 0; i + 8 <= len; i += 8) {
		memcpy(&word, data + i, 8);
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	for (size_t shift = 0; i < len; i++, shift += 8)
		last |= (uint64_t)(unsigned char)data[i] << shift;
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (int round = 0; round < 3; round++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Numbers are our own (inodes, handles), so mixing is enough: the finalizer of splitmix64. */
static uint64_t hash_number(const uint64_t seed[2], uint64_t x)
{
	x += seed[0];
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* text NULL: a number. */
static uint32_t hash_key(const struct map *map, const char *text, uint64_t number)
{
	return (uint32_t)(text ? hash_bytes(map->seed, text, strlen(text))
			       : hash_number(map->seed, number));
}

/* The slot of the key, or SIZE_MAX. */
static size_t find_slot(const struct map *map, const char *text, uint64_t number, uint32_t hash)
{
	const size_t mask = TABLE_SLOTS(map->capacity) - 1;

	CHECK(map->text_keys == (text != NULL));
	for (size_t slot = hash & mask;; slot = (slot + 1) & mask) {
		const uint32_t index = map->slots[slot];
		const struct entry *entry;

		if (index == SLOT_FREE)
			return SIZE_MAX;
		if (index == SLOT_TOMBSTONE)
			continue;
		entry = &map->entries[index - 1];
		if (entry->hash == hash &&
		    (text ? strcmp(entry->key.text, text) == 0 : entry->key.number == number))
			return slot;
	}
}

static size_t lookup(const struct map *map, const char *text, uint64_t number)
{
	if (map->live == 0)
		return SIZE_MAX;
	return find_slot(map, text, number, hash_key(map, text, number));
}

static void take_free_slot(uint32_t *slots, uint32_t capacity, uint32_t hash, uint32_t index)
{
	const size_t mask = TABLE_SLOTS(capacity) - 1;
	size_t slot = hash & mask;

	while (slots[slot] != SLOT_FREE)
		slot = (slot + 1) & mask;
	slots[slot] = index + 1;
}

/* Room for one more entry: drops the holes, grows or shrinks to fit what lives. */
static int make_room(struct map *map)
{
	uint32_t capacity = ENTRIES_FIRST, used = 0;
	struct entry *entries;
	uint32_t *slots;

	if (map->used < map->capacity)
		return 0;
	if (map->live >= ENTRIES_MAX / 2)
		return -ENOMEM;
	/* At least a quarter of the new capacity is free, so rebuilding is paid by as many
	 * insertions. */
	while (capacity - capacity / 4 <= map->live)
		capacity *= 2;
	entries = malloc(capacity * sizeof(*entries));
	slots = calloc(TABLE_SLOTS(capacity), sizeof(*slots));
	if (!entries || !slots) {
		free(entries);
		free(slots);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < map->used; i++) {
		if (!map->entries[i].live)
			continue;
		take_free_slot(slots, capacity, map->entries[i].hash, used);
		entries[used++] = map->entries[i];
	}
	free(map->entries);
	free(map->slots);
	map->entries = entries;
	map->slots = slots;
	map->capacity = capacity;
	map->used = used;
	return 0;
}

/* The seed is drawn late because most maps (one per directory) stay empty. */
static void draw_seed(struct map *map)
{
	if (getrandom(map->seed, sizeof(map->seed), GRND_NONBLOCK) != (ssize_t)sizeof(map->seed))
		map->seed[0] = (uint64_t)(uintptr_t)map;
}

static int put(struct map *map, const char *text, uint64_t number, void *value, void **old)
{
	struct entry entry = {.value = value, .live = true};
	size_t slot;
	int err;

	if (old)
		*old = NULL;
	if (map->capacity == 0) {
		draw_seed(map);
		map->text_keys = text != NULL;
	}
	slot = lookup(map, text, number);
	if (slot != SIZE_MAX) {
		struct entry *present = &map->entries[map->slots[slot] - 1];

		if (old)
			*old = present->value;
		present->value = value;
		return 0;
	}
	CHECK(map->text_keys == (text != NULL));
	err = make_room(map);
	if (err)
		return err;
	entry.hash = hash_key(map, text, number);
	if (text)
		entry.key.text = strdup(text);
	else
		entry.key.number = number;
	if (text && !entry.key.text)
		return -ENOMEM;
	take_free_slot(map->slots, map->capacity, entry.hash, map->used);
	map->entries[map->used++] = entry;
	map->live++;
	return 0;
}

static void *remove_slot(struct map *map, size_t slot)
{
	struct entry *entry;

	if (slot == SIZE_MAX)
		return NULL;
	entry = &map->entries[map->slots[slot] - 1];
	map->slots[slot] = SLOT_TOMBSTONE;
	if (map->text_keys)
		free(entry->key.text);
	entry->live = false;
	map->live--;
	return entry->value;
}

static void *value_at(const struct map *map, size_t slot)
{
	return slot == SIZE_MAX ? NULL : map->entries[map->slots[slot] - 1].value;
}

void *map_get(const struct map *map, const char *key)
{
	return value_at(map, lookup(map, key, 0));
}

int map_put(struct map *map, const char *key, void *value, void **old)
{
	return put(map, key, 0, value, old);
}

void *map_remove(struct map *map, const char *key)
{
	return remove_slot(map, lookup(map, key, 0));
}

void *map_get_u64(const struct map *map, uint64_t key)
{
	return value_at(map, lookup(map, NULL, key));
}

int map_put_u64(struct map *map, uint64_t key, void *value, void **old)
{
	return put(map, NULL, key, value, old);
}

void *map_remove_u64(struct map *map, uint64_t key)
{
	return remove_slot(map, lookup(map, NULL, key));
}

bool map_next(const struct map *map, size_t *position, const char **key, uint64_t *key_u64,
	      void **value)
{
	while (*position < map->used) {
		const struct entry *entry = &map->entries[(*position)++];

		if (!entry->live)
			continue;
		if (key)
			*key = map->text_keys ? entry->key.text : NULL;
		if (key_u64)
			*key_u64 = map->text_keys ? 0 : entry->key.number;
		if (value)
			*value = entry->value;
		return true;
	}
	return false;
}
