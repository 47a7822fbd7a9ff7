/* SPDX-License-Identifier: MIT
 *
 * cpu-interp/debug.c - "bp.debug/1": the engine does it.
 */
#include "interp.h"

#include <backplane/util/log.h>

#include <errno.h>
#include <string.h>

static int debug_set(void *self, const struct bp_debug_request *request)
{
    struct vcpu *v = self;
    int err = cpu_debug_set(v->cpu, request);

    if (err)
        return bp_failf(v->vm->host, v->vm->node, err, "bp.debug/1: that request makes no sense");
    return 0;
}

static void debug_why(void *self, struct bp_debug_stop *out)
{
    const struct vcpu *v = self;
    uint32_t size = out->size < sizeof(*out) ? out->size : (uint32_t)sizeof(*out);

    memcpy(out, &v->cpu->debug.stop, size);
    out->size = size;
}

const void *vm_extension(void *self, const char *id)
{
    static const struct bp_debug table = {
        .size = sizeof(table), .set = debug_set, .why = debug_why};

    (void)self;
    return strcmp(id, BP_DEBUG_ID) == 0 ? &table : NULL;
}
