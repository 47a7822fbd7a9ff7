/* SPDX-License-Identifier: MIT
 *
 * platform/cpuid.c - computes a vCPU's CPUID table from what a backend offers and from the level
 * asked for.
 *
 * Three steps: keep what the level allows (cpuid_features.c says what that is), compute what
 * depends on the machine's shape or on what was kept (topology, cache sharing, XSAVE sizes, highest
 * leaves), sort. Intel SDM 2A, CPUID; AMD APM 3, appendix E. Left out: leaf 0x80000026, which no
 * backend offers and which would have to agree with 0xB.
 */
#include "platform/cpuid.h"

#include "platform/cpuid_features.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bits that code below speaks of. */
#define L1_ECX_X2APIC (1u << 21)
#define L1_ECX_XSAVE (1u << 26)
#define L1_ECX_OSXSAVE (1u << 27)
#define L1_ECX_HYPERVISOR (1u << 31)
#define L1_EDX_HTT (1u << 28)
#define L7_ECX_OSPKE (1u << 4)
#define LD_EAX_XSAVEC (1u << 1)
#define LD_EAX_XSAVES (1u << 3)
#define EXT1_ECX_CMP_LEGACY (1u << 1)
#define EXT1_ECX_TOPOEXT (1u << 22)
#define EXT1_EDX_COPIES 0x0183f3ffu /* bits that AMD repeats from leaf 1, at the same places */

#define XSAVE_LEGACY_BYTES 576u /* the FXSAVE region and the header */
#define XSAVE_COMPONENTS 63u

#define TOPOLOGY_THREAD 1u
#define TOPOLOGY_CORE 2u

#define BASIC_BASE 0u
#define HYPERVISOR_BASE 0x40000000u
#define EXTENDED_BASE 0x80000000u
#define CENTAUR_BASE 0xc0000000u
#define AMD_TOPOLOGY_LEAF 0x80000026u

struct shape {
    uint32_t index, cpus;
    uint32_t order; /* bits that number `cpus` cores */
    bool amd;       /* AMD or Hygon: its leaves, not Intel's */
};

static uint32_t *registers(struct bp_x86_cpuid_leaf *leaf)
{
    return &leaf->eax; /* eax, ebx, ecx, edx follow each other, in the order of enum cpuid_register
                        */
}
_Static_assert(offsetof(struct bp_x86_cpuid_leaf, edx) - offsetof(struct bp_x86_cpuid_leaf, eax) ==
                   CPUID_EDX * sizeof(uint32_t),
               "the registers are used as an array");

static uint32_t subleaf_of(const struct bp_x86_cpuid_leaf *leaf)
{
    return leaf->has_subleaf ? leaf->subleaf : 0;
}

static const struct bp_x86_cpuid_leaf *find(const struct bp_x86_cpuid *table, uint32_t leaf,
                                            uint32_t subleaf)
{
    for (uint32_t i = 0; i < table->count; i++) {
        const struct bp_x86_cpuid_leaf *at = &table->leaves[i];
        if (at->leaf == leaf && subleaf_of(at) == subleaf)
            return at;
    }
    return NULL;
}

static struct bp_x86_cpuid_leaf *edit(struct bp_x86_cpuid *table, uint32_t leaf, uint32_t subleaf)
{
    return (struct bp_x86_cpuid_leaf *)find(table, leaf, subleaf);
}

/* Keeps the leaves for which `keep` is true. */
static void retain(struct bp_x86_cpuid *table,
                   bool (*keep)(const struct bp_x86_cpuid_leaf *leaf, const void *context),
                   const void *context)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < table->count; i++)
        if (keep(&table->leaves[i], context))
            table->leaves[kept++] = table->leaves[i];
    table->count = kept;
}

static bool is_other_leaf(const struct bp_x86_cpuid_leaf *leaf, const void *context)
{
    return leaf->leaf != *(const uint32_t *)context;
}

