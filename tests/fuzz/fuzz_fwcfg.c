/* SPDX-License-Identifier: MIT
 *
 * Fuzzes what firmware talks to in dev-pc: fw_cfg, by ports and by DMA whose descriptions and
 * targets are anywhere, and the host bridge's PAM registers. The input is a program of such
 * accesses. The devices' sources are part of this program, on a host of the simplest kind, which
 * checks what they must not do: reach outside memory, ask for shadow RAM that there is not, work
 * without end in one call.
 */
#include "fw_cfg.h"
#include "pc.h"

#include <backplane/ext/pci.h>
#include <backplane/util/le.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RAM_BYTES 0x10000u
#define CALLS_MAX 5000u /* of the host in one access: 16 MiB in pages, and some */
#define PORT 0x510u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bp_region {
    const struct bp_region_ops *ops;
    void *self;
};

struct bp_node {
    int unused;
};

struct bp_pci_function {
    const struct bp_pci_function_ops *ops;
    void *self;
    uint8_t config[256], writable[256];
};

/* Both devices, made once: a reset is all that separates inputs, and is under test too. */
static struct {
    struct bp_node node;
    struct bp_region ports;
    struct bp_pci_function function;
    void *fw_cfg, *bridge;
    uint32_t calls;
    uint8_t shadow[16];
    uint8_t ram[RAM_BYTES];
} world;

static void must(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "fuzz_fwcfg: %s\n", what);
    abort();
}

static void count_call(void)
{
    must(++world.calls <= CALLS_MAX, "one access works without end");
}

/* ---- the host ---- */

static void host_log(struct bp_node *node, uint32_t level, const char *text)
{
    (void)node;
    (void)level;
    must(*text && !strchr(text, '\n'), "a bad line in the log");
}

static int host_fail(struct bp_node *node, int err, const char *text)
{
    (void)node;
    (void)text;
    return err;
}

static int host_region_new(struct bp_node *node, uint32_t space, uint64_t length,
                           const struct bp_region_ops *ops, void *self, struct bp_region **out)
{
    (void)node;
    must(space == BP_SPACE_PIO && length == 12, "another region than its ports");
    world.ports = (struct bp_region){ops, self};
    *out = &world.ports;
    return 0;
}

static int host_region_place(struct bp_region *region, uint64_t base)
{
    (void)region;
    must(base == PORT, "ports elsewhere");
    return 0;
}

static uint8_t *ram_at(uint64_t gpa, uint64_t len)
{
    count_call();
    return gpa <= RAM_BYTES && len <= RAM_BYTES - gpa ? world.ram + gpa : NULL;
}

static int host_dma_read(struct bp_node *node, uint64_t gpa, void *to, uint64_t len)
{
    const uint8_t *from = ram_at(gpa, len);

    (void)node;
    if (!from)
        return -EFAULT;
    memcpy(to, from, len);
    return 0;
}

static int host_dma_write(struct bp_node *node, uint64_t gpa, const void *from, uint64_t len)
{
    uint8_t *to = ram_at(gpa, len);

    (void)node;
    if (!to)
        return -EFAULT;
    memcpy(to, from, len);
    return 0;
}

/* ---- PCI, as much as a host bridge needs ---- */

static int pci_function_new(struct bp_node *node, uint32_t devfn, uint32_t flags,
                            const struct bp_pci_identity *identity,
                            const struct bp_pci_function_ops *ops, void *self,
                            struct bp_pci_function **out)
{
    (void)node;
    must(!devfn && !flags && identity->vendor == 0x8086, "another place than the host bridge's");
    world.function.ops = ops;
    world.function.self = self;
    *out = &world.function;
    return 0;
}

static uint32_t pci_config_get(struct bp_pci_function *f, uint32_t offset, uint32_t width)
{
    must(width == 1 && offset < sizeof(f->config), "a register beyond the last");
    return f->config[offset];
}

static void pci_config_set(struct bp_pci_function *f, uint32_t offset, uint32_t value,
                           uint32_t width)
{
    for (uint32_t i = 0; i < width; i++)
        f->config[offset + i] = (uint8_t)(value >> 8 * i);
}

static void pci_config_mask(struct bp_pci_function *f, uint32_t offset, uint32_t writable,
                            uint32_t write_1_clears, uint32_t width)
{
    (void)write_1_clears;
    for (uint32_t i = 0; i < width; i++)
        f->writable[offset + i] = (uint8_t)(writable >> 8 * i);
}

static const struct bp_pci pci = {
    .size = sizeof(pci),
    .function_new = pci_function_new,
    .config_get = pci_config_get,
    .config_set = pci_config_set,
    .config_mask = pci_config_mask,
};

/* ---- what the host knows ---- */

static const uint8_t rsdp[36], tables[300];
static const struct bp_firmware_fixup fixup = {
    .kind = BP_FIRMWARE_POINTER, .blob = BP_FIRMWARE_IN_RSDP, .at = 24, .width = 8};

static uint64_t ram_bytes(struct bp_node *node)
{
    (void)node;
    return RAM_BYTES;
}

static uint32_t cpus(struct bp_node *node)
{
    (void)node;
    return 2;
}

static int range(struct bp_node *node, uint32_t index, struct bp_firmware_range *out)
{
    (void)node;
    out->type = BP_FIRMWARE_RAM;
    out->base = 0;
    out->length = RAM_BYTES;
    return index ? -ENOENT : 0;
}

