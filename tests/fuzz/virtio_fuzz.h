/* SPDX-License-Identifier: MIT
 *
 * fuzz/virtio_fuzz.h - what the fuzz targets of dev-virtio's devices share: the input as a program
 * of a guest and of a backend, run against the whole device on the host of unit tests.
 *
 *     2 bytes   transport, kind and size of rings, doorbells and eventfds; the device's own keys
 *     8 bytes   which of the offered features the driver takes
 *     steps     one byte each says which (virtio_fuzz.c), operands behind it
 *
 * A target is one struct fuzz_device, `fuzz_device`, and LLVMFuzzerTestOneInput() of virtio_fuzz.c.
 * The program ends if a rule of the host's or of the backends' is broken, if a reset does not end,
 * or if the device does not serve an honest driver after one.
 */
#ifndef VIRTIO_FUZZ_H
#define VIRTIO_FUZZ_H

#include "dev-virtio/rig.h"
#include "instance_fuzz.h"

#define FUZZ_SETS 2u /* of backends: those of the device, and those of what its state moves to */

struct fuzz_device {
    const char *model;
    /* A config for `options`, with the backends of set `set`, which are made at the first call and
     * are as new afterwards. What rig_new() fills in is left to it. */
    void *(*config)(uint32_t options, uint32_t set);
    /* How many queues an honest driver sets up. */
    uint32_t (*queues)(uint32_t options);
    /* The backends of `set` do something. */
    void (*event)(struct rig *r, struct fuzz_input *in, uint32_t set);
    /* Before each step: what was recorded is forgotten. Optional. */
    void (*forget)(uint32_t set);
    /* Requests that are under way end, and the backends are ready for probe(). Optional. */
    void (*settle)(uint32_t set);
    /* An honest request, after rig_start() with all features: fails unless it is served. */
    void (*probe)(struct rig *r, uint32_t set);
};

extern const struct fuzz_device fuzz_device;

/* One chain of queue `n`, which must come back at once: the bytes written. */
uint32_t fuzz_do(struct rig *r, uint32_t n, const struct rig_buffer *buffers, uint32_t count);

#endif