static void drop(struct bp_x86_cpuid *table, uint32_t leaf)
{
    retain(table, is_other_leaf, &leaf);
}

static bool is_not_zero(const struct bp_x86_cpuid_leaf *leaf, const void *context)
{
    (void)context;
    return (leaf->eax | leaf->ebx | leaf->ecx | leaf->edx) != 0;
}

static int add(struct bp_x86_cpuid *table, struct bp_x86_cpuid_leaf leaf)
{
    if (table->count == BP_X86_CPUID_MAX)
        return -ENOSPC;
    table->leaves[table->count++] = leaf;
    return 0;
}

/* ---- what is offered ---- */

static int check_offer(const struct bp_x86_cpuid *offered, struct error *e)
{
    if (offered->count > BP_X86_CPUID_MAX)
        return error_set(
            e, -EINVAL, "the CPU backend offers %u CPUID leaves, expected at most %u; it is broken",
            offered->count, BP_X86_CPUID_MAX);
    for (uint32_t i = 0; i < offered->count; i++) {
        const struct bp_x86_cpuid_leaf *leaf = &offered->leaves[i];
        for (uint32_t j = 0; j < i; j++) {
            const struct bp_x86_cpuid_leaf *other = &offered->leaves[j];
            if (other->leaf == leaf->leaf &&
                (!other->has_subleaf || !leaf->has_subleaf || other->subleaf == leaf->subleaf))
                return error_set(
                    e, -EINVAL,
                    "the CPU backend offers CPUID leaf 0x%x, subleaf %u, twice; it is broken",
                    leaf->leaf, subleaf_of(leaf));
        }
    }
    for (uint32_t leaf = 0; leaf < 2; leaf++) {
        if (find(offered, leaf, 0) == NULL)
            return error_set(e, -EINVAL, "the CPU backend offers no CPUID leaf %u; it is broken",
                             leaf);
    }
    return 0;
}

static bool needed_by(uint8_t kind, enum cpuid_level level)
{
    return kind == CPUID_NEED_V2 || (kind == CPUID_NEED_V3 && level == CPUID_V3);
}

static bool allowed_by(uint8_t kind, enum cpuid_level level)
{
    return kind == CPUID_NEED_V2 || kind == CPUID_MAY_V2 || level == CPUID_V3;
}

static bool offers(const struct bp_x86_cpuid *offered, const struct cpuid_feature *f)
{
    const struct bp_x86_cpuid_leaf *leaf = find(offered, f->leaf, f->subleaf);

    if (leaf == NULL)
        return false;
    struct bp_x86_cpuid_leaf copy = *leaf;
    return (registers(&copy)[f->reg] >> f->bit & 1) != 0;
}

static int check_level(const struct bp_x86_cpuid *offered, enum cpuid_level level, struct error *e)
{
    char missing[768] = "";
    size_t used = 0;
    bool v2_is_whole = true;

    for (const struct cpuid_feature *f = cpuid_features; f->name != NULL; f++) {
        if (!needed_by(f->kind, level) || offers(offered, f))
            continue;
        if (f->kind == CPUID_NEED_V2)
            v2_is_whole = false;
        int n = snprintf(missing + used, sizeof(missing) - used, "%s%s", used != 0 ? ", " : "",
                         f->name);
        if (n > 0 && (size_t)n < sizeof(missing) - used)
            used += (size_t)n;
    }
    if (used == 0)
        return 0;
    return error_set(
        e, -ENOTSUP, "the CPU backend cannot offer x86-64-%s: it lacks %s (use level = %s)",
        level == CPUID_V3 ? "v3" : "v2", missing, level == CPUID_V3 && v2_is_whole ? "v2" : "host");
}

/* ---- what is kept ---- */

