/* SPDX-License-Identifier: MIT
 *
 * standin/vm.c - the VM of the process, its memory, and what its processor is capable of.
 */
#include "standin.h"

#include <cpuid.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysctl.h>
#include <time.h>

#include "ops/privileged.h"

struct standin *standin(void)
{
    static struct standin it = {.lock = PTHREAD_MUTEX_INITIALIZER};

    return &it;
}

void standin_refuse(hv_return_t result)
{
    standin()->create_result = result;
}

void standin_lack(hv_vmx_capability_t capability, uint32_t bits)
{
    standin()->lacks[capability] = bits;
}

/* ---- the engine's user ---------------------------------------------------------------------- */

/* The host's TSC: 1 GHz as far as the engine knows. */
static uint64_t clock_now(void *context)
{
    (void)context;
    return __builtin_ia32_rdtsc();
}

/* Without HLT exiting: until something comes. */
static void sleep_halted(void *context, struct cpu *c, uint64_t deadline)
{
    const struct timespec a_while = {.tv_nsec = 100000};

    (void)context;
    (void)deadline;
    if (!__atomic_load_n(&c->pend, __ATOMIC_SEQ_CST))
        nanosleep(&a_while, NULL);
}

static void deadline_changed(void *context, struct cpu *c)
{
    (void)context;
    (void)c;
}

static void no_log(void *context, uint32_t level, const char *text)
{
    (void)context;
    (void)level;
    (void)text;
}

/* ---- life ----------------------------------------------------------------------------------- */

hv_return_t hv_vm_create(hv_vm_options_t flags)
{
    const struct engine_user user = {.clock_ns = clock_now,
                                     .utc_ns = clock_now,
                                     .sleep = sleep_halted,
                                     .deadline_changed = deadline_changed,
                                     .log = no_log,
                                     .wake = deadline_changed,
                                     .instruction = exits_instruction,
                                     .event = exits_event,
                                     .boundary = exits_boundary,
                                     .task = exits_task};
    struct standin *s = standin();
    hv_return_t result = HV_SUCCESS;

    if (flags != HV_VM_DEFAULT)
        return HV_BAD_ARGUMENT;
    if (s->create_result != HV_SUCCESS)
        return s->create_result;
    pthread_mutex_lock(&s->lock);
    if (s->engine)
        result = HV_BUSY;
    else if (engine_create(&user, 1000000000, STANDIN_VCPUS, &s->engine))
        result = HV_NO_RESOURCES;
    pthread_mutex_unlock(&s->lock);
    return result;
}

hv_return_t hv_vm_destroy(void)
{
    struct standin *s = standin();
    hv_return_t result = HV_SUCCESS;

    pthread_mutex_lock(&s->lock);
    if (!s->engine)
        result = HV_ERROR;
    for (uint32_t i = 0; i < STANDIN_VCPUS; i++)
        if (s->vcpus[i])
            result = HV_BUSY;
    if (result == HV_SUCCESS) {
        engine_destroy(s->engine);
        s->engine = NULL;
        memset(s->regions, 0, sizeof(s->regions));
    }
    pthread_mutex_unlock(&s->lock);
    return result;
}

/* ---- memory --------------------------------------------------------------------------------- */

static bool is_paged(uint64_t gpa, uint64_t size)
{
    uint64_t end;

    return size && ((gpa | size) & 0xfff) == 0 && !__builtin_add_overflow(gpa, size - 1, &end);
}

static struct standin_region *overlapping(struct standin *s, uint64_t gpa, uint64_t size)
{
    for (uint32_t i = 0; i < STANDIN_REGIONS; i++) {
        struct standin_region *r = &s->regions[i];

        if (r->size && gpa <= r->gpa + (r->size - 1) && r->gpa <= gpa + (size - 1))
            return r;
    }
    return NULL;
}

