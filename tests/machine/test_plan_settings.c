/* SPDX-License-Identifier: MIT
 *
 * Plans: the core's own sections, [machine], [boot] and [cpu]; and every sentence against them.
 */
#include "machine/planned.h"

#include <sys/stat.h>

static void defaults_make_a_machine(void **state)
{
    struct planned *p = *state;

    planned_accepts(p, "[boot]\nkernel = image\n");
    assert_int_equal(p->plan.machine.memory, 512u << 20);
    assert_int_equal(p->plan.machine.cpus, 1);
    assert_int_equal(p->plan.machine.log, 2);
    assert_null(p->plan.machine.log_file);
    assert_int_equal(p->plan.machine.on_reset, 0);
    assert_int_equal(p->plan.cpu.level, CPUID_V3);
    assert_false(p->plan.cpu.level_given);
    assert_null(p->plan.cpu_model);
    assert_string_equal(p->plan.boot_request.kernel, "/proc/self/cwd/image");
    assert_int_equal(p->plan.boot_request.protocol, BOOT_AUTO);
    assert_null(p->plan.boot_request.initrd);
    assert_null(p->plan.boot_request.cmdline);
}

static void settings_are_taken_from_the_file(void **state)
{
    struct planned *p = *state;

    planned_accepts(p,
                    "[machine]\nmemory = 3G\ncpus = 255\nboard = none\non-reset = exit\nlog = 4\n"
                    "log-guest = yes\nshared = on\nlog-file = image\n"
                    "[cpu]\nlevel = host\n"
                    "[boot]\nkernel = image\ninitrd = image\ncmdline = console=ttyS0 ; no\n"
                    "modules = image a=1\\,2 b, image\nprotocol = multiboot\n");
    assert_int_equal(p->plan.machine.memory, 3ull << 30);
    assert_int_equal(p->plan.machine.cpus, 255);
    assert_int_equal(p->plan.machine.board, 1);
    assert_int_equal(p->plan.machine.on_reset, 1);
    assert_int_equal(p->plan.machine.log, 4);
    assert_int_equal(p->plan.machine.log_guest, 1);
    assert_int_equal(p->plan.machine.shared, 1);
    assert_string_equal(p->plan.machine.log_file, "/proc/self/cwd/image");
    assert_int_equal(p->plan.cpu.level, CPUID_HOST);
    assert_int_equal(p->plan.boot_request.protocol, BOOT_MULTIBOOT);
    assert_string_equal(p->plan.boot_request.initrd, "/proc/self/cwd/image");
    assert_string_equal(p->plan.boot_request.cmdline, "console=ttyS0");
    assert_int_equal(p->plan.boot_request.module_count, 2);
    assert_string_equal(p->plan.boot_request.modules[0], "/proc/self/cwd/image a=1,2 b");
    assert_string_equal(p->plan.boot_request.modules[1], "/proc/self/cwd/image");
}

static void bad_94_settings(void **state)
{
    planned_refuses(
        *state,
        "[machine]\nmemory = 99999T\ncpus = 256\nboard = pcc\non-reset = restrat\nlog = 5\nmemry = "
        "1\n"
        "shared = maybe\n[boot]\nbinary = image\nmode = 31\nprotocol = x\n[cpu]\nlevel = v4\n",
        "m.ini:2: [machine] memory = 99999T: the size is out of range, expected 1M to 1T\n"
        "m.ini:3: [machine] cpus = 256: the number is out of range, expected 1 to 255\n"
        "m.ini:4: [machine] board = pcc: expected pc or none; did you mean pc?\n"
        "m.ini:5: [machine] on-reset = restrat: expected restart or exit; did you mean restart?\n"
        "m.ini:6: [machine] log = 5: the number is out of range, expected 0 to 4\n"
        "m.ini:8: [machine] shared = maybe: expected yes or no\n"
        "m.ini:7: [machine] memry: [machine] knows no such key; did you mean memory?\n"
        "m.ini:14: [cpu] level = v4: expected v2, v3 or host\n"
        "m.ini:12: [boot] protocol = x: expected auto, linux, elf, pvh, multiboot or raw\n"
        "m.ini:11: [boot] mode = 31: expected 16, 32 or 64");
}

static void bad_94_memory_is_no_multiple_of_a_page(void **state)
{
    planned_refuses(*state, "[machine]\nmemory = 1048577\n[boot]\nbinary = image\n",
                    "m.ini:2: [machine] memory = 1048577: expected a multiple of 4K");
}

static void bad_94_memory_without_unit(void **state)
{
    planned_refuses(
        *state, "[machine]\nmemory = 512\n[boot]\nbinary = image\n",
        "m.ini:2: [machine] memory = 512: the size is out of range, expected 1M to 1T: a bare "
        "number counts bytes, for MiB write 512M");
}