static const struct cpuid_leaf_rule *rule_of(uint32_t leaf)
{
    for (uint32_t i = 0; i < cpuid_leaf_rule_count; i++)
        if (cpuid_leaf_rules[i].leaf == leaf)
            return &cpuid_leaf_rules[i];
    return NULL;
}

static bool has_rule(const struct bp_x86_cpuid_leaf *leaf, const void *context)
{
    (void)context;
    return rule_of(leaf->leaf) != NULL;
}

/* Clears what is no feature of the level. */
static void filter(struct bp_x86_cpuid_leaf *leaf, const struct cpuid_leaf_rule *rule,
                   enum cpuid_level level)
{
    uint32_t mask[CPUID_REGISTERS] = {0};

    if (subleaf_of(leaf) == 0)
        memcpy(mask, rule->keep, sizeof(mask));
    for (const struct cpuid_feature *f = cpuid_features; f->name != NULL; f++)
        if (f->leaf == leaf->leaf && f->subleaf == subleaf_of(leaf) && allowed_by(f->kind, level))
            mask[f->reg] |= 1u << f->bit;
    for (uint32_t i = 0; i < CPUID_REGISTERS; i++)
        registers(leaf)[i] &= mask[i];
}

static bool is_kvm(const struct bp_x86_cpuid *table)
{
    const struct bp_x86_cpuid_leaf *leaf = find(table, HYPERVISOR_BASE, 0);

    return leaf != NULL && leaf->ebx == 0x4b4d564b && leaf->ecx == 0x564b4d56 && leaf->edx == 0x4d;
}

/* The bits of another hypervisor's leaves mean something else than the table says. */
static void apply_level(struct bp_x86_cpuid *table, const struct bp_x86_cpuid *offered,
                        enum cpuid_level level, const struct shape *shape)
{
    retain(table, has_rule, NULL);
    if (!is_kvm(table)) {
        drop(table, HYPERVISOR_BASE);
        drop(table, HYPERVISOR_BASE + 1);
    }
    for (uint32_t i = 0; i < table->count; i++) {
        const struct cpuid_leaf_rule *rule = rule_of(table->leaves[i].leaf);
        if (rule->rule == CPUID_FILTER)
            filter(&table->leaves[i], rule, level);
    }
    const struct bp_x86_cpuid_leaf *basic = find(table, 1, 0);
    const struct bp_x86_cpuid_leaf *extended = find(offered, EXTENDED_BASE + 1, 0);
    if (shape->amd && extended != NULL)
        edit(table, EXTENDED_BASE + 1, 0)->edx |= extended->edx & basic->edx & EXT1_EDX_COPIES;

    /* Neither level has LA57: linear addresses of 48 bits. */
    struct bp_x86_cpuid_leaf *sizes = edit(table, EXTENDED_BASE + 8, 0);
    if (sizes != NULL && (sizes->eax >> 8 & 0xff) > 48)
        sizes->eax = (sizes->eax & ~0xff00u) | 48u << 8;
}

/* ---- what is computed ---- */

static uint32_t at_most(uint32_t value, uint32_t limit)
{
    return value < limit ? value : limit;
}

/* IDs of logical processors as Intel counts them: rounded up to a power of 2. */
static uint32_t id_space(const struct shape *shape)
{
    return 1u << shape->order;
}

static void set_basic(struct bp_x86_cpuid *table, const struct shape *shape)
{
    struct bp_x86_cpuid_leaf *leaf = edit(table, 1, 0);
    uint32_t count = shape->amd ? shape->cpus : id_space(shape);

    leaf->ecx |= L1_ECX_HYPERVISOR;
    leaf->ecx &= ~L1_ECX_OSXSAVE;
    leaf->edx &= ~L1_EDX_HTT;
    if (shape->cpus > 1)
        leaf->edx |= L1_EDX_HTT;
    leaf->ebx = (leaf->ebx & 0xffff) | at_most(count, 255) << 16 | at_most(shape->index, 255) << 24;

    leaf = edit(table, 7, 0);
    if (leaf != NULL)
        leaf->ecx &= ~L7_ECX_OSPKE;
}