uint64_t standin_permissions(uint64_t gpa)
{
    struct standin *s = standin();
    const struct standin_region *r;
    uint64_t flags;

    pthread_mutex_lock(&s->lock);
    r = overlapping(s, gpa, 1);
    flags = r ? r->flags : 0;
    pthread_mutex_unlock(&s->lock);
    return flags;
}

hv_return_t hv_vm_map(hv_uvaddr_t uva, hv_gpaddr_t gpa, size_t size, hv_memory_flags_t flags)
{
    struct standin *s = standin();
    struct bp_mem_slot slot = {
        .size = sizeof(slot),
        .flags = flags & HV_MEMORY_WRITE ? 0 : BP_RAM_READONLY,
        .gpa = gpa,
        .length = size,
        .host = (uint8_t *)(uintptr_t)uva}; /* NOLINT(performance-no-int-to-ptr) */
    hv_return_t result = HV_NO_RESOURCES;

    if (!is_paged(gpa, size) || ((uintptr_t)uva & 0xfff) || !(flags & HV_MEMORY_READ))
        return HV_BAD_ARGUMENT;
    pthread_mutex_lock(&s->lock);
    if (!s->engine || overlapping(s, gpa, size))
        result = HV_ERROR;
    for (uint32_t i = 0; i < STANDIN_REGIONS && result == HV_NO_RESOURCES; i++) {
        if (s->regions[i].size)
            continue;
        slot.index = i;
        if (engine_memory_set(s->engine, &slot) == 0) {
            s->regions[i] = (struct standin_region){gpa, size, flags};
            result = HV_SUCCESS;
        } else {
            result = HV_ERROR;
        }
    }
    pthread_mutex_unlock(&s->lock);
    return result;
}

/* What was mapped at once only. */
hv_return_t hv_vm_unmap(hv_gpaddr_t gpa, size_t size)
{
    struct standin *s = standin();
    hv_return_t result = HV_BAD_ARGUMENT;

    pthread_mutex_lock(&s->lock);
    for (uint32_t i = 0; i < STANDIN_REGIONS && s->engine; i++) {
        const struct bp_mem_slot none = {.size = sizeof(none), .index = i};

        if (!s->regions[i].size || s->regions[i].gpa != gpa || s->regions[i].size != size)
            continue;
        engine_memory_set(s->engine, &none);
        s->regions[i].size = 0;
        result = HV_SUCCESS;
    }
    pthread_mutex_unlock(&s->lock);
    return result;
}

hv_return_t hv_vm_protect(hv_gpaddr_t gpa, size_t size, hv_memory_flags_t flags)
{
    struct standin *s = standin();
    struct standin_region *r;
    hv_return_t result = HV_BAD_ARGUMENT;

    if (!is_paged(gpa, size))
        return HV_BAD_ARGUMENT;
    pthread_mutex_lock(&s->lock);
    r = s->engine ? overlapping(s, gpa, size) : NULL;
    /* Of what was mapped for writing. */
    if (r && gpa >= r->gpa && size <= r->size - (gpa - r->gpa) && r->flags & HV_MEMORY_WRITE &&
        flags & HV_MEMORY_READ)
        result = engine_memory_keep(s->engine, gpa, size, !(flags & HV_MEMORY_WRITE))
                     ? HV_NO_RESOURCES
                     : HV_SUCCESS;
    pthread_mutex_unlock(&s->lock);
    return result;
}

/* ---- the processor -------------------------------------------------------------------------- */

