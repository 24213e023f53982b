#include "fs/front/protocol.h"

#include <linux/fuse.h>
#include <string.h>

/* Copies the request's arguments; false when it is too short for them. */
static bool take(const void *request, size_t len, void *arguments, size_t size)
{
	if (len < sizeof(struct fuse_in_header) + size)
		return false;
	memcpy(arguments, (const char *)request + sizeof(struct fuse_in_header), size);
	return true;
}

bool protocol_read_init(const void *request, size_t len, struct protocol_init *out)
{
	/* Up to flags: older kernels send no more (7.36 added flags2). */
	struct fuse_init_in init = {0};
	struct fuse_in_header header;

	if (len < sizeof(header))
		return false;
	memcpy(&header, request, sizeof(header));
	if (header.opcode != FUSE_INIT ||
	    !take(request, len, &init, offsetof(struct fuse_init_in, flags) + sizeof(init.flags)))
		return false;
	*out = (struct protocol_init){header.unique, init.flags, true};
	return true;
}

bool protocol_complete_init(const struct protocol_init *init, const void *header, size_t header_len,
			    void *body, size_t body_len)
{
	struct fuse_out_header out;
	uint32_t flags;

	if (!init->seen || header_len < sizeof(out) ||
	    body_len < offsetof(struct fuse_init_out, flags) + sizeof(flags))
		return false;
	memcpy(&out, header, sizeof(out));
	if (out.unique != init->unique || out.error)
		return false;
	memcpy(&flags, (char *)body + offsetof(struct fuse_init_out, flags), sizeof(flags));
	flags |= init->offered & FUSE_HANDLE_KILLPRIV_V2;
	memcpy((char *)body + offsetof(struct fuse_init_out, flags), &flags, sizeof(flags));
	return true;
}

bool protocol_tells_kills(const struct protocol_init *init)
{
	return init->offered & FUSE_HANDLE_KILLPRIV_V2;
}

bool protocol_kills_privileges(const void *request, size_t len)
{
	struct fuse_in_header header;
	union {
		struct fuse_write_in write;
		struct fuse_setattr_in setattr;
		struct fuse_open_in open;
		struct fuse_create_in create;
	} in;

	if (len < sizeof(header))
		return false;
	memcpy(&header, request, sizeof(header));
	switch (header.opcode) {
	case FUSE_WRITE:
		return take(request, len, &in.write, sizeof(in.write)) &&
		       (in.write.write_flags & FUSE_WRITE_KILL_SUIDGID);
	case FUSE_SETATTR:
		return take(request, len, &in.setattr, sizeof(in.setattr)) &&
		       (in.setattr.valid & FATTR_KILL_SUIDGID);
	case FUSE_OPEN:
		return take(request, len, &in.open, sizeof(in.open)) &&
		       (in.open.open_flags & FUSE_OPEN_KILL_SUIDGID);
	case FUSE_CREATE:
		return take(request, len, &in.create, sizeof(in.create)) &&
		       (in.create.open_flags & FUSE_OPEN_KILL_SUIDGID);
	default: return false;
	}
}
