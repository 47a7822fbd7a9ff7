/* SPDX-License-Identifier: MIT
 *
 * machine/models.c - plugins made of tables alone.
 */
#include "machine/models.h"

#include <errno.h>
#include <string.h>

/* BP_PROP_AT takes the size of members that are pointers, which is meant so.
 * NOLINTBEGIN(bugprone-sizeof-expression) */

#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

static const struct bp_prop uart_props[] = {
    {.name = "port",
     .help = "first of 8 ports",
     .initial = "0x3f8",
     .max = 0xfff8,
     .claim = BP_CLAIM_PIO,
     .claim_length = 8,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct uart_config, port)},
    {.name = "irq",
     .initial = "4",
     .max = 23,
     .claim = BP_CLAIM_IRQ,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct uart_config, irq)},
    {.name = "chardev",
     .needs = BP_CHAR_ID,
     .type = BP_PROP_REF,
     BP_PROP_AT(struct uart_config, chardev)},
    {0},
};

static const struct bp_prop console_props[] = {
    {.name = "base",
     .initial = "0x9000000",
     .claim = BP_CLAIM_MMIO,
     .claim_length = 4096,
     .flags = BP_PROP_RESERVES,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct console_config, base)},
    {.name = "chardev",
     .needs = BP_CHAR_ID,
     .type = BP_PROP_REF,
     BP_PROP_AT(struct console_config, chardev)},
    {0},
};

/* As the console, but not to be put into RAM; a list of windows, and a shared line. */
struct window_config {
    struct bp_list at;
    uint32_t irq;
};

static const struct bp_prop window_props[] = {
    {.name = "at",
     .claim = BP_CLAIM_MMIO,
     .claim_length = 0x10000,
     .flags = BP_PROP_LIST,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct window_config, at)},
    {.name = "irq",
     .claim = BP_CLAIM_IRQ,
     .claim_length = 1,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct window_config, irq)},
    {0},
};

struct port_config {
    uint16_t port;
};

static const struct bp_prop rtc_props[] = {{.name = "port",
                                            .initial = "0x70",
                                            .claim = BP_CLAIM_PIO,
                                            .claim_length = 2,
                                            .type = BP_PROP_UINT,
                                            BP_PROP_AT(struct port_config, port)},
                                           {0}};
static const struct bp_prop acpi_props[] = {{.name = "port",
                                             .initial = "0x600",
                                             .claim = BP_CLAIM_PIO,
                                             .claim_length = 6,
                                             .type = BP_PROP_UINT,
                                             BP_PROP_AT(struct port_config, port)},
                                            {0}};
static const struct bp_prop reset_props[] = {{.name = "port",
                                              .initial = "0xcf9",
                                              .claim = BP_CLAIM_PIO,
                                              .claim_length = 1,
                                              .type = BP_PROP_UINT,
                                              BP_PROP_AT(struct port_config, port)},
                                             {0}};

static const struct bp_prop fw_cfg_props[] = {{.name = "port",
                                               .initial = "0x510",
                                               .claim = BP_CLAIM_PIO,
                                               .claim_length = 12,
                                               .type = BP_PROP_UINT,
                                               BP_PROP_AT(struct port_config, port)},
                                              {0}};

static const struct bp_prop irqchip_props[] = {{.name = "pit-port",
                                                .initial = "0x40",
                                                .claim = BP_CLAIM_PIO,
                                                .claim_length = 4,
                                                .type = BP_PROP_UINT,
                                                BP_PROP_AT(struct port_config, port)},
                                               {0}};
static const struct bp_prop hpet_props[] = {
    {.name = "base",
     .initial = "0xfed00000",
     .claim = BP_CLAIM_MMIO,
     .claim_length = 1024,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct hpet_config, base)},
    {.name = "irqchip", .type = BP_PROP_REF, BP_PROP_AT(struct hpet_config, irqchip)},
    {.name = "rtc", .type = BP_PROP_REF, BP_PROP_AT(struct hpet_config, rtc)},
    {0},
};

static const struct bp_prop file_props[] = {{.name = "path",
                                             .type = BP_PROP_PATH,
                                             .flags = BP_PROP_CREATES | BP_PROP_REQUIRED,
                                             .help = "file that is written",
                                             BP_PROP_AT(struct file_config, path)},
                                            {0}};

static const struct bp_prop tap_props[] = {
    {.name = "ifname",
     .help = "interface",
     .type = BP_PROP_STRING,
     .flags = BP_PROP_REQUIRED,
     BP_PROP_AT(struct tap_config, ifname)},
    {.name = "net", .needs = BP_NET_ID, .type = BP_PROP_REF, BP_PROP_AT(struct tap_config, net)},
    {0},
};

