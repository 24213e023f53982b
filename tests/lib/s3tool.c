/* s3tool — the S3 client of s3mount on the command line, for tests and for measuring it alone.
 *
 *   s3tool [-e URL] [-b BUCKET] [-r REGION] [-c CONNECTIONS] [-p on|off] [-t SECONDS] [-d] OP
 * ARGUMENTS
 *
 * Credentials: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN; none: anonymous.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/s3/s3.h"

enum { BENCH_MAX = 1024 };

static const char usage_text[] =
	"usage: s3tool [-e URL] [-b BUCKET] [-r REGION] [-c CONNECTIONS] [-p on|off] [-t SECONDS] "
	"[-q] [-d] "
	"OP\n"
	"  check | buckets | head KEY | get KEY [FIRST LEN] | put KEY FILE [NAME=VALUE..]\n"
	"  create KEY FILE | replace KEY ETAG FILE | delete KEY [ETAG] | delete-many KEY..\n"
	"  list PREFIX [DELIMITER [MAX]] | copy SOURCE KEY [ETAG] | mpu KEY FILE PART_SIZE | "
	"uploads\n"
	"  mpu-copy SOURCE KEY PART_SIZE | abort KEY UPLOAD_ID\n"
	"  bench head|get|put|range KEY SIZE IN_FLIGHT COUNT\n";

static struct loop *loop;
static struct objstore *store;
static struct s3_config config;
static uint64_t timeout = 30 * NSEC_PER_SEC;

static uint64_t now(void)
{
	return executor_monotonic(loop_executor(loop));
}

static void stop(struct os_request *request)
{
	(void)request;
	loop_stop(loop);
}

static int run(struct os_request *request)
{
	const struct os_result *result = &request->result;

	request->deadline = now() + timeout;
	request->done = stop;
	objstore_submit(store, request);
	loop_run(loop);
	if (result->err)
		fprintf(stderr, "%s: %s%s: HTTP %d %s: %s\n", os_op_name(request->op),
			strerror(-result->err), result->ambiguous ? " (ambiguous)" : "",
			result->http_status, result->code, result->message);
	return result->err;
}

/* ---- files as sources and sinks ---- */

static int file_read(void *context, void *data, size_t len, uint64_t offset)
{
	const int *fd = context;
	ssize_t got = pread(*fd, data, len, (off_t)offset);

	return got == (ssize_t)len ? 0 : got < 0 ? -errno : -EIO;
}

static int file_write(void *context, const void *data, size_t len, uint64_t offset)
{
	const uint64_t *base = context;

	(void)offset, (void)base;
	return fwrite(data, 1, len, stdout) == len ? 0 : -EIO;
}

static int null_write(void *context, const void *data, size_t len, uint64_t offset)
{
	(void)context, (void)data, (void)len, (void)offset;
	return 0;
}

static struct os_source file_source(int *fd, const char *path)
{
	struct stat st;

	*fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*fd < 0 || fstat(*fd, &st)) {
		perror(path);
		exit(1);
	}
	return (struct os_source){file_read, fd, (uint64_t)st.st_size};
}

/* ---- operations ---- */

static void print_object(const struct os_result *result)
{
	printf("etag %s\nsize %" PRIu64 "\nlast_modified %" PRId64 "\ncontent_type %s\n",
	       result->etag, result->size, result->last_modified, result->content_type);
	for (size_t i = 0; i < result->meta.count; i++)
		printf("meta %s=%s\n", result->meta.items[i].name, result->meta.items[i].value);
	for (size_t i = 0; i < result->headers.count; i++)
		printf("header %s=%s\n", result->headers.items[i].name,
		       result->headers.items[i].value);
}

static int do_object(enum os_op op, int argc, char **argv)
{
	uint64_t base = 0;
	struct os_request request = {.op = op, .key = argv[0]};

	if (op == OS_GET) {
		request.sink = (struct os_sink){file_write, &base};
		if (argc >= 3) {
			request.has_range = true;
			request.range_first = strtoull(argv[1], NULL, 10);
			request.range_len = strtoull(argv[2], NULL, 10);
		}
	}
	if (op == OS_DELETE && argc >= 2)
		request.condition.if_match = argv[1];
	if (run(&request) == 0 && op == OS_HEAD)
		print_object(&request.result);
	return request.result.err;
}

