/* SPDX-License-Identifier: MIT
 *
 * net-tap/open.c - where the fds come from: /dev/net/tun and a name, /dev/tapN of a macvtap, or
 * whoever started the program. What the kernel refuses is told with what to grant.
 */
#include "net_tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <backplane/util/log.h>

static int check_name(struct tap *t, const char *key, const char *name, int pattern)
{
    size_t len = strlen(name);
    const char *percent = strchr(name, '%');

    if (len < 1 || len >= IFNAMSIZ)
        return bp_failf(t->host, t->node, -EINVAL,
                        "%s = %.64s has %zu bytes; an interface's name has 1 to %d", key, name, len,
                        IFNAMSIZ - 1);
    if (strpbrk(name, "/: \t") || !strcmp(name, ".") || !strcmp(name, ".."))
        return bp_failf(t->host, t->node, -EINVAL,
                        "%s = %s is no interface's name: no blank, slash or colon may be in it",
                        key, name);
    if (percent && (!pattern || strncmp(percent, "%d", 2) != 0 || strchr(percent + 1, '%')))
        return bp_failf(t->host, t->node, -EINVAL,
                        pattern ? "%s = %s is no pattern; expected a "
                                  "name, or one with %%d for a number"
                                : "%s = %s is a pattern; expected the "
                                  "name of an interface that is there",
                        key, name);
    return 0;
}

int tap_check_names(struct tap *t)
{
    const struct tap_config *c = t->config;
    int ways = !!c->ifname + !!c->macvtap + !!c->fd.count;

    if (ways > 1)
        return t->host->fail(t->node, -EINVAL,
                             "of `ifname`, `macvtap` and `fd` only one can be given");
    if (c->fd.count > TAP_QUEUES_MAX)
        return bp_failf(t->host, t->node, -EINVAL, "fd has %u values; at most %u are allowed",
                        (unsigned)c->fd.count, TAP_QUEUES_MAX);
    if (c->macvtap && c->bridge)
        return t->host->fail(t->node, -EINVAL,
                             "a macvtap is bridged by what it stands on; leave `bridge` out");
    if (c->macvtap)
        return check_name(t, "macvtap", c->macvtap, 0);
    return c->ifname ? check_name(t, "ifname", c->ifname, 1) : 0;
}

static int tell(char *text, size_t size, int err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static int tell(char *text, size_t size, int err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(text, size, format, args);
    va_end(args);
    return err;
}

/* ---- tap ----------------------------------------------------------------------------------------
 */

static int tell_set_iff(char *text, size_t size, int err, const char *name, uint32_t queues)
{
    switch (err) {
    case -EPERM:
    case -EACCES:
        return tell(text, size, err,
                    "interface %s may not be made or used: %s; grant CAP_NET_ADMIN, or make it "
                    "beforehand, as root: ip tuntap add dev NAME mode tap user USER",
                    name, strerror(-err));
    case -EBUSY:
        return tell(text, size, err,
                    "interface %s is in use by another program; stop that, or take another", name);
    case -EINVAL:
        return tell(text, size, err,
                    "interface %s exists, and is no tap with %s; take another name, or make it so: "
                    "ip tuntap add dev NAME mode tap%s",
                    name, queues > 1 ? "several queues" : "what is asked of it",
                    queues > 1 ? " multi_queue" : "");
    default:
        return tell(text, size, err, "interface %s cannot be made: %s", name, strerror(-err));
    }
}

/* A tap that somebody made for several queues does not take an only queue without the flag. */
static int set_iff(int fd, struct ifreq *request, uint32_t queues)
{
    if (queues > 1)
        request->ifr_flags |= IFF_MULTI_QUEUE;
    if (!ioctl(fd, TUNSETIFF, request))
        return 0;
    if (errno != EINVAL || queues > 1)
        return -errno;
    request->ifr_flags |= IFF_MULTI_QUEUE;
    return ioctl(fd, TUNSETIFF, request) ? -errno : 0;
}

static int open_tun(const struct tap *t, const char *name, char *text, size_t size,
                    struct ifreq *request)
{
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), err;

    if (fd < 0 && (errno == EACCES || errno == EPERM))
        return tell(text, size, -errno,
                    "/dev/net/tun may not be opened: %s; give this user read and write access to "
                    "it, or take net-user, which needs no rights",
                    strerror(errno));
    if (fd < 0)
        return tell(text, size, -errno,
                    "/dev/net/tun cannot be opened: %s; load the kernel's module (modprobe tun), "
                    "or take net-user, which needs none",
                    strerror(errno));
    memset(request, 0, sizeof(*request));
    memcpy(request->ifr_name, name, strlen(name)); /* shorter than IFNAMSIZ: tap_check_names() */
    request->ifr_flags = IFF_TAP | IFF_NO_PI;
    if (t->config->vnet_hdr)
        request->ifr_flags |= IFF_VNET_HDR;
    err = set_iff(fd, request, t->queue_count);
    if (err) {
        close(fd);
        return tell_set_iff(text, size, err, name, t->queue_count);
    }
    return fd;
}

/* ---- macvtap ------------------------------------------------------------------------------------
 */

