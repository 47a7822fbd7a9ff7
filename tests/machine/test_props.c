/* SPDX-License-Identifier: MIT
 *
 * Typed keys: every type, plain and in a list, and the sentence for each way to be wrong.
 */
#include "machine/models.h"
#include "machine/props.h"
#include "machine/told.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    struct config config;
    struct told told;
    struct plan_arena *arena;
    struct all_config all;
    char folder[32];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    config_init(&f->config);
    told_init(&f->told);
    f->arena = plan_arena_new();
    strcpy(f->folder, "/tmp/bp-props-XXXXXX");
    *state = f;
    return mkdtemp(f->folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[64];

    snprintf(command, sizeof(command), "rm -rf %s", f->folder);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a fixed command */
    config_free(&f->config);
    plan_arena_free(f->arena);
    free(f);
    return 0;
}

static void *find(void *context, const struct props_job *job, const struct bp_prop *prop,
                  const struct props_text *from, const char *name)
{
    if (!strncmp(name, "node", 4))
        return context;
    report_error(job->report, from->file, from->line, job->name, "no [%s] for %s", name,
                 prop->name);
    return NULL;
}

/* Fills f->all from the lines of section [dev]. */
static int fill(struct fixture *f, const char *lines)
{
    static const char *const own[] = {"plugin", NULL};
    char text[4096];
    struct props_job job = {
        .name = "dev",
        .what = "dev-all",
        .ignore = own,
        .arena = f->arena,
        .report = &f->told.report,
        .find = find,
        .context = f,
    };
    int ret;

    snprintf(text, sizeof(text), "[dev]\n%s", lines);
    config_free(&f->config);
    assert_int_equal(
        config_read_text(&f->config, text, strlen(text), "m.ini", f->folder, &f->told.report), 0);
    job.section = config_section(&f->config, "dev");
    memset(&f->all, 0, sizeof(f->all));
    ret = props_fill(&job, models_all_props, &f->all, sizeof(f->all));
    props_tell_unknown(&job, models_all_props);
    return ret;
}

static void accepts(struct fixture *f, const char *lines)
{
    int ret = fill(f, lines);

    told_is(&f->told, "");
    assert_int_equal(ret, 0);
}

static void refuses(struct fixture *f, const char *lines, const char *sentences)
{
    assert_int_equal(fill(f, lines), -EINVAL);
    told_is(&f->told, sentences);
}

static void make_file(struct fixture *f, const char *name)
{
    char path[64];
    FILE *out;

    snprintf(path, sizeof(path), "%s/%s", f->folder, name);
    out = fopen(path, "w");
    assert_non_null(out);
    fclose(out);
}

static void defaults_fill_keys_that_are_not_given(void **state)
{
    struct fixture *f = *state;

    accepts(f, "");
    assert_int_equal(f->all.yes, 1);
    assert_int_equal(f->all.u8, 7);
    assert_int_equal(f->all.bounded, 12);
    assert_int_equal(f->all.u16, 0);
    assert_null(f->all.string);
    assert_null(f->all.any);
    assert_int_equal(f->all.bools.count, 0);
}

static void bools_are_told_in_eight_words(void **state)
{
    static const char *const words[] = {"no", "yes", "false", "TRUE", "off", "On", "0", "1"};

    for (unsigned i = 0; i < 8; i++) {
        char line[32];

        snprintf(line, sizeof(line), "yes = %s", words[i]);
        accepts(*state, line);
        assert_int_equal(((struct fixture *)*state)->all.yes, i & 1);
    }
}

static void uints_fill_their_width_to_the_last_value(void **state)
{
    struct fixture *f = *state;

    accepts(f,
            "u8 = 255\nu16 = 0xFFff\nu32 = 4294967295\nu64 = 0xffffffffffffffff\nbounded = 010\n");
    assert_int_equal(f->all.u8, 255);
    assert_int_equal(f->all.u16, 65535);
    assert_int_equal(f->all.u32, 4294967295u);
    assert_int_equal(f->all.u64, UINT64_MAX);
    assert_int_equal(f->all.bounded, 10);
}