/* Leaf 4 and 0x8000001D have one layout (EAX: type 4:0, level 7:5, sharing processors - 1 in
 * 25:14), but Intel counts IDs, and has those of the package in 31:26 besides. The last level is
 * the socket's, others a core's. */
static void set_cache_sharing(struct bp_x86_cpuid *table, const struct shape *shape)
{
    for (uint32_t i = 0; i < table->count; i++) {
        struct bp_x86_cpuid_leaf *leaf = &table->leaves[i];
        bool intel = leaf->leaf == 4;
        if (!intel && leaf->leaf != 0x8000001d)
            continue;
        if ((leaf->eax & 0x1f) == 0) {
            leaf->eax = leaf->ebx = leaf->ecx = leaf->edx =
                0; /* ends the list, as what is absent does */
            continue;
        }
        uint32_t sharing = (leaf->eax >> 5 & 7) < 3 ? 1 : intel ? id_space(shape) : shape->cpus;
        leaf->eax = (leaf->eax & 0x3fff) | at_most(sharing - 1, 0xfff) << 14;
        if (intel)
            leaf->eax |= at_most(id_space(shape) - 1, 0x3f) << 26;
    }
}

/* Leaf 0xB or 0x1F: threads, cores, and the level 0 that ends the list. */
static int add_topology(struct bp_x86_cpuid *table, uint32_t leaf, const struct shape *shape)
{
    const struct bp_x86_cpuid_leaf levels[] = {
        {leaf, 0, 1, 0, 1, 0 | TOPOLOGY_THREAD << 8, shape->index},
        {leaf, 1, 1, shape->order, at_most(shape->cpus, 0xffff), 1 | TOPOLOGY_CORE << 8,
         shape->index},
        {leaf, 2, 1, 0, 0, 2, shape->index},
    };
    int err = 0;

    for (uint32_t i = 0; i < 3 && err == 0; i++)
        err = add(table, levels[i]);
    return err;
}

static bool offers_leaf(const struct bp_x86_cpuid *offered, uint32_t leaf)
{
    const struct bp_x86_cpuid_leaf *first = find(offered, leaf, 0);

    return first != NULL && is_not_zero(first, NULL);
}

static int set_topology(struct bp_x86_cpuid *table, const struct bp_x86_cpuid *offered,
                        const struct shape *shape)
{
    int err = 0;

    drop(table, 0xb);
    drop(table, 0x1f);
    drop(table, AMD_TOPOLOGY_LEAF);
    drop(table, 0x8000001e);
    drop(table, shape->amd ? 4 : 0x8000001d);

    /* Where APIC IDs may have 32 bits, 0xB is the only leaf that can tell them. */
    if (offers_leaf(offered, 0xb) || (find(table, 1, 0)->ecx & L1_ECX_X2APIC) != 0)
        err = add_topology(table, 0xb, shape);
    if (err == 0 && offers_leaf(offered, 0x1f))
        err = add_topology(table, 0x1f, shape);

    struct bp_x86_cpuid_leaf *extended = edit(table, EXTENDED_BASE + 1, 0);
    bool topoext = false;
    if (extended != NULL) {
        extended->ecx &= ~EXT1_ECX_CMP_LEGACY;
        if (!shape->amd)
            extended->ecx &= ~EXT1_ECX_TOPOEXT;
        else if (shape->cpus > 1)
            extended->ecx |= EXT1_ECX_CMP_LEGACY; /* leaf 1 counts cores, not threads */
        topoext = (extended->ecx & EXT1_ECX_TOPOEXT) != 0;
    }
    if (!topoext)
        drop(table, 0x8000001d);
    else if (err == 0) /* APIC ID; core, one thread in it; node 0 of one */
        err = add(table, (struct bp_x86_cpuid_leaf){0x8000001e, 0, 0, shape->index,
                                                    at_most(shape->index, 255), 0, 0});

    struct bp_x86_cpuid_leaf *sizes = edit(table, EXTENDED_BASE + 8, 0);
    if (sizes != NULL)
        sizes->ecx =
            shape->amd ? at_most(shape->cpus - 1, 255) | at_most(shape->order, 15) << 12 : 0;
    return err;
}

