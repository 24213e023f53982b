#include "common/option_text.h"

#include <errno.h>
#include <string.h>

#define NS_PER_SECOND INT64_C(1000000000)

enum { HINT_BYTES_MAX = 32 };

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Optimal string alignment (Damerau 1964, without edits inside of a swap), over the whole table. */
unsigned edit_distance(const char *a, const char *b, unsigned limit)
{
	unsigned d[HINT_BYTES_MAX + 1][HINT_BYTES_MAX + 1];
	size_t a_len = strlen(a), b_len = strlen(b), i, j;

	if (a_len > HINT_BYTES_MAX || b_len > HINT_BYTES_MAX)
		return limit;
	for (i = 0; i <= a_len; i++)
		d[i][0] = (unsigned)i;
	for (j = 0; j <= b_len; j++)
		d[0][j] = (unsigned)j;
	for (i = 1; i <= a_len; i++) {
		for (j = 1; j <= b_len; j++) {
			unsigned cost = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			cost = least(cost, least(d[i - 1][j], d[i][j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				cost = least(cost, d[i - 2][j - 2] + 1);
			d[i][j] = cost;
		}
	}
	return least(d[a_len][b_len], limit);
}

const char *option_hint(const char *typed, enum option_where where)
{
	size_t len = strlen(typed), i;
	/* One error in three letters still looks like the word; in "ip" or "xy" everything does. */
	unsigned best = len < 3 ? 0 : least((unsigned)len / 3, 3) + 1;
	const char *name = NULL;

	for (i = 0; i < option_count; i++) {
		char folded[HINT_BYTES_MAX + 1] = "";
		unsigned distance;
		size_t k;

		if (!(option_table[i].where & where) || len > HINT_BYTES_MAX)
			continue;
		for (k = 0; k <= len; k++) {
			char c = typed[k];

			folded[k] = c == '-' ? '_' : c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
		}
		distance = edit_distance(folded, option_table[i].name, best);
		if (distance < best) {
			best = distance;
			name = option_table[i].name;
		}
	}
	return name;
}

/* "5M", "1T", "1000": the way in which the limits were meant. */
static void put_size(struct buf *out, int64_t value)
{
	static const char suffixes[] = "KMGT";
	int i = -1;

	while (value != 0 && value % 1024 == 0 && i < 3) {
		value /= 1024;
		i++;
	}
	buf_printf(out, "%lld", (long long)value);
	if (i >= 0)
		buf_putc(out, suffixes[i]);
}

static void put_choices(struct buf *out, const char *const *choices)
{
	size_t i;

	for (i = 0; choices[i]; i++) {
		if (i > 0)
			buf_puts(out, choices[i + 1] ? ", " : " or ");
		buf_puts(out, choices[i]);
	}
}

void option_put_accepted(const struct option_spec *spec, struct buf *out)
{
	switch (spec->type) {
	case OPTION_STRING:
	case OPTION_PATH: buf_puts(out, spec->unit); break;
	case OPTION_FLAG: buf_puts(out, "yes or no"); break;
	case OPTION_CHOICE: put_choices(out, spec->choices); break;
	case OPTION_INT:
		buf_printf(out, "whole numbers from %lld to %lld", (long long)spec->min,
			   (long long)spec->max);
		break;
	case OPTION_OCTAL:
		buf_printf(out, "octal numbers from 0 to 0%llo", (unsigned long long)spec->max);
		break;
	case OPTION_SECONDS:
		buf_printf(out, "seconds from %lld to %lld, with or without a fraction",
			   (long long)spec->min, (long long)spec->max);
		break;
	case OPTION_SIZE:
		buf_puts(out, "bytes from ");
		put_size(out, spec->min);
		buf_puts(out, " to ");
		put_size(out, spec->max);
		buf_puts(out, ", with or without a suffix K, M, G or T");
		break;
	}
}

static void put_seconds(struct buf *out, int64_t ns)
{
	int64_t fraction = ns % NS_PER_SECOND;
	int digits = 9;

	buf_printf(out, "%lld", (long long)(ns / NS_PER_SECOND));
	if (fraction == 0)
		return;
	for (; fraction % 10 == 0; fraction /= 10)
		digits--;
	buf_printf(out, ".%0*lld", digits, (long long)fraction);
}

void option_format_value(const struct option_spec *spec, const struct options *options,
			 struct buf *out)
{
	const void *field = (const char *)options + spec->offset;
	const char *text;
	int64_t number;

	switch (spec->type) {
	case OPTION_STRING:
	case OPTION_PATH:
		text = *(char *const *)field;
		buf_puts(out, text ? text : "");
		return;
	case OPTION_FLAG: buf_puts(out, *(const bool *)field ? "yes" : "no"); return;
	default: break;
	}
	number = *(const int64_t *)field;
	if (number < 0 || (spec->type == OPTION_SIZE && number == 0))
		return;
	switch (spec->type) {
	case OPTION_CHOICE: buf_puts(out, spec->choices[number]); break;
	case OPTION_OCTAL: buf_printf(out, "%03llo", (unsigned long long)number); break;
	case OPTION_SECONDS: put_seconds(out, number); break;
	case OPTION_SIZE: put_size(out, number); break;
	default: buf_printf(out, "%lld", (long long)number); break;
	}
}

static void put_escaped(struct buf *out, const char *value)
{
	for (; *value; value++) {
		if (*value == ',' || *value == '\\')
			buf_putc(out, '\\');
		buf_putc(out, *value);
	}
}

int options_format(const struct options *options, enum option_where where, struct buf *out)
{
	struct buf value = BUF_INIT;
	size_t i, start = out->len;

	for (i = 0; i < option_count; i++) {
		const struct option_spec *spec = &option_table[i];
		bool given = options->given >> i & 1;

		if (!(spec->where & where))
			continue;
		buf_reset(&value);
		option_format_value(spec, options, &value);
		if (!given &&
		    strcmp(buf_str(&value), spec->default_text ? spec->default_text : "") == 0)
			continue;
		if (out->len > start)
			buf_putc(out, ',');
		buf_puts(out, spec->name);
		if (spec->type == OPTION_FLAG && strcmp(buf_str(&value), "yes") == 0)
			continue;
		buf_putc(out, '=');
		put_escaped(out, buf_str(&value));
	}
	if (value.failed)
		out->failed = true;
	buf_free(&value);
	return out->failed ? -ENOMEM : 0;
}
