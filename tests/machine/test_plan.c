/* SPDX-License-Identifier: MIT
 *
 * Plans: models, references, order, domains, the board; and every sentence against them. The core's
 * own sections are in test_plan_settings.c.
 */
#include "machine/planned.h"

#include <sys/stat.h>

/* ---- models ---- */

static void sections_get_models_and_config_structs(void **state)
{
    struct planned *p = *state;
    const struct plan_instance *com1, *terminal, *out;
    const struct uart_config *uart;

    planned_accepts(p, BARE "[com1]\nplugin = dev-uart\nirq = 3\nchardev = terminal\n"
                            "[terminal]\nplugin = chr-host\n"
                            "[out]\nplugin = chr-host\nmodel = file\npath = image\n");
    assert_int_equal(p->plan.count, 3);
    com1 = plan_find(&p->plan, "com1");
    terminal = plan_find(&p->plan, "terminal");
    out = plan_find(&p->plan, "out");
    uart = com1->config;
    assert_string_equal(com1->model->id, "16550a");
    assert_int_equal(uart->port, 0x3f8);
    assert_int_equal(uart->irq, 3);
    assert_ptr_equal(uart->chardev, terminal);
    assert_string_equal(terminal->model->id, "stdio");
    assert_string_equal(((const struct file_config *)out->config)->path, "/proc/self/cwd/image");
    assert_string_equal(com1->section->name, "com1");
}

static void bad_94_plugins_and_models(void **state)
{
    planned_refuses(
        *state,
        BARE "[a]\nplugin = dev-nothing\n[b]\nplugin = dev-uart\nmodel = 8250\n[c]\nx = 1\n"
             "[mahcine]\nmemory = 1G\n[d]\nplugin =\n",
        "m.ini:6: [a] plugin = dev-nothing: the plugin dev-nothing is not installed "
        "(searched /plugins)\n"
        "m.ini:9: [b] model = 8250: dev-uart has no such model\n"
        "m.ini:10: [c] has no key plugin: every section but [machine], [cpu] and [boot] "
        "needs one\n"
        "m.ini:12: [mahcine] has no key plugin, and is none of the core's sections; did you "
        "mean [machine]?\n"
        "m.ini:15: [d] plugin = : the plugin  is not installed (searched /plugins)");
}

static void bad_94_misspelt_section_of_an_override_has_a_suggestion(void **state)
{
    struct planned *p = *state;
    const char *text = BARE "[com1]\nplugin = dev-uart\n";
    struct error e;

    assert_int_equal(
        config_read_text(&p->config, text, strlen(text), "m.ini", PLANNED_FOLDER, &p->told.report),
        0);
    assert_int_equal(config_set(&p->config, "comm1.irq", "3", "--set", PLANNED_FOLDER, 0, &e), 0);
    assert_int_equal(config_set(&p->config, "serial.irq", "3", "--set", PLANNED_FOLDER, 0, &e), 0);
    assert_int_equal(plan_make_from(&p->plan, &p->config, p->source, &p->told.report), -EINVAL);
    told_is(
        &p->told,
        "--set: there is no section [comm1]; did you mean [com1]? A new one needs a key plugin\n"
        "--set: [serial] has no key plugin: every section but [machine], [cpu] and [boot] "
        "needs one");
    p->told.count = 0;
}

static void bad_94_nothing_but_a_plugin_is_missing(void **state)
{
    planned_misses(*state, BARE "[a]\nplugin = dev-uart\nmodel = x\n",
                   "m.ini:7: [a] model = x: dev-uart has no such model");
}

static void backend_that_auto_chooses_gets_defaults(void **state)
{
    struct planned *p = *state;
    const struct plugin *plugin;
    const struct model *model;
    const struct kvm_config *config;
    struct error e;

    planned_accepts(p, BARE);
    assert_int_equal(p->source->load(NULL, "cpu-kvm", "/", &plugin, &e), 0);
    assert_int_equal(p->source->model(NULL, plugin, NULL, &model, &e), 0);
    config = plan_default_config(&p->plan, model);
    assert_non_null(config);
    assert_int_equal(config->nested, 0);
}

static void bad_94_keys_of_a_model(void **state)
{
    planned_refuses(
        *state,
        BARE "[com1]\nplugin = dev-uart\nirqq = 3\nport = 0x1ffff\n[tap]\nplugin = net-tap\n",
        "m.ini:8: [com1] port = 0x1ffff: the number is out of range, expected 0x0 to 0xfff8\n"
        "m.ini:7: [com1] irqq: dev-uart (model 16550a) knows no such key; did you mean irq?\n"
        "m.ini:9: [tap] lacks the key ifname (interface)");
}

