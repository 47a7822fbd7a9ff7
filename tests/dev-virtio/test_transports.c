/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/test_transports.c - what is of PCI or of MMIO alone: registers, capabilities,
 * interrupts.
 */
#include "rig.h"

#include "rng/rng.h"
#include "transport/mmio.h"
#include "transport/pci_caps.h"

#include <backplane/ext/acpi.h>
#include <backplane/util/le.h>
#include <errno.h>
#include <unistd.h>

static struct rng_config config;
static const struct rig_buffer one = {RIG_DATA, 64, 1};

static int setup(void **state)
{
    const struct rig_kind *kind = *state;

    config = (struct rng_config){.period = 1000};
    *state = rig_new("rng", &config, kind);
    return 0;
}

static int teardown(void **state)
{
    rig_free(*state);
    return 0;
}

static uint32_t reg(struct rig *r, uint32_t offset, uint32_t width)
{
    return (uint32_t)fake_read(r->host, BP_SPACE_MMIO, r->bar + offset, width);
}

static void put(struct rig *r, uint32_t offset, uint32_t value, uint32_t width)
{
    fake_write(r->host, BP_SPACE_MMIO, r->bar + offset, value, width);
}

/* ---- MMIO ---- */

static void mmio_registers_identify_the_device(void **state)
{
    struct rig *r = *state;

    assert_int_equal(reg(r, MagicValue, 4), 0x74726976);
    assert_int_equal(reg(r, Version, 4), 2);
    assert_int_equal(reg(r, DeviceID, 4), 4);
    assert_int_equal(reg(r, QueueNumMax, 4), RIG_QUEUE_SIZE);
    assert_int_equal(reg(r, SHMLenLow, 4), 0xffffffff);
}

static void bad_56_mmio_accesses(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    for (uint32_t offset = 0; offset < Config; offset++) {
        for (uint32_t width = 1; width <= 8; width *= 2) {
            if (offset == Status || (offset <= Status && offset + width > Status))
                continue; /* a reset is legal */
            reg(r, offset, width);
            if (width != 4 || offset % 4)
                put(r, offset, 0xffffffff, width);
        }
    }
    assert_int_equal(reg(r, MagicValue, 2), 0);
    assert_int_equal(reg(r, 0x0f0, 4), 0);
    put(r, 0x0f0, 1, 4);
    assert_string_equal(fake_log(r->host, NULL),
                        "a register was written that does not exist or cannot be written");
    put(r, QueueSel, 0xffffffff, 4);
    assert_int_equal(reg(r, QueueNumMax, 4), 0);
    assert_int_equal(rig_do(r, 0, &one, 1), 64);
}

static void what_is_pending_after_an_acknowledgement_is_a_new_edge(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    fake_irq_edges(r->host, RIG_IRQ);
    rig_do(r, 0, &one, 1);
    bp_put_le64(rig_ram(r, RIG_DESC(0)), 0);
    for (uint32_t i = 0; i < RIG_QUEUE_SIZE; i++)
        rig_add_raw(r, 0, RIG_DATA, 1, DESC_F_NEXT | DESC_F_WRITE, 0xfff0);
    rig_notify(r, 0); /* NEEDS_RESET: the configuration's bit */
    assert_int_equal(reg(r, InterruptStatus, 4), ISR_QUEUE | ISR_CONFIG);
    assert_int_equal(fake_irq_edges(r->host, RIG_IRQ), 1);
    put(r, InterruptACK, ISR_QUEUE, 4);
    assert_int_equal(fake_irq_edges(r->host, RIG_IRQ), 1);
    put(r, InterruptACK, ISR_CONFIG, 4);
    assert_int_equal(fake_irq_level(r->host, RIG_IRQ), 0);
}

/* The parameter that docs/virtio.md gives, read as Linux reads it (kernel-parameters.txt:
 * <size>@<baseaddr>:<irq>), leads to a device whose section has those keys. */
