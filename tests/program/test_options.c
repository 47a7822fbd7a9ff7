/* SPDX-License-Identifier: MIT
 *
 * The command line: which settings each option makes, and the sentence for each way to misuse one.
 *
 * What the settings mean is tested with plans. With BACKPLANE_UPDATE_GOLDEN set in the environment
 * the golden file of --help is written before it is compared.
 */
#include "program/options.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_MAX 128

/* Parses "backplane" and `line`, cut at single blanks; a '~' stands for a blank in a word. */
static int parse(struct options *o, char *line)
{
    static char name[] = "backplane";
    char *argv[WORDS_MAX] = {name}, *save, *word;
    int argc = 1;

    for (word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        for (char *c = word; *c; c++)
            *c = *c == '~' ? ' ' : *c;
        argv[argc++] = word;
    }
    return options_parse(o, argc, argv);
}

/* The settings that `line` makes, one a line: "origin: key = value". */
static void sets(const char *line, const char *expected)
{
    char words[1024], all[8192] = "";
    struct options o;
    size_t used = 0;

    snprintf(words, sizeof(words), "%s", line);
    if (parse(&o, words))
        fail_msg("%s: %s", line, o.error);
    for (uint32_t i = 0; i < o.setting_count; i++)
        used += (size_t)snprintf(all + used, sizeof(all) - used, "%s: %s = %s\n",
                                 o.settings[i].origin, o.settings[i].key, o.settings[i].value);
    assert_string_equal(all, expected);
    options_free(&o);
}

static void refuses(const char *line, const char *sentence)
{
    char words[1024];
    struct options o;

    snprintf(words, sizeof(words), "%s", line);
    assert_int_equal(parse(&o, words), -EINVAL);
    assert_string_equal(o.error, sentence);
    options_free(&o);
}

#define SERIAL                                                                                     \
    "the default serial port: terminal.plugin = chr-host\n"                                        \
    "the default serial port: terminal.model = stdio\n"                                            \
    "the default serial port: com1.plugin = dev-uart\n"                                            \
    "the default serial port: com1.model = 16550a\n"                                               \
    "the default serial port: com1.chardev = terminal\n"

static void machine_without_a_file_has_a_serial_port_on_stdio(void **state)
{
    (void)state;
    sets("run", SERIAL);
    sets("run --kernel k", SERIAL "--kernel: boot.kernel = k\n");
    sets("run --no-serial", "");
    sets("run --serial none", "");
}

static void default_serial_port_overrides_nothing(void **state)
{
    char line[] = "run --set com1.irq=3";
    struct options o;

    (void)state;
    assert_int_equal(parse(&o, line), 0);
    assert_int_equal(o.setting_count, 6);
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(o.settings[i].keep, i < 5);
    options_free(&o);
}

static void machine_with_a_file_gets_nothing_added(void **state)
{
    char line[] = "run m.ini";
    struct options o;

    (void)state;
    assert_int_equal(parse(&o, line), 0);
    assert_int_equal(o.command, OPTIONS_RUN);
    assert_string_equal(o.file, "m.ini");
    assert_int_equal(o.setting_count, 0);
    options_free(&o);
}

static void boot_options_set_boot_keys(void **state)
{
    (void)state;
    sets("run f --kernel k --initrd i --cmdline a~b=c",
         "--kernel: boot.kernel = k\n--initrd: boot.initrd = i\n--cmdline: boot.cmdline = a b=c\n");
    sets("run f --append console=ttyS0", "--cmdline: boot.cmdline = console=ttyS0\n");
    sets("run f --bios r", "--firmware: boot.firmware = r\n");
    sets("run f --binary b --address 0x1000 --entry 0x1004 --mode 64",
         "--binary: boot.binary = b\n--address: boot.address = 0x1000\n"
         "--entry: boot.entry = 0x1004\n--mode: boot.mode = 64\n");
}

static void memory_as_a_bare_number_is_mib(void **state)
{
    (void)state;
    sets("run f --memory 512", "--memory: machine.memory = 512M\n");
    sets("run f --mem=2G", "--memory: machine.memory = 2G\n");
    sets("run f -m 256", "--memory: machine.memory = 256M\n");
    sets("run f -m256", "--memory: machine.memory = 256M\n");
    sets("run f --memory 0x1000000", "--memory: machine.memory = 0x1000000\n");
    sets("run f --memory=", "--memory: machine.memory = \n");
}

