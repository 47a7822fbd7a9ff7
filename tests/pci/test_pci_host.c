/* SPDX-License-Identifier: MIT
 *
 * The PCI host bridge as a kernel looks at it: through both mechanisms, on the real bus, with a
 * reset register at 0xCF9 inside CONFIG_ADDRESS.
 */
#include "bus/bus.h"
#include "pci/pci.h"

#include <backplane/util/le.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ECAM 0xe0000000ull
#define BUSES 4u

struct fixture {
    struct bus *bus;
    struct domain *domain;
    struct bus_reader reader;
    struct pci_host *host;
    struct error e;
    uint32_t resets; /* writes that reached 0xCF9 */
};

static uint64_t reset_read(void *self, uint64_t offset, uint32_t width)
{
    (void)self, (void)offset, (void)width;
    return 0x0e;
}

static void reset_write(void *self, uint64_t offset, uint64_t value, uint32_t width)
{
    (void)offset, (void)value, (void)width;
    ((struct fixture *)self)->resets++;
}

static const struct bp_region_ops reset_ops = {
    .size = sizeof(reset_ops),
    .min_access = 1,
    .max_access = 1,
    .register_stride = sizeof(struct bp_register),
    .name = "reset-control",
    .read = reset_read,
    .write = reset_write,
};

static void nothing_changed(void *context, struct bus *bus)
{
    (void)context, (void)bus;
}

static void map(struct fixture *f, uint32_t space, uint64_t base, uint64_t length,
                const struct bp_region_ops *ops, void *self, enum bus_layer layer)
{
    struct bp_region *region;
    const struct bp_region *other;
    const char *why = "";
    const void *owner = layer == BUS_LAYER_PLATFORM ? NULL : self;

    int err =
        bus_region_new(f->bus, owner, f->domain, space, length, ops, self, layer, &region, &why);
    if (err != 0)
        fail_msg("%s", why);
    assert_int_equal(bus_place(region, base, &other), 0);
}

static int setup(void **state)
{
    static const struct bus_listener listener = {.memory_changed = nothing_changed};
    static struct fixture f;

    memset(&f, 0, sizeof(f));
    *state = &f;
    f.domain = domain_new();
    if (bus_new(&listener, &f.bus) != 0 || pci_host_new(BUSES, &f.host, &f.e) != 0)
        return -1;
    map(&f, BP_SPACE_PIO, PCI_ADDRESS_PORT, 4, &pci_address_ops, f.host, BUS_LAYER_PLATFORM);
    map(&f, BP_SPACE_PIO, PCI_DATA_PORT, 4, &pci_data_ops, f.host, BUS_LAYER_PLATFORM);
    map(&f, BP_SPACE_PIO, 0xcf9, 1, &reset_ops, &f, BUS_LAYER_FIXED);
    map(&f, BP_SPACE_MMIO, ECAM, BUSES * PCI_ECAM_BUS_BYTES, &pci_ecam_ops, f.host,
        BUS_LAYER_PLATFORM);
    bus_reader_init(&f.reader, f.bus);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    bus_reader_exit(&f->reader);
    bus_free(f->bus);
    pci_host_free(f->host);
    domain_free(f->domain);
    return 0;
}

static void out(struct fixture *f, uint16_t port, uint32_t value, uint32_t width)
{
    bus_write(&f->reader, BP_SPACE_PIO, port, value, width);
}

static uint32_t in(struct fixture *f, uint16_t port, uint32_t width)
{
    return (uint32_t)bus_read(&f->reader, BP_SPACE_PIO, port, width);
}

static uint32_t port_read(struct fixture *f, uint32_t bus, uint32_t device, uint32_t function,
                          uint32_t offset, uint32_t width)
{
    out(f, 0xcf8, 0x80000000u | bus << 16 | device << 11 | function << 8 | (offset & 0xfc), 4);
    return in(f, (uint16_t)(0xcfc + (offset & 3)), width);
}

