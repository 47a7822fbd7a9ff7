/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/rig.c - the machine of rig.h: a host and a bus of the least that a CPU backend needs.
 */
#include "rig.h"

#include <backplane/ext/irqchip.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#ifndef RIG_BACKEND
#define RIG_BACKEND "cpu-kvm" /* tests/hvf has another */
#endif
#define LOG_LINES 8u
#define LINE_BYTES 600u
#define RIG_CONFIG_BYTES 256u

/* The host is one for the program, as its functions are given a node that it makes of nothing. */
struct bp_node {
    char failure[LINE_BYTES];
    char log[LOG_LINES][LINE_BYTES];
    unsigned logged;
    uint32_t level;      /* of the last line */
    const char *backend; /* the plugin's name */
    const struct bp_peer *chip;
    uint64_t stopped_ns; /* the clock then; 0: it runs */
    uint64_t lost_ns;    /* while it stood */
    pthread_mutex_t lock;
};

static struct bp_node *the_node(void)
{
    static struct bp_node node = {.backend = RIG_BACKEND, .lock = PTHREAD_MUTEX_INITIALIZER};

    return &node;
}

struct bp_vcpu {
    struct rig *rig;
    uint32_t index;
};

/* ---- host ----------------------------------------------------------------------------------- */

static void host_log(struct bp_node *node, uint32_t level, const char *text)
{
    pthread_mutex_lock(&node->lock);
    node->level = level;
    snprintf(node->log[node->logged++ % LOG_LINES], LINE_BYTES, "%s", text);
    pthread_mutex_unlock(&node->lock);
}

static int host_fail(struct bp_node *node, int err, const char *text)
{
    pthread_mutex_lock(&node->lock);
    snprintf(node->failure, sizeof(node->failure), "%s", text);
    pthread_mutex_unlock(&node->lock);
    return err;
}

static uint64_t real_clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t host_clock_ns(struct bp_node *node)
{
    uint64_t ns;

    pthread_mutex_lock(&node->lock);
    ns = node->stopped_ns ? node->stopped_ns : real_clock_ns() - node->lost_ns;
    pthread_mutex_unlock(&node->lock);
    return ns;
}

static uint64_t host_utc_ns(struct bp_node *node)
{
    return UINT64_C(1700000000000000000) + host_clock_ns(node);
}

/* The interrupt controllers that the test has, and nothing else that is optional. */
static const void *host_extension(struct bp_node *node, const char *id)
{
    return strcmp(id, BP_IRQCHIP_ID) != 0 ? NULL : node->chip;
}

static void host_request(struct bp_node *node, uint32_t what, uint32_t code)
{
    char line[64];

    snprintf(line, sizeof(line), "request %u %u", what, code);
    host_log(node, 0, line);
}

const struct bp_host *rig_host(void)
{
    static const struct bp_host host = {
        .size = sizeof(host),
        .log = host_log,
        .fail = host_fail,
        .request = host_request,
        .clock_ns = host_clock_ns,
        .utc_ns = host_utc_ns,
        .extension = host_extension,
    };

    return &host;
}

struct bp_node *rig_node(void)
{
    return the_node();
}

const char *rig_failure(void)
{
    return the_node()->failure;
}

const char *rig_log(unsigned from_last)
{
    struct bp_node *node = the_node();

    return from_last < node->logged ? node->log[(node->logged - 1 - from_last) % LOG_LINES] : "";
}

uint32_t rig_log_level(void)
{
    return the_node()->level;
}

void rig_forget(void)
{
    the_node()->failure[0] = '\0';
    the_node()->logged = 0;
}

/* ---- bus ------------------------------------------------------------------------------------ */

static uint64_t cut(uint64_t value, uint32_t width)
{
    return value & UINT64_MAX >> (64 - 8 * width);
}

static uint64_t bus_access(struct bp_vcpu *v, bool mmio, bool write, uint64_t address,
                           uint64_t value, uint32_t width)
{
    struct rig *r = v->rig;
    struct access a = {mmio, write, width, address, value};

    if (write && !mmio && address == PORT_DONE) {
        __atomic_fetch_or(&r->done, 1u << v->index, __ATOMIC_SEQ_CST);
        r->ops->vcpu_kick(r->vcpus[v->index]);
        return 0;
    }
    if (!write) {
        a.value = cut(r->answer, width);
        r->answer++;
    }
    if (r->access_count < RIG_ACCESSES)
        r->accesses[r->access_count++] = a;
    if (r->on_access)
        r->on_access(r, &a);
    return a.value;
}

static uint64_t bus_mmio_read(struct bp_vcpu *v, uint64_t gpa, uint32_t width)
{
    return bus_access(v, true, false, gpa, 0, width);
}