static void the_parameter_of_the_documentation_finds_it(void **state)
{
    static const char name[] = "virtio_mmio.device=";
    struct rig *r = *state;
    unsigned long long size = 0, base = 0;
    unsigned irq = 0;
    char line[512];
    FILE *page = fopen(VIRTIO_PAGE, "r");

    assert_non_null(page);
    while (fgets(line, sizeof(line), page)) {
        const char *at = strstr(line, name);
        char *end;

        if (!at)
            continue;
        size = strtoull(at + strlen(name), &end, 0);
        assert_int_equal(*end, '@');
        base = strtoull(end + 1, &end, 0);
        assert_int_equal(*end, ':');
        irq = (unsigned)strtoul(end + 1, &end, 10);
        assert_int_equal(*end, '`');
    }
    fclose(page);
    assert_int_equal(size, MMIO_BYTES);
    assert_int_equal(fake_read(r->host, BP_SPACE_MMIO, base + MagicValue, 4), MMIO_MAGIC);
    assert_int_equal(fake_read(r->host, BP_SPACE_MMIO, base + size, 4), 0xffffffff);
    rig_start(r, 0, 1);
    rig_add(r, 0, &one, 1);
    rig_notify(r, 0);
    assert_int_equal(fake_irq_level(r->host, irq), 1);
}

static uint8_t told[128];
static uint64_t told_bytes;

static void take_aml(struct bp_acpi_builder *b, const uint8_t *aml, uint64_t len)
{
    (void)b;
    assert_true(len <= sizeof(told));
    memcpy(told, aml, len);
    told_bytes = len;
}

static void acpi_tells_where_it_is(void **state)
{
    struct rig *r = *state;
    const struct bp_acpi *acpi = fake_ops(r->host)->extension(fake_self(r->host), BP_ACPI_ID);
    struct bp_acpi_builder builder = {.size = sizeof(builder), .aml = take_aml};

    assert_non_null(acpi);
    acpi->describe(fake_self(r->host), &builder);
    assert_int_equal(told_bytes, 61);
    assert_memory_equal(told + 3, "VI05", 4);
    assert_memory_equal(told + 13, "LNRO0005", 9);
    assert_int_equal(bp_le32(told + 42), RIG_MMIO_BASE);
    assert_int_equal(bp_le32(told + 46), 512);
    assert_int_equal(bp_le32(told + 55), RIG_IRQ);
}

static void mmio_needs_a_place(void **state)
{
    struct fake_host *h;

    (void)state;
    config = (struct rng_config){
        .virtio = {.transport = TRANSPORT_MMIO, .queue_size = 256, .slot = UINT32_MAX}};
    assert_int_equal(fake_host_try(PLUGIN_FILE, "rng", &config, &h), -EINVAL);
    assert_string_equal(fake_failure(),
                        "transport = mmio needs the keys address and irq; give an address in "
                        "0xc0000000-0xdfffffff and a line that nobody else has");
    config.virtio.irq = 5;
    config.virtio.address = 0xd0000100;
    assert_int_equal(fake_host_try(PLUGIN_FILE, "rng", &config, &h), -EINVAL);
    assert_string_equal(fake_failure(),
                        "address 0xd0000100 is not a multiple of 512 below 4 GiB; change it");
    config.virtio.transport = TRANSPORT_PCI;
    assert_int_equal(fake_host_try(PLUGIN_FILE, "rng", &config, &h), -EINVAL);
    assert_string_equal(fake_failure(), "the keys address and irq are of transport = mmio; remove "
                                        "them, or add it");
    config.virtio.irq = 0;
    config.virtio.address = 0;
    fake_pci_offer(false);
    assert_int_equal(fake_host_try(PLUGIN_FILE, "rng", &config, &h), -ENOTSUP);
    assert_string_equal(fake_failure(), "this machine has no PCI bus; give the device transport = "
                                        "mmio, or the machine board = pc");
    fake_pci_offer(true);
}

/* ---- PCI ---- */

static uint32_t find_cap(struct rig *r, uint32_t type)
{
    uint32_t at = 0;

    while ((at = fake_pci_capability(r->host, r->devfn, 9, at)) != 0)
        if (fake_pci_read(r->host, r->devfn, at + 3, 1) == type)
            return at;
    return 0;
}

static void capabilities_say_where_what_is(void **state)
{
    struct rig *r = *state;

    assert_int_equal(fake_pci_read(r->host, r->devfn, 0, 4), 0x10441af4);
    for (uint32_t type = 1; type <= 5; type++)
        assert_int_equal(find_cap(r, type) != 0, type != 4); /* no configuration of its own */
    assert_int_equal(fake_pci_read(r->host, r->devfn, find_cap(r, 2) + 8, 4), PCI_NOTIFY);
    assert_int_equal(fake_pci_read(r->host, r->devfn, find_cap(r, 2) + 16, 4), 4);
    assert_int_equal(fake_pci_bar_length(r->host, r->devfn, 0), PCI_BAR_BYTES);
}