static void port_write(struct fixture *f, uint32_t device, uint32_t function, uint32_t offset,
                       uint32_t value, uint32_t width)
{
    out(f, 0xcf8, 0x80000000u | device << 11 | function << 8 | (offset & 0xfc), 4);
    out(f, (uint16_t)(0xcfc + (offset & 3)), value, width);
}

static uint64_t ecam_gpa(uint32_t bus, uint32_t device, uint32_t function, uint32_t offset)
{
    return ECAM + ((uint64_t)bus << 20 | device << 15 | function << 12 | offset);
}

static uint64_t ecam_read(struct fixture *f, uint32_t bus, uint32_t device, uint32_t function,
                          uint32_t offset, uint32_t width)
{
    return bus_read(&f->reader, BP_SPACE_MMIO, ecam_gpa(bus, device, function, offset), width);
}

/* A function with recognisable IDs, a command register and BAR of 4 KiB like a real one's, and RW1C
 * status. */
static struct pci_function *function(uint16_t device_id)
{
    struct pci_function *f = malloc(sizeof(*f));
    assert_non_null(f);
    pci_function_init(f, 0x1af4, device_id, 0x020000, 3);
    bp_put_le16(f->writable + PCI_COMMAND, 0x0507);
    bp_put_le32(f->writable + 0x10, 0xfffff000);
    f->clears[PCI_STATUS + 1] = 0xf9;
    return f;
}

static void put(struct fixture *f, uint32_t bus, uint32_t device, uint32_t fn,
                struct pci_function *p)
{
    assert_int_equal(pci_host_add(f->host, bus, device, fn, p, &f->e), 0);
}

/* ---- enumeration ---- */

static void kernel_finds_mechanism_1(void **state)
{
    struct fixture *f = *state;

    out(f, 0xcfb, 0x01, 1);
    uint32_t before = in(f, 0xcf8, 4);
    out(f, 0xcf8, 0x80000000, 4);
    assert_int_equal(in(f, 0xcf8, 4), 0x80000000);
    out(f, 0xcf8, before, 4);
    assert_int_equal(before, 0);
}

static void host_bridge_is_function_0_of_device_0(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(port_read(f, 0, 0, 0, PCI_VENDOR_ID, 4), 0x00081b36);
    assert_int_equal(port_read(f, 0, 0, 0, PCI_REVISION, 4), 0x06000000);
    assert_int_equal(port_read(f, 0, 0, 0, PCI_HEADER_TYPE, 1), 0);
    assert_int_equal(ecam_read(f, 0, 0, 0, PCI_VENDOR_ID, 4), 0x00081b36);
    assert_int_equal(ecam_read(f, 0, 0, 0, 0x0a, 2), 0x0600);
}

struct found {
    uint32_t count;
    uint32_t where[16], id[16];
};

/* As Linux's pci_scan_slot() does: other functions only if function 0 is there and says so. */
static struct found enumerate(struct fixture *f, bool ecam)
{
    struct found all = {0};

    for (uint32_t bus = 0; bus < BUSES; bus++) {
        for (uint32_t device = 0; device < 32; device++) {
            uint32_t functions = 1;
            for (uint32_t fn = 0; fn < functions; fn++) {
                uint32_t id = ecam ? (uint32_t)ecam_read(f, bus, device, fn, 0, 4)
                                   : port_read(f, bus, device, fn, 0, 4);
                if (id == 0xffffffff)
                    continue;
                uint32_t type = ecam ? (uint32_t)ecam_read(f, bus, device, fn, PCI_HEADER_TYPE, 1)
                                     : port_read(f, bus, device, fn, PCI_HEADER_TYPE, 1);
                if (fn == 0 && (type & 0x80) != 0)
                    functions = 8;
                assert_true(all.count < 16);
                all.where[all.count] = bus << 8 | device << 3 | fn;
                all.id[all.count++] = id;
            }
        }
    }
    return all;
}