static void bad_94_uints_beyond_their_width_or_bounds(void **state)
{
    refuses(
        *state,
        "u8 = 256\nu16 = 65536\nu32 = 0x100000000\nu64 = 18446744073709551616\nbounded = 21\n",
        "m.ini:2: [dev] u8 = 256: the number is out of range, expected 0 to 255\n"
        "m.ini:3: [dev] u16 = 65536: the number is out of range, expected 0 to 65535\n"
        "m.ini:4: [dev] u32 = 0x100000000: the number is out of range, expected 0 to 0xffffffff\n"
        "m.ini:5: [dev] u64 = 18446744073709551616: the number is out of range, expected 0 to "
        "0xffffffffffffffff\n"
        "m.ini:6: [dev] bounded = 21: the number is out of range, expected 10 to 20");
}

static void bad_94_uints_that_are_no_numbers(void **state)
{
    refuses(
        *state, "u8 = -1\nu16 = 0x\nu32 = 12k\nu64 =\nbounded = +11\n",
        "m.ini:2: [dev] u8 = -1: expected a number from 0 to 255, decimal or hexadecimal with 0x\n"
        "m.ini:3: [dev] u16 = 0x: expected a number from 0 to 65535, decimal or hexadecimal with "
        "0x\n"
        "m.ini:4: [dev] u32 = 12k: expected a number from 0 to 0xffffffff, decimal or hexadecimal "
        "with 0x\n"
        "m.ini:5: [dev] u64 = : expected a number from 0 to 0xffffffffffffffff, decimal or "
        "hexadecimal with 0x\n"
        "m.ini:6: [dev] bounded = +11: expected a number from 10 to 20, decimal or hexadecimal "
        "with 0x");
}

static void sizes_take_units_of_1024(void **state)
{
    struct fixture *f = *state;

    accepts(f, "size = 3M\nsizes = 1, 0x10, 2K, 2k, 1M, 1g, 1T, 18446744073709551615\n");
    assert_int_equal(f->all.size, 3u << 20);
    assert_int_equal(f->all.sizes.count, 8);
    assert_int_equal(((const uint64_t *)f->all.sizes.items)[1], 16);
    assert_int_equal(((const uint64_t *)f->all.sizes.items)[3], 2048);
    assert_int_equal(((const uint64_t *)f->all.sizes.items)[6], 1ull << 40);
    assert_int_equal(((const uint64_t *)f->all.sizes.items)[7], UINT64_MAX);
}

static void size_is_wrong(struct fixture *f, const char *text, const char *why)
{
    char line[64], sentence[300];

    snprintf(line, sizeof(line), "size = %s\n", text);
    snprintf(sentence, sizeof(sentence), "m.ini:2: [dev] size = %s: %s", text, why);
    f->told.count = 0;
    refuses(f, line, sentence);
}

static void bad_94_sizes(void **state)
{
    static const char form[] =
        "expected a size from 1M to 1T: a whole number, with K, M, G or T after it";
    static const char range[] = "the size is out of range, expected 1M to 1T";

    size_is_wrong(*state, "-1", form);
    size_is_wrong(*state, "0x", form);
    size_is_wrong(*state, "1K2", form);
    size_is_wrong(*state, "1.5G", form);
    size_is_wrong(*state, "M", form);
    size_is_wrong(*state, "1MB", form);
    size_is_wrong(*state, "", form);
    size_is_wrong(*state, "99999T", range);
    size_is_wrong(*state, "99999999999999999999T", range);
    size_is_wrong(*state, "16777216T", range);
    size_is_wrong(*state, "1K", range);
    size_is_wrong(*state, "1099511627777", range);
    size_is_wrong(
        *state, "512",
        "the size is out of range, expected 1M to 1T: a bare number counts bytes, for MiB "
        "write 512M");
}

