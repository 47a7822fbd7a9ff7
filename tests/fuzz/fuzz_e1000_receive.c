/* SPDX-License-Identifier: MIT
 *
 * Fuzzes dev-e1000's receiver: a ring with buffers is set up, and the input is frames, what drivers
 * do to the ring and the filters, and time.
 */
#include "e1000_world.h"

#include <backplane/util/le.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RING 0x1000u
#define BUFFERS 0x8000u
#define COUNT 16u

/* Registers by which a driver changes what is received, and how (SDM 13.4). */
static const uint16_t registers[] = {0x0000, 0x0028, 0x0038, 0x0100, 0x0100, 0x00d0, 0x2160,
                                     0x2168, 0x2800, 0x2808, 0x2810, 0x2818, 0x2820, 0x2828,
                                     0x282c, 0x2c00, 0x5000, 0x5000, 0x5200, 0x5204, 0x5400,
                                     0x5404, 0x5600, 0x5604, 0x5800, 0x5808};

/* A descriptor as a driver writes it: an address, in RAM or not. */
static void descriptor(struct input *in)
{
    uint32_t index = take(in, 1) % COUNT, kind = take(in, 1);
    uint64_t address = take(in, kind & 1u ? 4 : 2);

    if (kind & 2u)
        address = WORLD_RAM_BYTES - address % 4096; /* over the end of RAM */
    if (kind & 4u)
        address |= UINT64_C(0xffffffff) << 32;
    bp_put_le64(world_ram(RING + 16 * index), kind & 8u ? 0 : address);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    uint32_t tail = COUNT - 1, which;

    world_begin();
    for (uint32_t i = 0; i < COUNT; i++)
        bp_put_le64(world_ram(RING + 16 * i), BUFFERS + 2048 * i);
    world_write(0x0000, 1u << 6);        /* CTRL.SLU */
    world_advance(UINT64_C(3000000000)); /* the link */
    world_write(0x2800, RING);           /* RDBAL */
    world_write(0x2808, COUNT * 16);     /* RDLEN */
    world_write(0x2818, tail);           /* RDT */
    world_write(0x00d0, 0xffffffff);     /* IMS */
    /* RCTL: promiscuous and open to broadcasts unless the input says otherwise: then the filters
     * decide. */
    world_write(0x0100, 1u << 1 | ((1u << 3 | 1u << 4 | 1u << 15) ^ take(&in, 4)));
    while (in.left) {
        switch (take(&in, 1) % 8) {
        case 0:
        case 1:
        case 2:
            world_receive(&in);
            break;
        case 3:
            tail = (tail + take(&in, 1)) % COUNT;
            world_write(0x2818, tail);
            break;
        case 4:
            descriptor(&in);
            break;
        case 5:
            which = take(&in, 1) % (uint32_t)(sizeof(registers) / sizeof(registers[0]));
            world_write(registers[which], take(&in, 4));
            break;
        case 6:
            world_advance((uint64_t)take(&in, 1) << 14);
            break;
        default:
            world_read(0x00c0); /* ICR */
            break;
        }
    }
    world_end();
    return 0;
}