static void both_mechanisms_enumerate_the_same_functions(void **state)
{
    struct fixture *f = *state;
    struct pci_function *functions[4];
    static const uint32_t where[] = {0x000, 0x018, 0x01a, 0x0f8, 0x108};
    static const uint32_t ids[] = {0x00081b36, 0x10001af4, 0x10011af4, 0x10021af4, 0x10031af4};

    for (uint32_t i = 0; i < 4; i++)
        functions[i] = function((uint16_t)(0x1000 + i));
    put(f, 0, 3, 2, functions[1]);
    put(f, 0, 3, 0, functions[0]);
    put(f, 0, 31, 0, functions[2]);
    put(f, 1, 1, 0, functions[3]);
    for (uint32_t ecam = 0; ecam < 2; ecam++) {
        struct found all = enumerate(f, ecam != 0);
        assert_int_equal(all.count, 5);
        assert_memory_equal(all.where, where, sizeof(where));
        assert_memory_equal(all.id, ids, sizeof(ids));
    }
    pci_host_remove(f->host, functions[1]);
    assert_int_equal(enumerate(f, true).count, 4);
    assert_int_equal(functions[0]->config[PCI_HEADER_TYPE], 0); /* no longer one of several */
    for (uint32_t i = 0; i < 4; i++) {
        pci_host_remove(f->host, functions[i]);
        free(functions[i]);
    }
    assert_int_equal(enumerate(f, false).count, 1);
}

/* ---- registers ---- */

static void registers_answer_every_width_and_alignment(void **state)
{
    struct fixture *f = *state;
    struct pci_function *p = function(0x1000);

    for (uint32_t i = 0x40; i < 0x48; i++)
        p->config[i] = (uint8_t)i;
    put(f, 0, 1, 0, p);
    for (uint32_t width = 1; width <= 4; width *= 2) {
        for (uint32_t offset = 0x40; offset < 0x44; offset++) {
            uint64_t expected = 0x4746454443424140ull >> 8 * (offset - 0x40);
            expected &= width == 4 ? 0xffffffff : width == 2 ? 0xffff : 0xff;
            assert_int_equal(ecam_read(f, 0, 1, 0, offset, width), expected);
            if ((offset & 3) + width <= 4)
                assert_int_equal(port_read(f, 0, 1, 0, offset, width), expected);
        }
    }
    assert_int_equal(ecam_read(f, 0, 1, 0, 0x40, 8), 0x4746454443424140ull);
    pci_host_remove(f->host, p);
    free(p);
}

static void writes_reach_the_writable_bits_only(void **state)
{
    struct fixture *f = *state;
    struct pci_function *p = function(0x1000);

    put(f, 0, 1, 0, p);
    port_write(f, 1, 0, 0x10, 0xffffffff, 4);
    assert_int_equal(port_read(f, 0, 1, 0, 0x10, 4), 0xfffff000);
    port_write(f, 1, 0, 0x11, 0x00, 1);
    port_write(f, 1, 0, 0x12, 0x1234, 2);
    assert_int_equal(port_read(f, 0, 1, 0, 0x10, 4), 0x12340000);
    port_write(f, 1, 0, PCI_VENDOR_ID, 0, 4);
    assert_int_equal(port_read(f, 0, 1, 0, PCI_VENDOR_ID, 4), 0x10001af4);
    bus_write(&f->reader, BP_SPACE_MMIO, ecam_gpa(0, 1, 0, PCI_COMMAND), 0xffff, 2);
    assert_int_equal(ecam_read(f, 0, 1, 0, PCI_COMMAND, 2), 0x0507);
    pci_host_remove(f->host, p);
    free(p);
}

static void a_one_clears_a_status_bit_and_a_zero_does_not(void **state)
{
    struct fixture *f = *state;
    struct pci_function *p = function(0x1000);

    put(f, 0, 1, 0, p);
    p->config[PCI_STATUS + 1] = 0x30;
    port_write(f, 1, 0, PCI_COMMAND, 0x20000007, 4); /* the status stands in the upper half */
    assert_int_equal(port_read(f, 0, 1, 0, PCI_COMMAND, 4), 0x10000007);
    pci_host_remove(f->host, p);
    free(p);
}