static void cpus_have_three_names(void **state)
{
    (void)state;
    sets("run f --cpus 2 --cores=3 --smp 4",
         "--cpus: machine.cpus = 2\n--cpus: machine.cpus = 3\n--cpus: machine.cpus = 4\n");
}

static void backends_are_plugins(void **state)
{
    (void)state;
    sets("run f --backend kvm", "--backend: cpu.plugin = cpu-kvm\n");
    sets("run f --backend auto", "--backend: cpu.plugin = auto\n");
    sets("run f --backend cpu-interp", "--backend: cpu.plugin = cpu-interp\n");
    sets("run f --backend ./my.so", "--backend: cpu.plugin = ./my.so\n");
    sets("run f --cpu interp --level v3",
         "--cpu: cpu.plugin = cpu-interp\n--level: cpu.level = v3\n");
    sets("run f --cpu host", "--cpu: cpu.level = host\n");
}

static void messages_have_levels(void **state)
{
    (void)state;
    sets("run f --log 1 --log-file l",
         "--log: machine.log = 1\n--log-file: machine.log-file = l\n");
    sets("run f --debug", "--debug: machine.log = 4\n");
    sets("run f -v", "--verbose: machine.log = 3\n");
    sets("run f -vv", "--verbose: machine.log = 3\n--verbose: machine.log = 4\n");
    sets("run f --verbose -v", "--verbose: machine.log = 3\n--verbose: machine.log = 4\n");
}

static void no_reboot_ends_at_a_reset(void **state)
{
    (void)state;
    sets("run f --no-reboot", "--no-reboot: machine.on-reset = exit\n");
}

static void serial_port_goes_where_it_is_told(void **state)
{
    (void)state;
    sets("run --serial pty",
         "--serial: terminal.plugin = chr-host\n--serial: terminal.model = pty\n"
         "--serial: com1.plugin = dev-uart\n--serial: com1.model = 16550a\n"
         "--serial: com1.chardev = terminal\n");
    sets("run f --serial file:/tmp/x",
         "--serial: serial.plugin = chr-host\n--serial: serial.model = file\n"
         "--serial: serial.path = /tmp/x\n"
         "--serial: com1.plugin = dev-uart\n--serial: com1.model = 16550a\n"
         "--serial: com1.chardev = serial\n");
    sets("run f --serial unix:s --no-serial --serial tcp:[::1]:5",
         "--serial: serial.plugin = chr-host\n--serial: serial.model = socket\n"
         "--serial: serial.listen = tcp:[::1]:5\n"
         "--serial: com1.plugin = dev-uart\n--serial: com1.model = 16550a\n"
         "--serial: com1.chardev = serial\n");
}

#define CONSOLE                                                                                    \
    "--console: console.plugin = dev-uart\n--console: console.model = mmio-console\n"              \
    "--console: console.chardev = console-terminal\n"

static void console_takes_the_terminal_from_the_serial_port(void **state)
{
    (void)state;
    sets("run --console", "--console: console-terminal.plugin = chr-host\n"
                          "--console: console-terminal.model = stdio\n" CONSOLE);
    sets("run --console=pty", SERIAL "--console: console-terminal.plugin = chr-host\n"
                                     "--console: console-terminal.model = pty\n" CONSOLE);
    sets("run --console m.ini", "--console: console-terminal.plugin = chr-host\n"
                                "--console: console-terminal.model = stdio\n" CONSOLE);
}

static void each_disk_is_a_device_and_an_image(void **state)
{
    (void)state;
    sets("run f --disk a.img --snapshot --disk b",
         "--disk: disk0-image.plugin = blk-file\n--disk: disk0-image.file = a.img\n"
         "--snapshot: disk0-image.snapshot = yes\n"
         "--disk: disk0.plugin = dev-virtio\n--disk: disk0.model = blk\n"
         "--disk: disk0.block = disk0-image\n"
         "--disk: disk1-image.plugin = blk-file\n--disk: disk1-image.file = b\n"
         "--snapshot: disk1-image.snapshot = yes\n"
         "--disk: disk1.plugin = dev-virtio\n--disk: disk1.model = blk\n"
         "--disk: disk1.block = disk1-image\n");
}