static void strings_are_kept_even_empty(void **state)
{
    struct fixture *f = *state;

    accepts(f, "string = \" a \"\n");
    assert_string_equal(f->all.string, " a ");
    accepts(f, "string =\n");
    assert_string_equal(f->all.string, "");
}

static void choices_give_their_index(void **state)
{
    struct fixture *f = *state;

    accepts(f, "choice = blue\nchoices = green,red\n");
    assert_int_equal(f->all.choice, 2);
    assert_int_equal(f->all.choices.count, 2);
    assert_int_equal(((const uint32_t *)f->all.choices.items)[0], 1);
}

static void bad_94_choice_is_unknown(void **state)
{
    refuses(*state, "choice = gren\nchoices = red, violet\n",
            "m.ini:2: [dev] choice = gren: expected red, green or blue; did you mean green?\n"
            "m.ini:3: [dev] choices = violet: expected red, green or blue");
}

static void macs_are_six_bytes(void **state)
{
    struct fixture *f = *state;
    static const uint8_t mac[6] = {0x52, 0x54, 0, 0x12, 0xab, 0xCD};

    accepts(f, "mac = 52:54:00:12:aB:CD\n");
    assert_memory_equal(f->all.mac, mac, 6);
}

static void bad_94_macs(void **state)
{
    refuses(
        *state,
        "mac = 52:54:00:12:34\nmacs = 52-54-00-12-34-56, 5254.0012.3456, 52:54:00:12:34:5g, "
        "01:00:5e:00:00:01\n",
        "m.ini:2: [dev] mac = 52:54:00:12:34: expected a MAC address such as 52:54:00:12:34:56\n"
        "m.ini:3: [dev] macs = 52-54-00-12-34-56: expected a MAC address such as "
        "52:54:00:12:34:56\n"
        "m.ini:3: [dev] macs = 5254.0012.3456: expected a MAC address such as 52:54:00:12:34:56\n"
        "m.ini:3: [dev] macs = 52:54:00:12:34:5g: expected a MAC address such as "
        "52:54:00:12:34:56\n"
        "m.ini:3: [dev] macs = 01:00:5e:00:00:01: this is a multicast address: a station's first "
        "byte is even");
}

static void addresses_are_unix_paths_or_tcp_hosts_with_a_port(void **state)
{
    struct fixture *f = *state;

    accepts(f, "address = unix:/run/a socket\n"
               "addresses = tcp::0, tcp:localhost:65535, tcp:[::1]:80, unix:x\n");
    assert_string_equal(f->all.address, "unix:/run/a socket");
    assert_int_equal(f->all.addresses.count, 4);
    assert_string_equal(((const char *const *)f->all.addresses.items)[2], "tcp:[::1]:80");
}

static void bad_94_addresses(void **state)
{
    static const char form[] = "expected unix:/path or tcp:host:port";
    static const char path[] = "expected a path of 1 to 107 bytes after unix:";
    static const char port[] = "expected :port at the end, a number up to 65535";
    char longest[5 + 108 + 1] = "unix:", host[4 + 256 + 3] = "tcp:";
    const char *const cases[][2] = {
        {"", form},
        {"/tmp/socket", form},
        {"udp:a:1", form},
        {"unix:", path},
        {longest, path},
        {"tcp:1", port},
        {"tcp:a:", port},
        {"tcp:a:65536", port},
        {"tcp:a:000080", port},
        {"tcp:a:-1", port},
        {host, "expected a host of at most 255 bytes after tcp:"},
    };

    memset(longest + 5, 'x', 108);
    memset(host + 4, 'x', 256);
    memcpy(host + 4 + 256, ":1", 3);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char line[300], sentence[400];

        snprintf(line, sizeof(line), "address = %s\n", cases[i][0]);
        snprintf(sentence, sizeof(sentence), "m.ini:2: [dev] address = %.80s%s: %s", cases[i][0],
                 strlen(cases[i][0]) > 80 ? "..." : "", cases[i][1]);
        ((struct fixture *)*state)->told.count = 0;
        refuses(*state, line, sentence);
    }
}