/* ---- [boot] ---- */

static void binary_is_entered_at_its_first_byte(void **state)
{
    struct planned *p = *state;

    planned_accepts(p, "[boot]\nbinary = image\n");
    assert_int_equal(p->plan.boot_request.protocol, BOOT_RAW);
    assert_string_equal(p->plan.boot_request.kernel, "/proc/self/cwd/image");
    assert_int_equal(p->plan.boot_request.raw_mode, 16);
    assert_int_equal(p->plan.boot_request.raw_address, 0x1000);
    assert_int_equal(p->plan.boot_request.raw_entry, 0x1000);
    planned_accepts(p, "[boot]\nbinary = image\naddress = 0x2000\nmode = 64\n");
    assert_int_equal(p->plan.boot_request.raw_entry, 0x2000);
    assert_int_equal(p->plan.boot_request.raw_mode, 64);
    planned_accepts(p, "[boot]\nbinary = image\nentry = 0x3000\nmode = 32\n");
    assert_int_equal(p->plan.boot_request.raw_address, 0x3000);
    assert_int_equal(p->plan.boot_request.raw_mode, 32);
    planned_accepts(p, "[boot]\nbinary = image\nentry = 0x3004\naddress = 0\n");
    assert_int_equal(p->plan.boot_request.raw_address, 0);
    assert_int_equal(p->plan.boot_request.raw_entry, 0x3004);
}

static void kernel_with_protocol_raw_is_a_binary(void **state)
{
    struct planned *p = *state;

    planned_accepts(p, "[boot]\nkernel = image\nprotocol = raw\nentry = 0x7c00\n");
    assert_int_equal(p->plan.boot_request.protocol, BOOT_RAW);
    assert_int_equal(p->plan.boot_request.raw_address, 0x7c00);
}

static void bad_94_nothing_to_boot(void **state)
{
    planned_refuses(*state, "[machine]\nboard = none\n",
                    "m.ini: nothing to boot: [boot] has none of kernel, binary and firmware");
    planned_refuses(*state, "[machine]\nboard = none\n[boot]\ninitrd = image\n",
                    "m.ini:3: nothing to boot: [boot] has none of kernel, binary and firmware\n"
                    "m.ini:4: [boot] initrd = image: there is no kernel that could take it");
    planned_refuses(*state, "", "nothing to boot: [boot] has none of kernel, binary and firmware");
}

static void bad_94_kernel_and_binary(void **state)
{
    planned_refuses(
        *state, "[boot]\nkernel = image\nbinary = image\n",
        "m.ini:3: [boot] binary = image: kernel is given too: only one of the two can be "
        "booted");
}

/* A file of `bytes` bytes, sparse. */
static void file_of(const char *name, long bytes)
{
    planned_file(name, "");
    assert_int_equal(truncate(name, bytes), 0);
}

static unsigned of_model(const struct planned *p, const char *model)
{
    unsigned count = 0;

    for (uint32_t i = 0; i < p->plan.count; i++)
        count += !strcmp(p->plan.instances[i].model->id, model);
    return count;
}

/* RAM stays where the ROM hides it: it may take its place. */
static void firmware_takes_nothing_from_ram(void **state)
{
    struct planned *p = *state;

    file_of("rom", 0x40000);
    planned_accepts(p, "[boot]\nfirmware = rom\n");
    assert_string_equal(p->plan.boot_request.firmware, "/proc/self/cwd/rom");
    assert_int_equal(p->plan.boot.firmware_bytes, 0x40000);
    assert_int_equal(p->plan.reserved_count, 0);
    file_of("rom", 0x1000);
    planned_accepts(p, "[boot]\nfirmware = rom\n");
    assert_int_equal(p->plan.boot.firmware_bytes, 0x1000);
    assert_int_equal(unlink("rom"), 0);
}

static void the_board_has_what_firmware_asks_for_only_with_firmware(void **state)
{
    struct planned *p = *state;

    file_of("rom", 0x40000);
    planned_accepts(p, "[boot]\nfirmware = rom\n");
    assert_int_equal(of_model(p, "host-bridge"), 1);
    assert_int_equal(of_model(p, "fw-cfg"), 1);
    planned_accepts(p, "[boot]\nfirmware = rom\n[mine]\nplugin = dev-pc\nmodel = fw-cfg\n");
    assert_int_equal(of_model(p, "fw-cfg"), 1);
    planned_accepts(p, "[machine]\nboard = none\n[boot]\nfirmware = rom\n");
    assert_int_equal(of_model(p, "host-bridge") + of_model(p, "fw-cfg"), 0);
    planned_accepts(p, "[boot]\nkernel = image\n");
    assert_int_equal(of_model(p, "host-bridge") + of_model(p, "fw-cfg"), 0);
    assert_int_equal(unlink("rom"), 0);
}

