/* SPDX-License-Identifier: MIT
 *
 * backplane/instance.h - the life of what a machine file names, CPU backends apart.
 *
 * Devices, network, character and block backends and services share this table; what a kind does
 * beyond it is offered by extension(): "bp.char/1", "bp.net/1", "bp.block/1".
 *
 *     create -> reset -> [load] -> start -> ... -> stop -> [save] -> destroy
 *                         pause: stop, continue: start;  guest reset: stop, reset, start
 */
#ifndef BACKPLANE_INSTANCE_H
#define BACKPLANE_INSTANCE_H

#include "host.h"
#include "state.h"
BP_BEGIN

#define BP_RESET_COLD 0u /* power on: everything to its documented reset value */
#define BP_RESET_WARM 1u /* the system reset line: what is sticky in hardware survives */

struct bp_instance_ops {
    uint32_t size;
    uint32_t state_version;        /* raised when `fields` gains an entry; from 1 */
    const struct bp_field *fields; /* ends with name == NULL; NULL: save and load do it all */
    uint32_t field_stride;         /* sizeof(struct bp_field) as the plugin compiled it */
    uint32_t reserved;

    /* Allocates the instance and makes its regions. `config` is the model's filled config struct,
     * valid until destroy(). 0 and *self; or -errno after host->fail(), nothing left behind (the
     * host takes back regions, watches and timers itself). Must not block. Required. [main] */
    int (*create)(const struct bp_host *host, struct bp_node *node, const void *config,
                  void **self);
    void (*destroy)(void *self); /* Required. [main] */
    void (*reset)(void *self,
                  uint32_t kind);           /* BP_RESET_*; once before the first start(). [main] */
    int (*start)(void *self);               /* The guest is about to run. Optional. [main] */
    void (*stop)(void *self);               /* On return nothing is in flight. Optional. [main] */
    void (*timer)(void *self, uint32_t id); /* A timer of timer_set() expired. Optional. [dom] */

    /* For what `fields` cannot express. after_load() recomputes what derives from the state, such
     * as interrupt levels. Optional. [main] stopped */
    int (*save)(void *self, struct bp_writer *w);
    int (*load)(void *self, struct bp_reader *r);
    int (*after_load)(void *self);

    /* An interface that the instance offers to others, by id; NULL if none. Optional. [any] */
    const void *(*extension)(void *self, const char *id);
};

BP_END
#endif
