/* SPDX-License-Identifier: MIT
 *
 * What each level makes of two processors: golden files, rules that hold for every level and size
 * of machine, and the sentences for what cannot be offered.
 *
 * BACKPLANE_UPDATE_GOLDEN=1 writes the golden files anew.
 */
#include "platform/cpuid.h"
#include "platform/cpuid_features.h"
#include "platform/cpuid_samples.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const level_names[] = {"v2", "v3", "host"};
static const uint32_t sizes[] = {1, 2, 3, 4, 8, 65, 255};

static struct bp_x86_cpuid table_of(const struct bp_x86_cpuid_leaf *leaves, uint32_t count)
{
    struct bp_x86_cpuid table = {.count = count};
    memcpy(table.leaves, leaves, count * sizeof(leaves[0]));
    return table;
}

static struct bp_x86_cpuid intel(void)
{
    return table_of(intel_leaves, COUNT(intel_leaves));
}

static struct bp_x86_cpuid amd(void)
{
    return table_of(amd_leaves, COUNT(amd_leaves));
}

static struct bp_x86_cpuid_leaf *find(struct bp_x86_cpuid *table, uint32_t leaf, uint32_t subleaf)
{
    for (uint32_t i = 0; i < table->count; i++)
        if (table->leaves[i].leaf == leaf && table->leaves[i].subleaf == subleaf)
            return &table->leaves[i];
    return NULL;
}

static struct bp_x86_cpuid_leaf *need(struct bp_x86_cpuid *table, uint32_t leaf, uint32_t subleaf)
{
    struct bp_x86_cpuid_leaf *found = find(table, leaf, subleaf);
    assert_non_null(found);
    return found;
}

static uint32_t reg_of(const struct bp_x86_cpuid_leaf *leaf, uint32_t reg)
{
    switch (reg) {
    case CPUID_EAX:
        return leaf->eax;
    case CPUID_EBX:
        return leaf->ebx;
    case CPUID_ECX:
        return leaf->ecx;
    default:
        return leaf->edx;
    }
}

static struct bp_x86_cpuid compute(const struct bp_x86_cpuid *offered, enum cpuid_level level,
                                   uint32_t index, uint32_t cpus)
{
    struct bp_x86_cpuid out;
    struct error e = {""};

    memset(&out, 0xa5, sizeof(out)); /* nothing of it may be taken as given */
    assert_int_equal(cpuid_compute(offered, level, index, cpus, &out, &e), 0);
    return out;
}

/* ---- golden files ---- */

static void print_table(FILE *f, const struct bp_x86_cpuid *table)
{
    for (uint32_t i = 0; i < table->count; i++) {
        const struct bp_x86_cpuid_leaf *leaf = &table->leaves[i];
        char sub[8] = "-";
        if (leaf->has_subleaf)
            snprintf(sub, sizeof(sub), "%u", leaf->subleaf);
        fprintf(f, "%08x %-2s  %08x %08x %08x %08x\n", leaf->leaf, sub, leaf->eax, leaf->ebx,
                leaf->ecx, leaf->edx);
        bool any = false;
        for (const struct cpuid_feature *c = cpuid_features; c->name != NULL; c++) {
            if (c->leaf != leaf->leaf || c->subleaf != leaf->subleaf ||
                (reg_of(leaf, c->reg) >> c->bit & 1) == 0)
                continue;
            fprintf(f, "%s%s", any ? " " : "             ", c->name);
            any = true;
        }
        if (any)
            fprintf(f, "\n");
    }
}

static void compare_golden(const char *vendor, const struct bp_x86_cpuid *offered,
                           enum cpuid_level level, uint32_t cpus)
{
    char path[512];
    char *text = NULL;
    size_t length = 0;
    static char golden[1 << 16];

    struct bp_x86_cpuid table = compute(offered, level, cpus - 1, cpus);
    FILE *f = open_memstream(&text, &length);
    assert_non_null(f);
    fprintf(f, "vCPU %u of %u\n", cpus - 1, cpus);
    print_table(f, &table);
    fclose(f);

    snprintf(path, sizeof(path), GOLDEN "/cpuid-%s-%s-%u.txt", vendor, level_names[level], cpus);
    bool update = getenv("BACKPLANE_UPDATE_GOLDEN") != NULL;
    f = fopen(path, update ? "w" : "r");
    assert_non_null(f);
    if (update) {
        assert_int_equal(fwrite(text, 1, length, f), length);
    } else {
        size_t n = fread(golden, 1, sizeof(golden) - 1, f);
        golden[n] = '\0';
        assert_string_equal(text, golden);
    }
    fclose(f);
    free(text);
}