static void options_are_named_instead_of_a_line(void **state)
{
    struct planned *p = *state;
    struct error e;

    config_init(&p->config);
    assert_int_equal(config_set(&p->config, "machine.board", "none", "--set", "/", 0, &e), 0);
    assert_int_equal(
        config_set(&p->config, "boot.binary", "proc/self/cwd/image", "--binary", "/", 0, &e), 0);
    assert_int_equal(config_set(&p->config, "disk0.plugin", "blk-none", "--disk", "/", 0, &e), 0);
    assert_int_equal(config_set(&p->config, "machine.cpus", "0", "--cpus", "/", 0, &e), 0);
    assert_int_equal(plan_make_from(&p->plan, &p->config, p->source, &p->told.report), -EINVAL);
    told_is(&p->told, "--cpus: [machine] cpus = 0: the number is out of range, expected 1 to 255\n"
                      "--disk: [disk0] plugin = blk-none: the plugin blk-none is not installed "
                      "(searched /plugins)");
}

/* ---- references, order, domains ---- */

static void what_is_named_is_created_first(void **state)
{
    struct planned *p = *state;
    uint32_t nic, filter, tap, other;

    planned_accepts(p, BARE "[other]\nplugin = net-tap\nifname = x\n"
                            "[nic]\nplugin = dev-e1000\nnet = filter\n"
                            "[filter]\nplugin = net-tap\nifname = y\nnet = tap\n"
                            "[tap]\nplugin = net-tap\nifname = z\n");
    nic = plan_find(&p->plan, "nic")->order;
    filter = plan_find(&p->plan, "filter")->order;
    tap = plan_find(&p->plan, "tap")->order;
    other = plan_find(&p->plan, "other")->order;
    assert_int_equal(other, 0);
    assert_true(tap < filter && filter < nic);
    for (uint32_t i = 0; i < p->plan.count; i++)
        assert_int_equal(p->plan.instances[i].order, i);
}

static void linked_instances_share_a_domain(void **state)
{
    struct planned *p = *state;
    const struct plan *plan = &p->plan;

    planned_accepts(p, BARE "[nic]\nplugin = dev-e1000\nnet = filter\n"
                            "[filter]\nplugin = net-tap\nifname = y\nnet = tap\n"
                            "[tap]\nplugin = net-tap\nifname = z\n"
                            "[other]\nplugin = net-tap\nifname = x\n");
    assert_int_equal(plan_find(plan, "nic")->domain, plan_find(plan, "tap")->domain);
    assert_int_equal(plan_find(plan, "nic")->domain, plan_find(plan, "filter")->domain);
    assert_int_not_equal(plan_find(plan, "nic")->domain, plan_find(plan, "other")->domain);
}

static void shared_target_is_a_domain_of_its_own(void **state)
{
    struct planned *p = *state;
    const struct plan *plan = &p->plan;
    const struct plan_instance *hub, *a, *b;

    planned_accepts(p,
                    BARE "[a]\nplugin = dev-e1000\nnet = hub\n[b]\nplugin = dev-e1000\nnet = hub\n"
                         "[hub]\nplugin = net-hub\n");
    hub = plan_find(plan, "hub");
    a = plan_find(plan, "a");
    b = plan_find(plan, "b");
    assert_ptr_equal(((const struct e1000_config *)a->config)->net, hub);
    assert_int_not_equal(a->domain, b->domain);
    assert_int_not_equal(a->domain, hub->domain);
    assert_int_not_equal(b->domain, hub->domain);
}

static void all_that_name_a_joining_target_are_in_its_domain(void **state)
{
    struct planned *p = *state;
    const struct plan *plan = &p->plan;

    planned_accepts(p,
                    BARE "[a]\nplugin = dev-e1000\nnet = hub\n[b]\nplugin = dev-e1000\nnet = hub\n"
                         "[hub]\nplugin = net-hub\nmodel = switch\n"
                         "[other]\nplugin = net-tap\nifname = x\n");
    assert_int_equal(plan_find(plan, "a")->domain, plan_find(plan, "hub")->domain);
    assert_int_equal(plan_find(plan, "b")->domain, plan_find(plan, "hub")->domain);
    assert_int_not_equal(plan_find(plan, "other")->domain, plan_find(plan, "hub")->domain);
}

static void bad_94_target_named_twice(void **state)
{
    planned_refuses(
        *state,
        BARE "[a]\nplugin = dev-e1000\nnet = tap\n[b]\nplugin = dev-e1000\nnet = tap\n"
             "[tap]\nplugin = net-tap\nifname = x\n",
        "m.ini:10: [b] net = tap: [tap] has a user already, [a] net (m.ini:7), and net-tap "
        "(model tap) serves only one");
}

