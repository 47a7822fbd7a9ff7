/* SPDX-License-Identifier: MIT
 *
 * program/devices.c - the settings that options stand for, and the devices that they bring.
 *
 * Devices are made when all options are known, as each may depend on another wherever it stands.
 */
#include "program/parse.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Origin of what nobody asked for, and which therefore overrides nothing. */
static const char default_serial[] = "the default serial port";
static const char default_backend[] = "the backend that traces";

int parse_fail(struct parse *p, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(p->o->error, sizeof(p->o->error), format, args);
    va_end(args);
    return -EINVAL;
}

/* ---- settings ---- */

int parse_add(struct parse *p, const char *origin, const char *key, const char *format, ...)
{
    struct options *o = p->o;
    struct setting setting = {.key = strdup(key),
                              .origin = origin,
                              .keep = origin == default_serial || origin == default_backend};
    va_list args;

    if (o->setting_count == o->setting_capacity) {
        uint32_t capacity = o->setting_capacity ? o->setting_capacity * 2 : 32;
        struct setting *grown = realloc(o->settings, capacity * sizeof(*grown));

        if (grown) {
            o->settings = grown;
            o->setting_capacity = capacity;
        }
    }
    va_start(args, format);
    if (vasprintf(&setting.value, format, args) < 0)
        setting.value = NULL;
    va_end(args);
    if (!setting.key || !setting.value || o->setting_count == o->setting_capacity) {
        free(setting.key);
        free(setting.value);
        parse_fail(p, "out of memory");
        return -ENOMEM;
    }
    o->settings[o->setting_count++] = setting;
    return 0;
}

void parse_free_settings(struct setting *settings, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        free(settings[i].key);
        free(settings[i].value);
    }
    free(settings);
}

/* ---- devices that options bring ---- */

static int add_key(struct parse *p, const char *origin, const char *section, const char *key,
                   const char *value)
{
    char name[128];

    snprintf(name, sizeof(name), "%s.%s", section, key);
    return parse_add(p, origin, name, "%s", value);
}

static int add_section(struct parse *p, const char *origin, const char *section, const char *plugin,
                       const char *model)
{
    int ret = add_key(p, origin, section, "plugin", plugin);

    return ret || !model ? ret : add_key(p, origin, section, "model", model);
}

/* A character backend: what --serial and --console can name. */
static int add_char(struct parse *p, const char *origin, const char *section, const char *where)
{
    static const struct {
        const char *prefix, *model;
        const char
            *key; /* gets what follows the prefix, or with `whole` all of it; NULL: nothing */
        int whole;
    } kinds[] = {
        {"stdio", "stdio", NULL, 0},      {"pty", "pty", NULL, 0},
        {"null", "null", NULL, 0},        {"file:", "file", "path", 0},
        {"unix:", "socket", "listen", 1}, {"tcp:", "socket", "listen", 1},
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t len = strlen(kinds[i].prefix);
        int ret;

        if (kinds[i].key ? strncmp(where, kinds[i].prefix, len) != 0 || !where[len]
                         : strcmp(where, kinds[i].prefix) != 0)
            continue;
        ret = add_section(p, origin, section, "chr-host", kinds[i].model);
        if (ret || !kinds[i].key)
            return ret;
        return add_key(p, origin, section, kinds[i].key, where + (kinds[i].whole ? 0 : len));
    }
    return parse_fail(p,
                      "%s: \"%.200s\" is no place for it; expected stdio, pty, null, file:PATH, "
                      "unix:PATH or tcp:HOST:PORT",
                      origin, where);
}

static int add_serial(struct parse *p)
{
    const char *section = p->o->file ? "serial" : "terminal";
    const char *where = p->serial, *origin = p->serial_origin;
    int on_console = p->console && !strcmp(p->console, "stdio"), ret;

    if (where && !strcmp(where, "stdio") && on_console)
        return parse_fail(
            p, "--serial and --console both want the terminal: give one of them another place, "
               "as in --console=pty");
    if (where && !strcmp(where, "none") && p->o->file)
        return parse_fail(p, "%s: a serial port that %.300s describes can only be removed there",
                          origin, p->o->file);
    if (!where && !p->o->file && !on_console) {
        where = "stdio";
        origin = default_serial;
    }
    if (!where || !strcmp(where, "none"))
        return 0;
    ret = add_char(p, origin, section, where);
    if (!ret)
        ret = add_section(p, origin, "com1", "dev-uart", "16550a");
    return ret ? ret : add_key(p, origin, "com1", "chardev", section);
}

static int add_console(struct parse *p)
{
    int ret;

    if (!p->console)
        return 0;
    ret = add_char(p, "--console", "console-terminal", p->console);
    if (!ret)
        ret = add_section(p, "--console", "console", "dev-uart", "mmio-console");
    return ret ? ret : add_key(p, "--console", "console", "chardev", "console-terminal");
}

static int add_disk(struct parse *p, uint32_t number)
{
    char disk[32], image[40];
    int ret;

    snprintf(disk, sizeof(disk), "disk%u", number);
    snprintf(image, sizeof(image), "disk%u-image", number);
    ret = add_section(p, "--disk", image, "blk-file", NULL);
    if (!ret)
        ret = add_key(p, "--disk", image, "file", p->disks[number]);
    if (!ret && p->snapshot)
        ret = add_key(p, "--snapshot", image, "snapshot", "yes");
    if (!ret)
        ret = add_section(p, "--disk", disk, "dev-virtio", "blk");
    return ret ? ret : add_key(p, "--disk", disk, "block", image);
}