struct xsave {
    uint64_t xcr0, xss;
};

static bool is_kept_component(const struct bp_x86_cpuid_leaf *leaf, const void *context)
{
    const struct xsave *x = context;
    uint32_t subleaf = subleaf_of(leaf);

    if (leaf->leaf != 0xd || subleaf < 2)
        return true;
    return subleaf < XSAVE_COMPONENTS && ((x->xcr0 | x->xss) >> subleaf & 1) != 0;
}

/* Leaf 0xD (SDM 1, 13.2). A component without a leaf of its own, or that lies beyond what the
 * register set x86.fpu holds, is not given: its state could not be kept. */
static void set_xsave(struct bp_x86_cpuid *table, enum cpuid_level level)
{
    struct bp_x86_cpuid_leaf *main_leaf = edit(table, 0xd, 0);
    struct bp_x86_cpuid_leaf *more = edit(table, 0xd, 1);
    struct xsave x = {0};

    if ((find(table, 1, 0)->ecx & L1_ECX_XSAVE) == 0 || main_leaf == NULL) {
        edit(table, 1, 0)->ecx &= ~L1_ECX_XSAVE;
        drop(table, 0xd);
        return;
    }
    if (level != CPUID_HOST) {
        const struct cpuid_leaf_rule all_sizes = {0xd, CPUID_FILTER, {0}};
        filter(main_leaf, &all_sizes, level);
        if (more != NULL)
            filter(more, &all_sizes, level);
    }
    x.xcr0 = main_leaf->eax | (uint64_t)main_leaf->edx << 32;
    if (more != NULL)
        x.xss = more->ecx | (uint64_t)more->edx << 32;

    uint32_t standard = XSAVE_LEGACY_BYTES;
    uint32_t compacted = XSAVE_LEGACY_BYTES;
    bool with_xss = more != NULL && (more->eax & LD_EAX_XSAVES) != 0;
    if (!with_xss)
        x.xss = 0;
    for (uint32_t i = 2; i < 64; i++) {
        uint64_t bit = 1ull << i;
        const struct bp_x86_cpuid_leaf *part = i < XSAVE_COMPONENTS ? find(table, 0xd, i) : NULL;
        if (((x.xcr0 | x.xss) & bit) == 0)
            continue;
        bool user = (x.xcr0 & bit) != 0;
        if (part == NULL || part->eax == 0 || part->eax > BP_X86_XSAVE_BYTES ||
            (user && part->ebx > BP_X86_XSAVE_BYTES - part->eax)) {
            x.xcr0 &= ~bit;
            x.xss &= ~bit;
            continue;
        }
        if (user && part->ebx + part->eax > standard)
            standard = part->ebx + part->eax;
        if ((part->ecx & 2) != 0)
            compacted = (compacted + 63) & ~63u;
        compacted += part->eax;
    }
    main_leaf->eax = (uint32_t)x.xcr0;
    main_leaf->edx = (uint32_t)(x.xcr0 >> 32);
    main_leaf->ebx = main_leaf->ecx = standard;
    if (more != NULL) {
        more->ebx = (more->eax & (LD_EAX_XSAVEC | LD_EAX_XSAVES)) != 0 ? compacted : 0;
        more->ecx = (uint32_t)x.xss;
        more->edx = (uint32_t)(x.xss >> 32);
    }
    retain(table, is_kept_component, &x);
}

