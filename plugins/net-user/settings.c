/* SPDX-License-Identifier: MIT
 *
 * net-user/settings.c - the keys of the guest's network, checked and in libslirp's form. What is
 * not given follows from the network: .2 is the host, .3 the name server, .15 the guest.
 */
#include "net_user.h"

#include <arpa/inet.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define HOST_DEFAULT 2u
#define DNS_DEFAULT 3u
#define GUEST_DEFAULT 15u

#define HOSTNAME_MAX 32u /* libslirp keeps no more */
#define DOMAIN_MAX 255u  /* one DHCP option, RFC 2132, section 2 */
#define BOOTFILE_MAX 127u

struct parser {
    const struct bp_host *host;
    struct bp_node *node;
};

/* Splits ADDRESS/BITS. Negative errno after host->fail(). */
static int parse_network(const struct parser *p, const char *key, const char *text, int family,
                         uint32_t bits_min, uint32_t bits_max, void *address, uint32_t *bits)
{
    char copy[INET6_ADDRSTRLEN], *end;
    const char *slash = strchr(text, '/');
    unsigned long value;

    if (!slash || (size_t)(slash - text) >= sizeof(copy))
        return bp_failf(p->host, p->node, -EINVAL,
                        "%s = %.100s is no network; expected ADDRESS/BITS, as in %s", key, text,
                        family == AF_INET ? "10.0.2.0/24" : "fec0::/64");
    memcpy(copy, text, (size_t)(slash - text));
    copy[slash - text] = '\0';
    if (inet_pton(family, copy, address) != 1)
        return bp_failf(p->host, p->node, -EINVAL, "%s = %.100s: '%s' is no IPv%d address", key,
                        text, copy, family == AF_INET ? 4 : 6);
    value = strtoul(slash + 1, &end, 10);
    if (slash[1] < '0' || slash[1] > '9' || *end || value < bits_min || value > bits_max)
        return bp_failf(p->host, p->node, -EINVAL,
                        "%s = %.100s: '%.20s' is no length of a prefix; expected %u to %u", key,
                        text, slash + 1, bits_min, bits_max);
    *bits = (uint32_t)value;
    return 0;
}

/* One IPv4 address inside the network, by default its `number`th. */
static int parse_inside(const struct parser *p, const char *key, const char *text, uint32_t number,
                        const SlirpConfig *c, struct in_addr *out)
{
    uint32_t network = ntohl(c->vnetwork.s_addr), mask = ntohl(c->vnetmask.s_addr), address;
    char shown[INET_ADDRSTRLEN], in[INET_ADDRSTRLEN];

    out->s_addr = htonl(network | number);
    if (text && inet_pton(AF_INET, text, out) != 1)
        return bp_failf(p->host, p->node, -EINVAL, "%s = %.100s is no IPv4 address", key, text);
    address = ntohl(out->s_addr);
    if ((address & mask) != network || address == network || address == (network | ~mask)) {
        inet_ntop(AF_INET, out, shown, sizeof(shown));
        inet_ntop(AF_INET, &c->vnetwork, in, sizeof(in));
        return bp_failf(
            p->host, p->node, -EINVAL,
            "%s is %s, which is no host's address in the network %s/%d; give it another", key,
            shown, in, __builtin_popcount(mask));
    }
    return 0;
}

static int differ(const struct parser *p, const char *a_key, const char *b_key, int equal)
{
    return equal
               ? bp_failf(p->host, p->node, -EINVAL,
                          "%s and %s are the same address; give one of them another", a_key, b_key)
               : 0;
}

static int settings4(const struct parser *p, const struct user_config *config, SlirpConfig *c)
{
    const char *network = config->network ? config->network : "10.0.2.0/24";
    uint32_t bits = 0, mask;
    int err = parse_network(p, "network", network, AF_INET, 8, 29, &c->vnetwork, &bits);

    if (err)
        return err;
    mask = ~(UINT32_MAX >> bits);
    c->vnetmask.s_addr = htonl(mask);
    c->vnetwork.s_addr &= htonl(mask);
    err = parse_inside(p, "host", config->host, HOST_DEFAULT, c, &c->vhost);
    if (!err)
        err = parse_inside(p, "dns", config->dns, DNS_DEFAULT, c, &c->vnameserver);
    if (!err)
        err = parse_inside(p, "dhcp-start", config->dhcp_start, GUEST_DEFAULT, c, &c->vdhcp_start);
    if (!err)
        err = differ(p, "host", "dns", c->vhost.s_addr == c->vnameserver.s_addr);
    if (!err)
        err = differ(p, "host", "dhcp-start", c->vhost.s_addr == c->vdhcp_start.s_addr);
    if (!err)
        err = differ(p, "dns", "dhcp-start", c->vnameserver.s_addr == c->vdhcp_start.s_addr);
    return err;
}