static void host_bridge_is_read_only(void **state)
{
    struct fixture *f = *state;

    for (uint32_t offset = 0; offset < PCI_CONFIG_BYTES; offset += 4) {
        uint64_t before = ecam_read(f, 0, 0, 0, offset, 4);
        bus_write(&f->reader, BP_SPACE_MMIO, ecam_gpa(0, 0, 0, offset), ~before, 4);
        assert_int_equal(ecam_read(f, 0, 0, 0, offset, 4), before);
    }
}

static void ecam_alone_reaches_beyond_256_bytes(void **state)
{
    struct fixture *f = *state;
    struct pci_function *p = function(0x1000);

    put(f, 0, 1, 0, p);
    p->writable[0xfff] = 0xff;
    bus_write(&f->reader, BP_SPACE_MMIO, ecam_gpa(0, 1, 0, 0xfff), 0x5a, 1);
    assert_int_equal(ecam_read(f, 0, 1, 0, 0xffc, 4), 0x5a000000);
    pci_host_remove(f->host, p);
    free(p);
}

struct hooks {
    uint32_t refreshed, written;
};

static void count_refresh(struct pci_function *p, uint32_t offset, uint32_t width)
{
    struct hooks *hooks = p->owner;
    hooks->refreshed++;
    assert_int_equal(width, 1);
    p->config[offset] = 0x77;
}

static void count_written(struct pci_function *p, uint32_t offset, uint32_t width)
{
    struct hooks *hooks = p->owner;
    hooks->written++;
    assert_int_equal(offset, 0x3c);
    assert_int_equal(width, 1);
    assert_int_equal(p->config[offset], 0x0b); /* it is told after the fact */
}

static void hooks_see_reads_before_and_writes_after(void **state)
{
    struct fixture *f = *state;
    struct pci_function *p = function(0x1000);
    struct hooks hooks = {0};

    p->owner = &hooks;
    p->refresh = count_refresh;
    p->written = count_written;
    p->writable[0x3c] = 0xff;
    put(f, 0, 1, 0, p);
    assert_int_equal(ecam_read(f, 0, 1, 0, 0x44, 1), 0x77);
    bus_write(&f->reader, BP_SPACE_MMIO, ecam_gpa(0, 1, 0, 0x3c), 0x0b, 1);
    assert_int_equal(hooks.refreshed, 1);
    assert_int_equal(hooks.written, 1);
    pci_host_remove(f->host, p);
    free(p);
}

static void capabilities_form_a_list(void **state)
{
    struct pci_function *p = function(0x1000);
    (void)state;

    assert_int_equal(pci_function_add_capability(p, 0x05, 14), 0x40);
    assert_int_equal(pci_function_add_capability(p, 0x11, 12), 0x50);
    assert_int_equal(p->config[PCI_STATUS] & 0x10, 0x10);
    assert_int_equal(p->config[PCI_CAPABILITIES], 0x40);
    assert_int_equal(p->config[0x40], 0x05);
    assert_int_equal(p->config[0x41], 0x50);
    assert_int_equal(p->config[0x50], 0x11);
    assert_int_equal(p->config[0x51], 0);
    free(p);
}

static void bad_capability_that_does_not_fit_changes_nothing(void **state)
{
    struct pci_function *p = function(0x1000);
    (void)state;

    assert_int_equal(pci_function_add_capability(p, 0x09, 1), -ENOSPC);
    assert_int_equal(pci_function_add_capability(p, 0x09, 0xc1), -ENOSPC);
    assert_int_equal(pci_function_add_capability(p, 0x09, UINT32_MAX), -ENOSPC);
    assert_int_equal(p->config[PCI_STATUS] & 0x10, 0);
    assert_int_equal(pci_function_add_capability(p, 0x09, 0xc0), 0x40);
    assert_int_equal(pci_function_add_capability(p, 0x09, 2), -ENOSPC);
    assert_int_equal(p->config[0x41], 0);
    free(p);
}

