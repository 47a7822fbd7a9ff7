/* SPDX-License-Identifier: MIT
 *
 * Conflicts: ports, addresses and interrupt lines that two claim, and what lies in guest RAM.
 */
#include "machine/planned.h"

#define COM2 "[com2]\nplugin = dev-uart\n"

static void claims_side_by_side_are_no_conflict(void **state)
{
    planned_accepts(*state, BARE "[com1]\nplugin = dev-uart\n" COM2 "port = 0x400\nirq = 3\n"
                                 "[com3]\nplugin = dev-uart\nport = 0x3f0\nirq = 5\n");
}

static void pc_board_has_no_conflict_with_the_core(void **state)
{
    planned_accepts(*state, "[boot]\nkernel = image\n[com1]\nplugin = dev-uart\n");
}

static void ports_that_overlap_are_told_at_the_later_section(void **state)
{
    planned_refuses(*state, BARE "[com1]\nplugin = dev-uart\n" COM2 "port = 0x3f1\nirq = 3\n",
                    "m.ini:9: [com2] port = 0x3f1 (ports 0x3f1-0x3f8) overlaps [com1] port = 0x3f8 "
                    "(ports 0x3f8-0x3ff, m.ini:5)");
    planned_refuses(
        *state, BARE "[com1]\nplugin = dev-uart\nport = 0x3ff\n" COM2 "irq = 3\n",
        "m.ini:8: [com2] port = 0x3f8 (ports 0x3f8-0x3ff, the default) overlaps [com1] port "
        "= 0x3ff (ports 0x3ff-0x406, m.ini:7)");
}

static void interrupt_that_is_not_shared_is_told(void **state)
{
    planned_refuses(
        *state, BARE "[com1]\nplugin = dev-uart\n" COM2 "port = 0x2f8\nirq = 4\n",
        "m.ini:10: [com2] irq = 4 (interrupt 4) is taken by [com1] irq = 4 (interrupt 4, "
        "m.ini:5), and cannot be shared");
}

static void interrupt_can_be_shared_by_those_that_say_so(void **state)
{
    static const char shared[] = BARE "[a]\nplugin = dev-uart\nmodel = window\nirq = 10\n"
                                      "[b]\nplugin = dev-uart\nmodel = window\nirq = 10\n";
    char text[600];

    planned_accepts(*state, shared);
    snprintf(text, sizeof(text), "%s[c]\nplugin = dev-uart\nirq = 10\n", shared);
    planned_refuses(*state, text,
                    "m.ini:15: [c] irq = 10 (interrupt 10) is taken by [b] irq = 10 (interrupt 10, "
                    "m.ini:12), and cannot be shared");
}

static void sharer_meets_an_exclusive_claim_wherever_it_stands(void **state)
{
    planned_refuses(*state,
                    BARE "[c]\nplugin = dev-uart\nirq = 10\n"
                         "[a]\nplugin = dev-uart\nmodel = window\nirq = 10\n"
                         "[b]\nplugin = dev-uart\nmodel = window\nirq = 10\n",
                    "m.ini:11: [a] irq = 10 (interrupt 10) is taken by [c] irq = 10 (interrupt 10, "
                    "m.ini:7), which does not share it\n"
                    "m.ini:15: [b] irq = 10 (interrupt 10) is taken by [c] irq = 10 (interrupt 10, "
                    "m.ini:7), which does not share it");
}

static void what_the_core_occupies_cannot_be_claimed(void **state)
{
    planned_refuses(
        *state,
        "[machine]\nboard = pc\n[boot]\nbinary = image\n[a]\nplugin = dev-uart\nport = 0x60\nirq = "
        "0\n"
        "[b]\nplugin = dev-uart\nport = 0xcfc\nirq = 5\n"
        "[c]\nplugin = dev-uart\nmodel = window\nat = 0xe0001000, 0xfebf8000, 0xfee00000\n",
        "m.ini:7: [a] port = 0x60 (ports 0x60-0x67) overlaps the interval timer's gate (port "
        "0x61), "
        "which every machine has\n"
        "m.ini:11: [b] port = 0xcfc (ports 0xcfc-0xd03) overlaps PCI configuration (ports "
        "0xcfa-0xcff), which every pc board has\n"
        "m.ini:16: [c] at = 0xe0001000, 0xfebf8000, 0xfee00000 (0xe0001000-0xe0010fff) overlaps "
        "PCI "
        "configuration (0xe0000000-0xefffffff), which every pc board has\n"
        "m.ini:16: [c] at = 0xe0001000, 0xfebf8000, 0xfee00000 (0xfebf8000-0xfec07fff) overlaps "
        "the I/O "
        "APIC (0xfec00000-0xfec00fff), which every machine has\n"
        "m.ini:16: [c] at = 0xe0001000, 0xfebf8000, 0xfee00000 (0xfee00000-0xfee0ffff) overlaps "
        "the "
        "local APICs (0xfee00000-0xfeefffff), which every machine has\n"
        "m.ini:8: [a] irq = 0 (interrupt 0) is taken by the interval timer (interrupt 0), which "
        "every "
        "machine has");
}