static int do_put(struct os_condition condition, int argc, char **argv)
{
	struct os_meta meta = OS_META_INIT;
	int fd;
	struct os_request request = {.op = OS_PUT, .key = argv[0], .condition = condition};

	request.body = file_source(&fd, argv[1]);
	for (int i = 2; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		if (!value)
			return -EINVAL;
		*value++ = '\0';
		os_meta_set(&meta, argv[i], value);
	}
	request.meta = &meta;
	if (run(&request) == 0)
		printf("etag %s\n", request.result.etag);
	close(fd);
	os_meta_free(&meta);
	return request.result.err;
}

static void print_entries(const struct os_result *result)
{
	for (size_t i = 0; i < result->entry_count; i++) {
		const struct os_entry *entry = &result->entries[i];

		printf("%s %s %" PRIu64 " %s%s%s\n", entry->is_prefix ? "prefix" : "key",
		       entry->key, entry->size, entry->etag, entry->upload_id ? " " : "",
		       entry->upload_id ? entry->upload_id : "");
	}
}

static int do_list(enum os_op op, int argc, char **argv)
{
	struct os_request request = {.op = op};
	char *token = NULL;
	int err;

	request.prefix = argc > 0 ? argv[0] : NULL;
	request.delimiter = argc > 1 ? argv[1][0] : '\0';
	request.max_keys = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	do {
		request.token = token;
		err = run(&request);
		free(token);
		if (err)
			return err;
		print_entries(&request.result);
		token = request.result.next_token;
		request.result.next_token = NULL;
		os_request_free_result(&request);
	} while (token);
	return 0;
}

static int do_delete_many(int argc, char **argv)
{
	struct os_request request = {
		.op = OS_DELETE_MANY,
		.delete_keys = (const char *const *)argv,
		.delete_count = (size_t)argc,
	};

	if (run(&request) == 0) {
		for (int i = 0; i < argc; i++)
			printf("%s %d\n", argv[i], request.result.delete_errors[i]);
	}
	return request.result.err;
}

static int do_copy(int argc, char **argv)
{
	struct os_request request = {.op = OS_COPY, .source_key = argv[0], .key = argv[1]};

	request.source_if_match = argc > 2 ? argv[2] : NULL;
	if (run(&request) == 0)
		printf("etag %s\n", request.result.etag);
	return request.result.err;
}

static int complete(const char *key, const char *upload_id, struct os_part *parts, unsigned count)
{
	struct os_request request = {.op = OS_MPU_COMPLETE,
				     .key = key,
				     .upload_id = upload_id,
				     .parts = parts,
				     .part_count = count};

	if (run(&request) == 0)
		printf("etag %s\n", request.result.etag);
	return request.result.err;
}

struct slice {
	int fd;
	uint64_t first;
};

static int slice_read(void *context, void *data, size_t len, uint64_t offset)
{
	struct slice *slice = context;

	return file_read(&slice->fd, data, len, slice->first + offset);
}

/* source_key NULL: from the file. */
static int do_upload(const char *key, const char *source_key, int fd, uint64_t size,
		     uint64_t part_size)
{
	struct os_request create = {.op = OS_MPU_CREATE, .key = key};
	struct os_part *parts = calloc(OS_PART_COUNT_MAX, sizeof(*parts));
	unsigned count = 0;
	int err = run(&create);

	for (uint64_t at = 0; !err && at < size; at += part_size) {
		uint64_t len = size - at < part_size ? size - at : part_size;
		struct slice slice = {fd, at};
		struct os_request part = {
			.op = source_key ? OS_MPU_PART_COPY : OS_MPU_PART,
			.key = key,
			.upload_id = create.result.upload_id,
			.part_number = ++count,
			.source_key = source_key,
			.has_range = source_key != NULL,
			.range_first = at,
			.range_len = len,
			.body = {slice_read, &slice, len},
		};

		err = run(&part);
		parts[count - 1].number = count;
		memcpy(parts[count - 1].etag, part.result.etag, OS_ETAG_MAX);
		os_request_free_result(&part);
	}
	if (!err)
		err = complete(key, create.result.upload_id, parts, count);
	free(parts);
	return err;
}

