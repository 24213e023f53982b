/* record.c — the lines of conformance.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

static void begin(const struct run *run, const char *step, va_list arguments)
{
	printf("%s/%s ", run->area, run->name);
	vprintf(step, arguments);
	fputs(": ", stdout);
}

static void put_error(int number)
{
	puts(strerrorname_np(number));
}

long record(const struct run *run, long result, const char *step, ...)
{
	int number = errno;
	va_list arguments;

	va_start(arguments, step);
	begin(run, step, arguments);
	va_end(arguments);
	if (result < 0)
		put_error(number);
	else
		puts("ok");
	return result;
}

long record_count(const struct run *run, long result, const char *step, ...)
{
	int number = errno;
	va_list arguments;

	va_start(arguments, step);
	begin(run, step, arguments);
	va_end(arguments);
	if (result < 0)
		put_error(number);
	else
		printf("%ld\n", result);
	return result;
}

void record_value(const struct run *run, long long value, const char *step, ...)
{
	va_list arguments;

	va_start(arguments, step);
	begin(run, step, arguments);
	va_end(arguments);
	printf("%lld\n", value);
}

void record_octal(const struct run *run, unsigned long value, const char *step, ...)
{
	va_list arguments;

	va_start(arguments, step);
	begin(run, step, arguments);
	va_end(arguments);
	printf("%lo\n", value);
}

void record_truth(const struct run *run, bool truth, const char *step, ...)
{
	va_list arguments;

	va_start(arguments, step);
	begin(run, step, arguments);
	va_end(arguments);
	puts(truth ? "yes" : "no");
}

void record_bytes(const struct run *run, const void *bytes, long len, const char *step, ...)
{
	const unsigned char *byte = bytes;
	int number = errno;
	va_list arguments;

	va_start(arguments, step);
	begin(run, step, arguments);
	va_end(arguments);
	if (len < 0) {
		put_error(number);
		return;
	}
	putchar('"');
	for (long i = 0; i < len; i++) {
		if (byte[i] < ' ' || byte[i] > '~' || byte[i] == '"' || byte[i] == '\\')
			printf("\\x%02x", byte[i]);
		else
			putchar(byte[i]);
	}
	puts("\"");
}

long need(const struct run *run, long result, const char *what)
{
	if (result >= 0)
		return result;
	printf("%s/%s stopped at %s: ", run->area, run->name, what);
	put_error(errno);
	exit(0);
}