static void window(struct rig *r, uint32_t bar, uint32_t offset, uint32_t length)
{
    uint32_t cap = find_cap(r, 5);

    fake_pci_write(r->host, r->devfn, cap + 4, bar, 1);
    fake_pci_write(r->host, r->devfn, cap + 8, offset, 4);
    fake_pci_write(r->host, r->devfn, cap + 12, length, 4);
}

static void registers_are_reached_by_configuration_space(void **state)
{
    struct rig *r = *state;
    uint32_t data = find_cap(r, 5) + 16;

    window(r, 0, 0x14, 1);
    fake_pci_write(r->host, r->devfn, data, STATUS_ACKNOWLEDGE, 1);
    assert_int_equal(rig_status(r), STATUS_ACKNOWLEDGE);
    assert_int_equal(fake_pci_read(r->host, r->devfn, data, 1), STATUS_ACKNOWLEDGE);
    window(r, 0, 0x12, 2);
    assert_int_equal(fake_pci_read(r->host, r->devfn, data, 2), 1);
}

static void bad_64_configuration_access(void **state)
{
    static const struct {
        uint32_t bar, offset, length;
    } cases[] = {{1, 0, 4},      {255, 0, 4},        {0, 0xffffffff, 4}, {0, 0x3ffe, 4},
                 {0, 0x4000, 4}, {0, 0, 0},          {0, 0, 3},          {0, 0, 0xffffffff},
                 {0, 0x15, 4},   {0, 0xfffffffc, 4}, {0, 0x14, 8}};
    struct rig *r = *state;
    uint64_t table = FAKE_BAR_MEMORY((uint64_t)r->devfn, 1);
    uint32_t data = find_cap(r, 5) + 16, before;

    before = (uint32_t)fake_read(r->host, BP_SPACE_MMIO, table, 4); /* of MSI-X, in BAR 1 */
    assert_int_not_equal(before, 0);
    rig_start(r, 0, 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        window(r, cases[i].bar, cases[i].offset, cases[i].length);
        /* What is written reaches no register, and what is read is what was written. */
        for (uint32_t n = 0; n < 2; n++) {
            uint32_t value = n ? 0 : 0x5aa55aa5;

            fake_pci_write(r->host, r->devfn, data, value, 4);
            assert_int_equal(fake_pci_read(r->host, r->devfn, data, 4), value);
            fake_pci_write(r->host, r->devfn, data + 1, 0x33, 1);
            assert_int_equal(fake_pci_read(r->host, r->devfn, data, 4),
                             (value & 0xffff00ff) | 0x3300);
        }
        assert_int_equal(fake_read(r->host, BP_SPACE_MMIO, table, 4), before);
        assert_int_equal(rig_status(r), 15);
    }
    /* The edges that there are: the last register of the BAR, and the last byte. */
    window(r, 0, PCI_BAR_BYTES - 4, 4);
    fake_pci_write(r->host, r->devfn, data, 0, 4);
    assert_int_equal(fake_pci_read(r->host, r->devfn, data, 4), 0);
    window(r, 0, PCI_BAR_BYTES - 1, 1);
    fake_pci_write(r->host, r->devfn, data, 0x5a, 1);
    assert_int_equal(fake_pci_read(r->host, r->devfn, data, 1), 0);
    assert_int_equal(rig_status(r), 15);
    assert_int_equal(rig_do(r, 0, &one, 1), 64);
}

static void bad_62_vectors_that_are_not_there(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    put(r, 0x10, 2, 2); /* two vectors: 0 and 1 */
    assert_int_equal(reg(r, 0x10, 2), 0xffff);
    rig_select(r, 0);
    put(r, 0x1a, 0x1234, 2);
    assert_int_equal(reg(r, 0x1a, 2), 0xffff);
    assert_int_equal(rig_do(r, 0, &one, 1), 64);
    assert_int_equal(fake_pci_messages(r->host, r->devfn, BP_PCI_NO_VECTOR), 0);
}

static void bad_common_accesses(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    for (uint32_t offset = 0; offset < 0x1010; offset++) {
        for (uint32_t width = 1; width <= 8; width *= 2) {
            reg(r, offset, width);
            if ((width == 8 && (offset > 0x14 || offset + width <= 0x14)) || offset > 0x3c)
                put(r, offset, 0xffffffff, width);
        }
    }
    put(r, 0x14, 0, 2); /* a status of two bytes */
    put(r, 0x16, 0, 1);
    assert_true(rig_status(r) & STATUS_DRIVER_OK);
    assert_int_equal(rig_do(r, 0, &one, 1), 64);
}