/* ---- row 65, and what a guest may get wrong ---- */

static void bad_65_narrow_writes_to_0xcf8_are_ignored(void **state)
{
    struct fixture *f = *state;

    out(f, 0xcf8, 0x80000008, 4);
    for (uint16_t port = 0xcf8; port < 0xcfc; port++)
        out(f, port, 0xff, 1);
    out(f, 0xcf8, 0x1234, 2);
    out(f, 0xcfa, 0x1234, 2);
    assert_int_equal(in(f, 0xcf8, 4), 0x80000008);
    assert_int_equal(in(f, 0xcfc, 4), 0x06000000);
    assert_int_equal(in(f, 0xcf8, 1), 0xff);
    assert_int_equal(in(f, 0xcfa, 2), 0xffff);
}

static void bad_65_absent_functions_read_as_ones(void **state)
{
    struct fixture *f = *state;

    for (uint32_t width = 1; width <= 4; width *= 2) {
        uint64_t all = width == 4 ? 0xffffffff : width == 2 ? 0xffff : 0xff;
        assert_int_equal(port_read(f, 0, 0, 1, 0, width), all);
        assert_int_equal(port_read(f, 0, 1, 0, 0, width), all);
        assert_int_equal(port_read(f, 1, 0, 0, 0, width), all);
        assert_int_equal(ecam_read(f, 0, 31, 7, 0xffc, width), all);
        assert_int_equal(ecam_read(f, 3, 0, 0, 0, width), all);
    }
    assert_int_equal(ecam_read(f, 0, 1, 0, 0, 8), UINT64_MAX);
    port_write(f, 1, 0, 0, 0, 4);
    assert_int_equal(port_read(f, 0, 1, 0, 0, 4), 0xffffffff);
}

static void bad_65_buses_beyond_the_bridges_read_as_ones(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(port_read(f, 4, 0, 0, 0, 4), 0xffffffff);
    assert_int_equal(port_read(f, 255, 31, 7, 0, 4), 0xffffffff);
    out(f, 0xcfc, 0, 4);
    assert_int_equal(pci_ecam_ops.read(f->host, BUSES * PCI_ECAM_BUS_BYTES, 4), 0xffffffff);
    assert_int_equal(pci_ecam_ops.read(f->host, UINT64_MAX - 3, 4), 0xffffffff);
    pci_ecam_ops.write(f->host, UINT64_MAX - 3, 0, 4);
}

static void reset_register_takes_bytes_and_leaves_dwords_to_the_bridge(void **state)
{
    struct fixture *f = *state;

    out(f, 0xcf8, 0x80000600, 4); /* 06 is what would reset */
    assert_int_equal(f->resets, 0);
    assert_int_equal(in(f, 0xcf8, 4), 0x80000600);
    out(f, 0xcf9, 0x06, 1);
    assert_int_equal(f->resets, 1);
    assert_int_equal(in(f, 0xcf9, 1), 0x0e);
    assert_int_equal(in(f, 0xcf8, 4), 0x80000600);
}

static void reserved_bits_of_the_address_read_as_zero(void **state)
{
    struct fixture *f = *state;

    out(f, 0xcf8, 0xffffffff, 4);
    assert_int_equal(in(f, 0xcf8, 4), 0x80fffffc);
    pci_host_reset(f->host);
    assert_int_equal(in(f, 0xcf8, 4), 0);
}

static void data_port_is_nobodys_while_the_enable_bit_is_clear(void **state)
{
    struct fixture *f = *state;

    out(f, 0xcf8, 0x00000000, 4);
    assert_int_equal(in(f, 0xcfc, 4), 0xffffffff);
    assert_int_equal(in(f, 0xcfe, 2), 0xffff);
}

