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

/* What libfuse does not ask for. The second is younger than the headers of Debian 12. */
#define DIRECT_IO_ALLOW_MMAP (UINT64_C(1) << 36)
#define WANTED		     (FUSE_HANDLE_KILLPRIV_V2 | DIRECT_IO_ALLOW_MMAP)

bool protocol_read_init(const void *request, size_t len, struct protocol_init *out)
{
	/* Older kernels send no more than flags (7.36 added flags2). */
	static const size_t shortest = offsetof(struct fuse_init_in, flags2),
			    longest = shortest + sizeof(uint32_t);
	struct fuse_init_in init = {0};
	struct fuse_in_header header;

	if (len < sizeof(header))
		return false;
	memcpy(&header, request, sizeof(header));
	if (header.opcode != FUSE_INIT ||
	    !(take(request, len, &init, longest) || take(request, len, &init, shortest)))
		return false;
	*out = (struct protocol_init){header.unique, init.flags, true};
	if (init.flags & FUSE_INIT_EXT)
		out->offered |= (uint64_t)init.flags2 << 32;
	return true;
}

static void set_flags(void *body, size_t at, uint32_t wanted)
{
	uint32_t flags;

	memcpy(&flags, (char *)body + at, sizeof(flags));
	flags |= wanted;
	memcpy((char *)body + at, &flags, sizeof(flags));
}

bool protocol_complete_init(const struct protocol_init *init, const void *header, size_t header_len,
			    void *body, size_t body_len)
{
	uint64_t wanted = init->offered & WANTED;
	struct fuse_out_header out;

	if (!init->seen || header_len < sizeof(out) || body_len < sizeof(struct fuse_init_out))
		return false;
	memcpy(&out, header, sizeof(out));
	if (out.unique != init->unique || out.error)
		return false;
	if (wanted >> 32)
		wanted |= FUSE_INIT_EXT;
	set_flags(body, offsetof(struct fuse_init_out, flags), (uint32_t)wanted);
	set_flags(body, offsetof(struct fuse_init_out, flags2), (uint32_t)(wanted >> 32));
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

bool protocol_take_tmpfile(void *request, size_t len)
{
	enum { TMPFILE = 51 }; /* FUSE_TMPFILE, which older headers lack */
	struct fuse_in_header header;
	struct fuse_create_in create;

	if (len < sizeof(header))
		return false;
	memcpy(&header, request, sizeof(header));
	if (header.opcode != TMPFILE || !take(request, len, &create, sizeof(create)))
		return false;
	header.opcode = FUSE_CREATE;
	memcpy(request, &header, sizeof(header));
	return true;
}