static void controllers_registers_are_claimed_by_whoever_has_them(void **state)
{
    static const char board[] = "[boot]\nkernel = image\n[cpu]\nplugin = cpu-bare\n";
    char text[400];

    planned_accepts(*state, board);
    planned_accepts(*state, BARE "[cpu]\nplugin = cpu-bare\n[a]\nplugin = dev-uart\nport = 0x40\n");
    snprintf(text, sizeof(text), "%s[a]\nplugin = dev-uart\nport = 0x40\n", board);
    planned_refuses(
        *state, text,
        "the pc board: [irqchip] pit-port = 0x40 (ports 0x40-0x43, the default) overlaps "
        "[a] port = 0x40 (ports 0x40-0x47, m.ini:7)");
}

static void device_cannot_stand_over_the_rom(void **state)
{
    char rom[4097];

    memset(rom, 'x', 4096);
    rom[4096] = 0;
    planned_file("rom", rom);
    planned_refuses(*state,
                    "[machine]\nboard = none\n[boot]\nfirmware = rom\n[a]\nplugin = dev-uart\n"
                    "model = mmio-console\nbase = 0xfffff000\n[b]\nplugin = dev-uart\nmodel = "
                    "mmio-console\nbase = 0xff000\n",
                    "m.ini:12: [b] base = 0xff000 (0xff000-0xfffff) overlaps the ROM's end "
                    "(0xff000-0xfffff), which [boot] firmware brings\n"
                    "m.ini:8: [a] base = 0xfffff000 (0xfffff000-0xffffffff) overlaps the ROM "
                    "(0xfffff000-0xffffffff), which [boot] firmware brings");
    unlink("rom");
}

static void board_none_leaves_pci_to_others(void **state)
{
    planned_accepts(*state, BARE "[a]\nplugin = dev-uart\nport = 0xcf8\n[b]\nplugin = dev-uart\n"
                                 "model = window\nat = 0xe0000000\n");
}

static void small_claim_behind_a_large_one_is_found(void **state)
{
    planned_refuses(*state,
                    BARE "[a]\nplugin = dev-uart\nmodel = window\nat = 0xd0000000\n"
                         "[b]\nplugin = dev-uart\nmodel = mmio-console\nbase = 0xd0001000\n"
                         "[c]\nplugin = dev-uart\nmodel = mmio-console\nbase = 0xd0003000\n",
                    "m.ini:12: [b] base = 0xd0001000 (0xd0001000-0xd0001fff) overlaps [a] at = "
                    "0xd0000000 (0xd0000000-0xd000ffff, m.ini:8)\n"
                    "m.ini:16: [c] base = 0xd0003000 (0xd0003000-0xd0003fff) overlaps [a] at = "
                    "0xd0000000 (0xd0000000-0xd000ffff, m.ini:8)");
}

static void one_section_can_be_in_its_own_way(void **state)
{
    planned_refuses(
        *state, BARE "[a]\nplugin = dev-uart\nmodel = window\nat = 0xd0000000, 0xd0000004\n",
        "m.ini:8: [a] at = 0xd0000000, 0xd0000004 (0xd0000004-0xd0010003) overlaps [a] at = "
        "0xd0000000, 0xd0000004 (0xd0000000-0xd000ffff, m.ini:8)");
}

static void claim_that_goes_beyond_the_end_is_told(void **state)
{
    planned_refuses(
        *state,
        BARE "[a]\nplugin = dev-uart\nmodel = window\nat = 0xfffffffffffffff0\n"
             "[rtc]\nplugin = dev-pc\nport = 0xffff\n",
        "m.ini:8: [a] at = 0xfffffffffffffff0 (0xfffffffffffffff0-0xffffffffffffffff) goes "
        "beyond the last address, 2^64 - 1\n"
        "m.ini:11: [rtc] port = 0xffff (port 0xffff) goes beyond the last port, 0xffff");
}

static void claim_in_ram_is_told(void **state)
{
    planned_refuses(
        *state,
        "[machine]\nboard = none\nmemory = 4G\n[boot]\nbinary = image\n"
        "[a]\nplugin = dev-uart\nmodel = window\nat = 0xa000, 0xbfff8000, 0x13fff8000\n",
        "m.ini:9: [a] at = 0xa000, 0xbfff8000, 0x13fff8000 (0xa000-0x19fff) lies in guest "
        "RAM, which has 0x0-0xbfffffff: choose an address outside it, or less memory\n"
        "m.ini:9: [a] at = 0xa000, 0xbfff8000, 0x13fff8000 (0xbfff8000-0xc0007fff) lies in "
        "guest RAM, which has 0x0-0xbfffffff: choose an address outside it, or less memory\n"
        "m.ini:9: [a] at = 0xa000, 0xbfff8000, 0x13fff8000 (0x13fff8000-0x140007fff) lies in "
        "guest RAM, which has 0x100000000-0x13fffffff: choose an address outside it, or less "
        "memory");
}

