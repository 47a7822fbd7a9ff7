/* SPDX-License-Identifier: MIT
 *
 * net-tap/interface.c - the host's side of the interface: up, MTU, bridge, addresses. Flags, MTU
 * and bridge by ioctl (netdevice(7)), addresses by rtnetlink(7), which can add a second one.
 */
#include "net_tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct address {
    int family;
    uint32_t bits, len; /* of the prefix; bytes of `data` */
    uint8_t data[16];
};

/* What went wrong, for people. */
struct told {
    char *text;
    size_t size;
};

static int tell(const struct told *to, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int tell(const struct told *to, int err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(to->text, to->size, format, args);
    va_end(args);
    return err;
}

static int tell_key(const struct told *to, int err, const char *key, const char *name)
{
    return tell(to, err, "`%s` cannot be done to interface %s: %s%s", key, name, strerror(-err),
                err == -EPERM ? "; grant CAP_NET_ADMIN, or leave the key out" : "");
}

static struct ifreq request_for(const char *name)
{
    struct ifreq request = {0};

    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    return request;
}

int tap_exists(const char *name)
{
    return if_nametoindex(name) != 0;
}

static int set_mtu(int fd, const struct tap *t, const struct told *to)
{
    struct ifreq request = request_for(t->name);

    if (ioctl(fd, SIOCGIFMTU, &request))
        return tell_key(to, -errno, "mtu", t->name);
    if (request.ifr_mtu == t->config->mtu)
        return 0;
    request.ifr_mtu = t->config->mtu;
    return ioctl(fd, SIOCSIFMTU, &request) ? tell_key(to, -errno, "mtu", t->name) : 0;
}

static int set_up(int fd, const struct tap *t, const struct told *to)
{
    struct ifreq request = request_for(t->name);

    if (ioctl(fd, SIOCGIFFLAGS, &request))
        return tell_key(to, -errno, "up", t->name);
    if (request.ifr_flags & IFF_UP)
        return 0;
    request.ifr_flags |= IFF_UP;
    if (!ioctl(fd, SIOCSIFFLAGS, &request))
        return 0;
    if (errno == EPERM)
        return tell(to, -EPERM,
                    "interface %s is down, and this user may not set it up; do that as root (ip "
                    "link set %s up), grant CAP_NET_ADMIN, or say `up = no`",
                    t->name, t->name);
    return tell_key(to, -errno, "up", t->name);
}

/* Whether the interface is in the bridge already, as sysfs says. */
static int is_in_bridge(const char *name, const char *bridge)
{
    char path[64], target[256];
    const char *last;
    ssize_t len;

    snprintf(path, sizeof(path), "/sys/class/net/%s/master", name);
    len = readlink(path, target, sizeof(target) - 1);
    if (len < 0)
        return 0;
    target[len] = '\0';
    last = strrchr(target, '/');
    return !strcmp(last ? last + 1 : target, bridge);
}

static int add_to_bridge(int fd, const struct tap *t, const struct told *to)
{
    const char *bridge = t->config->bridge;
    struct ifreq request = request_for(bridge);

    if (strlen(bridge) >= IFNAMSIZ || !tap_exists(bridge))
        return tell(to, -ENODEV,
                    "there is no bridge %.64s; make it, as root: ip link add name br0 type bridge",
                    bridge);
    request.ifr_ifindex = (int)if_nametoindex(t->name);
    if (!ioctl(fd, SIOCBRADDIF, &request) || (errno == EBUSY && is_in_bridge(t->name, bridge)))
        return 0;
    if (errno == EBUSY)
        return tell(to, -EBUSY, "interface %s belongs to another bridge than %s already", t->name,
                    bridge);
    if (errno == EOPNOTSUPP)
        return tell(to, -EOPNOTSUPP, "interface %s is no bridge; expected the name of one", bridge);
    return tell_key(to, -errno, "bridge", t->name);
}

/* ---- addresses ----------------------------------------------------------------------------------
 */

static int parse_address(const char *text, struct address *out)
{
    char copy[INET6_ADDRSTRLEN], *end;
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    unsigned long bits;

    if (len >= sizeof(copy))
        return -EINVAL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    out->family = strchr(copy, ':') ? AF_INET6 : AF_INET;
    out->len = out->family == AF_INET ? 4 : 16;
    if (inet_pton(out->family, copy, out->data) != 1 || !slash)
        return -EINVAL;
    bits = strtoul(slash + 1, &end, 10);
    if (slash[1] < '0' || slash[1] > '9' || *end || bits < 1 ||
        bits > (out->family == AF_INET ? 32u : 128u))
        return -EINVAL;
    out->bits = (uint32_t)bits;
    return 0;
}

/* One RTM_NEWADDR, with an acknowledgement. */
static int add_address(const struct address *a, unsigned index)
{
    struct {
        struct nlmsghdr header;
        struct ifaddrmsg address;
        uint8_t attributes[2 * RTA_SPACE(16)];
    } message = {
        .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg)),
                   .nlmsg_type = RTM_NEWADDR,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE,
                   .nlmsg_seq = 1},
        /* No duplicate detection: the address is good at once, and the far end is a guest. */
        .address = {.ifa_family = (uint8_t)a->family,
                    .ifa_prefixlen = (uint8_t)a->bits,
                    .ifa_flags = a->family == AF_INET6 ? IFA_F_NODAD : 0,
                    .ifa_index = index},
    };
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
        uint8_t rest[512];
    } answer;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), err = 0;

    if (fd < 0)
        return -errno;
    for (unsigned i = 0; i < 2; i++) {
        struct rtattr attribute = {.rta_len = (uint16_t)RTA_LENGTH(a->len),
                                   .rta_type = i ? IFA_ADDRESS : IFA_LOCAL};
        uint8_t *at = (uint8_t *)&message + message.header.nlmsg_len;

        memcpy(at, &attribute, sizeof(attribute));
        memcpy(at + RTA_LENGTH(0), a->data, a->len);
        message.header.nlmsg_len += (uint32_t)RTA_SPACE(a->len);
    }
    if (send(fd, &message, message.header.nlmsg_len, 0) < 0 ||
        recv(fd, &answer, sizeof(answer), 0) < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)))
        err = errno ? -errno : -EPROTO;
    else if (answer.header.nlmsg_type == NLMSG_ERROR)
        err = answer.error.error;
    close(fd);
    return err == -EEXIST ? 0 : err;
}

static int add_addresses(const struct tap *t, const struct told *to)
{
    const char *const *texts = t->config->address.items;

    for (uint64_t i = 0; i < t->config->address.count; i++) {
        struct address a;
        int err;

        if (parse_address(texts[i], &a))
            return tell(to, -EINVAL,
                        "address %.64s is none; expected ADDRESS/BITS, as in 10.0.0.1/24",
                        texts[i]);
        err = add_address(&a, if_nametoindex(t->name));
        if (err)
            return tell_key(to, err, "address", t->name);
    }
    return 0;
}

int tap_configure(const struct tap *t, char *text, size_t text_size)
{
    const struct told to = {text, text_size};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;

    if (fd < 0)
        return tell(&to, -errno, "no socket to configure interface %s with: %s", t->name,
                    strerror(errno));
    if (t->config->mtu)
        err = set_mtu(fd, t, &to);
    if (!err && t->config->bridge)
        err = add_to_bridge(fd, t, &to);
    if (!err)
        err = add_addresses(t, &to);
    if (!err && t->config->up)
        err = set_up(fd, t, &to);
    close(fd);
    return err;
}
