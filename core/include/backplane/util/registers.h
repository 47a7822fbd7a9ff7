/* SPDX-License-Identifier: MIT
 *
 * backplane/util/registers.h - registers that are members of the device's struct, by a table.
 *
 * One table says what a register is called, where it is, which member holds it, which bits of it
 * the guest may write, and what is to be done when it has been. It is at once the table of
 * registers that the host knows (struct bp_register), and all that read, write and reset need:
 *
 *     static const struct bp_cell registers[] = {
 *         BP_CELL_CONSTANT("ID", 0x00, 0x4b434954),
 *         BP_CELL("CONTROL", 0x04, BP_REG_RW, struct timer, control, .written = arm),
 *         BP_CELL("STATUS", 0x08, BP_REG_RW, struct timer, status, .clears = EXPIRED),
 *         BP_CELLS_END,
 *     };
 *     BP_CELL_REGION(region_ops, "registers", registers, 4)
 *
 * All registers of a table have one width, which is the region's access width, so that the bus
 * hands over whole ones. Where no register is, reads give 0 and writes do nothing.
 */
#ifndef BACKPLANE_UTIL_REGISTERS_H
#define BACKPLANE_UTIL_REGISTERS_H

#include "../host.h"

#include <string.h>

#define BP_CELL_NOWHERE UINT32_MAX

struct bp_cell {
    struct bp_register reg; /* first, so that the table is one of these, too */
    uint32_t at;            /* of the member in the instance; BP_CELL_NOWHERE: it is `initial` */
    uint32_t reserved;
    uint64_t initial;  /* after reset */
    uint64_t writable; /* bits that a write replaces; 0, without `clears`: all */
    uint64_t clears;   /* bits that a write of 1 clears */
    /* Before the guest reads it: brings the member up to date. Optional. [dom] */
    void (*reading)(void *self);
    /* After the guest wrote it. Optional. [dom] */
    void (*written)(void *self);
};

/* A register of the member's width; designators of struct bp_cell may follow. */
#define BP_CELL(name_, offset_, access_, type_, member_, ...)                                      \
    {                                                                                              \
        .reg = {(name_), (offset_), (uint32_t)sizeof(((type_ *)0)->member_), (access_)},           \
        .at = (uint32_t)offsetof(type_, member_), __VA_ARGS__                                      \
    }
/* A 32-bit register that always reads as `value_`. */
#define BP_CELL_CONSTANT(name_, offset_, value_)                                                   \
    {                                                                                              \
        .reg = {(name_), (offset_), 4u, BP_REG_RO}, .at = BP_CELL_NOWHERE, .initial = (value_)     \
    }
#define BP_CELLS_END                                                                               \
    {                                                                                              \
        .reg = {NULL, 0u, 0u, 0u}, .at = 0u                                                        \
    }

static inline const struct bp_cell *bp_cell_find(const struct bp_cell *cells, uint64_t offset)
{
    for (; cells->reg.name; cells++)
        if (cells->reg.offset == offset)
            return cells;
    return NULL;
}

/* What the member holds; 0 of a width that is none. */
static inline uint64_t bp_cell_get(const struct bp_cell *c, const void *self)
{
    const char *at = (const char *)self + c->at;
    uint8_t v8;
    uint16_t v16;
    uint32_t v32;
    uint64_t v64;

    if (c->at == BP_CELL_NOWHERE)
        return c->initial;
    switch (c->reg.width) {
    case 1:
        return memcpy(&v8, at, 1), v8;
    case 2:
        return memcpy(&v16, at, 2), v16;
    case 4:
        return memcpy(&v32, at, 4), v32;
    case 8:
        return memcpy(&v64, at, 8), v64;
    default:
        return 0;
    }
}

static inline void bp_cell_put(const struct bp_cell *c, void *self, uint64_t value)
{
    char *at = (char *)self + c->at;
    uint8_t v8 = (uint8_t)value;
    uint16_t v16 = (uint16_t)value;
    uint32_t v32 = (uint32_t)value;

    if (c->at == BP_CELL_NOWHERE)
        return;
    switch (c->reg.width) {
    case 1:
        memcpy(at, &v8, 1);
        break;
    case 2:
        memcpy(at, &v16, 2);
        break;
    case 4:
        memcpy(at, &v32, 4);
        break;
    case 8:
        memcpy(at, &value, 8);
        break;
    default:
        break;
    }
}

/* The guest reads: hidden in write-only registers is 0, and BP_REG_RC clears what it gave. */
static inline uint64_t bp_cells_read(const struct bp_cell *cells, void *self, uint64_t offset)
{
    const struct bp_cell *c = bp_cell_find(cells, offset);
    uint64_t value;

    if (!c || (c->reg.access & BP_REG_ACCESS) == BP_REG_WO)
        return 0;
    if (c->reading)
        c->reading(self);
    value = bp_cell_get(c, self);
    if ((c->reg.access & BP_REG_ACCESS) == BP_REG_RC)
        bp_cell_put(c, self, 0);
    return value;
}

/* The guest writes; read-only registers stay as they are. */
static inline void bp_cells_write(const struct bp_cell *cells, void *self, uint64_t offset,
                                  uint64_t value)
{
    const struct bp_cell *c = bp_cell_find(cells, offset);
    uint32_t access = c ? c->reg.access & BP_REG_ACCESS : BP_REG_RO;
    uint64_t old, writable;

    if (access != BP_REG_RW && access != BP_REG_WO)
        return;
    old = bp_cell_get(c, self);
    writable = c->writable || c->clears ? c->writable : UINT64_MAX;
    bp_cell_put(c, self, ((old & ~writable) | (value & writable)) & ~(value & c->clears));
    if (c->written)
        c->written(self);
}

/* Each member to its initial value. */
static inline void bp_cells_reset(const struct bp_cell *cells, void *self)
{
    for (; cells->reg.name; cells++)
        bp_cell_put(cells, self, cells->initial);
}

/* Defines the region table `ops_` of these cells, each `width_` bytes. */
#define BP_CELL_REGION(ops_, name_, cells_, width_)                                                \
    static uint64_t ops_##_read(void *self, uint64_t offset, uint32_t width)                       \
    {                                                                                              \
        (void)width;                                                                               \
        return bp_cells_read(cells_, self, offset);                                                \
    }                                                                                              \
    static void ops_##_write(void *self, uint64_t offset, uint64_t value, uint32_t width)          \
    {                                                                                              \
        (void)width;                                                                               \
        bp_cells_write(cells_, self, offset, value);                                               \
    }                                                                                              \
    static const struct bp_region_ops ops_ = {                                                     \
        .size = sizeof(struct bp_region_ops),                                                      \
        .min_access = (width_),                                                                    \
        .max_access = (width_),                                                                    \
        .register_stride = sizeof(struct bp_cell),                                                 \
        .name = (name_),                                                                           \
        .registers = &(cells_)[0].reg,                                                             \
        .read = ops_##_read,                                                                       \
        .write = ops_##_write,                                                                     \
    };

#endif