static void bad_access_across_a_dword_is_split_and_harmless(void **state)
{
    struct fixture *f = *state;

    out(f, 0xcf8, 0x80000000, 4);
    assert_int_equal(in(f, 0xcfd, 2), 0x081b);     /* of 36 1b 08 00 */
    assert_int_equal(in(f, 0xcfe, 4), 0xffff0008); /* its second half is beyond the ports */
    assert_int_equal(ecam_read(f, 0, 0, 0, 1, 4), 0x0600081b);
    out(f, 0xcfa, 0xffffffff, 4);
    assert_int_equal(in(f, 0xcf8, 4), 0x80000000);
    assert_int_equal(pci_config_read(f->host, 0, 0, 3, 4), 0xffffffff);
    assert_int_equal(pci_config_read(f->host, 0, 0, 4096, 4), 0xffffffff);
    assert_int_equal(pci_config_read(f->host, 0, 256, 0, 4), 0xffffffff);
}

/* ---- errors ---- */

static void bad_number_of_buses_is_refused(void **state)
{
    struct pci_host *host = NULL;
    struct error e;
    (void)state;

    assert_int_equal(pci_host_new(0, &host, &e), -EINVAL);
    assert_string_equal(e.text, "a PCI host bridge cannot have 0 buses, expected 1..256");
    assert_int_equal(pci_host_new(257, &host, &e), -EINVAL);
    assert_string_equal(e.text, "a PCI host bridge cannot have 257 buses, expected 1..256");
    assert_null(host);
    assert_int_equal(pci_host_new(256, &host, &e), 0);
    assert_int_equal(pci_host_buses(host), 256);
    pci_host_free(host);
}

static void bad_place_that_is_taken_is_refused(void **state)
{
    struct fixture *f = *state;
    struct pci_function *p = function(0x1000);

    assert_int_equal(pci_host_add(f->host, 0, 0, 0, p, &f->e), -EBUSY);
    assert_string_equal(f->e.text, "PCI function 00:00.0 is taken; choose another");
    free(p);
}

static void bad_place_beyond_the_bridge_is_refused(void **state)
{
    struct fixture *f = *state;
    struct pci_function *p = function(0x1000);

    assert_int_equal(pci_host_add(f->host, 4, 0, 0, p, &f->e), -EINVAL);
    assert_string_equal(f->e.text, "there is no PCI function 04:00.0, expected at most 03:1f.7");
    assert_int_equal(pci_host_add(f->host, 0, 32, 0, p, &f->e), -EINVAL);
    assert_int_equal(pci_host_add(f->host, 0, 0, 8, p, &f->e), -EINVAL);
    assert_null(pci_host_find(f->host, 0, 0, 8));
    pci_host_remove(f->host, p);
    free(p);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(kernel_finds_mechanism_1),
        TEST(host_bridge_is_function_0_of_device_0),
        TEST(both_mechanisms_enumerate_the_same_functions),
        TEST(registers_answer_every_width_and_alignment),
        TEST(writes_reach_the_writable_bits_only),
        TEST(a_one_clears_a_status_bit_and_a_zero_does_not),
        TEST(host_bridge_is_read_only),
        TEST(ecam_alone_reaches_beyond_256_bytes),
        TEST(hooks_see_reads_before_and_writes_after),
        TEST(capabilities_form_a_list),
        TEST(bad_capability_that_does_not_fit_changes_nothing),
        TEST(bad_65_narrow_writes_to_0xcf8_are_ignored),
        TEST(bad_65_absent_functions_read_as_ones),
        TEST(bad_65_buses_beyond_the_bridges_read_as_ones),
        TEST(reset_register_takes_bytes_and_leaves_dwords_to_the_bridge),
        TEST(reserved_bits_of_the_address_read_as_zero),
        TEST(data_port_is_nobodys_while_the_enable_bit_is_clear),
        TEST(bad_access_across_a_dword_is_split_and_harmless),
        TEST(bad_number_of_buses_is_refused),
        TEST(bad_place_that_is_taken_is_refused),
        TEST(bad_place_beyond_the_bridge_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