static const struct bp_prop e1000_props[] = {
    {.name = "net", .needs = BP_NET_ID, .type = BP_PROP_REF, BP_PROP_AT(struct e1000_config, net)},
    {.name = "mac", .type = BP_PROP_MAC, BP_PROP_AT(struct e1000_config, mac)},
    {.name = "pci", .type = BP_PROP_PCI, BP_PROP_AT(struct e1000_config, pci)},
    {0},
};

static const struct bp_prop kvm_props[] = {
    {.name = "nested",
     .initial = "no",
     .type = BP_PROP_BOOL,
     BP_PROP_AT(struct kvm_config, nested)},
    {0},
};

static const struct bp_prop interp_props[] = {
    {.name = "trace", .type = BP_PROP_STRING, BP_PROP_AT(struct file_config, path)}, {0}};

static const char *const colours[] = {"red", "green", "blue", NULL};

#define KEY(key, t, member, ...)                                                                   \
    {                                                                                              \
        .name = (key), .type = (t), BP_PROP_AT(struct all_config, member), ##__VA_ARGS__           \
    }
#define LIST .flags = BP_PROP_LIST

const struct bp_prop models_all_props[] = {
    KEY("yes", BP_PROP_BOOL, yes, .initial = "on"),
    KEY("u8", BP_PROP_UINT, u8, .initial = "7"),
    KEY("u16", BP_PROP_UINT, u16),
    KEY("u32", BP_PROP_UINT, u32),
    KEY("u64", BP_PROP_UINT, u64),
    KEY("bounded", BP_PROP_UINT, bounded, .min = 10, .max = 20, .initial = "12"),
    KEY("size", BP_PROP_SIZE, size, .min = 1u << 20, .max = 1ull << 40),
    KEY("string", BP_PROP_STRING, string),
    KEY("path", BP_PROP_PATH, path),
    KEY("creates", BP_PROP_PATH, creates, .flags = BP_PROP_CREATES),
    KEY("choice", BP_PROP_ENUM, choice, .choices = colours),
    KEY("mac", BP_PROP_MAC, mac),
    KEY("any", BP_PROP_REF, any),
    KEY("bools", BP_PROP_BOOL, bools, LIST),
    KEY("uints", BP_PROP_UINT, uints, LIST, .max = 1000),
    KEY("sizes", BP_PROP_SIZE, sizes, LIST),
    KEY("strings", BP_PROP_STRING, strings, LIST),
    KEY("paths", BP_PROP_PATH, paths, LIST),
    KEY("choices", BP_PROP_ENUM, choices, LIST, .choices = colours),
    KEY("macs", BP_PROP_MAC, macs, LIST),
    KEY("refs", BP_PROP_REF, refs, LIST),
    KEY("address", BP_PROP_ADDRESS, address),
    KEY("range", BP_PROP_RANGE, range, .initial = "0-0xff"),
    KEY("addresses", BP_PROP_ADDRESS, addresses, LIST),
    KEY("ranges", BP_PROP_RANGE, ranges, LIST),
    KEY("pci", BP_PROP_PCI, pci),
    KEY("pcis", BP_PROP_PCI, pcis, LIST),
    {0},
};

enum { UART, PC, CHR, TAP, HUB, E1000, ALL, KVM, CHIP, BARE_CPU, INTERP, PLUGINS };

static const struct plugin plugins[PLUGINS];

#define MODEL(number, name, k, table, config, f)                                                   \
    {                                                                                              \
        .plugin = &plugins[number], .id = (name), .kind = (k), .props = (table),                   \
        .config_size = sizeof(config), .flags = (f)                                                \
    }

static const struct bp_prop no_props[] = {{0}};