static void intel_tables_are_as_in_the_golden_files(void **state)
{
    struct bp_x86_cpuid offered = intel();
    (void)state;

    for (uint32_t level = 0; level < 3; level++) {
        compare_golden("intel", &offered, level, 1);
        compare_golden("intel", &offered, level, 4);
    }
}

static void amd_tables_are_as_in_the_golden_files(void **state)
{
    struct bp_x86_cpuid offered = amd();
    (void)state;

    for (uint32_t level = 0; level < 3; level++) {
        compare_golden("amd", &offered, level, 1);
        compare_golden("amd", &offered, level, 4);
    }
}

/* ---- rules for every table ---- */

/* Calls `check` for each vendor, level, size, and the first and last vCPU. */
static void for_every_table(void (*check)(struct bp_x86_cpuid *table, struct bp_x86_cpuid *offered,
                                          enum cpuid_level level, uint32_t index, uint32_t cpus,
                                          bool is_amd))
{
    for (uint32_t vendor = 0; vendor < 2; vendor++) {
        struct bp_x86_cpuid offered = vendor == 0 ? intel() : amd();
        for (uint32_t level = 0; level < 3; level++) {
            for (uint32_t i = 0; i < COUNT(sizes); i++) {
                for (uint32_t last = 0; last < 2; last++) {
                    uint32_t index = last ? sizes[i] - 1 : 0;
                    struct bp_x86_cpuid table = compute(&offered, level, index, sizes[i]);
                    check(&table, &offered, level, index, sizes[i], vendor == 1);
                }
            }
        }
    }
}

static void check_order(struct bp_x86_cpuid *table, struct bp_x86_cpuid *offered,
                        enum cpuid_level level, uint32_t index, uint32_t cpus, bool is_amd)
{
    uint32_t highest[3] = {0, 0x40000000, 0x80000000};
    uint32_t seven = 0;
    (void)offered, (void)level, (void)index, (void)cpus, (void)is_amd;

    for (uint32_t i = 0; i < table->count; i++) {
        struct bp_x86_cpuid_leaf *at = &table->leaves[i];
        if (i > 0)
            assert_true(at[-1].leaf < at->leaf ||
                        (at[-1].leaf == at->leaf && at[-1].subleaf < at->subleaf));
        if (at->leaf == 7)
            seven = at->subleaf;
        highest[at->leaf >> 30] = at->leaf; /* they ascend */
    }
    assert_int_equal(need(table, 0, 0)->eax, highest[0]);
    assert_int_equal(need(table, 0x40000000, 0)->eax, highest[1]);
    assert_int_equal(need(table, 0x80000000, 0)->eax, highest[2]);
    assert_int_equal(need(table, 7, 0)->eax, seven);
}

static void leaves_ascend_and_highest_leaves_are_those_in_the_table(void **state)
{
    (void)state;
    for_every_table(check_order);
}

static uint32_t order_of(uint32_t cpus)
{
    uint32_t order = 0;
    while (1u << order < cpus)
        order++;
    return order;
}

static void check_topology(struct bp_x86_cpuid *table, struct bp_x86_cpuid *offered,
                           enum cpuid_level level, uint32_t index, uint32_t cpus, bool is_amd)
{
    struct bp_x86_cpuid_leaf *one = need(table, 1, 0);
    uint32_t space = 1u << order_of(cpus);
    (void)offered, (void)level;

