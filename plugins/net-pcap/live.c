/* SPDX-License-Identifier: MIT
 *
 * net-pcap/live.c - the model `live`: an interface of the host as a network, by libpcap.
 *
 * The guest gets what comes in on the interface, and its frames go out there. What goes out, the
 * guest's own frames and the host's, is not taken in (PCAP_D_IN): so the guest and the host that it
 * shares the interface with do not hear each other. Frames are as the host's driver hands them
 * over: segments that it joined (GRO) are longer than a guest's NIC takes; docs/capture.md says how
 * to turn that off.
 *
 * An interface that is deleted takes the carrier away. Left out: offloads (a frame that needs one
 * is lost), several queues, interfaces that are not Ethernet.
 */
#include "filter.h"
#include "frame.h"
#include "net_pcap.h"

#include <backplane/util/finish.h>
#include <backplane/util/frame.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#define TIMER 0u
#define BATCH 64u                      /* frames in one turn of the loop */
#define QUIET_NS UINT64_C(10000000000) /* of guest time, between two lines of the log */

struct live {
    const struct bp_host *host;
    struct bp_node *node;
    const struct live_config *config;
    const struct bp_net_port *port; /* NULL: no NIC */
    void *port_self;
    pcap_t *pcap;
    int fd;

    uint8_t *out;    /* FRAME_MAX bytes, for frames in pieces */
    uint8_t *in;     /* FRAME_MAX bytes: the frame that the NIC had no room for */
    uint32_t in_len; /* 0: none waits */
    uint8_t gone;    /* the interface is */
    uint8_t runs;

    uint64_t refused, unsent; /* frames that are lost: for the guest, from it; since the start */
    uint64_t told_unsent, told_ns;
};

/* The interface is gone, or libpcap can go on no more. */
static void lose(struct live *l)
{
    l->gone = 1;
    l->host->fd_watch(l->node, l->fd, 0, NULL, NULL);
    bp_logf(l->host, l->node, BP_LOG_WARN,
            "interface %s cannot be read any more: %s; the guest's link is down", l->config->ifname,
            pcap_geterr(l->pcap));
    if (l->port)
        l->port->link(l->port_self, 0);
}

/* Gives a frame to the NIC; 0 if that has no room. */
static int deliver(struct live *l, const uint8_t *data, uint32_t len)
{
    struct bp_buf buf = {.len = len};
    struct bp_frame frame = {.size = sizeof(frame), .nbufs = 1, .bufs = &buf};
    int ret;

    memcpy(&buf.data, &data, sizeof(data)); /* no NIC writes there */
    ret = l->port ? l->port->receive(l->port_self, 0, &frame) : -ENODEV;

    if (ret == -EAGAIN)
        return 0;
    l->refused += !!ret;
    return 1;
}

static void ready(void *self, int fd, uint32_t events)
{
    struct live *l = self;

    (void)fd;
    (void)events;
    for (uint32_t i = 0; i < BATCH && !l->in_len; i++) {
        struct pcap_pkthdr *header;
        const uint8_t *data;
        int got = pcap_next_ex(l->pcap, &header, &data);

        if (got < 0) {
            lose(l);
            return;
        }
        if (got == 0)
            return;
        if (header->caplen > FRAME_MAX || header->caplen < header->len) {
            l->refused++;
            continue;
        }
        if (!deliver(l, data, header->caplen)) {
            memcpy(l->in, data, header->caplen);
            l->in_len = header->caplen;
            l->host->fd_watch(l->node, l->fd, 0, NULL, NULL); /* until resume() */
        }
    }
}

static void watch(struct live *l)
{
    int err = l->host->fd_watch(l->node, l->fd, BP_FD_READ, ready, l);

    if (err)
        bp_logf(l->host, l->node, BP_LOG_ERROR, "cannot wait for frames of %s: %s",
                l->config->ifname, strerror(-err));
}

static void live_timer(void *self, uint32_t id)
{
    struct live *l = self;

    (void)id;
    if (!l->in_len || l->gone || !l->runs)
        return;
    if (!deliver(l, l->in, l->in_len))
        return;
    l->in_len = 0;
    watch(l);
}

static void resume(void *self, uint32_t queue)
{
    struct live *l = self;

    (void)queue;
    if (l->in_len)
        l->host->timer_set(l->node, TIMER, l->host->clock_ns(l->node)); /* not from inside */
}

static int attach(void *self, const struct bp_net_port *port, void *port_self)
{
    struct live *l = self;

    if (l->port)
        return -EBUSY;
    l->port = port;
    l->port_self = port_self;
    return 0;
}

static void tell_unsent(struct live *l)
{
    uint64_t now = l->host->clock_ns(l->node);

    if (l->told_unsent && now - l->told_ns < QUIET_NS)
        return;
    l->told_unsent = l->unsent;
    l->told_ns = now;
    bp_logf(l->host, l->node, BP_LOG_WARN,
            "interface %s does not take the guest's frames: %s; %" PRIu64 " so far are lost",
            l->config->ifname, pcap_geterr(l->pcap), l->unsent);
}

