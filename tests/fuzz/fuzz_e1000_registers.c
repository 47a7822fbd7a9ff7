/* SPDX-License-Identifier: MIT
 *
 * Fuzzes dev-e1000 by its registers: the input is a program of accesses, bytes in memory, frames,
 * power states, time, and state as a file brings it that somebody changed. Transmit and receive
 * have targets of their own.
 */
#include "e1000_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void step(struct input *in)
{
    uint32_t offset, what;

    switch (take(in, 1) % 10) {
    case 0:
    case 1:
        offset = take(in, 2) * 4u;
        world_write(offset, take(in, 4));
        break;
    case 2:
        world_read(take(in, 2) * 4u);
        break;
    case 3:
        world_poke(in);
        break;
    case 4:
        world_receive(in);
        break;
    case 5:
        world_advance((uint64_t)take(in, 2) << 16);
        break;
    case 6:
        world_backend(in);
        break;
    case 7:
        world_link(take(in, 1) & 1u);
        break;
    case 8:
        offset = take(in, 1) & 4u;
        world_io(offset, take(in, 4));
        break;
    default:
        what = take(in, 1);
        if (what & 0x80u)
            world_damage(in);
        else
            world_power(what & 3u);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};

    world_begin();
    while (in.left)
        step(&in);
    world_end();
    return 0;
}