static const struct model uart_models[] = {
    MODEL(UART, "16550a", BP_KIND_DEVICE, uart_props, struct uart_config, 0),
    MODEL(UART, "mmio-console", BP_KIND_DEVICE, console_props, struct console_config, 0),
    MODEL(UART, "window", BP_KIND_DEVICE, window_props, struct window_config, 0),
};
static const struct model pc_models[] = {
    MODEL(PC, "rtc", BP_KIND_DEVICE, rtc_props, struct port_config, 0),
    MODEL(PC, "acpi-pm", BP_KIND_DEVICE, acpi_props, struct port_config, 0),
    MODEL(PC, "reset", BP_KIND_DEVICE, reset_props, struct port_config, 0),
    MODEL(PC, "irqchip", BP_KIND_DEVICE, irqchip_props, struct port_config,
          BP_MODEL_SHARED | BP_MODEL_ONCE | BP_MODEL_IRQCHIP),
    MODEL(PC, "hpet", BP_KIND_DEVICE, hpet_props, struct hpet_config, BP_MODEL_ONCE),
    MODEL(PC, "host-bridge", BP_KIND_DEVICE, no_props, struct port_config, BP_MODEL_ONCE),
    MODEL(PC, "fw-cfg", BP_KIND_DEVICE, fw_cfg_props, struct port_config, BP_MODEL_ONCE),
};
static const struct model chip_models[] = {
    MODEL(CHIP, "chip", BP_KIND_DEVICE, irqchip_props, struct port_config,
          BP_MODEL_SHARED | BP_MODEL_IRQCHIP),
};
static const struct model bare_cpu_models[] = {
    {.plugin = &plugins[BARE_CPU], .id = "bare", .kind = BP_KIND_CPU, .props = no_props},
};
static const struct model chr_models[] = {
    {.plugin = &plugins[CHR],
     .id = "stdio",
     .kind = BP_KIND_CHAR,
     .props = no_props,
     .flags = BP_MODEL_ONCE},
    MODEL(CHR, "file", BP_KIND_CHAR, file_props, struct file_config, 0),
};
static const struct model tap_models[] = {
    MODEL(TAP, "tap", BP_KIND_NET, tap_props, struct tap_config, 0),
};
static const struct model hub_models[] = {
    {.plugin = &plugins[HUB],
     .id = "hub",
     .kind = BP_KIND_NET,
     .props = no_props,
     .flags = BP_MODEL_SHARED},
    {.plugin = &plugins[HUB],
     .id = "switch",
     .kind = BP_KIND_NET,
     .props = no_props,
     .flags = BP_MODEL_JOINS},
};
static const struct model e1000_models[] = {
    MODEL(E1000, "e1000", BP_KIND_DEVICE, e1000_props, struct e1000_config, 0),
};
static const struct model all_models[] = {
    MODEL(ALL, "all", BP_KIND_DEVICE, models_all_props, struct all_config, 0),
};
static const struct model kvm_models[] = {
    MODEL(KVM, "kvm", BP_KIND_CPU, kvm_props, struct kvm_config, BP_MODEL_IRQCHIP),
};

static const struct model interp_models[] = {
    MODEL(INTERP, "interp", BP_KIND_CPU, interp_props, struct file_config, 0),
};

static const struct plugin plugins[PLUGINS] = {
    [UART] = {.name = "dev-uart", .models = uart_models, .model_count = COUNT(uart_models)},
    [PC] = {.name = "dev-pc", .models = pc_models, .model_count = COUNT(pc_models)},
    [CHR] = {.name = "chr-host", .models = chr_models, .model_count = COUNT(chr_models)},
    [TAP] = {.name = "net-tap", .models = tap_models, .model_count = COUNT(tap_models)},
    [HUB] = {.name = "net-hub", .models = hub_models, .model_count = COUNT(hub_models)},
    [E1000] = {.name = "dev-e1000", .models = e1000_models, .model_count = COUNT(e1000_models)},
    [ALL] = {.name = "dev-all", .models = all_models, .model_count = COUNT(all_models)},
    [CHIP] = {.name = "dev-chip", .models = chip_models, .model_count = COUNT(chip_models)},
    [BARE_CPU] = {.name = "cpu-bare",
                  .models = bare_cpu_models,
                  .model_count = COUNT(bare_cpu_models)},
    [INTERP] = {.name = "cpu-interp", .models = interp_models, .model_count = COUNT(interp_models)},
    [KVM] = {.name = "cpu-kvm", .models = kvm_models, .model_count = COUNT(kvm_models)},
};

/* `context` names a plugin that is not there. A path ends in the plugin's name. */
static int load(void *context, const char *name, const char *base, const struct plugin **out,
                struct error *e)
{
    const char *slash = strrchr(name, '/');

    (void)base;
    for (unsigned i = 0; i < PLUGINS; i++) {
        if (strcmp(plugins[i].name, slash ? slash + 1 : name) != 0 ||
            (context && !strcmp(context, plugins[i].name)))
            continue;
        *out = &plugins[i];
        return 0;
    }
    return error_set(e, -ENOENT, "the plugin %s is not installed (searched /plugins)", name);
}

static int model(void *context, const struct plugin *plugin, const char *id,
                 const struct model **out, struct error *e)
{
    (void)context;
    for (uint32_t i = 0; i < plugin->model_count; i++) {
        if (!id || !strcmp(plugin->models[i].id, id)) {
            *out = &plugin->models[i];
            return 0;
        }
    }
    return error_set(e, -ENOENT, "%s has no such model", plugin->name);
}

static char absent[] = "dev-pc";

const struct plan_source models_source = {.load = load, .model = model};
const struct plan_source models_without_board = {.context = absent, .load = load, .model = model};

/* NOLINTEND(bugprone-sizeof-expression) */