static void without_messages_the_pin_is_used(void **state)
{
    struct rig *r = *state;

    fake_pci_messages_off(r->host, r->devfn);
    rig_start(r, 0, 1);
    rig_do(r, 0, &one, 1);
    assert_int_equal(fake_pci_intx(r->host, r->devfn), 1);
    assert_int_equal(reg(r, PCI_ISR, 1), ISR_QUEUE);
    assert_int_equal(fake_pci_intx(r->host, r->devfn), 0);
    assert_int_equal(reg(r, PCI_ISR, 1), 0);
}

/* ---- interrupts by eventfd ---- */

/* A device whose CPU backend has doorbells, and interrupts by eventfd if `takes`. */
static struct rig *with_eventfds(const struct rig_kind *kind, bool takes)
{
    struct rig *r;

    fake_offer_doorbells(true);
    config = (struct rng_config){.period = 1000};
    r = rig_new("rng", &config, kind);
    fake_offer_doorbells(false);
    fake_pci_take_fds(r->host, takes);
    fake_pci_messages_off(r->host, r->devfn);
    fake_pci_msix_on(r->host, r->devfn);
    rig_start(r, 0, 1);
    return r;
}

static int fd_of(struct rig *r, uint32_t vector)
{
    const struct virtio *v = fake_self(r->host);
    const struct pci *p = v->transport_self;

    return p->fds[vector];
}