static int do_mpu(char **argv)
{
	int fd;
	struct os_source source = file_source(&fd, argv[1]);
	int err = do_upload(argv[0], NULL, fd, source.len, strtoull(argv[2], NULL, 10));

	close(fd);
	return err;
}

static int do_mpu_copy(char **argv)
{
	struct os_request head = {.op = OS_HEAD, .key = argv[0]};
	int err = run(&head);

	if (!err)
		err = do_upload(argv[1], argv[0], -1, head.result.size,
				strtoull(argv[2], NULL, 10));
	os_request_free_result(&head);
	return err;
}

static int do_check(void)
{
	struct os_request request = {.op = OS_BUCKET_HEAD, .urgent = true};
	struct error error = ERROR_INIT;

	if (run(&request)) {
		s3_explain(&config, &request, &error);
		fprintf(stderr, "%s\n", error.message);
	} else {
		printf("ok region %s\n", request.result.region);
	}
	return request.result.err;
}

/* ---- bench ---- */

struct bench {
	enum os_op op;
	bool range;
	const char *key;
	uint64_t size;
	unsigned long left, running;
	struct os_memory memory;
	int err;
	struct os_request requests[BENCH_MAX];
	char keys[BENCH_MAX][256];
};

static struct bench bench;

static void bench_next(struct os_request *request);

static void bench_submit(struct os_request *request)
{
	size_t index = (size_t)(request - bench.requests);

	memset(request, 0, sizeof(*request));
	request->op = bench.op;
	request->key = bench.key;
	request->deadline = now() + timeout;
	request->done = bench_next;
	request->sink.write = null_write;
	if (bench.op == OS_PUT) {
		snprintf(bench.keys[index], sizeof(bench.keys[index]), "%s-%zu", bench.key, index);
		request->key = bench.keys[index];
		request->body = os_source_memory(&bench.memory);
	}
	request->has_range = bench.range;
	request->range_len = bench.size;
	bench.left--;
	bench.running++;
	objstore_submit(store, request);
}

static void bench_next(struct os_request *request)
{
	bench.running--;
	if (request->result.err && !bench.err) {
		bench.err = request->result.err;
		fprintf(stderr, "%s\n", request->result.message);
	}
	os_request_free_result(request);
	if (bench.left > 0 && !bench.err)
		bench_submit(request);
	else if (bench.running == 0)
		loop_stop(loop);
}

static double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int do_bench(char **argv)
{
	unsigned long count = strtoul(argv[4], NULL, 10), in_flight = strtoul(argv[3], NULL, 10);
	double cpu, seconds;
	uint64_t start;

	bench.op = strcmp(argv[0], "head") == 0	 ? OS_HEAD
		   : strcmp(argv[0], "put") == 0 ? OS_PUT
						 : OS_GET;
	bench.range = strcmp(argv[0], "range") == 0;
	bench.key = argv[1];
	bench.size = strtoull(argv[2], NULL, 10);
	bench.left = count;
	if (in_flight > BENCH_MAX || in_flight > count)
		return -EINVAL;
	bench.memory.data = calloc(1, bench.size + 1);
	bench.memory.len = bench.size;
	cpu = cpu_seconds();
	start = now();
	for (unsigned long i = 0; i < in_flight; i++)
		bench_submit(&bench.requests[i]);
	loop_run(loop);
	seconds = (double)(now() - start) / 1e9;
	cpu = cpu_seconds() - cpu;
	printf("%s %" PRIu64 " B x%lu: %.0f/s, %.1f us each, %.1f us CPU each, %.0f MB/s\n",
	       argv[0], bench.size, in_flight, (double)count / seconds,
	       seconds / (double)count * 1e6, cpu / (double)count * 1e6,
	       (double)count * (double)bench.size / seconds / 1e6);
	free((void *)bench.memory.data);
	return bench.err;
}