static void each_network_is_an_adapter_and_a_backend(void **state)
{
    (void)state;
    sets("run f --net user --net tap=tap0 --network eth0 --net none",
         "--net: nic0-net.plugin = net-user\n"
         "--net: nic0.plugin = dev-e1000\n--net: nic0.net = nic0-net\n"
         "--net: nic1-net.plugin = net-tap\n--net: nic1-net.ifname = tap0\n"
         "--net: nic1.plugin = dev-e1000\n--net: nic1.net = nic1-net\n"
         "--network: nic2-net.plugin = net-pcap\n--network: nic2-net.model = live\n"
         "--network: nic2-net.ifname = eth0\n"
         "--network: nic2.plugin = dev-e1000\n--network: nic2.net = nic2-net\n");
    sets("run f --nic virtio --net user",
         "--net: nic0-net.plugin = net-user\n"
         "--net: nic0.plugin = dev-virtio\n--net: nic0.model = net\n--net: nic0.net = nic0-net\n");
    sets("run f --net socket=unix:/tmp/a --net listen=tcp::5000",
         "--net: nic0-net.plugin = net-socket\n--net: nic0-net.connect = unix:/tmp/a\n"
         "--net: nic0.plugin = dev-e1000\n--net: nic0.net = nic0-net\n"
         "--net: nic1-net.plugin = net-socket\n--net: nic1-net.listen = tcp::5000\n"
         "--net: nic1.plugin = dev-e1000\n--net: nic1.net = nic1-net\n");
    sets("run f --network user",
         "--network: nic0-net.plugin = net-pcap\n--network: nic0-net.model = live\n"
         "--network: nic0-net.ifname = user\n"
         "--network: nic0.plugin = dev-e1000\n--network: nic0.net = nic0-net\n");
}

static void set_comes_after_what_devices_need(void **state)
{
    (void)state;
    sets("run --set com1.irq=3 --set a.b.c=x=y~z --set boot.cmdline=",
         SERIAL "--set: com1.irq = 3\n--set: a.b.c = x=y z\n--set: boot.cmdline = \n");
}

static void plugin_paths_are_joined(void **state)
{
    char line[] = "check f --plugin-path /a:/b --plugin-path=/c --json";
    struct options o;

    (void)state;
    assert_int_equal(parse(&o, line), 0);
    assert_string_equal(o.plugin_path, "/a:/b:/c");
    assert_int_equal(o.command, OPTIONS_CHECK);
    assert_int_equal(o.json, 1);
    options_free(&o);
}

static void print_config_goes_with_run(void **state)
{
    char line[] = "run f --print-config";
    struct options o;

    (void)state;
    assert_int_equal(parse(&o, line), 0);
    assert_int_equal(o.print_config, 1);
    options_free(&o);
}

static void command_is(const char *line, uint32_t command, const char *file,
                       const char *last_argument)
{
    char words[256];
    struct options o;

    snprintf(words, sizeof(words), "%s", line);
    if (parse(&o, words))
        fail_msg("%s: %s", line, o.error);
    assert_int_equal(o.command, command);
    if (file)
        assert_string_equal(o.file, file);
    else
        assert_null(o.file);
    if (last_argument)
        assert_string_equal(o.arguments[o.argument_count - 1], last_argument);
    options_free(&o);
}

static void commands_take_their_arguments(void **state)
{
    (void)state;
    command_is("run --debug m.ini -m 1G", OPTIONS_RUN, "m.ini", NULL);
    command_is("run -- --odd.ini", OPTIONS_RUN, "--odd.ini", NULL);
    command_is("--kernel k", OPTIONS_RUN, NULL, NULL);
    command_is("check m.ini", OPTIONS_CHECK, "m.ini", NULL);
    command_is("plugins --json", OPTIONS_PLUGINS, NULL, NULL);
    command_is("plugins show dev-uart", OPTIONS_PLUGINS, NULL, "dev-uart");
    command_is("help", OPTIONS_HELP, NULL, NULL);
    command_is("--help", OPTIONS_HELP, NULL, NULL);
    command_is("run --kernel k -h --nonsense", OPTIONS_HELP, NULL, NULL);
    command_is("--version", OPTIONS_VERSION, NULL, NULL);
    command_is("version", OPTIONS_VERSION, NULL, NULL);
}