static int add_net(struct parse *p, uint32_t number)
{
    static const struct net_kind {
        const char *prefix, *plugin, *model, *key; /* key NULL: nothing follows the prefix */
    } of_host = {"", "net-pcap", "live", "ifname"}, kinds[] = {
                                                        {"tap=", "net-tap", NULL, "ifname"},
                                                        {"socket=", "net-socket", NULL, "connect"},
                                                        {"listen=", "net-socket", NULL, "listen"},
                                                        {"user", "net-user", NULL, NULL},
                                                    };
    const char *where = p->nets[number], *origin = p->net_origins[number];
    const struct net_kind *kind = &of_host;
    int is_virtio = p->nic && !strcmp(p->nic, "virtio"), ret;
    char nic[32], net[40];

    if (strcmp(origin, "--network") != 0)
        for (kind = kinds; strncmp(where, kind->prefix, strlen(kind->prefix)) != 0; kind++)
            ; /* options.c took no other */
    snprintf(nic, sizeof(nic), "nic%u", number);
    snprintf(net, sizeof(net), "nic%u-net", number);
    ret = add_section(p, origin, net, kind->plugin, kind->model);
    if (!ret && kind->key)
        ret = add_key(p, origin, net, kind->key, where + strlen(kind->prefix));
    if (!ret)
        ret = add_section(p, origin, nic, is_virtio ? "dev-virtio" : "dev-e1000",
                          is_virtio ? "net" : NULL);
    return ret ? ret : add_key(p, origin, nic, "net", net);
}

/* The last backend that an option names, or NULL. */
static const char *chosen_backend(const struct options *o)
{
    const char *backend = NULL;

    for (uint32_t i = 0; i < o->setting_count; i++)
        if (!strcmp(o->settings[i].key, "cpu.plugin"))
            backend = o->settings[i].value;
    return backend;
}

/* Only one backend of this project's can trace; others' may. A machine file that names none gets
 * it, too. */
static int add_tracer(struct parse *p)
{
    static const char *const unable[] = {"auto", "cpu-kvm", "cpu-hvf"};

    if (!p->trace_option)
        return 0;
    if (!p->traces && !p->o->file)
        return parse_fail(p, "%s: there is no --trace for it", p->trace_option);
    for (size_t i = 0; p->backend && i < sizeof(unable) / sizeof(unable[0]); i++)
        if (!strcmp(p->backend, unable[i]))
            return parse_fail(p, "%s: the backend %s cannot trace; --backend interp can",
                              p->trace_option, p->backend);
    return p->backend ? 0 : parse_add(p, default_backend, "cpu.plugin", "cpu-interp");
}

static int add_devices(struct parse *p)
{
    int ret = add_serial(p);

    if (!ret)
        ret = add_tracer(p);
    if (!ret)
        ret = add_console(p);
    for (uint32_t i = 0; !ret && i < p->disk_count; i++)
        ret = add_disk(p, i);
    for (uint32_t i = 0; !ret && i < p->net_count; i++)
        ret = add_net(p, i);
    if (!ret && p->snapshot && !p->disk_count)
        return parse_fail(p, "--snapshot: there is no --disk for it");
    if (!ret && p->nic && !p->net_count)
        return parse_fail(p, "--nic: there is no --net or --network for it");
    return ret;
}

/* The one --trace-file is that of the bus, if nothing else is traced. */
static int settle_trace_file(struct parse *p)
{
    struct options *o = p->o;

    if (!p->traces_bus || !p->trace_file)
        return 0;
    if (p->traces)
        return parse_fail(p,
                          "--trace-file: the bus and the other kinds do not go to one file; give "
                          "that of the bus by --set machine.trace-file=FILE");
    for (uint32_t i = 0; i < o->setting_count; i++) {
        struct setting *s = &o->settings[i];

        if (strcmp(s->origin, "--trace-file") != 0)
            continue;
        free(s->key);
        s->key = strdup("machine.trace-file");
        if (!s->key)
            return -ENOMEM;
    }
    if (!strcmp(p->trace_option, "--trace-file"))
        p->trace_option = NULL;
    return 0;
}

/* Puts the devices' settings before those that were written, which override them. */
int parse_finish(struct parse *p)
{
    struct options *o = p->o;
    struct setting *written = o->settings, *all;
    uint32_t count = o->setting_count;
    int ret = settle_trace_file(p);

    if (ret)
        return ret;
    p->backend = chosen_backend(o);
    o->settings = NULL;
    o->setting_count = o->setting_capacity = 0;
    ret = add_devices(p);
    all = realloc(o->settings, (o->setting_count + count + 1) * sizeof(*all));
    if (!all) {
        parse_free_settings(written, count);
        parse_fail(p, "out of memory");
        return -ENOMEM;
    }
    if (count)
        memcpy(all + o->setting_count, written, count * sizeof(*all));
    free(written);
    o->settings = all;
    o->setting_count += count;
    o->setting_capacity = o->setting_count + 1;
    return ret;
}