static void bad_94_cycles(void **state)
{
    planned_refuses(
        *state,
        BARE "[a]\nplugin = net-tap\nifname = x\nnet = b\n[b]\nplugin = net-tap\nifname = x\n"
             "net = c\n[c]\nplugin = net-tap\nifname = x\nnet = a\n",
        "m.ini:16: [c] net = a closes a circle, so that none could be created first: [a] -> "
        "[b] -> [c] -> [a]");
    planned_refuses(
        *state, BARE "[a]\nplugin = net-tap\nifname = x\nnet = a\n",
        "m.ini:8: [a] net = a closes a circle, so that none could be created first: [a] -> "
        "[a]");
}

static void bad_94_references(void **state)
{
    planned_refuses(
        *state,
        BARE
        "[com1]\nplugin = dev-uart\nchardev = termnal\n[com2]\nplugin = dev-uart\nport = 0x2f8\n"
        "irq = 3\nchardev = com1\n[com3]\nplugin = dev-uart\nport = 0x3e8\nirq = 5\nchardev = "
        "machine\n[com4]\nplugin = dev-uart\nport = 0x2e8\nirq = 6\nchardev = zzzzzz\n"
        "[nic]\nplugin = dev-e1000\nnet = terminal\n[terminal]\nplugin = chr-host\n"
        "[all]\nplugin = dev-all\nany = boot\n",
        "m.ini:7: [com1] chardev = termnal: there is no section [termnal]; did you mean terminal?\n"
        "m.ini:12: [com2] chardev = com1: [com1] is a device, dev-uart (model 16550a); expected a "
        "character backend\n"
        "m.ini:17: [com3] chardev = machine: [machine] is a section of the core's, expected a "
        "character "
        "backend\n"
        "m.ini:22: [com4] chardev = zzzzzz: there is no section [zzzzzz]\n"
        "m.ini:25: [nic] net = terminal: [terminal] is a character backend, chr-host (model "
        "stdio); "
        "expected a network backend\n"
        "m.ini:30: [all] any = boot: [boot] is a section of the core's, expected one with a "
        "plugin");
}

static void reference_to_a_section_that_failed_is_not_told_again(void **state)
{
    planned_misses(
        *state, BARE "[com1]\nplugin = dev-uart\nchardev = terminal\n[terminal]\nplugin = x\n",
        "m.ini:9: [terminal] plugin = x: the plugin x is not installed (searched /plugins)");
}

static void one_of_a_kind_that_can_be_there_once_is_enough(void **state)
{
    planned_accepts(*state, BARE "[terminal]\nplugin = chr-host\n"
                                 "[a]\nplugin = chr-host\nmodel = file\npath = image\n"
                                 "[b]\nplugin = chr-host\nmodel = file\npath = image\n");
}

static void second_of_a_kind_that_can_be_there_once_is_told(void **state)
{
    planned_refuses(
        *state,
        BARE "[terminal]\nplugin = chr-host\n[a]\nmodel = stdio\nplugin = chr-host\n"
             "[b]\nplugin = chr-host\n",
        "m.ini:8: [a] model = stdio: [terminal] (m.ini:5) is one already, and a machine can have "
        "only one chr-host (model stdio)\n"
        "m.ini:11: [b] plugin = chr-host: [terminal] (m.ini:5) is one already, and a machine can "
        "have only one chr-host (model stdio)");
}

static void thousands_of_sections_in_a_chain_are_ordered(void **state)
{
    struct planned *p = *state;
    char *text = malloc(400000), *end = text;
    const struct plan *plan = &p->plan;

    end += sprintf(end, "%s", BARE);
    for (unsigned i = 0; i < 4000; i++)
        end += sprintf(end, "[n%u]\nplugin = net-tap\nifname = x\nnet = n%u\n", i, i + 1);
    sprintf(end, "[n4000]\nplugin = net-tap\nifname = x\n");
    planned_accepts(p, text);
    assert_int_equal(plan_find(plan, "n4000")->order, 0);
    assert_int_equal(plan_find(plan, "n0")->order, 4000);
    assert_int_equal(plan_find(plan, "n0")->domain, plan_find(plan, "n4000")->domain);
    free(text);
}

/* ---- the board ---- */