static void bus_mmio_write(struct bp_vcpu *v, uint64_t gpa, uint64_t value, uint32_t width)
{
    bus_access(v, true, true, gpa, value, width);
}

static uint32_t bus_pio_read(struct bp_vcpu *v, uint16_t port, uint32_t width)
{
    return (uint32_t)bus_access(v, false, false, port, 0, width);
}

static void bus_pio_write(struct bp_vcpu *v, uint16_t port, uint32_t value, uint32_t width)
{
    bus_access(v, false, true, port, value, width);
}

static const struct bp_bus bus = {
    .size = sizeof(bus),
    .mmio_read = bus_mmio_read,
    .mmio_write = bus_mmio_write,
    .pio_read = bus_pio_read,
    .pio_write = bus_pio_write,
};

/* ---- life ----------------------------------------------------------------------------------- */

void rig_backend(const char *plugin)
{
    the_node()->backend = plugin;
}

static const struct bp_model *find_model(void)
{
    const char *folder = getenv("BACKPLANE_TEST_PLUGINS");
    char path[1024];
    void *library;
    const struct bp_plugin *plugin;

    snprintf(path, sizeof(path), "%s/%s.so", folder ? folder : PLUGIN_FOLDER, the_node()->backend);
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        fail_msg("%s", dlerror());
    plugin = dlsym(library, "bp_plugin_v0");
    assert_non_null(plugin);
    assert_int_equal(plugin->models[0]->kind, BP_KIND_CPU);
    return plugin->models[0];
}

bool rig_has_controllers(void)
{
    return find_model()->flags & BP_MODEL_IRQCHIP;
}

void rig_offer_controllers(const struct bp_peer *chip)
{
    the_node()->chip = chip;
}

const struct bp_cpu_ops *rig_ops(void)
{
    return find_model()->cpu;
}

/* The keys' defaults, of the kinds that the backends have: what is not named here is 0 or NULL. */
static void fill_config(uint8_t config[RIG_CONFIG_BYTES])
{
    const struct bp_model *model = find_model();
    const char *device = "/dev/kvm";
    const struct bp_range all = {.last = UINT64_MAX};

    assert_in_range(model->config_size, 0, RIG_CONFIG_BYTES);
    for (const struct bp_prop *prop = model->props; prop && prop->name; prop++)
        if (prop->type == BP_PROP_RANGE)
            memcpy(config + prop->offset, &all, sizeof(all));
    if (!strcmp(the_node()->backend, "cpu-kvm"))
        memcpy(config, &device, sizeof(device));
}

struct rig *rig_new(uint32_t vcpus)
{
    struct rig *r = calloc(1, sizeof(*r));
    uint8_t config[RIG_CONFIG_BYTES] __attribute__((aligned(16))) = {0};
    struct bp_mem_slot slot = {.size = sizeof(slot), .length = RIG_RAM_BYTES};
    int err;