    assert_int_equal(one->ebx >> 24, index);
    assert_int_equal(one->edx >> 28 & 1, cpus > 1);
    assert_int_equal(one->ebx >> 16 & 0xff, is_amd ? cpus : space < 255 ? space : 255);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(need(table, 0xb, i)->edx, index);
    assert_int_equal(need(table, 0xb, 0)->eax, 0);
    assert_int_equal(need(table, 0xb, 0)->ebx, 1);
    assert_int_equal(need(table, 0xb, 1)->eax, order_of(cpus));
    assert_int_equal(need(table, 0xb, 1)->ebx, cpus);
    assert_int_equal(need(table, 0xb, 2)->ecx, 2);
    assert_int_equal(find(table, 0x1f, 0) != NULL, !is_amd);
    if (!is_amd) {
        assert_int_equal(need(table, 4, 0)->eax >> 14 & 0xfff, 0);
        assert_int_equal(need(table, 4, 3)->eax >> 14 & 0xfff, space - 1);
        assert_int_equal(need(table, 4, 0)->eax >> 26, space - 1 < 63 ? space - 1 : 63);
        assert_int_equal(need(table, 0x80000008, 0)->ecx, 0);
        assert_null(find(table, 0x8000001d, 0));
        return;
    }
    assert_int_equal(need(table, 0x80000001, 0)->ecx >> 1 & 1, cpus > 1);
    assert_int_equal(need(table, 0x80000008, 0)->ecx, (cpus - 1) | order_of(cpus) << 12);
    assert_int_equal(need(table, 0x8000001d, 2)->eax >> 14, 0);
    assert_int_equal(need(table, 0x8000001d, 3)->eax >> 14, cpus - 1);
    assert_int_equal(need(table, 0x8000001e, 0)->eax, index);
    assert_int_equal(need(table, 0x8000001e, 0)->ebx, index);
    assert_int_equal(need(table, 0x8000001e, 0)->ecx, 0);
    assert_null(find(table, 4, 0));
}

static void every_leaf_tells_the_same_topology(void **state)
{
    (void)state;
    for_every_table(check_topology);
}

static void check_xsave(struct bp_x86_cpuid *table, struct bp_x86_cpuid *offered,
                        enum cpuid_level level, uint32_t index, uint32_t cpus, bool is_amd)
{
    (void)offered, (void)index, (void)cpus, (void)is_amd;
    if (level == CPUID_V2) {
        assert_null(find(table, 0xd, 0));
        assert_int_equal(need(table, 1, 0)->ecx >> 26 & 1, 0);
        return;
    }
    struct bp_x86_cpuid_leaf *zero = need(table, 0xd, 0);
    uint32_t end = 576;
    uint64_t components = zero->eax | need(table, 0xd, 1)->ecx;
    for (uint32_t i = 2; i < 63; i++) {
        struct bp_x86_cpuid_leaf *part = find(table, 0xd, i);
        assert_int_equal(part != NULL, components >> i & 1);
        if (part != NULL && (zero->eax >> i & 1) != 0 && part->ebx + part->eax > end)
            end = part->ebx + part->eax;
    }
    assert_int_equal(zero->ebx, end);
    assert_int_equal(zero->ecx, end);
    if (level == CPUID_V3) {
        assert_int_equal(zero->eax, 7);
        assert_int_equal(end, 0x340);
        assert_int_equal(need(table, 0xd, 1)->eax, 7);
        assert_int_equal(need(table, 0xd, 1)->ebx, 0x340);
        assert_int_equal(need(table, 0xd, 1)->ecx, 0);
    }
}

static void xsave_sizes_are_those_of_the_components_left(void **state)
{
    (void)state;
    for_every_table(check_xsave);
}

static void check_subset(struct bp_x86_cpuid *table, struct bp_x86_cpuid *offered,
                         enum cpuid_level level, uint32_t index, uint32_t cpus, bool is_amd)
{
    (void)index, (void)cpus, (void)is_amd;
    for (const struct cpuid_feature *f = cpuid_features; f->name != NULL; f++) {
        struct bp_x86_cpuid_leaf *given = find(table, f->leaf, f->subleaf);
        struct bp_x86_cpuid_leaf *had = find(offered, f->leaf, f->subleaf);
        bool is_given = given != NULL && (reg_of(given, f->reg) >> f->bit & 1) != 0;
        bool is_had = had != NULL && (reg_of(had, f->reg) >> f->bit & 1) != 0;
        bool is_wanted = level != CPUID_V2 || f->kind == CPUID_NEED_V2 || f->kind == CPUID_MAY_V2;
        if (is_given != (is_had && is_wanted))
            fail_msg("%s is %s at level %s", f->name, is_given ? "given" : "missing",
                     level_names[level]);
    }
}

static void features_are_given_exactly_if_offered_and_of_the_level(void **state)
{
    (void)state;
    for_every_table(check_subset);
}

static void check_never(struct bp_x86_cpuid *table, struct bp_x86_cpuid *offered,
                        enum cpuid_level level, uint32_t index, uint32_t cpus, bool is_amd)
{
    static const uint32_t host_only[] = {
        0x3,  0x5,        0x9,        0xa,        0xf,        0x10,       0x12,
        0x14, 0x17,       0x18,       0x19,       0x1a,       0x1c,       0x1d,
        0x1e, 0x8000000a, 0x8000001b, 0x8000001c, 0x8000001f, 0x80000020, 0x80000022};
    (void)offered, (void)index, (void)cpus, (void)is_amd;