static void bad_94_unknown_options(void **state)
{
    (void)state;
    refuses("run --kernal k", "there is no option --kernal; did you mean --kernel?");
    refuses("run --memroy=1", "there is no option --memroy; did you mean --memory?");
    refuses("run -kernel k", "there is no option -kernel; did you mean --kernel?");
    refuses("run -mem 5", "there is no option -mem; did you mean --mem?");
    refuses("run --zzzzzz", "there is no option --zzzzzz; backplane --help lists them all");
    refuses("run -x", "there is no option -x; backplane --help lists them all");
    refuses("run -vx", "there is no option -vx; backplane --help lists them all");
    refuses("run -vm5", "there is no option -vm5; backplane --help lists them all");
}

static void bad_94_arguments_of_options(void **state)
{
    (void)state;
    refuses("run --kernel", "--kernel needs an argument: --kernel FILE");
    refuses("run --kernel --initrd i", "--kernel needs an argument: --kernel FILE");
    refuses("run -m", "--memory needs an argument: --memory SIZE");
    refuses("run --debug=3", "--debug takes no argument");
    refuses("run --set x=1",
            "--set: \"x=1\" sets nothing; expected SECTION.KEY=VALUE, as in com1.irq=3");
    refuses("run --set a.b",
            "--set: \"a.b\" sets nothing; expected SECTION.KEY=VALUE, as in com1.irq=3");
    refuses("run --set a=b.c",
            "--set: \"a=b.c\" sets nothing; expected SECTION.KEY=VALUE, as in com1.irq=3");
    refuses("run --net eth0",
            "--net: \"eth0\" is no network; expected user, tap=INTERFACE, socket=ADDRESS, "
            "listen=ADDRESS or none");
    refuses("run --net socket=", "--net: \"socket=\" is no network; expected user, tap=INTERFACE, "
                                 "socket=ADDRESS, listen=ADDRESS or none");
    refuses("run --net tap=",
            "--net: \"tap=\" is no network; expected user, tap=INTERFACE, socket=ADDRESS, "
            "listen=ADDRESS or none");
    refuses("run --nic rtl8139",
            "--nic: \"rtl8139\" is no network adapter; expected e1000 or virtio");
    refuses("run --nic e1000", "--nic: there is no --net or --network for it");
    refuses("run --snapshot", "--snapshot: there is no --disk for it");
    refuses("run --serial file:",
            "--serial: \"file:\" is no place for it; expected stdio, pty, null, file:PATH, "
            "unix:PATH or tcp:HOST:PORT");
    refuses("run --console=vga",
            "--console: \"vga\" is no place for it; expected stdio, pty, null, file:PATH, "
            "unix:PATH or tcp:HOST:PORT");
    refuses("run --console --serial stdio",
            "--serial and --console both want the terminal: give one of them another place, as in "
            "--console=pty");
    refuses("run m.ini --no-serial",
            "--no-serial: a serial port that m.ini describes can only be removed there");
}

static void traces_are_keys_of_the_backend(void **state)
{
    (void)state;
    sets("run f --trace insn,int --trace-file t.zst --backend interp",
         "--trace: cpu.trace = insn,int\n--trace-file: cpu.trace-file = t.zst\n"
         "--backend: cpu.plugin = cpu-interp\n");
    sets("run f --backend ./my.so --trace pio --trace-range 0x10-4096 --trace-vcpus 0,1 "
         "--trace-privilege user",
         "--backend: cpu.plugin = ./my.so\n--trace: cpu.trace = pio\n"
         "--trace-range: cpu.trace-range = 0x10-4096\n--trace-vcpus: cpu.trace-vcpus = 0,1\n"
         "--trace-privilege: cpu.trace-privilege = user\n");
    sets("run f --set cpu.plugin=cpu-interp --trace-file t",
         "--set: cpu.plugin = cpu-interp\n--trace-file: cpu.trace-file = t\n");
}

static void the_bus_is_the_machines_to_trace(void **state)
{
    (void)state;
    sets("run f --trace bus --trace-file t --backend kvm",
         "--trace: machine.trace = bus\n--trace-file: machine.trace-file = t\n"
         "--backend: cpu.plugin = cpu-kvm\n");
    sets("run f --trace insn,bus,msr --backend interp",
         "--trace: machine.trace = bus\n--trace: cpu.trace = insn,msr\n"
         "--backend: cpu.plugin = cpu-interp\n");
}