    assert_non_null(r);
    alarm(RIG_SECONDS);
    rig_forget();
    the_node()->stopped_ns = 0; /* another one's */
    r->ops = rig_ops();
    fill_config(config);
    err = r->ops->vm_create(rig_host(), rig_node(), config, vcpus, &r->vm);
    if (err == -ENODEV || err == -EACCES || err == -EBUSY || err == -ENOTSUP) {
        print_message("skipped: %s\n", rig_failure());
        free(r);
        skip();
        return NULL; /* skip() does not come back, which the analyzer cannot know */
    }
    if (err)
        fail_msg("%s", rig_failure());
    r->ram = mmap(NULL, RIG_RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(r->ram, MAP_FAILED);
    slot.host = r->ram;
    assert_int_equal(r->ops->mem_set(r->vm, &slot), 0);
    rig_add_vcpu(r, 0);
    return r;
}

void rig_add_vcpu(struct rig *r, uint32_t index)
{
    struct bp_vcpu *handle = calloc(1, sizeof(*handle));
    struct bp_x86_cpuid *cpuid = calloc(1, sizeof(*cpuid));

    assert_non_null(handle);
    assert_non_null(cpuid);
    handle->rig = r;
    handle->index = index;
    void *self = NULL;
    if (r->ops->vcpu_create(r->vm, index, handle, &bus, &self) != 0 ||
        r->ops->vm_get(r->vm, BP_X86_CPUID, cpuid, sizeof(*cpuid)) != 0 ||
        r->ops->regs_set(self, BP_X86_CPUID, cpuid, sizeof(*cpuid)) != 0 ||
        r->ops->vcpu_reset(self) != 0)
        fail_msg("%s", rig_failure());
    free(cpuid);
    r->handles[index] = handle;
    /* Another thread may wait for this one. */
    __atomic_store_n(&r->vcpus[index], self, __ATOMIC_RELEASE);
}

void rig_remove_vcpu(struct rig *r, uint32_t index)
{
    r->ops->vcpu_destroy(r->vcpus[index]);
    r->vcpus[index] = NULL;
    free(r->handles[index]);
    r->handles[index] = NULL;
}

void rig_free(struct rig *r)
{
    for (uint32_t i = 0; i < RIG_VCPUS; i++)
        if (r->vcpus[i])
            rig_remove_vcpu(r, i);
    r->ops->vm_destroy(r->vm);
    munmap(r->ram, RIG_RAM_BYTES);
    free(r);
    alarm(0);
}

void rig_time(struct rig *r, uint32_t runs)
{
    struct bp_node *node = the_node();
    bool stops = runs == BP_TIME_STOPPED;

    if (stops)
        r->ops->vm_time(r->vm, runs);
    pthread_mutex_lock(&node->lock);
    if (stops && !node->stopped_ns) {
        node->stopped_ns = real_clock_ns() - node->lost_ns;
    } else if (!stops && node->stopped_ns) {
        node->lost_ns = real_clock_ns() - node->stopped_ns;
        node->stopped_ns = 0;
    }
    pthread_mutex_unlock(&node->lock);
    if (!stops)
        r->ops->vm_time(r->vm, runs);
}

/* ---- guests --------------------------------------------------------------------------------- */

void rig_get(struct rig *r, uint32_t vcpu, const char *set, void *regs, uint32_t size)
{
    if (r->ops->regs_get(r->vcpus[vcpu], set, regs, size) != 0)
        fail_msg("%s: %s", set, rig_failure());
}

void rig_set(struct rig *r, uint32_t vcpu, const char *set, const void *regs, uint32_t size)
{
    if (r->ops->regs_set(r->vcpus[vcpu], set, regs, size) != 0)
        fail_msg("%s: %s", set, rig_failure());
}

static void load(struct rig *r, const void *code, size_t length)
{
    struct bp_x86_gpr gpr = {.rip = RIG_CODE_AT,
                             .rflags = 2,
                             .rsp = RIG_STACK_TOP,
                             .rdi = LONG_MMIO,
                             .rsi = 0x2000,
                             .rdx = 0x80,
                             .rcx = 4};

    memcpy(r->ram + RIG_CODE_AT, code, length);
    rig_set(r, 0, BP_X86_GPR, &gpr, sizeof(gpr));
}

void rig_load_real(struct rig *r, const void *code, size_t length)
{
    struct bp_x86_sys sys;

    rig_get(r, 0, BP_X86_SYS, &sys, sizeof(sys));
    sys.cs.base = 0;
    sys.cs.selector = 0;
    sys.ds.base = REAL_MMIO;
    sys.ds.selector = REAL_MMIO >> 4;
    rig_set(r, 0, BP_X86_SYS, &sys, sizeof(sys));
    load(r, code, length);
}

void rig_load_long(struct rig *r, const void *code, size_t length)
{
    const uint64_t pml4 = 0x4003, pdpt = 0x5003, pd[2] = {0x83, LONG_MMIO | 0x83};
    struct bp_x86_segment cs = {.limit = UINT32_MAX, .selector = 8, .attributes = 0xa09b};
    struct bp_x86_segment data = {.limit = UINT32_MAX, .selector = 16, .attributes = 0xc093};
    struct bp_x86_sys sys;

    memcpy(r->ram + 0x3000, &pml4, sizeof(pml4));
    memcpy(r->ram + 0x4000, &pdpt, sizeof(pdpt));
    memcpy(r->ram + 0x5000, pd, sizeof(pd));
    rig_get(r, 0, BP_X86_SYS, &sys, sizeof(sys));
    sys.cs = cs;
    sys.ds = sys.es = sys.fs = sys.gs = sys.ss = data;
    sys.cr0 = 0x80010033;
    sys.cr3 = 0x3000;
    sys.cr4 = 0x620;
    sys.efer = 0x500;
    rig_set(r, 0, BP_X86_SYS, &sys, sizeof(sys));
    load(r, code, length);
}

void rig_run(struct rig *r, int reason)
{
    int got = r->ops->vcpu_run(r->vcpus[0]);

    if (got < 0)
        fail_msg("%s", rig_failure());
    assert_int_equal(got, reason);
}

void rig_expect(struct rig *r, unsigned n, bool mmio, bool write, uint64_t address, uint64_t value,
                uint32_t width)
{
    const struct access *a = &r->accesses[n];

    assert_true(n < r->access_count);
    assert_int_equal(a->mmio, mmio);
    assert_int_equal(a->write, write);
    assert_int_equal(a->address, address);
    assert_int_equal(a->value, value);
    assert_int_equal(a->width, width);
}
