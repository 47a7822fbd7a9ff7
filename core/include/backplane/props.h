/* SPDX-License-Identifier: MIT
 *
 * backplane/props.h - the keys of a machine file that a model understands.
 *
 * A model declares its keys in a table. From this one table the host parses and checks the
 * machine file, fills the model's config struct, prints `backplane plugins show`, finds conflicts
 * in `backplane check`, and makes the manual.
 */
#ifndef BACKPLANE_PROPS_H
#define BACKPLANE_PROPS_H

#include "abi.h"
BP_BEGIN

/* Types, with the member of the config struct that receives the value. */
#define BP_PROP_BOOL 1u /* uint8_t: yes/no, true/false, on/off, 1/0 */
#define BP_PROP_UINT                                                                               \
    2u                  /* uint8_t, 16, 32 or 64 by `width`; decimal or 0x hex, within [min, max]  \
                         */
#define BP_PROP_SIZE 3u /* uint64_t bytes; suffix K M G T, powers of 1024; within [min, max] */
#define BP_PROP_STRING 4u  /* const char *, UTF-8; the host's, valid until destroy(); or NULL */
#define BP_PROP_PATH 5u    /* as STRING; a relative path is resolved against the machine file */
#define BP_PROP_ENUM 6u    /* uint32_t: index into `choices` */
#define BP_PROP_MAC 7u     /* uint8_t[6]: 52:54:00:12:34:56 */
#define BP_PROP_REF 8u     /* struct bp_node *: the section that the value names; or NULL */
#define BP_PROP_ADDRESS 9u /* const char *: a socket's, unix:PATH or tcp:HOST:PORT; or NULL */
#define BP_PROP_RANGE 10u  /* struct bp_range: FIRST-LAST, FIRST not above LAST */
#define BP_PROP_PCI                                                                                \
    11u /* uint32_t: a PCI function, DEVICE or DEVICE.FUNCTION in hex ("1f.2"), as                 \
         * device << 3 | function; UINT32_MAX without a value: any free device */

/* Flags. */
#define BP_PROP_REQUIRED 1u
#define BP_PROP_LIST 2u /* comma-separated values; the member is a struct bp_list */
#define BP_PROP_CREATES                                                                            \
    4u /* PATH: is written and need not exist; otherwise it must be readable                       \
        */
#define BP_PROP_RESERVES                                                                           \
    8u /* claim MMIO: may lie in RAM, whose pages there the guest is not given */

struct bp_list {
    const void *items; /* `count` elements as the type's own member would be; the host's */
    uint64_t count;
};

struct bp_range {
    uint64_t first, last; /* both belong to it; both 0 without a value and a default */
};

/* What a value claims of the machine, so that `check` finds conflicts without running anything. */
#define BP_CLAIM_NONE 0u
#define BP_CLAIM_PIO 1u  /* first of `claim_length` ports */
#define BP_CLAIM_MMIO 2u /* guest-physical address of the first of `claim_length` bytes */
#define BP_CLAIM_IRQ 3u  /* interrupt line; claim_length 0: for itself alone, 1: may be shared */

struct bp_prop {
    const char *name;           /* the key, [a-z0-9-]+ */
    const char *help;           /* one line: meaning, unit, effect */
    const char *initial;        /* default as a file would say it; NULL: none (0, NULL, empty) */
    const char *const *choices; /* ENUM: NULL-terminated; otherwise NULL */
    const char *needs; /* REF: id that the named instance must offer, "bp.char/1"; or NULL */
    uint64_t min, max; /* inclusive bounds of UINT and SIZE; both 0: none but the width */
    uint64_t claim_length;
    uint32_t claim;         /* BP_CLAIM_* */
    uint32_t type;          /* BP_PROP_* */
    uint32_t flags;         /* BP_PROP_REQUIRED, ... */
    uint32_t offset, width; /* where in the config struct the value goes; BP_PROP_AT sets both */
    uint32_t reserved;
};

#define BP_PROP_AT(config, member)                                                                 \
    .offset = (uint32_t)offsetof(config, member), .width = (uint32_t)sizeof(((config *)0)->member)

BP_END
#endif
