#include "fs/vfs/acl.h"

#include <errno.h>
#include <string.h>

enum { ACL_VERSION = 2, HEADER_BYTES = 4, ENTRY_BYTES = 8, ENTRIES_MAX = 8191 };
enum {
	TAG_OWNER = 0x01,
	TAG_USER = 0x02,
	TAG_OWNING_GROUP = 0x04,
	TAG_GROUP = 0x08,
	TAG_MASK = 0x10,
	TAG_OTHERS = 0x20,
};

static unsigned get16(const unsigned char *bytes)
{
	return bytes[0] | (unsigned)bytes[1] << 8;
}

static bool is_acl(const unsigned char *bytes, size_t len)
{
	return len >= HEADER_BYTES && get16(bytes) == ACL_VERSION && get16(bytes + 2) == 0 &&
	       (len - HEADER_BYTES) % ENTRY_BYTES == 0 &&
	       (len - HEADER_BYTES) / ENTRY_BYTES <= ENTRIES_MAX;
}

int acl_to_mode(const void *value, size_t len, uint32_t *mode, bool *minimal)
{
	const unsigned char *bytes = value;
	unsigned owner = 0, group = 0, others = 0, mask = 0, tags = 0;

	if (!is_acl(bytes, len))
		return -EINVAL;
	for (size_t at = HEADER_BYTES; at < len; at += ENTRY_BYTES) {
		unsigned tag = get16(bytes + at), permissions = get16(bytes + at + 2);

		if (permissions > 7)
			return -EINVAL;
		tags |= tag;
		switch (tag) {
		case TAG_OWNER: owner = permissions; break;
		case TAG_OWNING_GROUP: group = permissions; break;
		case TAG_OTHERS: others = permissions; break;
		case TAG_MASK: mask = permissions; break;
		case TAG_USER:
		case TAG_GROUP: break;
		default: return -EINVAL;
		}
	}
	if ((tags & (TAG_OWNER | TAG_OWNING_GROUP | TAG_OTHERS)) !=
	    (TAG_OWNER | TAG_OWNING_GROUP | TAG_OTHERS))
		return -EINVAL;
	*mode = owner << 6 | (tags & TAG_MASK ? mask : group) << 3 | others;
	*minimal = !(tags & (TAG_USER | TAG_GROUP | TAG_MASK));
	return 0;
}

/* The permissions of the one entry with that tag; NULL: there is none. */
static unsigned char *find_entry(unsigned char *bytes, size_t len, unsigned tag)
{
	for (size_t at = HEADER_BYTES; at < len; at += ENTRY_BYTES)
		if (get16(bytes + at) == tag)
			return bytes + at + 2;
	return NULL;
}

struct classes {
	unsigned char *owner, *group, *others; /* group: what the mode's group bits show */
};

static bool find_classes(unsigned char *bytes, size_t len, struct classes *out)
{
	if (!is_acl(bytes, len))
		return false;
	out->owner = find_entry(bytes, len, TAG_OWNER);
	out->group = find_entry(bytes, len, TAG_MASK);
	if (!out->group)
		out->group = find_entry(bytes, len, TAG_OWNING_GROUP);
	out->others = find_entry(bytes, len, TAG_OTHERS);
	return out->owner && out->group && out->others;
}

bool acl_set_mode(void *value, size_t len, uint32_t mode)
{
	struct classes classes;

	if (!find_classes(value, len, &classes))
		return false;
	*classes.owner = mode >> 6 & 7;
	*classes.group = mode >> 3 & 7;
	*classes.others = mode & 7;
	return true;
}

bool acl_inherit(void *value, size_t len, uint32_t *mode)
{
	struct classes classes;

	if (!find_classes(value, len, &classes))
		return false;
	*classes.owner &= *mode >> 6 & 7;
	*classes.group &= *mode >> 3 & 7;
	*classes.others &= *mode & 7;
	*mode = (*mode & ~0777u) | (uint32_t)*classes.owner << 6 | (uint32_t)*classes.group << 3 |
		*classes.others;
	return true;
}