static void ranges_are_two_numbers_that_both_belong_to_it(void **state)
{
    struct fixture *f = *state;
    const struct bp_range *ranges;

    accepts(f, "");
    assert_int_equal(f->all.range.first, 0);
    assert_int_equal(f->all.range.last, 255);
    accepts(f, "range = 16-0xffffffffffffffff\nranges = 1-1, 0x2-3\n");
    assert_int_equal(f->all.range.first, 16);
    assert_int_equal(f->all.range.last, UINT64_MAX);
    assert_int_equal(f->all.ranges.count, 2);
    ranges = f->all.ranges.items;
    assert_int_equal(ranges[1].first, 2);
    assert_int_equal(ranges[1].last, 3);
}

static void bad_94_ranges(void **state)
{
    static const char *const cases[] = {"0x10",
                                        "-",
                                        "0x10-",
                                        "0x-0x20",
                                        "0x10-20z",
                                        "a-b",
                                        "0x10--0x20",
                                        "+1-2",
                                        "",
                                        "1 - 2",
                                        "0-18446744073709551616"};

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char line[64], sentence[200];

        snprintf(line, sizeof(line), "range = %s\n", cases[i]);
        snprintf(sentence, sizeof(sentence),
                 "m.ini:2: [dev] range = %s: expected two numbers of 64 bits, as in 0x1000-0x1fff",
                 cases[i]);
        ((struct fixture *)*state)->told.count = 0;
        refuses(*state, line, sentence);
    }
    ((struct fixture *)*state)->told.count = 0;
    refuses(*state, "range = 2-1\n",
            "m.ini:2: [dev] range = 2-1: the range is empty: its first number is above its last");
}

static void pci_functions_are_device_and_function_in_hex(void **state)
{
    struct fixture *f = *state;
    const uint32_t *pcis;

    accepts(f, "");
    assert_int_equal(f->all.pci, UINT32_MAX);
    assert_int_equal(f->all.pcis.count, 0);
    accepts(f, "pci = 1F.2\npcis = 0, 4, 04.0, 1f.7\n");
    assert_int_equal(f->all.pci, 0x1f << 3 | 2);
    assert_int_equal(f->all.pcis.count, 4);
    pcis = f->all.pcis.items;
    assert_int_equal(pcis[0], 0);
    assert_int_equal(pcis[1], 4 << 3);
    assert_int_equal(pcis[2], 4 << 3);
    assert_int_equal(pcis[3], 0xff);
}

static void bad_94_pci_functions(void **state)
{
    static const char *const cases[] = {"",    "20",   "004",  "0x4", "4.8",  "4.",   ".1",
                                        "4.a", "4.00", "4 .1", "-1",  "4.1x", "0:4.1"};

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char line[64], sentence[300];

        snprintf(line, sizeof(line), "pci = %s\n", cases[i]);
        snprintf(sentence, sizeof(sentence),
                 "m.ini:2: [dev] pci = %s: expected a PCI device from 0 to 1f, hexadecimal, and if "
                 "it is not its function 0 a dot and 0 to 7 after it, as in 1f.2",
                 cases[i]);
        ((struct fixture *)*state)->told.count = 0;
        refuses(*state, line, sentence);
    }
}

static void bad_94_bool_is_no_word(void **state)
{
    refuses(*state, "yes = maybe\nbools = yes, 2\n",
            "m.ini:2: [dev] yes = maybe: expected yes or no\n"
            "m.ini:3: [dev] bools = 2: expected yes or no");
}