    assert_int_equal(need(table, 1, 0)->ecx >> 31, 1);     /* hypervisor */
    assert_int_equal(need(table, 1, 0)->ecx >> 27 & 1, 0); /* OSXSAVE */
    assert_int_equal(need(table, 7, 0)->ecx >> 4 & 1, 0);  /* OSPKE */
    assert_null(find(table, 0x80000026, 0));
    if (level == CPUID_HOST)
        return;
    for (uint32_t i = 0; i < COUNT(host_only); i++)
        assert_null(find(table, host_only[i], 0));
    assert_int_equal(need(table, 1, 0)->ecx & (1 << 3 | 1 << 5), 0); /* MONITOR, VMX */
    assert_int_equal(need(table, 0x80000001, 0)->ecx & (1 << 2), 0); /* SVM */
    assert_int_equal(need(table, 0x80000008, 0)->eax >> 8 & 0xff, 48);
    assert_int_equal(need(table, 0x40000001, 0)->eax, 1u << 24 | 1 << 3 | 1 << 1);
}

static void what_no_other_backend_could_take_over_is_for_host_only(void **state)
{
    (void)state;
    for_every_table(check_never);
}

static void host_keeps_nested_virtualization_and_wide_vectors(void **state)
{
    struct bp_x86_cpuid offered = intel();
    (void)state;

    struct bp_x86_cpuid table = compute(&offered, CPUID_HOST, 0, 2);
    assert_int_equal(need(&table, 1, 0)->ecx >> 5 & 1, 1);
    assert_int_equal(need(&table, 7, 0)->ebx, need(&offered, 7, 0)->ebx);
    assert_int_equal(need(&table, 0xd, 0)->eax, 0x2e7);
    assert_int_equal(need(&table, 0xd, 1)->ebx, 0x9b0);
    assert_int_equal(need(&table, 0x80000008, 0)->eax, 0x3934);
    offered = amd();
    table = compute(&offered, CPUID_HOST, 0, 2);
    assert_memory_equal(need(&table, 0x8000000a, 0), need(&offered, 0x8000000a, 0), 28);
}

static void compacted_components_are_aligned_where_they_say_so(void **state)
{
    struct bp_x86_cpuid offered = intel();
    (void)state;

    need(&offered, 0xd, 11)->ecx = 3; /* after PKRU, which ends at 0x988 */
    struct bp_x86_cpuid table = compute(&offered, CPUID_HOST, 0, 1);
    assert_int_equal(need(&table, 0xd, 1)->ebx, 0x9c0 + 0x10 + 0x18);
}

static void amd_repeats_leaf_1_in_its_extended_leaf(void **state)
{
    struct bp_x86_cpuid offered = amd();
    (void)state;

    need(&offered, 1, 0)->edx &= ~(1u << 1); /* vme */
    struct bp_x86_cpuid table = compute(&offered, CPUID_V2, 0, 1);
    uint32_t basic = need(&table, 1, 0)->edx;
    uint32_t extended = need(&table, 0x80000001, 0)->edx;
    assert_int_equal(extended & 0x0183f3ff, basic & 0x0183f3ff);
    assert_int_equal(extended & 2, 0);
}

static void vendor_signature_and_brand_are_the_backends(void **state)
{
    struct bp_x86_cpuid offered = amd();
    (void)state;

    struct bp_x86_cpuid table = compute(&offered, CPUID_V2, 1, 2);
    assert_int_equal(need(&table, 0, 0)->ebx, need(&offered, 0, 0)->ebx);
    assert_int_equal(need(&table, 1, 0)->eax, need(&offered, 1, 0)->eax);
    for (uint32_t i = 0x80000002; i <= 0x80000004; i++) {
        struct bp_x86_cpuid_leaf *brand = find(&table, i, 0);
        if (brand != NULL)
            assert_memory_equal(brand, need(&offered, i, 0), sizeof(*brand));
        else
            assert_int_equal(need(&offered, i, 0)->eax, 0);
    }
}

static void another_hypervisors_leaves_are_for_host_only(void **state)
{
    struct bp_x86_cpuid offered = intel();
    (void)state;

    need(&offered, 0x40000000, 0)->ebx = 0x7263694d; /* "Micr" */
    struct bp_x86_cpuid table = compute(&offered, CPUID_V3, 0, 1);
    assert_null(find(&table, 0x40000000, 0));
    assert_null(find(&table, 0x40000001, 0));
    table = compute(&offered, CPUID_HOST, 0, 1);
    assert_int_equal(need(&table, 0x40000001, 0)->eax, 0x01007efb);
}

