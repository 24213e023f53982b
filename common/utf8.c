#include "common/utf8.h"

/* RFC 3629, section 4: the lead byte says the length and what the second byte may be. */
static const struct {
	unsigned char first, last; /* lead byte */
	unsigned char size;
	unsigned char second_min, second_max;
} forms[] = {
	{0x00, 0x7f, 1, 0, 0},	     {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf},
	{0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf},
	{0xf0, 0xf0, 4, 0x90, 0xbf}, {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
};

size_t utf8_sequence(const char *text, size_t len)
{
	const unsigned char *bytes = (const unsigned char *)text;

	for (size_t i = 0; len > 0 && i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (bytes[0] < forms[i].first || bytes[0] > forms[i].last)
			continue;
		if (forms[i].size > len)
			return 0;
		if (forms[i].size > 1 &&
		    (bytes[1] < forms[i].second_min || bytes[1] > forms[i].second_max))
			return 0;
		for (size_t k = 2; k < forms[i].size; k++)
			if ((bytes[k] & 0xc0) != 0x80)
				return 0;
		return forms[i].size;
	}
	return 0;
}
