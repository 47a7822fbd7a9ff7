/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/nic.c - see nic.h.
 */
#include "nic.h"

#include <backplane/util/le.h>
#include <errno.h>

/* ---- the backend ---- */

static int attach(void *self, const struct bp_net_port *port, void *port_self)
{
    struct fake_net *net = self;

    if (net->refuses)
        return -EBUSY;
    net->port = port;
    net->port_self = port_self;
    return 0;
}

static uint32_t offloads(void *self)
{
    return ((struct fake_net *)self)->offloads;
}

static int set_offloads(void *self, uint32_t bits)
{
    (void)self;
    assert_int_equal(bits, BP_NET_OFFLOAD_CSUM);
    return 0;
}

static void keep(struct fake_net *net, const struct bp_frame *frame)
{
    struct sent *s = &net->sent[net->count];

    s->len = 0;
    for (uint32_t i = 0; i < frame->nbufs; i++) {
        assert_true(s->len + frame->bufs[i].len <= sizeof(s->data));
        memcpy(s->data + s->len, frame->bufs[i].data, frame->bufs[i].len);
        s->len += (uint32_t)frame->bufs[i].len;
    }
    s->frame = *frame;
    s->frame.bufs = NULL;
}

static uint32_t send(void *self, uint32_t queue, const struct bp_frame *frames, uint32_t count)
{
    struct fake_net *net = self;
    uint32_t taken;

    assert_int_equal(queue, 0);
    assert_false(net->inside);
    assert_false(net->owed);
    for (taken = 0; taken < count && net->room; taken++) {
        if (net->room != UINT32_MAX)
            net->room--;
        if (net->count < FRAMES_KEPT)
            keep(net, &frames[taken]);
        net->count++;
    }
    net->owed = taken < count;
    return taken;
}

static void resume(void *self, uint32_t queue)
{
    struct fake_net *net = self;

    assert_int_equal(queue, 0);
    assert_false(net->inside);
    net->resumes++;
}

static const struct bp_net net_ops = {
    .size = sizeof(struct bp_net),
    .attach = attach,
    .offloads = offloads,
    .set_offloads = set_offloads,
    .send = send,
    .resume = resume,
};

/* ---- life ---- */

void nic_create(struct nic *n)
{
    n->peer = fake_peer(BP_NET_ID, &net_ops, n->net);
    n->config.net = n->peer;
    n->h = fake_host_new(PLUGIN_FILE, NULL, &n->config);
    n->devfn = fake_pci_function(n->h, 0);
    fake_pci_start(n->h, n->devfn);
}

static struct nic *nic_alloc(void)
{
    static const uint8_t mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
    struct nic *n = calloc(1, sizeof(*n));

    assert_non_null(n);
    n->net = calloc(1, sizeof(*n->net));
    assert_non_null(n->net);
    n->net->room = UINT32_MAX;
    memcpy(n->config.mac, mac, 6);
    n->config.slot = UINT32_MAX;
    return n;
}

struct nic *nic_new(void)
{
    struct nic *n = nic_alloc();

    nic_create(n);
    return n;
}

void nic_start(struct nic *n)
{
    wr(n, E1000_CTRL, rd(n, E1000_CTRL) | CTRL_SLU);
    fake_advance_ns(n->h, 2100000000);
    assert_true(rd(n, E1000_STATUS) & STATUS_LU);
    for (uint32_t i = 0; i < RING_COUNT; i++)
        bp_put_le64(ram(n, RX_RING + i * DESC_BYTES), RX_BUFFER(i));
    wr(n, E1000_TDBAL, TX_RING);
    wr(n, E1000_TDLEN, RING_COUNT * DESC_BYTES);
    wr(n, E1000_TCTL, TCTL_EN | TCTL_PSP);
    wr(n, E1000_RDBAL, RX_RING);
    wr(n, E1000_RDLEN, RING_COUNT * DESC_BYTES);
    wr(n, E1000_RCTL, RCTL_EN | RCTL_BAM | RCTL_SECRC);
    wr(n, E1000_RDT, RING_COUNT - 1);
    n->rdt = RING_COUNT - 1;
    rd(n, E1000_ICR);
}

struct nic *nic_started(void)
{
    struct nic *n = nic_new();

    nic_start(n);
    return n;
}

void nic_free(struct nic *n)
{
    fake_host_free(n->h);
    free(n->net);
    free(n);
}

/* ---- registers ---- */

uint32_t rd(struct nic *n, uint32_t offset)
{
    return (uint32_t)fake_read(n->h, BP_SPACE_MMIO, FAKE_BAR_MEMORY(n->devfn, 0) + offset, 4);
}

void wr(struct nic *n, uint32_t offset, uint32_t value)
{
    fake_write(n->h, BP_SPACE_MMIO, FAKE_BAR_MEMORY(n->devfn, 0) + offset, value, 4);
}

uint8_t *ram(struct nic *n, uint32_t gpa)
{
    return fake_ram(n->h) + gpa;
}

uint32_t intx(struct nic *n)
{
    return fake_pci_intx(n->h, n->devfn);
}