static void paths_are_relative_to_the_file(void **state)
{
    struct fixture *f = *state;
    char expected[64];

    make_file(f, "k 1");
    make_file(f, "a,b");
    accepts(f, "path = k 1\npaths = k 1, a\\,b, /dev/null\ncreates = new\n");
    snprintf(expected, sizeof(expected), "%s/k 1", f->folder);
    assert_string_equal(f->all.path, expected);
    assert_int_equal(f->all.paths.count, 3);
    snprintf(expected, sizeof(expected), "%s/a,b", f->folder);
    assert_string_equal(((const char *const *)f->all.paths.items)[1], expected);
    assert_string_equal(((const char *const *)f->all.paths.items)[2], "/dev/null");
    snprintf(expected, sizeof(expected), "%s/new", f->folder);
    assert_string_equal(f->all.creates, expected);
    assert_int_equal(access(expected, F_OK), -1);
}

static void bad_94_paths_that_cannot_be_read(void **state)
{
    struct fixture *f = *state;
    char expected[600];

    make_file(f, "file");
    snprintf(expected, sizeof(expected),
             "m.ini:2: [dev] path = absent: there is no file %s/absent\n"
             "m.ini:3: [dev] paths = .: %s/. is a folder, expected a file\n"
             "m.ini:3: [dev] paths = file/x: %s/file/x cannot be read: Not a directory",
             f->folder, f->folder, f->folder);
    refuses(f, "path = absent\npaths = ., file/x\n", expected);
}

static void bad_94_path_is_empty(void **state)
{
    refuses(*state, "path =\ncreates = \"\"\n",
            "m.ini:2: [dev] path = : expected the path of a file\n"
            "m.ini:3: [dev] creates = : expected the path of a file");
}

static void bad_94_path_cannot_be_written(void **state)
{
    struct fixture *f = *state;
    char expected[300];

    snprintf(expected, sizeof(expected),
             "m.ini:2: [dev] creates = a/b: there is no folder %s/a to write b in", f->folder);
    refuses(f, "creates = a/b\n", expected);
    f->told.count = 0;
    snprintf(expected, sizeof(expected),
             "m.ini:2: [dev] creates = .: %s/. is a folder, expected a file", f->folder);
    refuses(f, "creates = .\n", expected);
}

static void bad_94_path_without_permission(void **state)
{
    struct fixture *f = *state;
    char path[64], expected[600];
    uid_t before = geteuid();

    make_file(f, "secret");
    snprintf(path, sizeof(path), "%s/secret", f->folder);
    chmod(path, 0);
    chmod(f->folder, 0555);
    if (!before && seteuid(65534))
        skip();
    snprintf(expected, sizeof(expected),
             "m.ini:2: [dev] path = secret: %s/secret cannot be read: Permission denied\n"
             "m.ini:3: [dev] creates = new: the folder %s cannot be written: Permission denied",
             f->folder, f->folder);
    refuses(f, "path = secret\ncreates = new\n", expected);
    f->told.count = 0;
    snprintf(expected, sizeof(expected),
             "m.ini:2: [dev] creates = secret: %s/secret cannot be written: Permission denied",
             f->folder);
    refuses(f, "creates = secret\n", expected);
    if (!before)
        assert_int_equal(seteuid(0), 0);
    chmod(f->folder, 0755);
}

static void references_are_what_find_gives(void **state)
{
    struct fixture *f = *state;

    accepts(f, "any = node\nrefs = node1 , node2\n");
    assert_ptr_equal(f->all.any, f);
    assert_int_equal(f->all.refs.count, 2);
    assert_ptr_equal(((struct bp_node *const *)f->all.refs.items)[1], f);
}

static void bad_94_references_find_nothing(void **state)
{
    refuses(*state, "any = x\nrefs = node, y\n",
            "m.ini:2: no [x] for any\n"
            "m.ini:3: no [y] for refs");
    ((struct fixture *)*state)->told.count = 0;
    refuses(*state, "any =\n", "m.ini:2: [dev] any = : expected the name of a section");
}

