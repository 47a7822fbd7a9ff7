/* SPDX-License-Identifier: MIT
 *
 * machine/forms.c - numbers, ranges, addresses of sockets and places on the PCI bus as text.
 *
 * A Unix socket's path is as long as Linux allows (unix(7)), a host's name as DNS does (RFC 1035,
 * 2.3.4). Leaves out all that must ask the system: names are looked up by who uses them.
 */
#include "machine/forms.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define UNIX_PATH_MAX 107u /* bytes without the 0 */
#define HOST_MAX 255u

int form_digits(const char **text, uint64_t *out)
{
    const char *at = *text;
    unsigned radix = 10;
    int ret = -EINVAL;

    if (at[0] == '0' && (at[1] == 'x' || at[1] == 'X')) {
        radix = 16;
        at += 2;
    }
    *out = 0;
    for (;; at++) {
        unsigned digit = *at >= '0' && *at <= '9'   ? (unsigned)(*at - '0')
                         : *at >= 'a' && *at <= 'f' ? (unsigned)(*at - 'a') + 10
                         : *at >= 'A' && *at <= 'F' ? (unsigned)(*at - 'A') + 10
                                                    : 99;

        if (digit >= radix)
            break;
        if (ret == -EINVAL)
            ret = 0;
        if (__builtin_mul_overflow(*out, radix, out) || __builtin_add_overflow(*out, digit, out))
            ret = -ERANGE;
    }
    *text = at;
    return ret;
}

/* A port in decimal, all of `text`. */
static int is_port(const char *text)
{
    size_t len = strspn(text, "0123456789");
    unsigned port = 0;

    if (!len || len > 5 || text[len])
        return 0;
    for (; *text; text++)
        port = port * 10 + (unsigned)(*text - '0');
    return port <= 65535;
}

const char *form_address(const char *text)
{
    if (!strncmp(text, "unix:", 5)) {
        size_t len = strlen(text + 5);

        return len && len <= UNIX_PATH_MAX ? NULL : "expected a path of 1 to 107 bytes after unix:";
    }
    if (!strncmp(text, "tcp:", 4)) {
        const char *colon = strrchr(text + 4, ':');

        if (!colon || !is_port(colon + 1))
            return "expected :port at the end, a number up to 65535";
        return (size_t)(colon - text - 4) <= HOST_MAX
                   ? NULL
                   : "expected a host of at most 255 bytes after tcp:";
    }
    return "expected unix:/path or tcp:host:port";
}

const char *form_range(const char *text, uint64_t *first, uint64_t *last)
{
    if (form_digits(&text, first) || *text++ != '-' || form_digits(&text, last) || *text)
        return "expected two numbers of 64 bits, as in 0x1000-0x1fff";
    return *first <= *last ? NULL : "the range is empty: its first number is above its last";
}

/* One to `most` hexadecimal digits at `at`: where they end, or NULL if there is none. */
static const char *hex_digits(const char *at, unsigned most, uint32_t *out)
{
    const char *first = at;

    for (*out = 0; at - first < (ptrdiff_t)most; at++) {
        unsigned digit = *at >= '0' && *at <= '9'   ? (unsigned)(*at - '0')
                         : *at >= 'a' && *at <= 'f' ? (unsigned)(*at - 'a') + 10
                         : *at >= 'A' && *at <= 'F' ? (unsigned)(*at - 'A') + 10
                                                    : 99;
        if (digit > 15)
            break;
        *out = *out << 4 | digit;
    }
    return at == first ? NULL : at;
}

const char *form_pci(const char *text, uint32_t *devfn)
{
    static const char expected[] =
        "expected a PCI device from 0 to 1f, hexadecimal, and if it is not its function 0 a dot "
        "and 0 to 7 after it, as in 1f.2";
    uint32_t device, function = 0;
    const char *at = hex_digits(text, 2, &device);

    if (at && *at == '.')
        at = hex_digits(at + 1, 1, &function);
    if (!at || *at || device > 0x1f || function > 7)
        return expected;
    *devfn = device << 3 | function;
    return NULL;
}