static int by_leaf(const void *a, const void *b)
{
    const struct bp_x86_cpuid_leaf *x = a, *y = b;

    if (x->leaf != y->leaf)
        return x->leaf < y->leaf ? -1 : 1;
    return x->subleaf < y->subleaf ? -1 : x->subleaf > y->subleaf;
}

/* The highest leaf in [base, end] goes to EAX of `base`; the highest subleaf of 7 to its EAX. */
static void set_highest(struct bp_x86_cpuid *table)
{
    static const uint32_t ranges[][2] = {
        {BASIC_BASE, HYPERVISOR_BASE - 1},
        {HYPERVISOR_BASE, HYPERVISOR_BASE + 0xff},
        {EXTENDED_BASE, 0x8000ffff},
        {CENTAUR_BASE, 0xc000ffff},
    };
    uint32_t subleaf = 0;

    for (uint32_t r = 0; r < sizeof(ranges) / sizeof(ranges[0]); r++) {
        struct bp_x86_cpuid_leaf *base = edit(table, ranges[r][0], 0);
        if (base == NULL)
            continue;
        base->eax = ranges[r][0];
        for (uint32_t i = 0; i < table->count; i++) {
            uint32_t leaf = table->leaves[i].leaf;
            if (leaf > base->eax && leaf <= ranges[r][1])
                base->eax = leaf;
        }
    }
    for (uint32_t i = 0; i < table->count; i++)
        if (table->leaves[i].leaf == 7 && subleaf_of(&table->leaves[i]) > subleaf)
            subleaf = table->leaves[i].subleaf;
    struct bp_x86_cpuid_leaf *seven = edit(table, 7, 0);
    if (seven != NULL)
        seven->eax = subleaf;
}

static bool is_worth_keeping(const struct bp_x86_cpuid_leaf *leaf, const void *context)
{
    return leaf->leaf == BASIC_BASE || leaf->leaf == 1 || leaf->leaf == EXTENDED_BASE ||
           (leaf->leaf == 7 && subleaf_of(leaf) == 0) || is_not_zero(leaf, context);
}

static bool is_amd(const struct bp_x86_cpuid *offered)
{
    const struct bp_x86_cpuid_leaf *leaf = find(offered, 0, 0);
    char vendor[12];

    memcpy(vendor, &leaf->ebx, 4);
    memcpy(vendor + 4, &leaf->edx, 4);
    memcpy(vendor + 8, &leaf->ecx, 4);
    return memcmp(vendor, "AuthenticAMD", 12) == 0 || memcmp(vendor, "HygonGenuine", 12) == 0;
}

int cpuid_compute(const struct bp_x86_cpuid *offered, enum cpuid_level level, uint32_t index,
                  uint32_t cpus, struct bp_x86_cpuid *out, struct error *e)
{
    if (cpus == 0 || cpus > 0x10000 || index >= cpus)
        return error_set(e, -EINVAL, "there is no vCPU %u of %u", index, cpus);
    int err = check_offer(offered, e);
    if (err == 0 && level != CPUID_HOST)
        err = check_level(offered, level, e);
    if (err != 0)
        return err;

    struct shape shape = {.index = index, .cpus = cpus, .amd = is_amd(offered)};
    while (1u << shape.order < cpus)
        shape.order++;

    out->count = offered->count;
    memcpy(out->leaves, offered->leaves, offered->count * sizeof(offered->leaves[0]));
    if (level != CPUID_HOST)
        apply_level(out, offered, level, &shape);
    set_basic(out, &shape);
    set_cache_sharing(out, &shape);
    set_xsave(out, level);
    retain(out, is_worth_keeping, NULL);
    err = set_topology(out, offered, &shape);
    if (err != 0)
        return error_set(e, err,
                         "the CPUID table of a vCPU has more than %u leaves; use level = v2 or v3",
                         BP_X86_CPUID_MAX);
    set_highest(out);
    qsort(out->leaves, out->count, sizeof(out->leaves[0]), by_leaf);
    return 0;
}