static void lists_trim_their_elements_and_keep_escaped_commas(void **state)
{
    struct fixture *f = *state;
    const char *const *items;

    accepts(f, "strings = a b ,\tc\\,d , e\\\\, \\x\n");
    items = f->all.strings.items;
    assert_int_equal(f->all.strings.count, 4);
    assert_string_equal(items[0], "a b");
    assert_string_equal(items[1], "c,d");
    assert_string_equal(items[2], "e\\");
    assert_string_equal(items[3], "\\x");
    accepts(f, "strings = \"  \"\n");
    assert_int_equal(f->all.strings.count, 0);
}

static void bad_94_list_with_an_empty_or_bad_element(void **state)
{
    refuses(
        *state, "uints = 1,,2\nstrings = a,\nsizes = 1, x\nchoices = ,\n",
        "m.ini:2: [dev] uints = 1,,2: element 2 of the list is empty: separate elements by one "
        "comma\n"
        "m.ini:4: [dev] sizes = x: expected a size from 0 to 2^64 - 1: a whole number, with K, M, "
        "G "
        "or T after it\n"
        "m.ini:3: [dev] strings = a,: element 2 of the list is empty: separate elements by one "
        "comma\n"
        "m.ini:5: [dev] choices = ,: element 1 of the list is empty: separate elements by one "
        "comma\n"
        "m.ini:5: [dev] choices = ,: element 2 of the list is empty: separate elements by one "
        "comma");
}

static void bad_94_unknown_key(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(fill(f, "strng = x\nplugin = y\nzebra = 1\n"), 0);
    told_is(&f->told,
            "m.ini:2: [dev] strng: dev-all knows no such key; did you mean string?\n"
            "m.ini:4: [dev] zebra: dev-all knows no such key; it knows yes, u8, u16, u32, u64, "
            "bounded, "
            "size, string, path, creates, choice, mac, any, bools, uints, sizes, strings, paths, "
            "choices, macs, refs, address, range, addresses, ranges, pci, pcis, plugin");
}

static void long_values_are_cut_in_messages(void **state)
{
    refuses(
        *state,
        "u8 = "
        "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
        "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
        "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
        "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4x\xc3\xa4\n",
        "m.ini:2: [dev] u8 = "
        "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
        "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
        "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
        "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4x...: expected a "
        "number from 0 to 255, decimal or hexadecimal with 0x");
}

/* ---- tables that are wrong ---- */

static void fill_with(struct fixture *f, const struct bp_prop *props, const char *sentence)
{
    struct props_job job = {
        .name = "dev", .what = "dev-bad", .arena = f->arena, .report = &f->told.report};
    uint64_t out = 0;

    assert_int_equal(props_fill(&job, props, &out, sizeof(out)), -EINVAL);
    told_is(&f->told, sentence);
    assert_int_equal(out, 0);
}

static void tables_cannot_make_the_host_write_beside_the_struct(void **state)
{
    static const struct bp_prop props[] = {
        {.name = "beyond", .type = BP_PROP_UINT, .initial = "1", .offset = 8, .width = 1},
        {.name = "wraps", .type = BP_PROP_UINT, .initial = "1", .offset = UINT32_MAX, .width = 4},
        {.name = "odd", .type = BP_PROP_UINT, .initial = "1", .offset = 0, .width = 3},
        {.name = "narrow", .type = BP_PROP_STRING, .initial = "x", .offset = 0, .width = 4},
        {.name = "list", .type = BP_PROP_UINT, .flags = BP_PROP_LIST, .initial = "1", .width = 8},
        {.name = "type", .type = 99, .initial = "1", .width = 4},
        {.name = "choices", .type = BP_PROP_ENUM, .initial = "1", .width = 4},
        {0},
    };
#define BROKEN                                                                                     \
    " dev-bad declares this key with an impossible type, place or width; the plugin is broken"

    fill_with(*state, props,
              "[dev] beyond:" BROKEN "\n[dev] wraps:" BROKEN "\n[dev] odd:" BROKEN
              "\n[dev] narrow:" BROKEN "\n[dev] list:" BROKEN "\n[dev] type:" BROKEN
              "\n[dev] choices:" BROKEN);
}

