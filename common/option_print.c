#include <ctype.h>
#include <string.h>

#include "common/option_text.h"
#include "common/option_word.h"
#include "common/options.h"

enum { HELP_COLUMN = 26, HELP_WIDTH = 80 };

/* "endpoint=URL", "close=s3|local", "ro": how it is written. */
static void put_synopsis(const struct option_spec *spec, struct buf *out)
{
	size_t i;

	buf_puts(out, spec->name);
	if (spec->type == OPTION_FLAG)
		return;
	buf_putc(out, '=');
	if (spec->type != OPTION_CHOICE) {
		buf_puts(out, spec->unit);
		return;
	}
	for (i = 0; spec->choices[i]; i++) {
		if (i > 0)
			buf_putc(out, '|');
		buf_puts(out, spec->choices[i]);
	}
}

static bool shows_default(const struct option_spec *spec)
{
	return spec->default_text && spec->type != OPTION_FLAG;
}

/* Words from text on, wrapped at HELP_WIDTH, the following lines indented to HELP_COLUMN. */
static void print_wrapped(FILE *stream, const char *text, size_t column)
{
	for (; *text == ' '; text++)
		;
	while (*text) {
		size_t len = strcspn(text, " ");

		if (column + 1 + len > HELP_WIDTH) {
			fprintf(stream, "\n%*s", HELP_COLUMN, "");
			column = HELP_COLUMN;
		} else if (column > HELP_COLUMN) {
			fputc(' ', stream);
			column++;
		}
		fwrite(text, 1, len, stream);
		column += len;
		text += len;
		text += strspn(text, " ");
	}
	fputc('\n', stream);
}

void options_print_help(FILE *stream, enum option_where where)
{
	struct buf text = BUF_INIT;
	size_t i;

	for (i = 0; i < option_count; i++) {
		const struct option_spec *spec = &option_table[i];
		size_t column;

		if (!(spec->where & where))
			continue;
		buf_reset(&text);
		put_synopsis(spec, &text);
		column = 2 + text.len;
		fprintf(stream, "  %s", buf_str(&text));
		if (column + 2 > HELP_COLUMN) {
			fputc('\n', stream);
			column = 0;
		}
		fprintf(stream, "%*s", (int)(HELP_COLUMN - column), "");
		buf_reset(&text);
		buf_puts(&text, spec->help);
		if (shows_default(spec))
			buf_printf(&text, " [%s]", spec->default_text);
		print_wrapped(stream, buf_str(&text), HELP_COLUMN);
	}
	buf_free(&text);
}

/* Text of a macro or text line: no control line by accident, no escape, '-' as it is typed. */
static void print_roff(FILE *stream, const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", stream);
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", stream);
		else if (*text == '-')
			fputs("\\-", stream);
		else if (*text == '"')
			fputs("\\(dq", stream);
		else
			fputc(*text, stream);
	}
}

static void print_man_item(FILE *stream, const struct option_spec *spec)
{
	struct buf text = BUF_INIT;
	size_t i;

	fprintf(stream, ".It Cm %s", spec->name);
	if (spec->type == OPTION_CHOICE) {
		fputs(" Ns = Ns ", stream);
		for (i = 0; spec->choices[i]; i++) {
			fputs(i > 0 ? " Ns | Ns Cm " : "Cm ", stream);
			print_roff(stream, spec->choices[i]);
		}
	} else if (spec->type != OPTION_FLAG) {
		fprintf(stream, " Ns = Ns Ar %s", spec->unit);
	}
	fputc('\n', stream);
	print_roff(stream, spec->help);
	fputc('\n', stream);
	if (spec->type == OPTION_INT || spec->type == OPTION_OCTAL || spec->type == OPTION_SIZE ||
	    spec->type == OPTION_SECONDS) {
		option_put_accepted(spec, &text);
		fputs("Accepted are ", stream);
		print_roff(stream, buf_str(&text));
		fputs(".\n", stream);
	}
	if (shows_default(spec)) {
		fputs("The default is\n.Cm ", stream);
		print_roff(stream, spec->default_text);
		fputs(" .\n", stream);
	}
	if (!(spec->where & OPTION_IN_VOLUME))
		fputs("Not for a single Docker volume.\n", stream);
	buf_free(&text);
}