static void trace_alone_brings_its_backend_which_overrides_nothing(void **state)
{
    char line[] = "run f --trace insn";
    struct options o;

    (void)state;
    assert_int_equal(parse(&o, line), 0);
    assert_int_equal(o.setting_count, 2);
    assert_string_equal(o.settings[0].key, "cpu.plugin");
    assert_string_equal(o.settings[0].value, "cpu-interp");
    assert_int_equal(o.settings[0].keep, 1);
    assert_string_equal(o.settings[1].key, "cpu.trace");
    assert_int_equal(o.settings[1].keep, 0);
    options_free(&o);
}

static void bad_traces(void **state)
{
    (void)state;
    refuses("run --trace", "--trace needs an argument: --trace LIST");
    refuses("run --trace-file t", "--trace-file: there is no --trace for it");
    refuses(
        "run f --trace insn,bus --trace-file t",
        "--trace-file: the bus and the other kinds do not go to one file; give that of the bus by "
        "--set machine.trace-file=FILE");
    refuses("run --trace insn --backend kvm",
            "--trace: the backend cpu-kvm cannot trace; --backend interp can");
    refuses("run m.ini --trace-file t --set cpu.plugin=auto",
            "--trace-file: the backend auto cannot trace; --backend interp can");
}

/* "run", then `option` 33 times. */
static void refuses_many(const char *option, const char *sentence)
{
    char line[1024];
    size_t used = (size_t)snprintf(line, sizeof(line), "run");

    for (unsigned i = 0; i < 33; i++)
        used += (size_t)snprintf(line + used, sizeof(line) - used, " %s", option);
    refuses(line, sentence);
}

static void bad_94_more_disks_and_networks_than_options_can_say(void **state)
{
    (void)state;
    refuses_many("--disk a", "--disk: more than 32 disks; describe the machine in a file");
    refuses_many("--net user", "--net: more than 32 networks; describe the machine in a file");
}

static void bad_94_commands(void **state)
{
    (void)state;
    refuses("", "what shall it do? backplane run FILE runs a machine, backplane --help tells the "
                "rest");
    refuses("rnu m.ini", "there is no command rnu; did you mean run?");
    refuses("m.ini", "there is no command m.ini; to run a machine file: backplane run m.ini");
    refuses("./machine",
            "there is no command ./machine; to run a machine file: backplane run ./machine");
    refuses("destroy", "there is no command destroy; backplane --help lists them all");
    refuses("run a.ini b.ini",
            "there is one machine file at most, but both a.ini and b.ini are given");
    char *const argv[] = {"backplane", "check", "", NULL};
    struct options o;

    assert_int_equal(options_parse(&o, 3, (char **)argv), -EINVAL);
    assert_string_equal(o.error, "the name of the machine file is empty");
    options_free(&o);
    refuses("run a.ini --json", "--json is for check, plugins and validate");
    refuses("check a.ini --print-config",
            "--print-config is for run: it prints the machine instead of running it");
    refuses("plugins --kernel k", "--kernel is for run, check, graph and compare");
    refuses("plugins list", "expected backplane plugins, or backplane plugins show NAME");
    refuses("plugins show", "expected backplane plugins, or backplane plugins show NAME");
    refuses("new plugin x --disk d --json", "--disk is for run, check, graph and compare");
    refuses("new plugin", "expected backplane new plugin NAME");
    refuses("new machine x", "expected backplane new plugin NAME");
    refuses("new plugin x --json", "--json is for check, plugins and validate");
}

static void bad_validate(void **state)
{
    (void)state;
    refuses("validate", "expected backplane validate FILE, with the file of one plugin");
    refuses("validate a b", "expected backplane validate FILE, with the file of one plugin");
    refuses("validate a --tap --json", "--tap and --json exclude each other");
    refuses("validate a --seed x", "--seed: \"x\" is no number from 0 to 18446744073709551615");
    refuses("validate a --seed -1", "--seed: \"-1\" is no number from 0 to 18446744073709551615");
    refuses("validate a --fuzz 0", "--fuzz: expected at least one second");
    refuses("validate a --fuzz 1000001", "--fuzz: \"1000001\" is no number from 0 to 1000000");
    refuses("validate a --input f --check life", "--input runs one input alone, without --check");
    refuses("validate a --kind net", "--kind is for new");
    refuses("run m.ini --seed 1", "--seed is for validate");
    refuses("validate a --kernel k", "--kernel is for run, check, graph and compare");
}