static void claim_above_ram_is_no_conflict(void **state)
{
    struct planned *p = *state;

    planned_accepts(p,
                    BARE "[a]\nplugin = dev-uart\nmodel = window\nat = 0x20000000, 0x140000000\n");
    assert_int_equal(p->plan.reserved_count, 0);
}

#define CONSOLE(name, base) "[" name "]\nplugin = dev-uart\nmodel = mmio-console\nbase = " base "\n"

static void console_reserves_its_page_in_ram(void **state)
{
    struct planned *p = *state;

    planned_accepts(p, BARE CONSOLE("a", "0x9000000"));
    assert_int_equal(p->plan.reserved_count, 1);
    assert_int_equal(p->plan.reserved[0].gpa, 0x9000000);
    assert_int_equal(p->plan.reserved[0].length, 0x1000);
}

static void reserved_pages_are_whole_merged_and_clipped(void **state)
{
    struct planned *p = *state;

    planned_accepts(p, BARE CONSOLE("a", "0x9000800") CONSOLE("b", "0x9001800") CONSOLE(
                           "c", "0x8000000") CONSOLE("d", "0x1ffff800") CONSOLE("e", "0x20000800"));
    assert_int_equal(p->plan.reserved_count, 3);
    assert_int_equal(p->plan.reserved[0].gpa, 0x8000000);
    assert_int_equal(p->plan.reserved[1].gpa, 0x9000000);
    assert_int_equal(p->plan.reserved[1].length, 0x3000);
    assert_int_equal(p->plan.reserved[2].gpa, 0x1ffff000);
    assert_int_equal(p->plan.reserved[2].length, 0x1000);
}

#define NIC(name, pci) "[" name "]\nplugin = dev-e1000\npci = " pci "\n"

static void pci_function_that_two_instances_want_is_told(void **state)
{
    static const char board[] = "[boot]\nkernel = image\n";
    char text[400];

    snprintf(text, sizeof(text), "%s%s", board,
             NIC("a", "3") NIC("b", "3.1") "[c]\nplugin = dev-e1000\n[d]\nplugin = dev-e1000\n");
    planned_accepts(*state, text);
    snprintf(text, sizeof(text), "%s%s", board, NIC("a", "1f.2") NIC("b", "3") NIC("c", "1F.2"));
    planned_refuses(*state, text,
                    "m.ini:11: [c] pci = 1F.2 (PCI function 1f.2) is taken by [a] pci = 1f.2 (PCI "
                    "function 1f.2, m.ini:5)");
    snprintf(text, sizeof(text), "%s%s", board, NIC("a", "0.1"));
    planned_refuses(*state, text,
                    "m.ini:5: [a] pci = 0.1 (PCI function 0.1) is taken by the PCI host bridge "
                    "(PCI device 0), which every pc board has");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLANNED_TEST(claims_side_by_side_are_no_conflict),
        PLANNED_TEST(pc_board_has_no_conflict_with_the_core),
        PLANNED_TEST(ports_that_overlap_are_told_at_the_later_section),
        PLANNED_TEST(interrupt_that_is_not_shared_is_told),
        PLANNED_TEST(interrupt_can_be_shared_by_those_that_say_so),
        PLANNED_TEST(sharer_meets_an_exclusive_claim_wherever_it_stands),
        PLANNED_TEST(what_the_core_occupies_cannot_be_claimed),
        PLANNED_TEST(controllers_registers_are_claimed_by_whoever_has_them),
        PLANNED_TEST(device_cannot_stand_over_the_rom),
        PLANNED_TEST(board_none_leaves_pci_to_others),
        PLANNED_TEST(small_claim_behind_a_large_one_is_found),
        PLANNED_TEST(one_section_can_be_in_its_own_way),
        PLANNED_TEST(claim_that_goes_beyond_the_end_is_told),
        PLANNED_TEST(claim_in_ram_is_told),
        PLANNED_TEST(claim_above_ram_is_no_conflict),
        PLANNED_TEST(console_reserves_its_page_in_ram),
        PLANNED_TEST(reserved_pages_are_whole_merged_and_clipped),
        PLANNED_TEST(pci_function_that_two_instances_want_is_told),
    };

    return cmocka_run_group_tests_name("conflicts", tests, NULL, NULL);
}
