#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/s3server/request.h"

static const char usage[] =
	"Usage: s3server --root DIR [option ..]\n"
	"A small S3 server for demonstrations and tests. Prints its URL when it is ready.\n"
	"\n"
	"  --root DIR              where buckets are kept; --dir is the same\n"
	"  --listen ADDRESS        IPv4 address (127.0.0.1)\n"
	"  --port N                0: any free one (9000)\n"
	"  --port-file FILE        write the port there once it is open\n"
	"  --access-key-file FILE  lines ACCESS:SECRET[:TOKEN]; else S3SERVER_ACCESS_KEY and\n"
	"                          S3SERVER_SECRET_KEY of the environment, else the demo's keys\n"
	"  --create-bucket NAME    unless it exists; may be repeated\n"
	"  --tls-cert FILE --tls-key FILE\n"
	"                          HTTPS\n"
	"  --region NAME           accept signatures for this region only (else any)\n"
	"  --domain NAME           BUCKET.NAME as host means BUCKET (localhost)\n"
	"  --no-conditions HOW     of writes: ignore, unsupported (501), or racy\n"
	"  --anonymous             allow unsigned requests\n"
	"  --fast-etag             unique ids as ETags instead of MD5\n"
	"  --max-put-size SIZE --max-part-size SIZE --min-part-size SIZE\n"
	"  --max-copy-size SIZE --max-keys N\n"
	"                          limits, for tests that want to reach them\n"
	"  --verbose               log every request\n";

static const char demo_access_key[] = "demo-access-key";
static const char demo_secret_key[] = "demo-secret-key-0123456789";

enum { BUCKETS_MAX = 64 };

struct arguments {
	struct server_config server;
	struct http_config http;
	const char *root, *port_file, *key_file;
	const char *buckets[BUCKETS_MAX];
	unsigned bucket_count;
};

enum option_id {
	OPT_ROOT = 256,
	OPT_LISTEN,
	OPT_PORT,
	OPT_PORT_FILE,
	OPT_KEY_FILE,
	OPT_BUCKET,
	OPT_CERT,
	OPT_KEY,
	OPT_REGION,
	OPT_DOMAIN,
	OPT_CONDITIONS,
	OPT_ANONYMOUS,
	OPT_FAST_ETAG,
	OPT_PUT_SIZE,
	OPT_PART_SIZE,
	OPT_PART_SIZE_MIN,
	OPT_COPY_SIZE,
	OPT_KEYS,
	OPT_VERBOSE,
	OPT_HELP,
};