static void bad_compare(void **state)
{
    (void)state;
    refuses("compare m.ini", "expected --backends FIRST,SECOND, as in --backends interp,kvm");
    refuses("compare m.ini --backends kvm,",
            "expected --backends FIRST,SECOND, as in --backends interp,kvm");
    refuses("compare m.ini --backends a,b,c",
            "expected --backends FIRST,SECOND, as in --backends interp,kvm");
    refuses("compare m.ini --backends a,b --instructions x",
            "--instructions: \"x\" is no number from 0 to 18446744073709551615");
    refuses("compare m.ini --backends a,b --serial-only --instructions 5",
            "--instructions needs instructions to be counted, which --serial-only does not");
    refuses("compare a b --backends a,b",
            "there is one machine file at most, but both a and b are given");
    refuses("run m.ini --backends a,b", "--backends is for compare");
}

static void validate_takes_its_options(void **state)
{
    char line[] = "validate a.so --seed 0x10 --check life --model m --fuzz 5 --time-limit 6 --tap "
                  "--set m.key=v";
    char *argv[16] = {"backplane"};
    int argc = 1;
    struct options o;

    (void)state;
    for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    assert_int_equal(options_parse(&o, argc, argv), 0);
    assert_int_equal(o.command, OPTIONS_VALIDATE);
    assert_string_equal(o.arguments[0], "a.so");
    assert_int_equal(o.kit.seed, 16);
    assert_string_equal(o.kit.check, "life");
    assert_string_equal(o.kit.model, "m");
    assert_int_equal(o.kit.fuzz_s, 5);
    assert_int_equal(o.kit.limit_s, 6);
    assert_int_equal(o.kit.tap, 1);
    assert_int_equal(o.setting_count, 1);
    assert_string_equal(o.settings[0].key, "m.key");
    options_free(&o);
}

static void help_is_the_golden_text(void **state)
{
    char *text = NULL, *golden = calloc(1, 65536);
    size_t length;
    FILE *out = open_memstream(&text, &length), *in;

    (void)state;
    options_help(out);
    fclose(out);
    if (getenv("BACKPLANE_UPDATE_GOLDEN")) {
        out = fopen(GOLDEN, "w");
        fputs(text, out);
        fclose(out);
    }
    in = fopen(GOLDEN, "r");
    assert_non_null(in);
    fread(golden, 1, 65535, in);
    fclose(in);
    assert_string_equal(text, golden);
    free(golden);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(machine_without_a_file_has_a_serial_port_on_stdio),
        cmocka_unit_test(default_serial_port_overrides_nothing),
        cmocka_unit_test(machine_with_a_file_gets_nothing_added),
        cmocka_unit_test(boot_options_set_boot_keys),
        cmocka_unit_test(memory_as_a_bare_number_is_mib),
        cmocka_unit_test(cpus_have_three_names),
        cmocka_unit_test(backends_are_plugins),
        cmocka_unit_test(traces_are_keys_of_the_backend),
        cmocka_unit_test(the_bus_is_the_machines_to_trace),
        cmocka_unit_test(bad_validate),
        cmocka_unit_test(bad_compare),
        cmocka_unit_test(validate_takes_its_options),
        cmocka_unit_test(trace_alone_brings_its_backend_which_overrides_nothing),
        cmocka_unit_test(bad_traces),
        cmocka_unit_test(messages_have_levels),
        cmocka_unit_test(no_reboot_ends_at_a_reset),
        cmocka_unit_test(serial_port_goes_where_it_is_told),
        cmocka_unit_test(console_takes_the_terminal_from_the_serial_port),
        cmocka_unit_test(each_disk_is_a_device_and_an_image),
        cmocka_unit_test(each_network_is_an_adapter_and_a_backend),
        cmocka_unit_test(set_comes_after_what_devices_need),
        cmocka_unit_test(plugin_paths_are_joined),
        cmocka_unit_test(print_config_goes_with_run),
        cmocka_unit_test(commands_take_their_arguments),
        cmocka_unit_test(bad_94_unknown_options),
        cmocka_unit_test(bad_94_arguments_of_options),
        cmocka_unit_test(bad_94_more_disks_and_networks_than_options_can_say),
        cmocka_unit_test(bad_94_commands),
        cmocka_unit_test(help_is_the_golden_text),
    };

    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