/* Must be 1; may be 1. What the stand-in does not have may not be. */
uint64_t standin_capability(hv_vmx_capability_t capability)
{
    static const struct {
        uint32_t must, may;
    } caps[] = {
        [HV_VMX_CAP_PINBASED] = {0x16 | PIN_EXTERNAL_INTERRUPT | PIN_NMI, PIN_VIRTUAL_NMI},
        [HV_VMX_CAP_PROCBASED] = {0x04006172 | PROC_SECONDARY | PROC_MSR_BITMAPS,
                                  PROC_INTERRUPT_WINDOW | PROC_TSC_OFFSET | PROC_HLT | PROC_INVLPG |
                                      PROC_MWAIT | PROC_RDPMC | PROC_RDTSC | PROC_CR3_LOAD |
                                      PROC_CR3_STORE | PROC_CR8_LOAD | PROC_CR8_STORE |
                                      PROC_NMI_WINDOW | PROC_MOV_DR | PROC_TRAP_FLAG | PROC_IO |
                                      PROC_MONITOR | PROC_PAUSE},
        [HV_VMX_CAP_PROCBASED2] = {PROC2_EPT | PROC2_VPID, PROC2_RDTSCP | PROC2_WBINVD |
                                                               PROC2_UNRESTRICTED | PROC2_INVPCID},
        [HV_VMX_CAP_ENTRY] = {0x11fb,
                              ENTRY_LOAD_DEBUG | ENTRY_GUEST_64 | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER},
        [HV_VMX_CAP_EXIT] = {0x36dfb | EXIT_HOST_64, EXIT_SAVE_DEBUG | EXIT_ACKNOWLEDGE |
                                                         EXIT_SAVE_PAT | EXIT_LOAD_PAT |
                                                         EXIT_SAVE_EFER | EXIT_LOAD_EFER},
    };
    uint32_t must = caps[capability].must, may = must | caps[capability].may;

    return (uint64_t)(may & ~standin()->lacks[capability]) << 32 | must;
}

hv_return_t hv_vmx_read_capability(hv_vmx_capability_t field, uint64_t *value)
{
    if ((unsigned)field > HV_VMX_CAP_EXIT)
        return HV_BAD_ARGUMENT;
    *value = standin_capability(field);
    return HV_SUCCESS;
}

/* That of the engine, without what it says of hypervisors. */
void standin_cpuid(unsigned leaf, unsigned subleaf, unsigned out[4])
{
    const struct engine e = {.tsc_hz = 1000000000};
    struct bp_x86_cpuid table;

    cpuid_offered(&e, &table);
    memset(out, 0, 4 * sizeof(out[0]));
    if (leaf >> 28 == 4)
        return;
    for (uint32_t i = 0; i < table.count; i++) {
        const struct bp_x86_cpuid_leaf *l = &table.leaves[i];

        if (l->leaf != leaf || (l->has_subleaf && l->subleaf != subleaf))
            continue;
        out[0] = l->eax;
        out[1] = l->ebx;
        out[2] = l->ecx;
        out[3] = l->edx;
        if (leaf == 1)
            out[2] &= ~(1u << 31);
        return;
    }
}

/* machdep.tsc.frequency, measured once. */
int sysctlbyname(const char *name, void *old, size_t *old_length, void *fresh, size_t length)
{
    static uint64_t hz;
    struct timespec begin, now;
    uint64_t tsc, value = __atomic_load_n(&hz, __ATOMIC_RELAXED);

    (void)fresh;
    if (strcmp(name, "machdep.tsc.frequency") != 0 || length || *old_length != sizeof(value)) {
        errno = ENOENT;
        return -1;
    }
    if (!value) {
        int64_t ns;

        clock_gettime(CLOCK_MONOTONIC, &begin);
        tsc = __builtin_ia32_rdtsc();
        do {
            clock_gettime(CLOCK_MONOTONIC, &now);
            ns = (now.tv_sec - begin.tv_sec) * 1000000000 + (now.tv_nsec - begin.tv_nsec);
        } while (ns < 50000000);
        tsc = __builtin_ia32_rdtsc() - tsc;
        value = (uint64_t)((double)tsc * 1e9 / (double)ns);
        __atomic_store_n(&hz, value, __ATOMIC_RELAXED);
    }
    memcpy(old, &value, sizeof(value));
    return 0;
}
