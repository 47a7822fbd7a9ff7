/* SPDX-License-Identifier: MIT
 *
 * Fuzzes dev-e1000's transmitter: a ring is set up, and the input is what drivers put into it:
 * descriptors of all three kinds, headers that segmentation and checksums look at, tails, the
 * transmitter's registers, a backend that refuses at times.
 */
#include "e1000_world.h"

#include <backplane/util/le.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RING 0x1000u
#define DATA 0x10000u

/* Registers by which a driver changes what the transmitter does (SDM 13.4). */
static const uint16_t registers[] = {0x0000, 0x0030, 0x0038, 0x00c8, 0x00d0, 0x0170, 0x0178,
                                     0x0400, 0x0410, 0x2160, 0x3800, 0x3804, 0x3808, 0x3810,
                                     0x3818, 0x3820, 0x3828, 0x382c, 0x3830, 0x0100};

/* A TCP or UDP packet over IPv4 or IPv6, whose fields the input may then spoil. */
static void packet(struct input *in)
{
    static const uint8_t ethernet[14] = {0x52, 0x54, 0,    0,    0,    2, 0x52,
                                         0x54, 0,    0x12, 0x34, 0x56, 8};
    static const uint8_t ipv6[] = {0x86, 0xdd, 0x60, 0, 0, 0, 0, 0x20, 6, 0x40};
    static const uint8_t ipv4[] = {0x45, 0, 0, 0x40, 0, 1, 0, 0, 0x40, 6, 0};
    uint32_t kind = take(in, 1), ip = 14, spoil = take(in, 1) % 16;
    uint8_t *at = world_ram(DATA);

    memset(at, 0x5a, 0x8000);
    memcpy(at, ethernet, sizeof(ethernet));
    if (kind & 1u) {
        memcpy(at + 12, ipv6, sizeof(ipv6));
        at[20] = kind & 2u ? 17 : 6;
        at[54 + 12] = 0x50;
    } else {
        memcpy(at + ip, ipv4, sizeof(ipv4));
        at[23] = kind & 2u ? 17 : 6;
        at[34 + 12] = 0x50;
    }
    for (uint32_t i = 0; i < spoil; i++) {
        uint32_t where = take(in, 1);

        at[where] = (uint8_t)take(in, 1);
    }
}

static void descriptor(struct input *in, uint32_t *tail)
{
    uint8_t *at = world_ram(RING + 16u * *tail);
    uint32_t kind = take(in, 1);
    uint64_t low, high;

    switch (kind & 3u) {
    case 0: /* legacy: SDM 3.3.3 */
        low = DATA + take(in, 1);
        high = take(in, 2) | (uint64_t)take(in, 1) << 16 | (uint64_t)take(in, 1) << 24 |
               (uint64_t)take(in, 3) << 40;
        high &= ~(UINT64_C(1) << 29); /* DEXT */
        break;
    case 1: /* context: 3.3.6 */
        low = take(in, 4) | (uint64_t)take(in, 4) << 32;
        high = (take(in, 4) & 0xff0fffffu) | UINT64_C(1) << 29 | (uint64_t)take(in, 4) << 32;
        break;
    default: /* data: 3.3.7 */
        low = DATA + (kind & 4u ? take(in, 2) : 0u);
        high = (take(in, 4) & 0xff0fffffu) | UINT64_C(1) << 29 | UINT64_C(1) << 20 |
               (uint64_t)take(in, 4) << 32;
        break;
    }
    bp_put_le64(at, low);
    bp_put_le64(at + 8, high);
    *tail = (*tail + 1) % 64;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    uint32_t tail = 0, which;

    world_begin();
    world_write(0x0000, 1u << 6);           /* CTRL.SLU */
    world_advance(UINT64_C(3000000000));    /* the link */
    world_write(0x3800, RING);              /* TDBAL */
    world_write(0x3808, 64 * 16);           /* TDLEN */
    world_write(0x0400, 1u << 1 | 1u << 3); /* TCTL.EN, PSP */
    packet(&in);
    while (in.left) {
        switch (take(&in, 1) % 8) {
        case 0:
        case 1:
        case 2:
            descriptor(&in, &tail);
            break;
        case 3:
            world_write(0x3818, tail);
            break;
        case 4:
            packet(&in);
            break;
        case 5:
            which = take(&in, 1) % (uint32_t)(sizeof(registers) / sizeof(registers[0]));
            world_write(registers[which], take(&in, 4));
            break;
        case 6:
            world_backend(&in);
            break;
        default:
            world_advance((uint64_t)take(&in, 1) << 14);
            break;
        }
    }
    world_write(0x3818, tail);
    world_end();
    return 0;
}