static uint32_t send_frames(void *self, uint32_t queue, const struct bp_frame *frames,
                            uint32_t count)
{
    struct live *l = self;

    (void)queue;
    for (uint32_t i = 0; i < count; i++) {
        const struct bp_frame *f = bp_frame_at(frames, i);
        uint64_t len = frame_len(f);
        const void *data = l->out;

        if (l->gone || !len || len > FRAME_MAX ||
            bp_offloads_needed(f->flags, f->gso_type)) { /* it would go out unfinished */
            l->unsent++;
            continue;
        }
        if (f->nbufs == 1)
            data = f->bufs[0].data;
        else
            frame_copy(f, l->out, FRAME_MAX);
        if (pcap_inject(l->pcap, data, (size_t)len) < 0) {
            l->unsent++;
            tell_unsent(l);
        }
    }
    return count;
}

static const struct bp_net net_table = {
    .size = sizeof(struct bp_net), .attach = attach, .send = send_frames, .resume = resume};

/* ---- life ---- */

#ifdef __linux__
#define PERMISSION "grant CAP_NET_RAW, as by `setcap cap_net_raw+ep` on the program"
#define LIST "`ip link`"
#define BRING_UP "`ip link set %s up`"
#else
#define PERMISSION "let your user read and write /dev/bpf*, as Wireshark's ChmodBPF does"
#define LIST "`ifconfig -l`"
#define BRING_UP "`ifconfig %s up`"
#endif

static int refuse(struct live *l, int status)
{
    const char *name = l->config->ifname, *detail = pcap_geterr(l->pcap);

    switch (status) {
    case PCAP_ERROR_PERM_DENIED:
    case PCAP_ERROR_PROMISC_PERM_DENIED:
        return bp_failf(l->host, l->node, -EPERM,
                        "no permission for interface %s: run as root, or " PERMISSION, name);
    case PCAP_ERROR_IFACE_NOT_UP:
        return bp_failf(l->host, l->node, -ENETDOWN,
                        "interface %s is down: bring it up, as by " BRING_UP, name, name);
    default:
        return bp_failf(l->host, l->node, -EIO, "cannot use interface %s: %s", name,
                        *detail ? detail : pcap_statustostr(status));
    }
}

static int open_interface(struct live *l)
{
    const char *name = l->config->ifname;
    char reason[PCAP_ERRBUF_SIZE] = "";
    int status;

    /* libpcap knows names that are no interfaces, as of USB buses. */
    if (strlen(name) >= IF_NAMESIZE || !if_nametoindex(name))
        return bp_failf(l->host, l->node, -ENODEV,
                        "there is no network interface \"%.40s\" on this host; " LIST
                        " lists those that there are",
                        name);
    l->pcap = pcap_create(name, reason);
    if (!l->pcap)
        return bp_failf(l->host, l->node, -EIO, "cannot use interface %s: %s", name, reason);
    pcap_set_snaplen(l->pcap, (int)FRAME_MAX);
    pcap_set_promisc(l->pcap, l->config->promiscuous);
    pcap_set_immediate_mode(l->pcap, 1);
    pcap_set_buffer_size(l->pcap, (int)l->config->buffer);
    status = pcap_activate(l->pcap);
    if (status < 0)
        return refuse(l, status);
    if (pcap_datalink(l->pcap) != DLT_EN10MB)
        return bp_failf(l->host, l->node, -EINVAL,
                        "interface %s is of link type %d, not Ethernet: name one that is", name,
                        pcap_datalink(l->pcap));
    if (pcap_setnonblock(l->pcap, 1, reason) || pcap_setdirection(l->pcap, PCAP_D_IN))
        return refuse(l, PCAP_ERROR);
    l->fd = pcap_get_selectable_fd(l->pcap);
    return l->fd < 0 ? refuse(l, PCAP_ERROR) : 0;
}

static void live_destroy(void *self)
{
    struct live *l = self;

    if (l->pcap)
        pcap_close(l->pcap);
    free(l->in);
    free(l->out);
    free(l);
}

static int live_create(const struct bp_host *host, struct bp_node *node, const void *config,
                       void **self)
{
    struct live *l = calloc(1, sizeof(*l));
    int err = 0;

    if (!l)
        return host->fail(node, -ENOMEM, "no memory for a network");
    l->host = host;
    l->node = node;
    l->config = config;
    l->in = malloc(FRAME_MAX);
    l->out = malloc(FRAME_MAX);
    if (!l->in || !l->out)
        err = host->fail(node, -ENOMEM, "no memory for a network");
    if (!err)
        err = open_interface(l);
    if (err) {
        live_destroy(l);
        return err;
    }
    *self = l;
    return 0;
}

static void live_reset(void *self, uint32_t kind)
{
    (void)self;
    (void)kind; /* the network does not notice that a guest starts over */
}

static int live_start(void *self)
{
    struct live *l = self;

    l->runs = 1;
    if (l->gone)
        return 0;
    if (l->in_len)
        l->host->timer_set(l->node, TIMER, l->host->clock_ns(l->node));
    else
        watch(l);
    return 0;
}

static void live_stop(void *self)
{
    struct live *l = self;

    l->runs = 0;
    l->host->fd_watch(l->node, l->fd, 0, NULL, NULL);
    if (l->refused || l->unsent)
        bp_logf(l->host, l->node, BP_LOG_DEBUG,
                "lost %" PRIu64 " frames for the guest and %" PRIu64 " from it", l->refused,
                l->unsent);
    l->refused = l->unsent = 0;
}

static const void *live_extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, BP_NET_ID) ? NULL : &net_table;
}

const struct bp_instance_ops live_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .create = live_create,
    .destroy = live_destroy,
    .reset = live_reset,
    .start = live_start,
    .stop = live_stop,
    .timer = live_timer,
    .extension = live_extension,
};