static int acpi(struct bp_node *node, struct bp_firmware_acpi *out)
{
    (void)node;
    *out = (struct bp_firmware_acpi){.size = out->size,
                                     .fixup_stride = sizeof(fixup),
                                     .rsdp = rsdp,
                                     .tables = tables,
                                     .rsdp_length = sizeof(rsdp),
                                     .tables_length = sizeof(tables),
                                     .fixups = &fixup,
                                     .fixup_count = 1};
    return 0;
}

static int shadow(struct bp_node *node, uint64_t gpa, uint64_t length, uint32_t access)
{
    (void)node;
    count_call();
    must(gpa >= BP_FIRMWARE_SHADOW_BASE && gpa < BP_FIRMWARE_SHADOW_END && gpa % 0x4000 == 0 &&
             length == BP_FIRMWARE_SHADOW_BLOCK && access <= 3,
         "shadow RAM that there is not");
    world.shadow[(gpa - BP_FIRMWARE_SHADOW_BASE) / 0x4000] = (uint8_t)access;
    return access == 2 ? -ENOMEM : 0;
}

static const struct bp_firmware firmware = {.size = sizeof(firmware),
                                            .ram_bytes = ram_bytes,
                                            .cpus = cpus,
                                            .range = range,
                                            .acpi = acpi,
                                            .shadow = shadow};

static const void *host_extension(struct bp_node *node, const char *id)
{
    (void)node;
    if (!strcmp(id, BP_FIRMWARE_ID))
        return &firmware;
    return strcmp(id, BP_PCI_ID) ? NULL : &pci;
}

static const struct bp_host host = {
    .size = sizeof(host),
    .log = host_log,
    .fail = host_fail,
    .extension = host_extension,
    .region_new = host_region_new,
    .region_place = host_region_place,
    .dma_read = host_dma_read,
    .dma_write = host_dma_write,
};

static void make_world(void)
{
    static const char *const places[] = {"1", "1f.7"};
    static const struct fw_cfg_config config = {
        .port = PORT, .console = 0x3f8, .retry = 1, .boot_order = {places, 2}};

    must(!fw_cfg_model.instance->create(&host, &world.node, &config, &world.fw_cfg) &&
             !host_bridge_model.instance->create(&host, &world.node, NULL, &world.bridge),
         "a device cannot be made");
}

static void reset(void)
{
    memset(world.function.config + 0x59, 0, 7);
    fw_cfg_model.instance->reset(world.fw_cfg, BP_RESET_WARM);
    host_bridge_model.instance->reset(world.bridge, BP_RESET_WARM);
    must(!fw_cfg_model.instance->start(world.fw_cfg) &&
             !host_bridge_model.instance->start(world.bridge),
         "a device does not start again");
    for (uint32_t i = 0; i < sizeof(world.shadow); i++)
        must(!world.shadow[i], "shadow RAM after a reset");
}

/* ---- the program ---- */

struct input {
    const uint8_t *at;
    size_t left;
};

static uint64_t take(struct input *in, uint32_t bytes)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < bytes && in->left; i++, in->left--)
        value |= (uint64_t)*in->at++ << 8 * i;
    return value;
}

static void write_port(uint64_t offset, uint64_t value, uint32_t width)
{
    world.ports.ops->write(world.ports.self, offset, value, width);
}

/* What stands behind item and length is seen by the sanitizers. */
static void step(struct input *in)
{
    uint32_t what = (uint32_t)take(in, 1), width = 1u << (what >> 4 & 1), offset;

    world.calls = 0;
    switch (what & 7) {
    case 0: /* a port, in any way that the bus allows */
        width = 1u << (what >> 4) % 3;
        offset = (uint32_t)take(in, 1) % 12 & ~(width - 1);
        write_port(offset, take(in, width), width);
        break;
    case 1:
        width = 1u << (what >> 4) % 3;
        offset = (uint32_t)take(in, 1) % 12 & ~(width - 1);
        world.ports.ops->read(world.ports.self, offset, width);
        break;
    case 2: /* a description, put together well, and its transfer */
        offset = (uint32_t)take(in, 2) & (RAM_BYTES - 32);
        bp_put_le32(world.ram + offset, __builtin_bswap32((uint32_t)take(in, 4)));
        bp_put_le32(world.ram + offset + 4, __builtin_bswap32((uint32_t)take(in, 4)));
        bp_put_le64(world.ram + offset + 8, __builtin_bswap64(take(in, what >> 5)));
        write_port(8, __builtin_bswap32(offset), 4);
        break;
    case 3:
        write_port(0, take(in, 2), 2);
        break;
    case 4: /* configuration space, as the host bridge of the core writes it */
        offset = (uint32_t)take(in, 1) & ~(width - 1);
        for (uint32_t i = 0; i < width; i++) {
            uint8_t mask = world.function.writable[offset + i];
            world.function.config[offset + i] =
                (uint8_t)((world.function.config[offset + i] & ~mask) |
                          ((uint8_t)take(in, 1) & mask));
        }
        world.function.ops->config_written(world.function.self, offset, width);
        break;
    case 5:
        for (uint32_t i = 0; i < 8; i++)
            world.ports.ops->read(world.ports.self, 1, 1);
        break;
    case 6:
        offset = (uint32_t)take(in, 2) & (RAM_BYTES - 1);
        world.ram[offset] = (uint8_t)take(in, 1);
        break;
    default:
        reset();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};

    if (!world.fw_cfg)
        make_world();
    reset();
    while (in.left)
        step(&in);
    return 0;
}
