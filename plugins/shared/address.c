/* SPDX-License-Identifier: MIT
 *
 * shared/address.c - `unix:/path` and `tcp:host:port` as socket addresses.
 */
#include "address.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <backplane/util/log.h>

static int parse_unix(const struct bp_host *host, struct bp_node *node, const char *key,
                      const char *path, struct address *out)
{
    size_t len = strlen(path);

    if (!len || len >= sizeof(out->u.un.sun_path))
        return bp_failf(host, node, -EINVAL,
                        "the path of %s has %zu bytes; a Unix socket's has 1 to %zu", key, len,
                        sizeof(out->u.un.sun_path) - 1);
    out->u.un.sun_family = AF_UNIX;
    memcpy(out->u.un.sun_path, path, len + 1);
    out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    return 0;
}

/* A port in decimal, all of `text`; -1 if it is none. */
static int parse_port(const char *text)
{
    int port = 0;

    if (!*text || strlen(text) > 5)
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        port = port * 10 + (*text - '0');
    }
    return port < 65536 ? port : -1;
}

/* `text` is what follows the scheme. */
static int parse_inet(const struct bp_host *host, struct bp_node *node, const char *key,
                      const char *scheme, const char *text, struct address *out)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = out->type};
    struct addrinfo *found;
    const char *colon = strrchr(text, ':');
    const char *start = text, *end = colon;
    char name[256];
    int err;

    if (!colon || parse_port(colon + 1) < 0)
        return bp_failf(host, node, -EINVAL,
                        "%s '%s:%s' does not end in :port, a number up to 65535", key, scheme,
                        text);
    if (start < end && *start == '[' && end[-1] == ']') {
        start++;
        end--;
    }
    if ((size_t)(end - start) >= sizeof(name))
        return bp_failf(host, node, -EINVAL, "the host of %s is longer than 255 bytes", key);
    memcpy(name, start, (size_t)(end - start));
    name[end - start] = '\0';
    err = getaddrinfo(name[0] ? name : "127.0.0.1", colon + 1, &hints, &found);
    if (err)
        return bp_failf(host, node, -EINVAL, "cannot find host '%s' of %s: %s", name, key,
                        gai_strerror(err));
    memcpy(&out->u.storage, found->ai_addr, found->ai_addrlen);
    out->len = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

static const char *scheme_of(int type)
{
    return type == SOCK_DGRAM ? "udp" : "tcp";
}

int address_parse(const struct bp_host *host, struct bp_node *node, const char *key, int type,
                  const char *text, struct address *out)
{
    const char *scheme = scheme_of(type);

    memset(out, 0, sizeof(*out));
    out->type = type;
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(host, node, key, text + 5, out);
    if (strncmp(text, scheme, 3) == 0 && text[3] == ':')
        return parse_inet(host, node, key, scheme, text + 4, out);
    return bp_failf(host, node, -EINVAL, "%s '%s' is neither unix:/path nor %s:host:port", key,
                    text, scheme);
}

void address_print(const struct address *a, char *text)
{
    char name[64], port[16];

    if (a->u.any.sa_family == AF_UNIX)
        snprintf(text, ADDRESS_TEXT, "unix:%s", a->u.un.sun_path);
    else if (getnameinfo(&a->u.any, a->len, name, sizeof(name), port, sizeof(port),
                         NI_NUMERICHOST | NI_NUMERICSERV))
        snprintf(text, ADDRESS_TEXT, "%s:?", scheme_of(a->type));
    else
        snprintf(text, ADDRESS_TEXT, a->u.any.sa_family == AF_INET6 ? "%s:[%s]:%s" : "%s:%s:%s",
                 scheme_of(a->type), name, port);
}