static int open_macvtap(const struct tap *t, const char *name, char *text, size_t size)
{
    unsigned index = if_nametoindex(name);
    char path[32];
    struct ifreq request = {0};
    int fd;

    if (!index)
        return tell(text, size, -ENODEV,
                    "there is no interface %s; make it, as root: ip link add link eth0 name %s "
                    "type macvtap mode bridge",
                    name, name);
    snprintf(path, sizeof(path), "/dev/tap%u", index);
    fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return tell(text, size, -errno,
                    "%s, the device of interface %s, cannot be opened: %s; it must be a macvtap, "
                    "and this user have read and write access to its device",
                    path, name, strerror(errno));
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    if (t->config->vnet_hdr)
        request.ifr_flags |= IFF_VNET_HDR;
    if (t->queue_count > 1)
        request.ifr_flags |= IFF_MULTI_QUEUE;
    if (ioctl(fd, TUNSETIFF, &request)) {
        int err = -errno;

        close(fd);
        return tell(text, size, err, "%s is no macvtap's device: %s", path, strerror(-err));
    }
    return fd;
}

/* ---- handed over --------------------------------------------------------------------------------
 */

static int take_fd(struct tap *t, uint32_t queue, char *text, size_t size)
{
    uint64_t number = ((const uint64_t *)t->config->fd.items)[queue];
    int fd = (int)number, flags;
    struct ifreq request = {0};

    flags = number <= INT32_MAX ? fcntl(fd, F_GETFL) : -1;
    if (flags < 0)
        return tell(text, size, -EBADF, "fd %llu is not open in this process",
                    (unsigned long long)number);
    if (ioctl(fd, TUNGETIFF, &request) || !(request.ifr_flags & IFF_TAP))
        return tell(text, size, -ENOTTY, "fd %d is no tap interface's", fd);
    if (t->config->vnet_hdr && !(request.ifr_flags & IFF_VNET_HDR))
        return tell(text, size, -ENOTSUP,
                    "fd %d is of a tap without IFF_VNET_HDR; open it with that, or set "
                    "`vnet-hdr = no`",
                    fd);
    if (!t->config->vnet_hdr && request.ifr_flags & IFF_VNET_HDR)
        return tell(text, size, -ENOTSUP,
                    "fd %d is of a tap with IFF_VNET_HDR; open it without, or set `vnet-hdr = yes`",
                    fd);
    /* Whether it has IFF_NO_PI cannot be seen: TUNGETIFF uses that bit for another thing. */
    if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC))
        return tell(text, size, -errno, "fd %d cannot be made non-blocking: %s", fd,
                    strerror(errno));
    memcpy(t->name, request.ifr_name, IFNAMSIZ);
    return fd;
}

/* ---- all of them --------------------------------------------------------------------------------
 */

static int open_queue(struct tap *t, uint32_t queue, char *text, size_t size)
{
    const struct tap_config *c = t->config;
    const char *name = t->name[0] ? t->name : c->ifname ? c->ifname : "tap%d";
    struct ifreq request;
    int fd;

    if (c->fd.count)
        return take_fd(t, queue, text, size);
    if (c->macvtap) {
        snprintf(t->name, sizeof(t->name), "%s", c->macvtap);
        return open_macvtap(t, c->macvtap, text, size);
    }
    fd = open_tun(t, name, text, size, &request);
    if (fd >= 0)
        memcpy(t->name, request.ifr_name, IFNAMSIZ);
    return fd;
}

int tap_open(struct tap *t, char *text, size_t text_size)
{
    int header = (int)TAP_HEADER;

    t->lost = 0;
    for (uint32_t i = 0; i < t->queue_count; i++) {
        int fd = open_queue(t, i, text, text_size);

        if (fd < 0) {
            tap_close(t);
            return fd;
        }
        t->queues[i].fd = fd;
        t->queues[i].attached = 1;
        if (t->config->vnet_hdr && ioctl(fd, TUNSETVNETHDRSZ, &header)) {
            int err = -errno;

            tap_close(t);
            return tell(text, text_size, err,
                        "interface %s has no header of %d bytes: %s; set `vnet-hdr = no`", t->name,
                        header, strerror(-err));
        }
    }
    t->index = if_nametoindex(t->name);
    return 0;
}

void tap_close(struct tap *t)
{
    for (uint32_t i = 0; i < t->queue_count; i++) {
        struct tap_queue *q = &t->queues[i];

        if (q->fd < 0)
            continue;
        if (q->watched)
            t->host->fd_watch(t->node, q->fd, 0, NULL, NULL);
        close(q->fd);
        q->fd = -1;
        q->watched = 0;
        q->attached = q->owes = 0;
    }
}

int tap_set_offloads(struct tap *t, uint32_t bits)
{
    unsigned long kernel = (bits & BP_NET_OFFLOAD_CSUM ? TUN_F_CSUM : 0u) |
                           (bits & BP_NET_OFFLOAD_TSO4 ? TUN_F_TSO4 : 0u) |
                           (bits & BP_NET_OFFLOAD_TSO6 ? TUN_F_TSO6 : 0u) |
                           (bits & BP_NET_OFFLOAD_UFO ? TUN_F_UFO : 0u);

    if (t->queues[0].fd < 0)
        return 0; /* when it is back */
    return ioctl(t->queues[0].fd, TUNSETOFFLOAD, kernel) ? -errno : 0;
}

int tap_attach_queue(struct tap *t, uint32_t queue, int attach)
{
    struct tap_queue *q = &t->queues[queue];
    struct ifreq request = {.ifr_flags = (short)(attach ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE)};

    if (q->fd < 0 || q->attached == !!attach)
        return 0;
    if (ioctl(q->fd, TUNSETQUEUE, &request))
        return -errno;
    q->attached = !!attach;
    return 0;
}