/* Interrupts of vector 1 that the backend was given by eventfd since the last call. */
static uint64_t by_eventfd(struct rig *r)
{
    uint64_t count = 0;

    return read(fd_of(r, 1), &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void request(struct rig *r)
{
    rig_add(r, 0, &one, 1);
    rig_notify(r, 0);
    assert_int_equal(fake_poll(r->host, 0), 1); /* the doorbell */
    assert_true(rig_used(r, 0, NULL, NULL));
}

static void an_interrupt_is_a_write_to_an_eventfd_that_the_backend_has(void **state)
{
    struct rig *r = with_eventfds(*state, true);
    uint64_t address = 0;
    uint32_t data = 0;

    assert_true(fake_pci_has_fd(r->host, fd_of(r, 1), &address, &data));
    assert_int_equal(data, 1);
    request(r);
    assert_int_equal(by_eventfd(r), 1);
    assert_int_equal(fake_pci_messages(r->host, r->devfn, BP_PCI_NO_VECTOR), 0);
    rig_free(r);
}

/* What comes while a vector is masked is pending at once, and sent when it is unmasked. */
static void a_masked_vector_has_its_eventfd_taken_away(void **state)
{
    struct rig *r = with_eventfds(*state, true);

    fake_pci_mask(r->host, r->devfn, 1, 1);
    assert_false(fake_pci_has_fd(r->host, fd_of(r, 1), NULL, NULL));
    request(r);
    assert_true(fake_pci_pending(r->host, r->devfn, 1));
    assert_int_equal(by_eventfd(r), 0);
    assert_int_equal(fake_pci_messages(r->host, r->devfn, 1), 0);
    fake_pci_mask(r->host, r->devfn, 1, 0);
    assert_int_equal(fake_pci_messages(r->host, r->devfn, 1), 1);
    assert_false(fake_pci_pending(r->host, r->devfn, 1));
    assert_true(fake_pci_has_fd(r->host, fd_of(r, 1), NULL, NULL));
    request(r);
    assert_int_equal(by_eventfd(r), 1);
    rig_free(r);
}

/* The guest moves the message to another processor: the eventfd's follows. */
static void a_changed_message_is_that_of_the_eventfd(void **state)
{
    struct rig *r = with_eventfds(*state, true);
    uint64_t table = FAKE_BAR_MEMORY((uint64_t)r->devfn, 1) + 16, address = 0;
    uint32_t data = 0;

    fake_write(r->host, BP_SPACE_MMIO, table + 8, 0x4041, 4);
    fake_write(r->host, BP_SPACE_MMIO, table, 0xfee03000, 4);
    assert_true(fake_pci_has_fd(r->host, fd_of(r, 1), &address, &data));
    assert_int_equal(address, 0xfee03000);
    assert_int_equal(data, 0x4041);
    request(r);
    assert_int_equal(by_eventfd(r), 1);
    fake_pci_write(r->host, r->devfn, 4, 2, 2); /* no bus master: no message */
    assert_false(fake_pci_has_fd(r->host, fd_of(r, 1), NULL, NULL));
    rig_free(r);
}

/* A backend with doorbells and without such interrupts: the loop sends the message. */
static void eventfds_that_the_backend_does_not_take_are_the_loops(void **state)
{
    struct rig *r = with_eventfds(*state, false);

    assert_true(fd_of(r, 1) >= 0);
    request(r);
    assert_int_equal(fake_poll(r->host, 0), 1);
    assert_int_equal(fake_pci_messages(r->host, r->devfn, 1), 1);
    rig_free(r);
}

static void the_pin_is_used_beside_eventfds_that_are_idle(void **state)
{
    struct rig *r = with_eventfds(*state, true);

    fake_pci_messages_off(r->host, r->devfn);
    assert_false(fake_pci_has_fd(r->host, fd_of(r, 1), NULL, NULL));
    request(r);
    assert_int_equal(fake_pci_intx(r->host, r->devfn), 1);
    assert_int_equal(by_eventfd(r), 0);
    rig_free(r);
}

static void a_reset_and_a_move_take_eventfds_along(void **state)
{
    struct rig *from = with_eventfds(*state, true), *to = with_eventfds(*state, true);

    fake_pci_messages_off(to->host, to->devfn);
    fake_move_state(from->host, to->host);
    memcpy(fake_ram(to->host), fake_ram(from->host), FAKE_RAM_BYTES);
    memcpy(to->queues, from->queues, sizeof(to->queues));
    assert_true(fake_pci_has_fd(to->host, fd_of(to, 1), NULL, NULL));
    fake_advance_ns(to->host, 0);
    request(to);
    assert_int_equal(by_eventfd(to), 1);
    fake_ops(to->host)->stop(fake_self(to->host));
    fake_ops(to->host)->reset(fake_self(to->host), BP_RESET_WARM);
    assert_false(fake_pci_has_fd(to->host, fd_of(to, 1), NULL, NULL));
    assert_int_equal(fake_ops(to->host)->start(fake_self(to->host)), 0);
    rig_free(from);
    rig_free(to);
}

/* Without doorbells nothing is opened. */
static void a_backend_without_doorbells_has_messages_alone(void **state)
{
    struct rig *r = *state;

    rig_start(r, 0, 1);
    assert_int_equal(fd_of(r, 0), -1);
    assert_int_equal(fd_of(r, 1), -1);
    rig_do(r, 0, &one, 1);
    assert_int_equal(fake_pci_messages(r->host, r->devfn, 1), 1);
}

#define MMIO(test)                                                                                 \
    {                                                                                              \
#test, test, setup, teardown, (void *)&rig_kinds[0]                                        \
    }
#define PCI(test)                                                                                  \
    {                                                                                              \
#test, test, setup, teardown, (void *)&rig_kinds[2]                                        \
    }

#define EVENTFDS(test)                                                                             \
    {                                                                                              \
#test, test, NULL, NULL, (void *)&rig_kinds[2]                                             \
    }

static const struct CMUnitTest tests[] = {
    MMIO(mmio_registers_identify_the_device),
    MMIO(bad_56_mmio_accesses),
    MMIO(what_is_pending_after_an_acknowledgement_is_a_new_edge),
    MMIO(acpi_tells_where_it_is),
    MMIO(the_parameter_of_the_documentation_finds_it),
    cmocka_unit_test(mmio_needs_a_place),
    PCI(capabilities_say_where_what_is),
    PCI(registers_are_reached_by_configuration_space),
    PCI(bad_62_vectors_that_are_not_there),
    PCI(bad_64_configuration_access),
    PCI(bad_common_accesses),
    PCI(without_messages_the_pin_is_used),
    PCI(a_backend_without_doorbells_has_messages_alone),
    EVENTFDS(an_interrupt_is_a_write_to_an_eventfd_that_the_backend_has),
    EVENTFDS(a_masked_vector_has_its_eventfd_taken_away),
    EVENTFDS(a_changed_message_is_that_of_the_eventfd),
    EVENTFDS(eventfds_that_the_backend_does_not_take_are_the_loops),
    EVENTFDS(the_pin_is_used_beside_eventfds_that_are_idle),
    EVENTFDS(a_reset_and_a_move_take_eventfds_along),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
