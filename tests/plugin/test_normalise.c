/* SPDX-License-Identifier: MIT
 *
 * Tests of plugin/normalise.c and interfaces.c: tables of every size come out whole, and what was
 * absent behaves as its stub says.
 */
#include "plugin/normalise.h"

#include <backplane/ext/acpi.h>
#include <backplane/ext/dirty_log.h>
#include <backplane/ext/doorbell.h>
#include <backplane/ext/irqchip.h>
#include <backplane/ext/posted.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int attach(void *self, const struct bp_net_port *port, void *port_self)
{
    (void)self;
    (void)port;
    (void)port_self;
    return 7;
}

static uint32_t send(void *self, uint32_t queue, const struct bp_frame *frames, uint32_t count)
{
    (void)self;
    (void)queue;
    (void)frames;
    return count;
}

static void resume(void *self, uint32_t queue)
{
    (void)self;
    (void)queue;
}

static const struct bp_net minimal = {
    .size = sizeof(minimal), .attach = attach, .send = send, .resume = resume};

static const struct table *net_table(void)
{
    const struct interface *i = interface_find(BP_NET_ID);

    assert_non_null(i);
    return i->table;
}

static void functions_of_the_plugin_are_kept(void **state)
{
    struct bp_net out;
    struct error e;

    (void)state;
    assert_int_equal(normalise(&out, net_table(), &minimal, &e), 0);
    assert_ptr_equal(out.send, send);
    assert_int_equal(out.attach(NULL, NULL, NULL), 7);
    assert_int_equal(out.size, sizeof(out));
}

static void absent_net_functions_have_no_offloads_and_one_queue(void **state)
{
    struct bp_net out;
    struct error e;

    (void)state;
    assert_int_equal(normalise(&out, net_table(), &minimal, &e), 0);
    assert_int_equal(out.offloads(NULL), 0);
    assert_int_equal(out.set_offloads(NULL, 0), 0);
    assert_int_equal(out.set_offloads(NULL, BP_NET_OFFLOAD_CSUM), -EINVAL);
    assert_int_equal(out.set_queues(NULL, 1), 0);
    assert_int_equal(out.set_queues(NULL, 2), -EINVAL);
    assert_int_equal(out.set_queues(NULL, 0), -EINVAL);
    assert_ptr_equal(out.port(&out), &out); /* and one port, the instance */
}

static void table_of_a_newer_plugin_is_cut(void **state)
{
    struct {
        struct bp_net net;
        uint64_t future[4];
    } newer = {minimal, {1, 2, 3, 4}};
    struct {
        struct bp_net net;
        uint64_t guard;
    } out = {.guard = 0x1234};
    struct error e;

    (void)state;
    newer.net.size = sizeof(newer);
    assert_int_equal(normalise(&out.net, net_table(), &newer, &e), 0);
    assert_int_equal(out.net.size, sizeof(struct bp_net));
    assert_int_equal(out.guard, 0x1234);
}

static int added(void *self)
{
    (void)self;
    return 42;
}

static void table_of_an_older_plugin_is_filled_up(void **state)
{
    /* A later host: its table has one function more than the plugin's. */
    struct later {
        struct bp_net net;
        int (*added)(void *self);
    } out, stubs = {.added = added};
    struct table table = *net_table();
    struct error e;

    (void)state;
    memcpy(&stubs.net, table.stubs, sizeof(stubs.net));
    table.stubs = &stubs;
    table.size = sizeof(out);
    assert_int_equal(normalise(&out, &table, &minimal, &e), 0);
    assert_int_equal(out.net.size, sizeof(out));
    assert_ptr_equal(out.net.send, send);
    assert_int_equal(out.added(NULL), 42);
}

static void refuses(const void *from, const char *text)
{
    struct bp_net out;
    struct error e = {""};

    assert_int_equal(normalise(&out, net_table(), from, &e), -EINVAL);
    assert_string_equal(e.text, text);
}

static void bad_98_null_table_is_refused(void **state)
{
    (void)state;
    refuses(NULL, "table bp_net is NULL; expected a table");
}

static void bad_98_misaligned_table_is_refused(void **state)
{
    struct bp_net two[2] = {minimal, minimal};

    (void)state;
    refuses((const char *)two + 4, "table bp_net is not aligned to 8 bytes; do not pack it");
}

static void bad_98_truncated_interface_table_is_refused(void **state)
{
    struct bp_net n = minimal;

    (void)state;
    n.size = 48;
    refuses(&n,
            "table bp_net is truncated: its size says 48 bytes, and no version has less than 56; "
            "set size to sizeof its struct");
}

static void bad_98_absurd_interface_size_is_refused(void **state)
{
    struct bp_net n = minimal;

    (void)state;
    n.size = 0x80000000;
    refuses(&n,
            "table bp_net has an absurd size of 2147483648 bytes; set size to sizeof its struct");
    n.size = sizeof(n) + 1;
    refuses(&n, "table bp_net has an absurd size of 65 bytes; set size to sizeof its struct");
}

static void bad_98_null_required_function_is_refused(void **state)
{
    struct bp_net n = minimal;

    (void)state;
    n.send = NULL;
    refuses(&n, "send of table bp_net is NULL; it is required: set it");
}

static void nothing(void)
{
}