uint16_t phy_read(struct nic *n, uint32_t number)
{
    uint32_t value;

    wr(n, E1000_MDIC, MDIC_READ << MDIC_OP_SHIFT | 1u << MDIC_PHY_SHIFT | number << MDIC_REG_SHIFT);
    value = rd(n, E1000_MDIC);
    assert_true((value & (MDIC_READY | MDIC_ERROR)) == MDIC_READY);
    return (uint16_t)value;
}

void phy_write(struct nic *n, uint32_t number, uint16_t value)
{
    wr(n, E1000_MDIC,
       MDIC_WRITE << MDIC_OP_SHIFT | 1u << MDIC_PHY_SHIFT | number << MDIC_REG_SHIFT | value);
    assert_true((rd(n, E1000_MDIC) & (MDIC_READY | MDIC_ERROR)) == MDIC_READY);
}

/* ---- transmit ---- */

static void tx_put(struct nic *n, uint64_t quad, uint32_t lower, uint32_t upper)
{
    uint8_t *d = ram(n, TX_RING + n->tdt * DESC_BYTES);

    bp_put_le64(d, quad);
    bp_put_le32(d + 8, lower);
    bp_put_le32(d + 12, upper);
    n->tdt = (n->tdt + 1) % RING_COUNT;
}

void tx_legacy(struct nic *n, uint64_t address, uint16_t len, uint8_t cmd, uint8_t cso, uint8_t css,
               uint16_t special)
{
    tx_put(n, address, len | (uint32_t)cso << 16 | (uint32_t)cmd << 24,
           (uint32_t)css << 8 | (uint32_t)special << 16);
}

void tx_data(struct nic *n, uint64_t address, uint32_t len, uint8_t dcmd, uint8_t popts,
             uint16_t special)
{
    tx_put(n, address, len | 1u << 20 | (uint32_t)(dcmd | TX_DEXT) << 24,
           (uint32_t)popts << 8 | (uint32_t)special << 16);
}

void tx_context(struct nic *n, const struct e1000_context *c)
{
    uint64_t ip = c->ipcss | (uint64_t)c->ipcso << 8 | (uint64_t)c->ipcse << 16;
    uint64_t tu = c->tucss | (uint64_t)c->tucso << 8 | (uint64_t)c->tucse << 16;

    tx_put(n, ip | tu << 32, c->paylen | (uint32_t)(c->tucmd | TX_DEXT) << 24,
           (uint32_t)c->hdrlen << 8 | (uint32_t)c->mss << 16);
}

void tx_go(struct nic *n)
{
    wr(n, E1000_TDT, n->tdt);
}

int tx_is_done(struct nic *n, uint32_t i)
{
    return *ram(n, TX_RING + i * DESC_BYTES + 12) & TX_DD;
}

/* ---- receive ---- */

void make_frame(struct nic *n, uint8_t *at, uint32_t len, const uint8_t *to)
{
    static const uint8_t other[6] = {0x02, 0, 0, 0, 0, 0x99};

    for (uint32_t i = 0; i < len; i++)
        at[i] = (uint8_t)(i * 7 + len);
    for (uint32_t i = 0; i < 6; i++)
        at[6 + i] = n->config.mac[i];
    for (uint32_t i = 0; i < 6; i++)
        at[i] = to ? to[i] : other[i];
    at[12] = 0x88;
    at[13] = 0xb5;
}

int rx_give(struct nic *n, const uint8_t *data, uint32_t len)
{
    /* In pieces: a frame may be scattered. */
    uint8_t *copy = calloc(1, len ? len : 1);
    struct bp_buf bufs[2] = {{copy, len / 3}, {copy + len / 3, len - len / 3}};
    struct bp_frame frame = {.size = sizeof(frame), .nbufs = 2, .bufs = bufs};
    int ret;

    assert_non_null(copy);
    memcpy(copy, data, len);
    n->net->inside = 1;
    ret = n->net->port->receive(n->net->port_self, 0, &frame);
    n->net->inside = 0;
    free(copy);
    return ret;
}

int rx_give_frame(struct nic *n, uint32_t len)
{
    uint8_t *frame = calloc(1, len);
    int ret;

    assert_non_null(frame);
    make_frame(n, frame, len, n->config.mac);
    ret = rx_give(n, frame, len);
    free(frame);
    return ret;
}

static const uint8_t *rx_descriptor(struct nic *n, uint32_t i)
{
    return ram(n, RX_RING + i * DESC_BYTES);
}

uint32_t rx_length(struct nic *n, uint32_t i)
{
    return bp_le16(rx_descriptor(n, i) + 8);
}

uint32_t rx_checksum(struct nic *n, uint32_t i)
{
    const uint8_t *d = rx_descriptor(n, i);

    return (uint32_t)d[10] << 8 | d[11];
}

uint32_t rx_status(struct nic *n, uint32_t i)
{
    return rx_descriptor(n, i)[12];
}

uint32_t rx_errors(struct nic *n, uint32_t i)
{
    return rx_descriptor(n, i)[13];
}

uint32_t rx_special(struct nic *n, uint32_t i)
{
    return bp_le16(rx_descriptor(n, i) + 14);
}
