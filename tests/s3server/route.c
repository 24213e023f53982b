#include <string.h>

#include "tests/s3server/request.h"

/* Source of names and shapes: Amazon S3 API reference, "Actions". */
const struct operation operations[] = {
	{"ListBuckets", "GET", LEVEL_SERVICE, NULL, NULL, BODY_NONE, false, op_list_buckets},

	{"GetBucketLocation", "GET", LEVEL_BUCKET, "location", NULL, BODY_NONE, false,
	 op_get_bucket_location},
	{"GetBucketVersioning", "GET", LEVEL_BUCKET, "versioning", NULL, BODY_NONE, false,
	 op_get_bucket_versioning},
	{"GetBucketAcl", "GET", LEVEL_BUCKET, "acl", NULL, BODY_NONE, false, op_get_bucket_acl},
	{"ListMultipartUploads", "GET", LEVEL_BUCKET, "uploads", NULL, BODY_NONE, false,
	 op_list_multipart_uploads},
	{"ListObjectsV2", "GET", LEVEL_BUCKET, "list-type", NULL, BODY_NONE, false,
	 op_list_objects_v2},
	{"ListObjects", "GET", LEVEL_BUCKET, NULL, NULL, BODY_NONE, false, op_list_objects_v1},
	{"CreateBucket", "PUT", LEVEL_BUCKET, NULL, NULL, BODY_DOCUMENT, true, op_create_bucket},
	{"HeadBucket", "HEAD", LEVEL_BUCKET, NULL, NULL, BODY_NONE, false, op_head_bucket},
	{"DeleteBucket", "DELETE", LEVEL_BUCKET, NULL, NULL, BODY_NONE, false, op_delete_bucket},
	{"DeleteObjects", "POST", LEVEL_BUCKET, "delete", NULL, BODY_DOCUMENT, false,
	 op_delete_objects},

	{"GetObjectTagging", "GET", LEVEL_OBJECT, "tagging", NULL, BODY_NONE, false,
	 op_get_object_tagging},
	{"PutObjectTagging", "PUT", LEVEL_OBJECT, "tagging", NULL, BODY_DOCUMENT, false,
	 op_put_object_tagging},
	{"DeleteObjectTagging", "DELETE", LEVEL_OBJECT, "tagging", NULL, BODY_NONE, false,
	 op_delete_object_tagging},
	{"ListParts", "GET", LEVEL_OBJECT, "uploadId", NULL, BODY_NONE, false, op_list_parts},
	{"GetObject", "GET", LEVEL_OBJECT, NULL, NULL, BODY_NONE, false, op_get_object},
	{"HeadObject", "HEAD", LEVEL_OBJECT, NULL, NULL, BODY_NONE, false, op_head_object},
	{"UploadPartCopy", "PUT", LEVEL_OBJECT, "uploadId", "x-amz-copy-source", BODY_DOCUMENT,
	 false, op_upload_part_copy},
	{"UploadPart", "PUT", LEVEL_OBJECT, "uploadId", NULL, BODY_DATA, false, op_upload_part},
	{"CopyObject", "PUT", LEVEL_OBJECT, NULL, "x-amz-copy-source", BODY_DOCUMENT, false,
	 op_copy_object},
	{"PutObject", "PUT", LEVEL_OBJECT, NULL, NULL, BODY_DATA, false, op_put_object},
	{"CreateMultipartUpload", "POST", LEVEL_OBJECT, "uploads", NULL, BODY_DOCUMENT, false,
	 op_create_multipart_upload},
	{"CompleteMultipartUpload", "POST", LEVEL_OBJECT, "uploadId", NULL, BODY_DOCUMENT, false,
	 op_complete_multipart_upload},
	{"AbortMultipartUpload", "DELETE", LEVEL_OBJECT, "uploadId", NULL, BODY_NONE, false,
	 op_abort_multipart_upload},
	{"DeleteObject", "DELETE", LEVEL_OBJECT, NULL, NULL, BODY_NONE, false, op_delete_object},
};
const unsigned operation_count = sizeof(operations) / sizeof(operations[0]);

_Static_assert(sizeof(operations) / sizeof(operations[0]) <= OPERATIONS_MAX,
	       "counters per operation");

static const char *const unsupported[] = {
	"accelerate",
	"acl",
	"analytics",
	"attributes",
	"cors",
	"encryption",
	"inventory",
	"legal-hold",
	"lifecycle",
	"logging",
	"metrics",
	"notification",
	"object-lock",
	"ownershipControls",
	"policy",
	"policyStatus",
	"publicAccessBlock",
	"replication",
	"requestPayment",
	"restore",
	"retention",
	"select",
	"tagging",
	"torrent",
	"versioning",
	"versions",
	"versionId",
	"website",
	"intelligent-tiering",
	"renameObject",
};

bool route_is_unsupported(const struct pairs *query)
{
	for (size_t i = 0; i < sizeof(unsupported) / sizeof(unsupported[0]); i++)
		if (pairs_get(query, unsupported[i]))
			return true;
	return false;
}

const struct operation *route(const struct request *request, enum level level)
{
	for (unsigned i = 0; i < operation_count; i++) {
		const struct operation *operation = &operations[i];

		if (operation->level != level ||
		    strcmp(operation->method, request->exchange->method) != 0)
			continue;
		if (operation->query && !pairs_get(&request->query, operation->query))
			continue;
		if (operation->header && !request_header(request, operation->header))
			continue;
		if (!operation->query && route_is_unsupported(&request->query))
			continue;
		return operation;
	}
	return NULL;
}