static const struct option options[] = {
	{"root", 1, NULL, OPT_ROOT},
	{"dir", 1, NULL, OPT_ROOT},
	{"listen", 1, NULL, OPT_LISTEN},
	{"port", 1, NULL, OPT_PORT},
	{"port-file", 1, NULL, OPT_PORT_FILE},
	{"access-key-file", 1, NULL, OPT_KEY_FILE},
	{"create-bucket", 1, NULL, OPT_BUCKET},
	{"tls-cert", 1, NULL, OPT_CERT},
	{"tls-key", 1, NULL, OPT_KEY},
	{"region", 1, NULL, OPT_REGION},
	{"domain", 1, NULL, OPT_DOMAIN},
	{"no-conditions", 1, NULL, OPT_CONDITIONS},
	{"anonymous", 0, NULL, OPT_ANONYMOUS},
	{"fast-etag", 0, NULL, OPT_FAST_ETAG},
	{"max-put-size", 1, NULL, OPT_PUT_SIZE},
	{"max-part-size", 1, NULL, OPT_PART_SIZE},
	{"min-part-size", 1, NULL, OPT_PART_SIZE_MIN},
	{"max-copy-size", 1, NULL, OPT_COPY_SIZE},
	{"max-keys", 1, NULL, OPT_KEYS},
	{"verbose", 0, NULL, OPT_VERBOSE},
	{"help", 0, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static void set_defaults(struct arguments *arguments)
{
	memset(arguments, 0, sizeof(*arguments));
	arguments->http.listen = "127.0.0.1";
	arguments->http.port = 9000;
	arguments->server.region = "us-east-1";
	arguments->server.domain = "localhost";
	/* S3 user guide, "Multipart upload limits" and "CopyObject" */
	arguments->server.limits = (struct limits){
		.put_size = UINT64_C(5) << 30,
		.part_size = UINT64_C(5) << 30,
		.part_size_min = UINT64_C(5) << 20,
		.copy_size = UINT64_C(5) << 30,
		.list_keys = 1000,
	};
}

static int set_number(const char *text, int64_t max, int64_t *out)
{
	return parse_int(text, 0, max, out);
}

static int set_conditions(struct arguments *arguments, const char *text)
{
	if (strcmp(text, "ignore") == 0)
		arguments->server.conditions = CONDITIONS_IGNORE;
	else if (strcmp(text, "unsupported") == 0)
		arguments->server.conditions = CONDITIONS_UNSUPPORTED;
	else if (strcmp(text, "racy") == 0)
		arguments->server.conditions = CONDITIONS_RACY;
	else
		return -EINVAL;
	return 0;
}

static int set_limit(struct arguments *arguments, int id, const char *text)
{
	struct limits *limits = &arguments->server.limits;
	int64_t number;
	int err;

	switch (id) {
	case OPT_PUT_SIZE: return parse_size(text, &limits->put_size);
	case OPT_PART_SIZE: return parse_size(text, &limits->part_size);
	case OPT_PART_SIZE_MIN: return parse_size(text, &limits->part_size_min);
	case OPT_COPY_SIZE: return parse_size(text, &limits->copy_size);
	case OPT_KEYS:
		err = set_number(text, 100000, &number);
		limits->list_keys = err ? 0 : (unsigned)number;
		return err;
	default: return -EINVAL;
	}
}

static int set_option(struct arguments *arguments, int id, const char *text)
{
	int64_t number;
	int err = 0;

	switch (id) {
	case OPT_ROOT: arguments->root = text; break;
	case OPT_LISTEN: arguments->http.listen = text; break;
	case OPT_PORT:
		err = set_number(text, UINT16_MAX, &number);
		arguments->http.port = err ? 0 : (uint16_t)number;
		break;
	case OPT_PORT_FILE: arguments->port_file = text; break;
	case OPT_KEY_FILE: arguments->key_file = text; break;
	case OPT_BUCKET:
		if (arguments->bucket_count == BUCKETS_MAX)
			return -E2BIG;
		arguments->buckets[arguments->bucket_count++] = text;
		break;
	case OPT_CERT: arguments->http.tls_certificate = text; break;
	case OPT_KEY: arguments->http.tls_key = text; break;
	case OPT_REGION:
		arguments->server.region = text;
		arguments->server.region_strict = true;
		break;
	case OPT_DOMAIN: arguments->server.domain = text; break;
	case OPT_CONDITIONS: err = set_conditions(arguments, text); break;
	case OPT_ANONYMOUS: arguments->server.anonymous = true; break;
	case OPT_FAST_ETAG: arguments->server.fast_etag = true; break;
	case OPT_VERBOSE: arguments->server.verbose = true; break;
	default: err = set_limit(arguments, id, text); break;
	}
	return err;
}

/* Returns 0, or an exit status with the sign turned; 1 means that all is done (--help). */
static int parse_arguments(struct arguments *arguments, int argc, char **argv)
{
	int id, index;

	while ((id = getopt_long(argc, argv, "", options, &index)) != -1) {
		if (id == OPT_HELP) {
			fputs(usage, stdout);
			return 1;
		}
		if (id == '?')
			return -2;
		if (set_option(arguments, id, optarg)) {
			fprintf(stderr, "s3server: --%s: malformed value: %s\n",
				options[index].name, optarg);
			return -2;
		}
	}
	if (optind < argc || !arguments->root ||
	    !arguments->http.tls_certificate != !arguments->http.tls_key) {
		fputs(usage, stderr);
		return -2;
	}
	return 0;
}

static int load_keys(struct arguments *arguments, struct error *error)
{
	const char *access = getenv("S3SERVER_ACCESS_KEY");
	const char *secret = getenv("S3SERVER_SECRET_KEY");
	struct access_keys *keys = &arguments->server.keys;

	if (arguments->key_file)
		return access_keys_load(keys, arguments->key_file, error);
	if (!access != !secret)
		return error_set(error, -EINVAL,
				 "S3SERVER_ACCESS_KEY and S3SERVER_SECRET_KEY go together");
	return access_keys_add(keys, access ? access : demo_access_key,
			       secret ? secret : demo_secret_key, NULL, error);
}

static int write_port_file(const char *path, uint16_t port, struct error *error)
{
	char *temporary;
	FILE *file;
	int err = 0;

	if (!path)
		return 0;
	/* renamed into place: who waits for the file finds it whole */
	temporary = xasprintf("%s.new", path);
	file = fopen(temporary, "we");
	if (!file || fprintf(file, "%u\n", port) < 0 || fclose(file) || rename(temporary, path))
		err = error_set(error, -errno, "cannot write %s: %s", path, strerror(errno));
	free(temporary);
	return err;
}

static int create_buckets(struct server *server, const struct arguments *arguments,
			  struct error *error)
{
	for (unsigned i = 0; i < arguments->bucket_count; i++) {
		int err = bucket_create(server->store, arguments->buckets[i], server_now(server));

		if (err && err != -EEXIST)
			return error_set(error, err, "cannot create bucket %s: %s",
					 arguments->buckets[i], strerror(-err));
	}
	return 0;
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* Serves until SIGINT or SIGTERM. */
static int serve(struct server *server, struct arguments *arguments, struct error *error)
{
	const struct http_service service = {service_begin, service_body, service_finish,
					     service_closed, server};
	struct http_server *http = NULL;
	uint16_t port = 0;
	sigset_t signals;
	int signal_number, err;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	err = create_buckets(server, arguments, error);
	if (!err)
		err = http_start(&http, &arguments->http, &service, &port, error);
	if (err)
		return err;
	err = write_port_file(arguments->port_file, port, error);
	if (!err) {
		printf("%s://%s:%u\n", arguments->http.tls_certificate ? "https" : "http",
		       arguments->http.listen, port);
		fflush(stdout);
		sigwait(&signals, &signal_number);
	}
	http_stop(http);
	return err;
}

int main(int argc, char **argv)
{
	struct server *server = xmalloc(sizeof(*server));
	struct arguments arguments;
	struct error error = ERROR_INIT;
	int err;

	set_defaults(&arguments);
	err = parse_arguments(&arguments, argc, argv);
	if (err) {
		free(server);
		return err < 0 ? -err : 0;
	}
	log_open("s3server", LOG_TARGET_STDERR, NULL,
		 arguments.server.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING);
	hash_global_init();
	raise_descriptor_limit();
	faults_init(&server->faults);
	atomic_store(&server->fast_etag, arguments.server.fast_etag);
	atomic_store(&server->conditions, arguments.server.conditions);
	err = load_keys(&arguments, &error);
	server->config = arguments.server;
	if (!err)
		err = store_open(&server->store, arguments.root, &error);
	if (!err) {
		err = serve(server, &arguments, &error);
		store_close(server->store);
	}
	if (err)
		fprintf(stderr, "s3server: %s\n", error.message);
	access_keys_free(&server->config.keys);
	faults_destroy(&server->faults);
	free(server);
	return err ? 1 : 0;
}