static void default_that_is_wrong_is_told_as_such(void **state)
{
    static const struct bp_prop props[] = {
        {.name = "n", .type = BP_PROP_UINT, .initial = "x", .width = 1},
        {0},
    };

    fill_with(
        *state, props,
        "[dev] n = x (the default): expected a number from 0 to 255, decimal or hexadecimal with "
        "0x");
}

static void bad_94_required_key_is_missing(void **state)
{
    static const struct bp_prop props[] = {
        {.name = "n",
         .help = "number of n",
         .flags = BP_PROP_REQUIRED,
         .type = BP_PROP_UINT,
         .width = 1},
        {0},
    };

    fill_with(*state, props, "[dev] lacks the key n (number of n)");
}

static void numbers_and_strings_are_read_back(void **state)
{
    struct fixture *f = *state;
    uint64_t n = 0;

    accepts(f, "u8 = 1\nu16 = 2\nu32 = 3\nu64 = 4\nuints = 5, 6\nstring = s\nstrings = t,u\n");
    for (unsigned i = 0; i < 4; i++) {
        assert_true(props_number(&models_all_props[1 + i], &f->all, 0, &n));
        assert_int_equal(n, i + 1);
        assert_false(props_number(&models_all_props[1 + i], &f->all, 1, &n));
    }
    assert_true(props_number(&models_all_props[14], &f->all, 1, &n));
    assert_int_equal(n, 6);
    assert_false(props_number(&models_all_props[14], &f->all, 2, &n));
    assert_string_equal(props_string(&models_all_props[7], &f->all, 0), "s");
    assert_string_equal(props_string(&models_all_props[16], &f->all, 1), "u");
    assert_null(props_string(&models_all_props[16], &f->all, 2));
    assert_null(props_string(&models_all_props[1], &f->all, 0));
    assert_false(props_number(&models_all_props[7], &f->all, 0, &n));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(defaults_fill_keys_that_are_not_given),
        TEST(bools_are_told_in_eight_words),
        TEST(uints_fill_their_width_to_the_last_value),
        TEST(bad_94_uints_beyond_their_width_or_bounds),
        TEST(bad_94_uints_that_are_no_numbers),
        TEST(sizes_take_units_of_1024),
        TEST(bad_94_sizes),
        TEST(strings_are_kept_even_empty),
        TEST(choices_give_their_index),
        TEST(bad_94_choice_is_unknown),
        TEST(macs_are_six_bytes),
        TEST(bad_94_macs),
        TEST(addresses_are_unix_paths_or_tcp_hosts_with_a_port),
        TEST(bad_94_addresses),
        TEST(ranges_are_two_numbers_that_both_belong_to_it),
        TEST(bad_94_ranges),
        TEST(pci_functions_are_device_and_function_in_hex),
        TEST(bad_94_pci_functions),
        TEST(bad_94_bool_is_no_word),
        TEST(paths_are_relative_to_the_file),
        TEST(bad_94_paths_that_cannot_be_read),
        TEST(bad_94_path_is_empty),
        TEST(bad_94_path_cannot_be_written),
        TEST(bad_94_path_without_permission),
        TEST(references_are_what_find_gives),
        TEST(bad_94_references_find_nothing),
        TEST(lists_trim_their_elements_and_keep_escaped_commas),
        TEST(bad_94_list_with_an_empty_or_bad_element),
        TEST(bad_94_unknown_key),
        TEST(long_values_are_cut_in_messages),
        TEST(tables_cannot_make_the_host_write_beside_the_struct),
        TEST(default_that_is_wrong_is_told_as_such),
        TEST(bad_94_required_key_is_missing),
        TEST(numbers_and_strings_are_read_back),
    };

    return cmocka_run_group_tests_name("props", tests, NULL, NULL);
}