static int dispatch(int argc, char **argv)
{
	const char *op = argv[0];
	struct os_condition create = {.if_none_match_any = true};

	argc--;
	argv++;
	if (strcmp(op, "check") == 0)
		return do_check();
	if (strcmp(op, "buckets") == 0)
		return do_list(OS_BUCKETS, 0, argv);
	if (strcmp(op, "uploads") == 0)
		return do_list(OS_MPU_LIST, argc, argv);
	if (strcmp(op, "list") == 0)
		return do_list(OS_LIST, argc, argv);
	if (strcmp(op, "head") == 0 && argc >= 1)
		return do_object(OS_HEAD, argc, argv);
	if (strcmp(op, "get") == 0 && argc >= 1)
		return do_object(OS_GET, argc, argv);
	if (strcmp(op, "delete") == 0 && argc >= 1)
		return do_object(OS_DELETE, argc, argv);
	if (strcmp(op, "delete-many") == 0 && argc >= 1)
		return do_delete_many(argc, argv);
	if (strcmp(op, "put") == 0 && argc >= 2)
		return do_put((struct os_condition){0}, argc, argv);
	if (strcmp(op, "create") == 0 && argc >= 2)
		return do_put(create, argc, argv);
	if (strcmp(op, "replace") == 0 && argc >= 3) {
		char *shifted[] = {argv[0], argv[2]};

		return do_put((struct os_condition){.if_match = argv[1]}, 2, shifted);
	}
	if (strcmp(op, "copy") == 0 && argc >= 2)
		return do_copy(argc, argv);
	if (strcmp(op, "mpu") == 0 && argc == 3)
		return do_mpu(argv);
	if (strcmp(op, "mpu-copy") == 0 && argc == 3)
		return do_mpu_copy(argv);
	if (strcmp(op, "abort") == 0 && argc == 2) {
		struct os_request abort = {
			.op = OS_MPU_ABORT, .key = argv[0], .upload_id = argv[1]};

		return run(&abort);
	}
	if (strcmp(op, "bench") == 0 && argc == 5)
		return do_bench(argv);
	fputs(usage_text, stderr);
	return -EINVAL;
}

int main(int argc, char **argv)
{
	struct credentials credentials = {
		.access_key = getenv("AWS_ACCESS_KEY_ID"),
		.secret_key = getenv("AWS_SECRET_ACCESS_KEY"),
		.session_token = getenv("AWS_SESSION_TOKEN"),
		.source = "environment",
	};
	struct error error = ERROR_INIT;
	bool unquoted = false;
	int option, err;

	while ((option = getopt(argc, argv, "e:b:r:c:p:t:a:qd")) != -1) {
		switch (option) {
		case 'e': config.endpoint = optarg; break;
		case 'b': config.bucket = optarg; break;
		case 'r': config.region = optarg; break;
		case 'a': config.ca_file = optarg; break;
		case 'c': config.connections = (unsigned)strtoul(optarg, NULL, 10); break;
		case 't': timeout = strtoull(optarg, NULL, 10) * NSEC_PER_SEC; break;
		case 'q': unquoted = true; break;
		case 'd': log_set_level(LOG_LEVEL_DEBUG); break;
		case 'p':
			config.path_style = strcmp(optarg, "on") == 0 ? PATH_STYLE_ON
								      : PATH_STYLE_OFF;
			break;
		default: fputs(usage_text, stderr); return 2;
		}
	}
	if (optind == argc) {
		fputs(usage_text, stderr);
		return 2;
	}
	credentials.anonymous = !credentials.access_key;
	config.credentials = &credentials;
	config.user_agent = "s3tool";
	if (loop_create(&loop))
		return 1;
	if (s3_create(&store, loop_executor(loop), &config, &error)) {
		fprintf(stderr, "%s\n", error.message);
		return 1;
	}
	s3_set_unquoted_etags(store, unquoted);
	err = dispatch(argc - optind, argv + optind);
	objstore_destroy(store);
	loop_destroy(loop);
	return err ? 1 : 0;
}