/* Words without effect, of one origin or up to another. */
static void print_man_words(FILE *stream, enum option_word_origin from, enum option_word_origin to)
{
	bool first = true;
	size_t i;

	for (i = 0; i < option_word_count; i++) {
		const struct option_word *word = &option_words[i];

		if (word->origin < from || word->origin > to || word->kind != WORD_IGNORED ||
		    word->value)
			continue;
		fputs(first ? ".Cm " : " ,\n.Cm ", stream);
		print_roff(stream, word->name);
		first = false;
	}
	fputs(" .\n", stream);
}

static void print_man_aliases(FILE *stream)
{
	size_t i;

	fputs(".Pp\nThe spellings of\n.Xr s3fs 1\nthat differ are understood, too:\n"
	      ".Bl -tag -width use_path_request_style -compact\n",
	      stream);
	for (i = 0; i < option_word_count; i++) {
		const struct option_word *word = &option_words[i];

		if (word->kind != WORD_ALIAS || word->origin != WORD_OF_S3FS)
			continue;
		fprintf(stream, ".It Cm %s\n.Cm %s", word->name, word->target);
		if (word->value)
			fprintf(stream, " Ns = Ns Cm %s", word->value);
		fputc('\n', stream);
		if (word->suffix)
			fputs("in units of 1M\n", stream);
	}
	fputs(".It Cm endpoint\n.Cm region ,\nwhen its value is the name of a region\n"
	      ".El\n"
	      "What only tunes\n.Xr s3fs 1\nhas no effect; what would store or protect data in "
	      "another way\n"
	      "than asked for is refused.\nWithout effect are\n",
	      stream);
	print_man_words(stream, WORD_OF_S3FS, WORD_OF_S3FS);
}

static void print_man_environment(FILE *stream)
{
	size_t i, k;

	fputs(".Sh ENVIRONMENT\n"
	      "Options on the command line go before the environment, and the environment before "
	      "the\n"
	      "AWS profile.\nAn empty variable counts as not set.\n"
	      ".Bl -tag -width Ds\n",
	      stream);
	for (i = 0; i < option_count; i++) {
		const struct option_spec *spec = &option_table[i];

		fprintf(stream, ".It Ev %s", spec->environment);
		for (k = 0; k < option_variable_count; k++) {
			if (strcmp(option_variables[k].option, spec->name) == 0)
				fprintf(stream, " , Ev %s", option_variables[k].variable);
		}
		fprintf(stream, "\nThe option\n.Cm %s .\n", spec->name);
	}
	fputs(".It Ev AWS_IGNORE_CONFIGURED_ENDPOINT_URLS\n"
	      "When true, endpoints of the other\n.Ev AWS_\nvariables and of profiles are not "
	      "used.\n"
	      ".It Ev AWS_ACCESS_KEY_ID , Ev AWS_SECRET_ACCESS_KEY , Ev AWS_SESSION_TOKEN\n"
	      "Keys, see\n.Sx CREDENTIALS .\n"
	      ".It Ev AWS_SHARED_CREDENTIALS_FILE , Ev AWS_CONFIG_FILE\n"
	      "Where the files with profiles are.\n"
	      ".El\n",
	      stream);
}

void options_print_man(FILE *stream)
{
	size_t i;

	fputs(".Sh OPTIONS\n"
	      "These follow\n.Fl o ,\n"
	      "separated by commas, in any order; of one that is repeated the last counts.\n"
	      "A comma inside of a value is written\n.Ql \\e, .\n"
	      "Those that take no value may be given\n.Cm yes\nor\n.Cm no .\n"
	      ".Bl -tag -width Ds\n",
	      stream);
	for (i = 0; i < option_count; i++)
		print_man_item(stream, &option_table[i]);
	fputs(".El\n"
	      ".Pp\n"
	      "The words of\n.Xr mount 8 ,\n.Xr fstab 5\nand FUSE that need no action are "
	      "accepted:\n",
	      stream);
	print_man_words(stream, WORD_OF_MOUNT, WORD_OF_FUSE);
	print_man_aliases(stream);
	print_man_environment(stream);
}