static void bad_98_null_function_without_a_name_is_refused(void **state)
{
    struct {
        uint32_t size, reserved;
        void (*first)(void), (*second)(void);
    } from = {.size = sizeof(from), .first = nothing}, out, stubs = {0};
    struct table table = {.name = "of_a_test", .size = sizeof(out), .minimum = 8, .stubs = &stubs};
    struct error e = {""};

    (void)state;
    table.required = 2;
    assert_int_equal(normalise(&out, &table, &from, &e), -EINVAL);
    assert_string_equal(
        e.text, "the member at offset 16 of table of_a_test is NULL; it is required: set it");
    table.required = 1;
    assert_int_equal(normalise(&out, &table, &from, &e), 0);
    assert_ptr_equal(out.first, nothing);
}

static void unknown_interface_is_not_found(void **state)
{
    (void)state;
    assert_null(interface_find("bp.char/2"));
    assert_null(interface_find(""));
}

/* Every pointer-sized slot of a table is either required or has a stub; nothing is both. */
static void whole(const struct table *t, uint32_t data_slots)
{
    const char *stubs = t->stubs;

    assert_true(t->minimum <= t->size);
    for (uint32_t at = 8, slot = 0; at < t->size; at += 8, slot++) {
        uintptr_t stub;

        memcpy(&stub, stubs + at, sizeof(stub));
        if (slot < data_slots)
            continue;
        if (!!stub == (t->required >> slot & 1))
            fail_msg("%s: slot %u is %s", t->name, slot,
                     stub ? "required, but has a stub" : "optional, but has no stub");
        assert_true(stub || t->members[slot]);
    }
}

static void every_slot_of_every_table_is_required_or_has_a_stub(void **state)
{
    static const char *const ids[] = {BP_CHAR_ID,     BP_NET_ID,       BP_BLOCK_ID,   BP_ACPI_ID,
                                      BP_DOORBELL_ID, BP_DIRTY_LOG_ID, BP_IRQCHIP_ID, BP_POSTED_ID};

    (void)state;
    whole(&table_instance, 2);
    whole(&table_cpu, 0);
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        const struct interface *f = interface_find(ids[i]);

        assert_non_null(f);
        whole(f->table, 0);
        assert_int_equal(f->size, f->table->size);
        assert_int_equal(!!f->port_size, !!f->port_table);
        if (!f->port_table)
            continue;
        whole(f->port_table, 0);
        assert_int_equal(f->port_size, f->port_table->size);
    }
}

static void interfaces_belong_to_their_kind(void **state)
{
    (void)state;
    assert_int_equal(interface_find(BP_CHAR_ID)->kind, BP_KIND_CHAR);
    assert_int_equal(interface_find(BP_NET_ID)->kind, BP_KIND_NET);
    assert_int_equal(interface_find(BP_BLOCK_ID)->kind, BP_KIND_BLOCK);
    assert_int_equal(interface_find(BP_ACPI_ID)->kind, 0);
    assert_int_equal(interface_find(BP_DOORBELL_ID)->size, sizeof(struct bp_cpu_doorbell));
    assert_int_equal(interface_find(BP_DIRTY_LOG_ID)->kind, BP_KIND_CPU);
    assert_int_equal(interface_find(BP_IRQCHIP_ID)->kind, BP_KIND_DEVICE);
    assert_int_equal(interface_find(BP_POSTED_ID)->kind, BP_KIND_CPU);
}

static void stubs_of_ports_and_backends_do_nothing(void **state)
{
    const struct bp_char *c = interface_find(BP_CHAR_ID)->table->stubs;
    const struct bp_char_port *cp = interface_find(BP_CHAR_ID)->port_table->stubs;
    const struct bp_net_port *np = interface_find(BP_NET_ID)->port_table->stubs;
    const struct bp_block_port *bp = interface_find(BP_BLOCK_ID)->port_table->stubs;
    const struct bp_cpu_ops *cpu = table_cpu.stubs;
    const struct bp_instance_ops *in = table_instance.stubs;

    (void)state;
    c->set_break(NULL, 1);
    assert_int_equal(c->inject(NULL, (const uint8_t *)"x", 1), 0);
    cp->event(NULL, BP_CHAR_OPENED, 0, 0);
    np->link(NULL, 1);
    bp->resized(NULL, 512);
    cpu->irq(NULL, 1, 1);
    cpu->msi(NULL, 0xfee00000, 1);
    cpu->code_changed(NULL, 0, 4096);
    assert_null(cpu->extension(NULL, BP_DOORBELL_ID));
    assert_int_equal(in->start(NULL), 0);
    in->stop(NULL);
    in->timer(NULL, 0);
    assert_int_equal(in->save(NULL, NULL), 0);
    assert_int_equal(in->load(NULL, NULL), 0);
    assert_int_equal(in->after_load(NULL), 0);
    assert_null(in->extension(NULL, BP_CHAR_ID));
}

/* The argument is the name of one test. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_of_the_plugin_are_kept),
        cmocka_unit_test(absent_net_functions_have_no_offloads_and_one_queue),
        cmocka_unit_test(table_of_a_newer_plugin_is_cut),
        cmocka_unit_test(table_of_an_older_plugin_is_filled_up),
        cmocka_unit_test(bad_98_null_table_is_refused),
        cmocka_unit_test(bad_98_misaligned_table_is_refused),
        cmocka_unit_test(bad_98_truncated_interface_table_is_refused),
        cmocka_unit_test(bad_98_absurd_interface_size_is_refused),
        cmocka_unit_test(bad_98_null_required_function_is_refused),
        cmocka_unit_test(bad_98_null_function_without_a_name_is_refused),
        cmocka_unit_test(unknown_interface_is_not_found),
        cmocka_unit_test(every_slot_of_every_table_is_required_or_has_a_stub),
        cmocka_unit_test(interfaces_belong_to_their_kind),
        cmocka_unit_test(stubs_of_ports_and_backends_do_nothing),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