static void without_x2apic_and_leaf_0xb_there_is_no_leaf_0xb(void **state)
{
    struct bp_x86_cpuid offered = amd();
    (void)state;

    need(&offered, 1, 0)->ecx &= ~(1u << 21);
    struct bp_x86_cpuid table = compute(&offered, CPUID_V2, 0, 2);
    assert_null(find(&table, 0xb, 0));
    assert_int_equal(need(&table, 0, 0)->eax, 7);
}

static void xsave_component_without_a_size_is_not_given(void **state)
{
    struct bp_x86_cpuid offered = intel();
    (void)state;

    need(&offered, 0xd, 9)->eax = 0;
    need(&offered, 0xd, 7)->ebx = 0xfffffff0; /* ends beyond every area */
    struct bp_x86_cpuid table = compute(&offered, CPUID_HOST, 0, 1);
    assert_int_equal(need(&table, 0xd, 0)->eax, 0x67);
    assert_int_equal(need(&table, 0xd, 0)->ecx, 0x680);
    assert_null(find(&table, 0xd, 9));
    assert_null(find(&table, 0xd, 7));
}

static void level_needs_no_more_than_its_features(void **state)
{
    struct bp_x86_cpuid offered = intel();
    (void)state;

    /* What v2 may, but need not have. */
    for (const struct cpuid_feature *f = cpuid_features; f->name != NULL; f++) {
        struct bp_x86_cpuid_leaf *leaf = find(&offered, f->leaf, f->subleaf);
        if (leaf == NULL || f->kind == CPUID_NEED_V2)
            continue;
        uint32_t *reg = f->reg == CPUID_EAX   ? &leaf->eax
                        : f->reg == CPUID_EBX ? &leaf->ebx
                        : f->reg == CPUID_ECX ? &leaf->ecx
                                              : &leaf->edx;
        *reg &= ~(1u << f->bit);
    }
    struct bp_x86_cpuid table = compute(&offered, CPUID_V2, 0, 1);
    assert_int_equal(need(&table, 1, 0)->ecx & 0x00982201, 0x00982201);
}

/* ---- what is refused ---- */

static void refused(const struct bp_x86_cpuid *offered, enum cpuid_level level, uint32_t index,
                    uint32_t cpus, int err, const char *sentence)
{
    struct bp_x86_cpuid out;
    struct error e = {""};

    assert_int_equal(cpuid_compute(offered, level, index, cpus, &out, &e), err);
    assert_string_equal(e.text, sentence);
}

static void bad_v3_on_a_processor_without_avx2_names_what_is_missing(void **state)
{
    struct bp_x86_cpuid offered = intel();
    (void)state;

    need(&offered, 7, 0)->ebx &= ~(1u << 5 | 1u << 8);
    refused(&offered, CPUID_V3, 0, 1, -ENOTSUP,
            "the CPU backend cannot offer x86-64-v3: it lacks avx2, bmi2 (use level = v2)");
}

static void bad_v3_without_the_vector_state_is_refused(void **state)
{
    struct bp_x86_cpuid offered = intel();
    (void)state;

    need(&offered, 0xd, 0)->eax = 3;
    refused(&offered, CPUID_V3, 0, 1, -ENOTSUP,
            "the CPU backend cannot offer x86-64-v3: it lacks avx-state (use level = v2)");
}

static void bad_v3_without_what_v2_needs_recommends_host(void **state)
{
    struct bp_x86_cpuid offered = intel();
    (void)state;

    need(&offered, 1, 0)->ecx &= ~(1u << 23);
    refused(&offered, CPUID_V3, 0, 1, -ENOTSUP,
            "the CPU backend cannot offer x86-64-v3: it lacks popcnt (use level = host)");
}

static void bad_v2_on_an_empty_processor_names_everything(void **state)
{
    static const struct bp_x86_cpuid_leaf leaves[] = {{.leaf = 0}, {.leaf = 1}};
    struct bp_x86_cpuid offered = table_of(leaves, 2);
    (void)state;

    refused(&offered, CPUID_V2, 0, 1, -ENOTSUP,
            "the CPU backend cannot offer x86-64-v2: it lacks fpu, pse, tsc, msr, pae, cx8, apic, "
            "cmov, mmx, "
            "fxsr, sse, sse2, sse3, ssse3, cx16, sse4_1, sse4_2, popcnt, lahf_lm, syscall, lm (use "
            "level = "
            "host)");
}

