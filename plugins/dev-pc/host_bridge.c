/* SPDX-License-Identifier: MIT
 *
 * dev-pc/host_bridge.c - the Intel 82441FX (440FX) host bridge as firmware of PCs wants to find it:
 * its identity at 00:00.0 and the registers by which the RAM between 768 KiB and 1 MiB takes the
 * place of ROM (PAM, 82441FX datasheet 290549, 3.2.18). Firmware copies itself there and then keeps
 * its variables in it.
 *
 * Leaves out all else that the chip has: DRAM timing and sizing, SMRAM, the AGP of its successors.
 * These registers read as 0. The subsystem is that by which firmware for virtual machines
 * (SeaBIOS) knows that there is fw_cfg.
 */
#include "pc.h"

#include <backplane/ext/firmware.h>
#include <backplane/ext/pci.h>
#include <backplane/util/log.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define COMMAND 0x04u
#define COMMAND_FIXED 0x0006u /* it always decodes memory and is a master */
#define COMMAND_WRITABLE 0x0140u
#define PAM0 0x59u
#define PAMS 7u
#define PAM_READ 1u  /* in each half: reads go to RAM, and */
#define PAM_WRITE 2u /* writes do */

#define BLOCKS 16u
#define BLOCKS_OF_PAM0 4u /* its upper half is 0xf0000-0xfffff; the lower one is not used */

struct host_bridge {
    const struct bp_host *host;
    struct bp_node *node;
    const struct bp_pci *pci;
    const struct bp_firmware *firmware; /* NULL: there is none, and no ROM either */
    struct bp_pci_function *function;
    uint8_t access[BLOCKS]; /* as set: BP_FIRMWARE_SHADOW_* */
};

/*     PAM0  7:4 F0000-FFFFF | 3:0 reserved
 *     PAM1  7:4 C4000-C7FFF | 3:0 C0000-C3FFF
 *     ...
 *     PAM6  7:4 EC000-EFFFF | 3:0 E8000-EBFFF */
static uint32_t access_of(const struct host_bridge *b, uint32_t block)
{
    bool of_pam0 = block >= BLOCKS - BLOCKS_OF_PAM0, upper = of_pam0 || block & 1;
    uint32_t pam = b->pci->config_get(b->function, PAM0 + (of_pam0 ? 0 : 1 + block / 2), 1);

    pam >>= upper ? 4 : 0;
    return (pam & PAM_READ ? BP_FIRMWARE_SHADOW_READ : 0) |
           (pam & PAM_WRITE ? BP_FIRMWARE_SHADOW_WRITE : 0);
}

static void set_block(struct host_bridge *b, uint32_t block, uint32_t access)
{
    uint64_t gpa = BP_FIRMWARE_SHADOW_BASE + (uint64_t)block * BP_FIRMWARE_SHADOW_BLOCK;
    int err = b->firmware->shadow(b->node, gpa, BP_FIRMWARE_SHADOW_BLOCK, access);

    /* -EFAULT: something else stands there, or the machine has less than 1 MiB. */
    if (err && err != -EFAULT)
        bp_logf(b->host, b->node, BP_LOG_WARN | BP_LOG_GUEST,
                "shadow RAM at 0x%llx cannot be set to %u", (unsigned long long)gpa, access);
    b->access[block] = (uint8_t)access;
}

static void follow(struct host_bridge *b)
{
    for (uint32_t i = 0; b->firmware && i < BLOCKS; i++) {
        uint32_t access = access_of(b, i);
        if (access != b->access[i])
            set_block(b, i, access);
    }
}

static void host_bridge_written(void *self, uint32_t offset, uint32_t width)
{
    if (offset < PAM0 + PAMS && PAM0 < offset + width)
        follow(self);
}

static const struct bp_pci_function_ops host_bridge_function = {
    .size = sizeof(struct bp_pci_function_ops),
    .config_written = host_bridge_written,
};

static int host_bridge_create(const struct bp_host *host, struct bp_node *node, const void *config,
                              void **self)
{
    static const struct bp_pci_identity identity = {
        .size = sizeof(struct bp_pci_identity),
        .vendor = 0x8086,
        .device = 0x1237,
        .subsystem_vendor = 0x1af4,
        .subsystem = 0x1100,
        .class_code = 0x060000,
        .revision = 2,
    };
    struct host_bridge *b = calloc(1, sizeof(*b));
    int err;

    (void)config;
    if (!b)
        return host->fail(node, -ENOMEM, "no memory for a host bridge");
    b->host = host;
    b->node = node;
    b->pci = host->extension(node, BP_PCI_ID);
    b->firmware = host->extension(node, BP_FIRMWARE_ID);
    if (!b->pci) {
        free(b);
        return host->fail(node, -ENOTSUP,
                          "the machine has no PCI bus to be the host bridge of; say board = pc");
    }
    err = b->pci->function_new(node, 0, 0, &identity, &host_bridge_function, b, &b->function);
    if (err) {
        free(b);
        return err;
    }
    b->pci->config_set(b->function, COMMAND, COMMAND_FIXED, 2);
    b->pci->config_mask(b->function, COMMAND, COMMAND_WRITABLE, 0, 2);
    b->pci->config_mask(b->function, PAM0, 0x30, 0, 1);
    for (uint32_t i = 1; i < PAMS; i++)
        b->pci->config_mask(b->function, PAM0 + i, 0x33, 0, 1);
    *self = b;
    return 0;
}

static void host_bridge_destroy(void *self)
{
    free(self);
}

/* The registers are back at 0: ROM wherever it reaches, and nothing elsewhere. */
static void host_bridge_reset(void *self, uint32_t kind)
{
    struct host_bridge *b = self;

    (void)kind;
    for (uint32_t i = 0; b->firmware && i < BLOCKS; i++)
        set_block(b, i, access_of(b, i));
}

/* What a snapshot brought along is in the registers. */
static int host_bridge_start(void *self)
{
    follow(self);
    return 0;
}

static const struct bp_field host_bridge_fields[] = {
    {NULL, 0, 0, 0, 0, 0, 0},
};

static const struct bp_instance_ops host_bridge_ops = {
    .size = sizeof(struct bp_instance_ops),
    .state_version = 1,
    .fields = host_bridge_fields,
    .field_stride = sizeof(struct bp_field),
    .create = host_bridge_create,
    .destroy = host_bridge_destroy,
    .reset = host_bridge_reset,
    .start = host_bridge_start,
};

static const struct bp_prop host_bridge_props[] = {
    {.name = NULL},
};

const struct bp_model host_bridge_model = {
    .size = sizeof(struct bp_model),
    .kind = BP_KIND_DEVICE,
    .id = "host-bridge",
    .summary = "Intel 440FX host bridge at 00:00.0, for firmware: RAM in the place of ROM",
    .props = host_bridge_props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = 0,
    .flags = BP_MODEL_ONCE,
    .instance = &host_bridge_ops,
};