static void pc_board_brings_its_parts(void **state)
{
    struct planned *p = *state;

    planned_accepts(p, "[boot]\nkernel = image\n");
    assert_int_equal(p->plan.count, 3);
    assert_string_equal(plan_find(&p->plan, "rtc")->model->id, "rtc");
    assert_string_equal(plan_find(&p->plan, "acpi")->model->id, "acpi-pm");
    assert_string_equal(plan_find(&p->plan, "reset")->model->id, "reset");
    assert_string_equal(plan_find(&p->plan, "rtc")->section->file, "the pc board");
}

static void board_none_brings_nothing(void **state)
{
    struct planned *p = *state;

    p->source = &models_without_board;
    planned_accepts(p, BARE);
    assert_int_equal(p->plan.count, 0);
}

static void part_in_the_file_replaces_the_boards(void **state)
{
    struct planned *p = *state;

    planned_accepts(p, "[boot]\nkernel = image\n[clock]\nplugin = ./x/dev-pc\nport = 0x170\n");
    assert_int_equal(p->plan.count, 3);
    assert_string_equal(plan_find(&p->plan, "clock")->model->id, "rtc");
    assert_null(plan_find(&p->plan, "rtc"));
}

static void part_finds_another_name_when_its_own_is_taken(void **state)
{
    struct planned *p = *state;

    planned_accepts(
        p, "[boot]\nkernel = image\n[rtc]\nplugin = dev-uart\n[rtc-2]\nplugin = chr-host\n");
    assert_string_equal(plan_find(&p->plan, "rtc")->model->id, "16550a");
    assert_string_equal(plan_find(&p->plan, "rtc-3")->model->id, "rtc");
}

static void board_can_be_planned_twice_and_taken_away(void **state)
{
    struct planned *p = *state;
    struct error e;

    planned_accepts(p, "[boot]\nkernel = image\n");
    plan_free(&p->plan);
    assert_int_equal(plan_make_from(&p->plan, &p->config, p->source, &p->told.report), 0);
    assert_int_equal(p->plan.count, 3);
    plan_free(&p->plan);
    assert_int_equal(config_set(&p->config, "machine.board", "none", "--set", "/", 0, &e), 0);
    assert_int_equal(plan_make_from(&p->plan, &p->config, p->source, &p->told.report), 0);
    assert_int_equal(p->plan.count, 0);
}

/* ---- interrupt controllers ---- */

#define KERNEL "[boot]\nkernel = image\n"
#define BARE_CPU "[cpu]\nplugin = cpu-bare\n"
#define CHIP "[chip]\nplugin = dev-chip\n"

static void board_brings_controllers_to_a_backend_without(void **state)
{
    struct planned *p = *state;
    const struct hpet_config *hpet;

    planned_accepts(p, KERNEL BARE_CPU);
    assert_int_equal(p->plan.count, 5);
    assert_ptr_equal(plan_irqchip(&p->plan), plan_find(&p->plan, "irqchip"));
    hpet = plan_find(&p->plan, "hpet")->config;
    assert_ptr_equal(hpet->irqchip, plan_find(&p->plan, "irqchip"));
    assert_ptr_equal(hpet->rtc, plan_find(&p->plan, "rtc"));
}

static void board_brings_no_controllers_beside_a_backends_own(void **state)
{
    struct planned *p = *state;

    planned_accepts(p, KERNEL "[cpu]\nplugin = cpu-kvm\n");
    assert_int_equal(p->plan.count, 3);
    assert_null(plan_irqchip(&p->plan));
}

static void board_brings_controllers_once_auto_is_known_to_need_them(void **state)
{
    struct planned *p = *state;
    struct plan_source known = models_source;
    const struct plugin *plugin;
    struct error e;

    planned_accepts(p, KERNEL);
    assert_int_equal(p->plan.count, 3);
    assert_int_equal(known.load(NULL, "cpu-bare", "/", &plugin, &e), 0);
    known.auto_model = plugin->models;
    p->source = &known;
    planned_accepts(p, KERNEL);
    assert_int_equal(p->plan.count, 5);
    assert_null(p->plan.cpu_model);
    assert_ptr_equal(p->plan.auto_model, plugin->models);
}

static void written_controllers_take_the_place_of_the_boards(void **state)
{
    struct planned *p = *state;
    const struct hpet_config *hpet;

    planned_accepts(p, KERNEL BARE_CPU CHIP "[clock]\nplugin = dev-pc\nmodel = rtc\n"
                                            "[irqchip]\nplugin = dev-uart\n");
    assert_ptr_equal(plan_irqchip(&p->plan), plan_find(&p->plan, "chip"));
    assert_null(plan_find(&p->plan, "irqchip-2"));
    hpet = plan_find(&p->plan, "hpet")->config;
    assert_ptr_equal(hpet->irqchip, plan_find(&p->plan, "chip"));
    assert_ptr_equal(hpet->rtc, plan_find(&p->plan, "clock"));
    planned_accepts(p, KERNEL CHIP); /* auto will look for a backend that bears it */
}