static void bad_count_beyond_the_table_is_refused(void **state)
{
    struct bp_x86_cpuid offered = intel();
    (void)state;

    offered.count = BP_X86_CPUID_MAX + 1;
    refused(&offered, CPUID_HOST, 0, 1, -EINVAL,
            "the CPU backend offers 257 CPUID leaves, expected at most 256; it is broken");
}

static void bad_leaf_twice_is_refused(void **state)
{
    struct bp_x86_cpuid offered = intel();
    (void)state;

    offered.leaves[offered.count++] = (struct bp_x86_cpuid_leaf){.leaf = 7, .has_subleaf = 0};
    refused(&offered, CPUID_HOST, 0, 1, -EINVAL,
            "the CPU backend offers CPUID leaf 0x7, subleaf 0, twice; it is broken");
}

static void bad_offer_without_leaf_1_is_refused(void **state)
{
    static const struct bp_x86_cpuid_leaf leaves[] = {{.leaf = 0}};
    struct bp_x86_cpuid offered = table_of(leaves, 1);
    (void)state;

    refused(&offered, CPUID_HOST, 0, 1, -EINVAL,
            "the CPU backend offers no CPUID leaf 1; it is broken");
}

static void bad_vcpu_beyond_the_machine_is_refused(void **state)
{
    struct bp_x86_cpuid offered = intel();
    (void)state;

    refused(&offered, CPUID_HOST, 2, 2, -EINVAL, "there is no vCPU 2 of 2");
    refused(&offered, CPUID_HOST, 0, 0, -EINVAL, "there is no vCPU 0 of 0");
}

static void bad_offer_that_leaves_no_room_for_the_topology_is_refused(void **state)
{
    struct bp_x86_cpuid offered = amd();
    (void)state;

    need(&offered, 0x80000004, 0)->eax = 1; /* or its place would be free */
    while (offered.count < BP_X86_CPUID_MAX) {
        offered.leaves[offered.count] =
            (struct bp_x86_cpuid_leaf){.leaf = 0x50000000 + offered.count, .eax = 1};
        offered.count++;
    }
    refused(&offered, CPUID_HOST, 0, 1, -ENOSPC,
            "the CPUID table of a vCPU has more than 256 leaves; use level = v2 or v3");
    compute(&offered, CPUID_V3, 0, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intel_tables_are_as_in_the_golden_files),
        cmocka_unit_test(amd_tables_are_as_in_the_golden_files),
        cmocka_unit_test(leaves_ascend_and_highest_leaves_are_those_in_the_table),
        cmocka_unit_test(every_leaf_tells_the_same_topology),
        cmocka_unit_test(xsave_sizes_are_those_of_the_components_left),
        cmocka_unit_test(features_are_given_exactly_if_offered_and_of_the_level),
        cmocka_unit_test(what_no_other_backend_could_take_over_is_for_host_only),
        cmocka_unit_test(host_keeps_nested_virtualization_and_wide_vectors),
        cmocka_unit_test(compacted_components_are_aligned_where_they_say_so),
        cmocka_unit_test(amd_repeats_leaf_1_in_its_extended_leaf),
        cmocka_unit_test(vendor_signature_and_brand_are_the_backends),
        cmocka_unit_test(another_hypervisors_leaves_are_for_host_only),
        cmocka_unit_test(without_x2apic_and_leaf_0xb_there_is_no_leaf_0xb),
        cmocka_unit_test(xsave_component_without_a_size_is_not_given),
        cmocka_unit_test(level_needs_no_more_than_its_features),
        cmocka_unit_test(bad_v3_on_a_processor_without_avx2_names_what_is_missing),
        cmocka_unit_test(bad_v3_without_the_vector_state_is_refused),
        cmocka_unit_test(bad_v3_without_what_v2_needs_recommends_host),
        cmocka_unit_test(bad_v2_on_an_empty_processor_names_everything),
        cmocka_unit_test(bad_count_beyond_the_table_is_refused),
        cmocka_unit_test(bad_leaf_twice_is_refused),
        cmocka_unit_test(bad_offer_without_leaf_1_is_refused),
        cmocka_unit_test(bad_vcpu_beyond_the_machine_is_refused),
        cmocka_unit_test(bad_offer_that_leaves_no_room_for_the_topology_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
