#include "tests/s3server/fault.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void faults_init(struct faults *faults)
{
	memset(faults, 0, sizeof(*faults));
	pthread_mutex_init(&faults->lock, NULL);
}

void faults_destroy(struct faults *faults)
{
	pthread_mutex_destroy(&faults->lock);
}

static const struct {
	const char *name;
	enum fault_action action;
	bool wants_argument;
} actions[] = {
	{"status", FAULT_STATUS, true},
	{"drop_before", FAULT_DROP_BEFORE, false},
	{"drop_after", FAULT_DROP_AFTER, false},
	{"stall", FAULT_STALL, true},
	{"stall_after", FAULT_STALL_AFTER, true},
	{"truncate", FAULT_TRUNCATE, true},
	{"drop_body", FAULT_DROP_BODY, true},
	{"length", FAULT_LENGTH, true},
	{"slow", FAULT_SLOW, true},
	{"stall_body", FAULT_STALL_BODY, true},
	{"error_in_200", FAULT_ERROR_IN_200, false},
};

int fault_parse_action(struct fault *fault, const char *text)
{
	size_t name_len = strcspn(text, ":");
	const char *rest = text[name_len] ? text + name_len + 1 : "";

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strlen(actions[i].name) != name_len ||
		    strncmp(actions[i].name, text, name_len) != 0)
			continue;
		fault->action = actions[i].action;
		if (actions[i].wants_argument) {
			char *end;

			fault->argument = strtoull(rest, &end, 10);
			if (end == rest)
				return -EINVAL;
			rest = *end == ':' ? end + 1 : end;
		}
		snprintf(fault->code, sizeof(fault->code), "%.63s", *rest ? rest : "InternalError");
		if (fault->action == FAULT_STATUS &&
		    (fault->argument < 200 || fault->argument > 599))
			return -EINVAL;
		return 0;
	}
	return -EINVAL;
}

int faults_add(struct faults *faults, const struct fault *fault)
{
	int err = -ENOSPC;

	pthread_mutex_lock(&faults->lock);
	if (faults->count < FAULTS_MAX) {
		faults->items[faults->count++] = *fault;
		atomic_store(&faults->any, true);
		err = 0;
	}
	pthread_mutex_unlock(&faults->lock);
	return err;
}

void faults_clear(struct faults *faults)
{
	pthread_mutex_lock(&faults->lock);
	faults->count = 0;
	atomic_store(&faults->any, false);
	pthread_mutex_unlock(&faults->lock);
}

static bool is_by(const struct fault *fault, const char *authorization)
{
	char credential[FAULT_OPERATION_MAX + 16];

	if (!fault->access_key[0])
		return true;
	snprintf(credential, sizeof(credential), "Credential=%s/", fault->access_key);
	return authorization && strstr(authorization, credential);
}

static bool applies(const struct fault *fault, const char *operation, const char *key)
{
	if (fault->operation[0] && strcmp(fault->operation, "*") != 0 &&
	    strcmp(fault->operation, operation) != 0)
		return false;
	return string_has_prefix(key ? key : "", fault->key_prefix);
}

enum fault_action faults_match(struct faults *faults, const char *operation, const char *key,
			       const char *authorization, struct fault *out)
{
	out->action = FAULT_NONE;
	if (!atomic_load_explicit(&faults->any, memory_order_relaxed))
		return FAULT_NONE;
	pthread_mutex_lock(&faults->lock);
	for (unsigned i = 0; i < faults->count; i++) {
		struct fault *fault = &faults->items[i];

		if (!applies(fault, operation, key) || !is_by(fault, authorization))
			continue;
		if (fault->seen++ < fault->after || (fault->count && fault->hit >= fault->count))
			continue;
		fault->hit++;
		*out = *fault;
		break;
	}
	pthread_mutex_unlock(&faults->lock);
	return out->action;
}
