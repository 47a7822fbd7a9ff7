/* SPDX-License-Identifier: MIT
 *
 * fuzz/instance_fuzz.c - the fuzzer's input, and what it does to instances: see instance_fuzz.h.
 */
#include "instance_fuzz.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

uint64_t fuzz_take(struct fuzz_input *in, uint32_t bytes)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < bytes && in->left; i++, in->data++, in->left--)
        value |= (uint64_t)*in->data << 8 * i;
    return value;
}

int fuzz_damage(struct fake_host *h, struct fuzz_input *in)
{
    const struct bp_instance_ops *ops = fake_ops(h);
    uint32_t fields = 0, changes = 1 + (uint32_t)fuzz_take(in, 1) % 4;
    int err;

    ops->stop(fake_self(h));
    do
        fields++;
    while (ops->fields[fields].name);
    for (uint32_t i = 0; i < changes; i++) {
        const struct bp_field *f = &ops->fields[fuzz_take(in, 1) % fields];
        uint64_t at = f->offset + fuzz_take(in, 2) % f->count * f->stride;
        uint64_t value = fuzz_take(in, f->width);

        memcpy((uint8_t *)fake_self(h) + at, &value, f->width);
    }
    err = ops->after_load(fake_self(h));
    assert_true(err <= 0);
    return err;
}

void fuzz_start(struct fake_host *h)
{
    assert_int_equal(fake_ops(h)->start(fake_self(h)), 0);
}

void fuzz_reset(struct fake_host *h, uint32_t kind)
{
    fake_ops(h)->stop(fake_self(h));
    fake_ops(h)->reset(fake_self(h), kind);
    fuzz_start(h);
}