static void bad_94_firmware_of_a_wrong_size(void **state)
{
    static const struct {
        long bytes;
        const char *sentence;
    } cases[] = {
        {0, "is empty (0 bytes)"},
        {1, "has 1 bytes, which no firmware image has: expected a multiple of 4096, and at most "
            "16777216"},
        {4097, "has 4097 bytes, which no firmware image has: expected a multiple of 4096, and at "
               "most 16777216"},
        {0x1001000, "has 16781312 bytes, which no firmware image has: expected a multiple of 4096, "
                    "and at most 16777216"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char sentence[300];

        file_of("rom", cases[i].bytes);
        snprintf(sentence, sizeof(sentence),
                 "m.ini:2: [boot] firmware = rom: /proc/self/cwd/rom: %s", cases[i].sentence);
        planned_refuses(*state, "[boot]\nfirmware = rom\n", sentence);
    }
    file_of("rom", 0x1000000);
    planned_accepts(*state, "[boot]\nfirmware = rom\n");
    assert_int_equal(unlink("rom"), 0);
}

static void bad_94_firmware_that_is_no_file(void **state)
{
    assert_int_equal(mkfifo("fifo", 0600), 0);
    planned_refuses(*state, "[boot]\nfirmware = fifo\n",
                    "m.ini:2: [boot] firmware = fifo: /proc/self/cwd/fifo: is a FIFO, expected a "
                    "regular file");
    planned_refuses(*state, "[boot]\nfirmware = .\n",
                    "m.ini:2: [boot] firmware = .: /proc/self/cwd/. is a folder, expected a file");
    planned_refuses(*state, "[boot]\nfirmware = absent\n",
                    "m.ini:2: [boot] firmware = absent: there is no file /proc/self/cwd/absent");
    assert_int_equal(unlink("fifo"), 0);
}

static void bad_94_firmware_beside_what_it_is_instead_of(void **state)
{
    file_of("rom", 0x1000);
    planned_refuses(*state, "[boot]\nkernel = image\nfirmware = rom\n",
                    "m.ini:3: [boot] firmware = rom: kernel is given too: only one of the two can "
                    "be booted");
    planned_refuses(*state, "[boot]\nfirmware = rom\nbinary = image\n",
                    "m.ini:2: [boot] firmware = rom: binary is given too: only one of the two can "
                    "be booted");
    planned_refuses(*state, "[boot]\nfirmware = rom\ncmdline = quiet\nmode = 16\n",
                    "m.ini:3: [boot] cmdline = quiet: it has no meaning for firmware, which is "
                    "entered at the reset vector\n"
                    "m.ini:4: [boot] mode = 16: it has no meaning for firmware, which is entered "
                    "at the reset vector");
    assert_int_equal(unlink("rom"), 0);
}

static void bad_94_boot_keys_that_do_not_fit(void **state)
{
    planned_refuses(
        *state, "[boot]\nbinary = image\ninitrd = image\ncmdline = x\nprotocol = elf\n",
        "m.ini:5: [boot] protocol = elf: a binary is started by no protocol but raw\n"
        "m.ini:3: [boot] initrd = image: a raw binary takes no such thing: it is for a kernel\n"
        "m.ini:4: [boot] cmdline = x: a raw binary takes no such thing: it is for a kernel");
    planned_refuses(*state, "[boot]\nkernel = image\nentry = 1\nmode = 64\n",
                    "m.ini:3: [boot] entry = 1: it has no meaning for a kernel, only for binary or "
                    "protocol = raw\n"
                    "m.ini:4: [boot] mode = 64: it has no meaning for a kernel, only for binary or "
                    "protocol = raw");
}

static void bad_94_boot_files_are_absent(void **state)
{
    planned_refuses(*state, "[boot]\nkernel = absent\ninitrd = /absent2\n",
                    "m.ini:2: [boot] kernel = absent: there is no file /proc/self/cwd/absent\n"
                    "m.ini:3: [boot] initrd = /absent2: there is no file /absent2");
    planned_refuses(
        *state, "[boot]\nkernel = image\nmodules = image, absent x\n",
        "m.ini:3: [boot] modules = image, absent x: there is no file /proc/self/cwd/absent");
}

static void bad_94_boot_files_that_the_loader_refuses(void **state)
{
    planned_file("empty", "");
    assert_int_equal(mkfifo("fifo", 0600), 0);
    planned_refuses(
        *state, "[boot]\nkernel = empty\ninitrd = fifo\nmodules = image, fifo x, empty\n",
        "m.ini:4: [boot] modules = image, fifo x, empty: /proc/self/cwd/fifo: is a FIFO, expected "
        "a regular file\n"
        "m.ini:4: [boot] modules = image, fifo x, empty: /proc/self/cwd/empty: is empty (0 bytes)\n"
        "m.ini:2: [boot] kernel = empty: /proc/self/cwd/empty: is empty (0 bytes)\n"
        "m.ini:3: [boot] initrd = fifo: /proc/self/cwd/fifo: is a FIFO, expected a regular file");
    planned_refuses(
        *state, "[boot]\nbinary = /dev/null\n",
        "m.ini:2: [boot] binary = /dev/null: /dev/null: is a character device, expected "
        "a regular file");
    assert_int_equal(unlink("empty") || unlink("fifo"), 0);
}

/* ---- [cpu] ---- */

static void backend_gets_its_keys(void **state)
{
    struct planned *p = *state;

    planned_accepts(p, BARE "[cpu]\nplugin = cpu-kvm\nnested = yes\nlevel = v3\n");
    assert_string_equal(p->plan.cpu_model->id, "kvm");
    assert_int_equal(((const struct kvm_config *)p->plan.cpu_config)->nested, 1);
    assert_int_equal(p->plan.cpu.level, CPUID_V3);
}

static void bad_94_keys_of_a_backend_with_auto(void **state)
{
    planned_refuses(
        *state, BARE "[cpu]\nplugin = auto\nnested = yes\nlevl = v2\n",
        "m.ini:7: [cpu] nested: with plugin = auto only level can be set, as a backend's "
        "keys are its own: name the backend, as in plugin = cpu-kvm\n"
        "m.ini:8: [cpu] levl: [cpu] knows no such key; did you mean level?");
    planned_refuses(
        *state, BARE "[cpu]\ntrace = insn\n",
        "m.ini:6: [cpu] trace: with plugin = auto only level can be set, as a backend's "
        "keys are its own: name the backend, as in plugin = cpu-interp");
    planned_refuses(*state, BARE "[cpu]\nwarp = 9\n",
                    "m.ini:6: [cpu] warp: with plugin = auto only level can be set, as a backend's "
                    "keys are its own: name the backend");
}

static void bad_94_cpu_backends(void **state)
{
    planned_misses(*state, BARE "[cpu]\nplugin = cpu-xen\n",
                   "m.ini:6: [cpu] plugin = cpu-xen: the plugin cpu-xen is not installed (searched "
                   "/plugins)");
    planned_refuses(*state, BARE "[cpu]\nplugin = dev-uart\n",
                    "m.ini:6: [cpu] plugin = dev-uart: this is no CPU backend; expected auto, or a "
                    "backend such as cpu-kvm");
    planned_refuses(
        *state, BARE "[cpu]\nplugin = cpu-kvm\nnestd = yes\n",
        "m.ini:7: [cpu] nestd: cpu-kvm (model kvm) knows no such key; did you mean nested?");
    planned_refuses(
        *state, BARE "[kvm]\nplugin = cpu-kvm\n",
        "m.ini:6: [kvm] plugin = cpu-kvm: this is a CPU backend, which is named in [cpu]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLANNED_TEST(defaults_make_a_machine),
        PLANNED_TEST(settings_are_taken_from_the_file),
        PLANNED_TEST(bad_94_settings),
        PLANNED_TEST(bad_94_memory_is_no_multiple_of_a_page),
        PLANNED_TEST(bad_94_memory_without_unit),
        PLANNED_TEST(binary_is_entered_at_its_first_byte),
        PLANNED_TEST(kernel_with_protocol_raw_is_a_binary),
        PLANNED_TEST(bad_94_nothing_to_boot),
        PLANNED_TEST(bad_94_kernel_and_binary),
        PLANNED_TEST(firmware_takes_nothing_from_ram),
        PLANNED_TEST(the_board_has_what_firmware_asks_for_only_with_firmware),
        PLANNED_TEST(bad_94_firmware_of_a_wrong_size),
        PLANNED_TEST(bad_94_firmware_that_is_no_file),
        PLANNED_TEST(bad_94_firmware_beside_what_it_is_instead_of),
        PLANNED_TEST(bad_94_boot_keys_that_do_not_fit),
        PLANNED_TEST(bad_94_boot_files_are_absent),
        PLANNED_TEST(bad_94_boot_files_that_the_loader_refuses),
        PLANNED_TEST(backend_gets_its_keys),
        PLANNED_TEST(bad_94_keys_of_a_backend_with_auto),
        PLANNED_TEST(bad_94_cpu_backends),
    };

    return cmocka_run_group_tests_name("plan settings", tests, NULL, NULL);
}