static void no_board_brings_no_controllers(void **state)
{
    struct planned *p = *state;

    planned_accepts(p, BARE BARE_CPU);
    assert_int_equal(p->plan.count, 0);
    planned_accepts(p, BARE BARE_CPU CHIP);
    assert_int_equal(p->plan.count, 1);
}

static void bad_94_controllers_beside_a_backends_own(void **state)
{
    planned_refuses(
        *state, KERNEL "[cpu]\nplugin = cpu-kvm\n" CHIP,
        "m.ini:6: [chip] plugin = dev-chip: cpu-kvm has interrupt controllers of its "
        "own, and a machine can have only one set: remove this section, or name another "
        "backend in [cpu]");
    planned_refuses(
        *state, BARE "[cpu]\nplugin = cpu-kvm\n[a]\nplugin = dev-pc\nmodel = irqchip\n",
        "m.ini:9: [a] model = irqchip: cpu-kvm has interrupt controllers of its own, and "
        "a machine can have only one set: remove this section, or name another backend "
        "in [cpu]");
}

static void bad_94_two_sets_of_controllers(void **state)
{
    planned_refuses(*state,
                    BARE BARE_CPU CHIP "[b]\nplugin = dev-pc\nmodel = irqchip\npit-port = 0x100\n",
                    "m.ini:11: [b] model = irqchip: [chip] is the machine's interrupt controllers "
                    "already, and there can be only one set");
}

static void bad_94_board_without_dev_pc(void **state)
{
    struct planned *p = *state;

    p->source = &models_without_board;
    planned_misses(
        p, "[machine]\nboard = pc\n[boot]\nkernel = image\n",
        "m.ini:2: [machine] board = pc needs the plugin dev-pc: the plugin dev-pc is not "
        "installed (searched /plugins); board = none runs without it");
    planned_misses(
        p, "[boot]\nkernel = image\n",
        "the pc board: [machine] board = pc needs the plugin dev-pc: the plugin dev-pc is "
        "not installed (searched /plugins); board = none runs without it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLANNED_TEST(sections_get_models_and_config_structs),
        PLANNED_TEST(bad_94_plugins_and_models),
        PLANNED_TEST(bad_94_misspelt_section_of_an_override_has_a_suggestion),
        PLANNED_TEST(bad_94_nothing_but_a_plugin_is_missing),
        PLANNED_TEST(backend_that_auto_chooses_gets_defaults),
        PLANNED_TEST(bad_94_keys_of_a_model),
        PLANNED_TEST(options_are_named_instead_of_a_line),
        PLANNED_TEST(what_is_named_is_created_first),
        PLANNED_TEST(linked_instances_share_a_domain),
        PLANNED_TEST(shared_target_is_a_domain_of_its_own),
        PLANNED_TEST(all_that_name_a_joining_target_are_in_its_domain),
        PLANNED_TEST(bad_94_target_named_twice),
        PLANNED_TEST(bad_94_cycles),
        PLANNED_TEST(bad_94_references),
        PLANNED_TEST(reference_to_a_section_that_failed_is_not_told_again),
        PLANNED_TEST(thousands_of_sections_in_a_chain_are_ordered),
        PLANNED_TEST(pc_board_brings_its_parts),
        PLANNED_TEST(board_none_brings_nothing),
        PLANNED_TEST(part_in_the_file_replaces_the_boards),
        PLANNED_TEST(one_of_a_kind_that_can_be_there_once_is_enough),
        PLANNED_TEST(second_of_a_kind_that_can_be_there_once_is_told),
        PLANNED_TEST(part_finds_another_name_when_its_own_is_taken),
        PLANNED_TEST(board_brings_controllers_to_a_backend_without),
        PLANNED_TEST(board_brings_no_controllers_beside_a_backends_own),
        PLANNED_TEST(board_brings_controllers_once_auto_is_known_to_need_them),
        PLANNED_TEST(written_controllers_take_the_place_of_the_boards),
        PLANNED_TEST(no_board_brings_no_controllers),
        PLANNED_TEST(bad_94_controllers_beside_a_backends_own),
        PLANNED_TEST(bad_94_two_sets_of_controllers),
        PLANNED_TEST(board_can_be_planned_twice_and_taken_away),
        PLANNED_TEST(bad_94_board_without_dev_pc),
    };

    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