static int parse_inside6(const struct parser *p, const char *key, const char *text, uint8_t number,
                         const SlirpConfig *c, struct in6_addr *out)
{
    char shown[INET6_ADDRSTRLEN], in[INET6_ADDRSTRLEN];
    uint32_t bits = c->vprefix_len;
    int same;

    *out = c->vprefix_addr6;
    out->s6_addr[15] |= number;
    if (text && inet_pton(AF_INET6, text, out) != 1)
        return bp_failf(p->host, p->node, -EINVAL, "%s = %.100s is no IPv6 address", key, text);
    same = !memcmp(out, &c->vprefix_addr6, bits / 8);
    if (same && bits % 8)
        same = !((out->s6_addr[bits / 8] ^ c->vprefix_addr6.s6_addr[bits / 8]) >> (8 - bits % 8));
    if (!same) {
        inet_ntop(AF_INET6, out, shown, sizeof(shown));
        inet_ntop(AF_INET6, &c->vprefix_addr6, in, sizeof(in));
        return bp_failf(p->host, p->node, -EINVAL,
                        "%s is %s, which is not in the network %s/%u; give it another", key, shown,
                        in, bits);
    }
    return 0;
}

static int settings6(const struct parser *p, const struct user_config *config, SlirpConfig *c)
{
    const char *network = config->network6 ? config->network6 : "fec0::/64";
    uint32_t bits = 0;
    int err = parse_network(p, "network6", network, AF_INET6, 8, 120, &c->vprefix_addr6, &bits);

    if (err)
        return err;
    c->vprefix_len = (uint8_t)bits;
    for (uint32_t i = 0; i < 16; i++) {
        uint32_t keep = bits <= 8 * i ? 0 : bits - 8 * i;

        if (keep < 8)
            c->vprefix_addr6.s6_addr[i] &= (uint8_t)(0xff00u >> keep);
    }
    err = parse_inside6(p, "host6", config->host6, HOST_DEFAULT, c, &c->vhost6);
    if (!err)
        err = parse_inside6(p, "dns6", config->dns6, DNS_DEFAULT, c, &c->vnameserver6);
    if (!err)
        err = differ(p, "host6", "dns6", !memcmp(&c->vhost6, &c->vnameserver6, 16));
    return err;
}

static int check_length(const struct parser *p, const char *key, const char *text, size_t max)
{
    return text && strlen(text) > max
               ? bp_failf(p->host, p->node, -EINVAL, "%s has %zu bytes; at most %zu are allowed",
                          key, strlen(text), max)
               : 0;
}

static int settings_names(const struct parser *p, const struct user_config *config)
{
    struct stat st;
    int err = check_length(p, "hostname", config->hostname, HOSTNAME_MAX);

    if (!err)
        err = check_length(p, "domain", config->domain, DOMAIN_MAX);
    if (!err)
        err = check_length(p, "bootfile", config->bootfile, BOOTFILE_MAX);
    if (err || !config->tftp)
        return err;
    if (config->tftp[0] != '/')
        return bp_failf(p->host, p->node, -EINVAL,
                        "tftp = %.200s is no absolute path; it must begin with /", config->tftp);
    if (stat(config->tftp, &st))
        return bp_failf(p->host, p->node, -errno, "tftp = %.200s: %s", config->tftp,
                        strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return bp_failf(p->host, p->node, -ENOTDIR, "tftp = %.200s is no folder", config->tftp);
    return 0;
}

int user_settings(const struct bp_host *host, struct bp_node *node,
                  const struct user_config *config, struct user_settings *out)
{
    const struct parser p = {host, node};
    SlirpConfig *c = &out->slirp;
    int err;

    memset(out, 0, sizeof(*out));
    c->version = 1;
    c->restricted = config->restricted;
    c->in_enabled = config->ipv4;
    c->in6_enabled = config->ipv6;
    c->if_mtu = c->if_mru = config->mtu;
    c->disable_host_loopback = !config->host_loopback;
    c->vhostname = config->hostname;
    c->vdomainname = config->domain;
    c->tftp_path = config->tftp;
    c->bootfile = config->bootfile;
    if (!config->ipv4 && !config->ipv6)
        return host->fail(
            node, -EINVAL,
            "neither `ipv4` nor `ipv6` is on; one of them must be, or the section go");
    err = settings4(&p, config, c);
    if (!err)
        err = settings6(&p, config, c);
    if (!err)
        err = settings_names(&p, config);
    out->dhcp_start = c->vdhcp_start;
    return err;
}
