/* SPDX-License-Identifier: MIT
 *
 * net-user/forward.c - `forward`: ports of the host that lead into the guest.
 *
 *     PROTOCOL:[HOSTADDRESS:]HOSTPORT:[GUESTADDRESS:]GUESTPORT
 *
 * The host listens at 127.0.0.1 unless an address is given (`*`: at all of IPv4), so that nobody on
 * the net reaches a guest by accident. IPv6 addresses stand in brackets.
 */
#include "net_user.h"

#include <arpa/inet.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PARTS_MAX 5u
#define TEXT_MAX 200u

struct forward {
    int is_udp;
    struct sockaddr_storage from, to; /* on the host; in the guest */
};

/* An address as text, "" for none. */
struct parts {
    char text[TEXT_MAX + 1];
    char *part[PARTS_MAX];
    uint32_t count;
};

/* Cuts at the colons outside of brackets. Nonzero if there are too many, or the text is too long.
 */
static int split(const char *text, struct parts *out)
{
    int inside = 0;

    if (strlen(text) > TEXT_MAX)
        return -EINVAL;
    memcpy(out->text, text, strlen(text) + 1);
    out->part[0] = out->text;
    out->count = 1;
    for (char *at = out->text; *at; at++) {
        if (*at == '[')
            inside = 1;
        else if (*at == ']')
            inside = 0;
        if (*at != ':' || inside)
            continue;
        if (out->count == PARTS_MAX)
            return -EINVAL;
        *at = '\0';
        out->part[out->count++] = at + 1;
    }
    return 0;
}

static int bad(struct user *u, const char *text, const char *part, const char *why)
{
    return bp_failf(u->host, u->node, -EINVAL, "forward %.*s: '%s' %s", (int)TEXT_MAX, text, part,
                    why);
}

static int parse_port(struct user *u, const char *text, const char *part, uint16_t *out)
{
    char *end;
    unsigned long value = strtoul(part, &end, 10);

    if (*part < '0' || *part > '9' || *end || value < 1 || value > 65535)
        return bad(u, text, part, "is no port; expected 1 to 65535");
    *out = htons((uint16_t)value);
    return 0;
}

static int parse_address(struct user *u, const char *text, const char *part, uint16_t port,
                         struct sockaddr_storage *out)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = port};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = port};
    size_t len = strlen(part);
    char inner[TEXT_MAX + 1];

    if (!strcmp(part, "*")) {
        in.sin_addr.s_addr = htonl(INADDR_ANY);
    } else if (part[0] == '[' && part[len - 1] == ']') {
        memcpy(inner, part + 1, len - 2);
        inner[len - 2] = '\0';
        if (inet_pton(AF_INET6, inner, &in6.sin6_addr) != 1)
            return bad(u, text, part, "is no IPv6 address");
        memcpy(out, &in6, sizeof(in6));
        return 0;
    } else if (inet_pton(AF_INET, part, &in.sin_addr) != 1) {
        return bad(u, text, part,
                   "is no address; expected one as 192.0.2.1, an IPv6 one in brackets, or *");
    }
    memcpy(out, &in, sizeof(in));
    return 0;
}

static int is_number(const char *part)
{
    return *part && part[strspn(part, "0123456789")] == '\0';
}

static int parse(struct user *u, const struct user_settings *settings, const char *text,
                 struct forward *out)
{
    char loopback[] = "127.0.0.1", guest[INET_ADDRSTRLEN], *from = loopback, *to = guest;
    struct parts parts;
    uint32_t at = 1;
    uint16_t from_port = 0, to_port = 0;
    int err;

    inet_ntop(AF_INET, &settings->dhcp_start, guest, sizeof(guest));
    if (split(text, &parts) || parts.count < 3)
        return bp_failf(u->host, u->node, -EINVAL,
                        "forward %.*s is not PROTOCOL:[HOSTADDRESS:]HOSTPORT:[GUESTADDRESS:]"
                        "GUESTPORT, as in tcp:2222:22",
                        (int)TEXT_MAX, text);
    if (strcmp(parts.part[0], "tcp") != 0 && strcmp(parts.part[0], "udp") != 0)
        return bad(u, text, parts.part[0], "is no protocol; expected tcp or udp");
    out->is_udp = parts.part[0][0] == 'u';
    /* Of four parts the second is the host's address unless it can be a port. */
    if (parts.count == 5 || (parts.count == 4 && !is_number(parts.part[1]))) {
        if (*parts.part[at])
            from = parts.part[at];
        at++;
    }
    if (at + 3 == parts.count && *parts.part[at + 1])
        to = parts.part[at + 1];
    err = parse_port(u, text, parts.part[at], &from_port);
    if (!err)
        err = parse_port(u, text, parts.part[parts.count - 1], &to_port);
    if (!err)
        err = parse_address(u, text, from, from_port, &out->from);
    if (!err)
        err = parse_address(u, text, to, to_port, &out->to);
    if (!err && out->from.ss_family != out->to.ss_family)
        return bp_failf(u->host, u->node, -EINVAL,
                        "forward %.*s leads from an IPv%d address to an IPv%d one; both must be of "
                        "one kind",
                        (int)TEXT_MAX, text, out->from.ss_family == AF_INET ? 4 : 6,
                        out->to.ss_family == AF_INET ? 4 : 6);
    return err;
}

static socklen_t length(const struct sockaddr_storage *a)
{
    return a->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

int user_forward(struct user *u, const struct user_settings *settings)
{
    const char *const *texts = u->config->forward.items;

    for (uint64_t i = 0; i < u->config->forward.count; i++) {
        struct forward f = {0};
        int err = parse(u, settings, texts[i], &f);

        if (err)
            return err;
        errno = 0;
        if (slirp_add_hostxfwd(u->slirp, (const struct sockaddr *)&f.from, length(&f.from),
                               (const struct sockaddr *)&f.to, length(&f.to),
                               f.is_udp ? SLIRP_HOSTFWD_UDP : 0) < 0) {
            err = errno ? -errno : -EIO;
            return bp_failf(u->host, u->node, err,
                            "forward %.*s: cannot listen there: %s; choose another port or address",
                            (int)TEXT_MAX, texts[i], strerror(-err));
        }
    }
    return 0;
}
