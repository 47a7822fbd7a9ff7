/* SPDX-License-Identifier: MIT
 *
 * The INI reader: what it accepts, with which meaning, and every sentence it refuses with.
 */
#include "machine/told.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    struct config config;
    struct told told;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    config_init(&f->config);
    told_init(&f->told);
    *state = f;
    return f ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    config_free(&f->config);
    free(f);
    return 0;
}

static int read_bytes(struct fixture *f, const char *text, size_t length)
{
    return config_read_text(&f->config, text, length, "m.ini", "/base", &f->told.report);
}

static int read_text(struct fixture *f, const char *text)
{
    return read_bytes(f, text, strlen(text));
}

/* The value of "section.key". */
static const char *value(struct fixture *f, const char *section, const char *key)
{
    const struct config_value *v = config_value(config_section(&f->config, section), key);

    return v ? v->text : NULL;
}

static void accepts(struct fixture *f, const char *text)
{
    int ret = read_text(f, text);

    told_is(&f->told, "");
    assert_int_equal(ret, 0);
}

static void refuses(struct fixture *f, const char *text, const char *sentence)
{
    assert_int_equal(read_text(f, text), -EINVAL);
    told_is(&f->told, sentence);
}

static void sections_keys_and_values_are_read_with_their_lines(void **state)
{
    struct fixture *f = *state;
    const struct config_value *v;

    accepts(f, "# a comment\n\n[machine]\nmemory = 1G\n ; another\n  "
               "cpus=2\n[com1]\nplugin\t=\tdev-uart\n");
    assert_int_equal(f->config.count, 2);
    assert_string_equal(f->config.sections[0].name, "machine");
    assert_int_equal(f->config.sections[0].line, 3);
    assert_int_equal(f->config.sections[1].line, 7);
    assert_string_equal(value(f, "machine", "memory"), "1G");
    assert_string_equal(value(f, "machine", "cpus"), "2");
    v = config_value(config_section(&f->config, "com1"), "plugin");
    assert_string_equal(v->text, "dev-uart");
    assert_string_equal(v->file, "m.ini");
    assert_string_equal(v->base, "/base");
    assert_int_equal(v->line, 8);
}

static void section_without_keys_is_kept(void **state)
{
    struct fixture *f = *state;

    accepts(f, "[a]\n[b]\n[c]");
    assert_int_equal(f->config.count, 3);
    assert_string_equal(f->config.sections[2].name, "c");
}

static void crlf_bom_and_missing_final_newline_are_accepted(void **state)
{
    struct fixture *f = *state;

    accepts(f, "\xef\xbb\xbf[machine]\r\nmemory = 1G\r\n\r\ncpus = 2");
    assert_string_equal(value(f, "machine", "memory"), "1G");
    assert_string_equal(value(f, "machine", "cpus"), "2");
    assert_int_equal(config_value(config_section(&f->config, "machine"), "cpus")->line, 4);
}

static void empty_file_is_a_config_without_sections(void **state)
{
    struct fixture *f = *state;

    accepts(f, "");
    assert_int_equal(f->config.count, 0);
}

static void blank_and_semicolon_begin_a_comment_in_a_value(void **state)
{
    struct fixture *f = *state;

    accepts(
        f,
        "[boot] ; sections too\ncmdline = a=b;c #d ; not this\nkernel =\t; nothing\ninitrd =;x\n");
    assert_string_equal(value(f, "boot", "cmdline"), "a=b;c #d");
    assert_string_equal(value(f, "boot", "kernel"), "");
    assert_string_equal(value(f, "boot", "initrd"), ";x");
}

static void quotes_keep_blanks_semicolons_and_escapes(void **state)
{
    struct fixture *f = *state;

    accepts(f, "[boot]\ncmdline = \" a ; b \\\"c\\\" \\\\ \\n# \"  ; comment\n"
               "kernel = dyndbg=\"file x.c +p\" quiet\ninitrd = \"\"\n");
    assert_string_equal(value(f, "boot", "cmdline"), " a ; b \"c\" \\ \\n# ");
    assert_string_equal(value(f, "boot", "kernel"), "dyndbg=\"file x.c +p\" quiet");
    assert_string_equal(value(f, "boot", "initrd"), "");
}

static void values_keep_equals_colons_brackets_and_utf8(void **state)
{
    struct fixture *f = *state;

    accepts(f, "[a.B_c-1]\nx = root=UUID=1:2 [y]\ny = \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\n");
    assert_string_equal(value(f, "a.B_c-1", "x"), "root=UUID=1:2 [y]");
    assert_string_equal(value(f, "a.B_c-1", "y"), "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
}

static void indented_line_is_a_key_and_no_continuation(void **state)
{
    struct fixture *f = *state;

    accepts(f, "[a]\nx = 1\n    y = 2\n\t[b]\n\tz = 3\n");
    assert_string_equal(value(f, "a", "x"), "1");
    assert_string_equal(value(f, "a", "y"), "2");
    assert_string_equal(value(f, "b", "z"), "3");
}

static void many_blanks_around_a_key_are_allowed(void **state)
{
    struct fixture *f = *state;
    char text[1000];

    snprintf(text, sizeof(text), "[a]\n%300sx%300s= 1\n", "", "");
    accepts(f, text);
    assert_string_equal(value(f, "a", "x"), "1");
}

static void value_of_64_kib_is_kept_whole_and_lines_stay_right(void **state)
{
    struct fixture *f = *state;
    size_t length = CONFIG_LINE_MAX - strlen("cmdline=");
    char *text = malloc(CONFIG_LINE_MAX + 100), *end = text;
    const char *kept;

    end += sprintf(end, "[boot]\ncmdline=");
    memset(end, 'x', length);
    end[length - 1] = 'y';
    memcpy(end + length, "\nkernel = k\n", 13);
    accepts(f, text);
    kept = value(f, "boot", "cmdline");
    assert_int_equal(strlen(kept), length);
    assert_int_equal(kept[length - 1], 'y');
    assert_int_equal(config_value(config_section(&f->config, "boot"), "kernel")->line, 3);
    free(text);
}

static void name_of_48_bytes_is_accepted(void **state)
{
    struct fixture *f = *state;

    accepts(f, "[abcdefghabcdefghabcdefghabcdefghabcdefghabcdefgh]\nx = 1\n");
    assert_string_equal(value(f, "abcdefghabcdefghabcdefghabcdefghabcdefghabcdefgh", "x"), "1");
}

static void bad_94_section_name_of_49_bytes(void **state)
{
    refuses(
        *state, "[abcdefghabcdefghabcdefghabcdefghabcdefghabcdefghi]\nx = 1\n",
        "m.ini:1: \"abcdefghabcdefghabcdefghabcdefghabcdefghabcdefghi\" is no name for a section: "
        "1 to 48 letters, digits and - _ . are");
}

static void bad_94_section_name_of_300_bytes(void **state)
{
    char text[400], name[301];

    memset(name, 'n', 300);
    name[300] = 0;
    snprintf(text, sizeof(text), "[ok]\n[%s]\n", name);
    refuses(
        *state, text,
        "m.ini:2: \"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
        "nn...\" is no name for a section: 1 to 48 letters, digits and - _ . are");
}

static void bad_94_duplicate_section(void **state)
{
    refuses(*state, "[com1]\nport = 1\n[com2]\n[com1]\nport = 2\n",
            "m.ini:4: [com1] is a section already, in line 1 of m.ini: give this one another name");
}

static void bad_94_duplicate_key(void **state)
{
    struct fixture *f = *state;

    refuses(
        f, "[com1]\nport = 1\n\nport = 2\n",
        "m.ini:4: [com1] port has a value already, from line 2 of m.ini: remove one of the two");
    assert_string_equal(value(f, "com1", "port"), "1");
}

static void bad_94_nul_byte(void **state)
{
    struct fixture *f = *state;
    static const char text[] = "[a]\nx = 1\0 2\ny = 3\n";

    assert_int_equal(read_bytes(f, text, sizeof(text) - 1), -EINVAL);
    told_is(&f->told,
            "m.ini:2: byte 6 of the line is NUL: this is no text, and so no machine file");
}

static void bad_94_program_as_machine_file_costs_one_sentence(void **state)
{
    struct fixture *f = *state;
    static const char text[] = "\x7f"
                               "ELF\2\1\1\0\n\xff\n\1\n[a]\nx\n";

    assert_int_equal(read_bytes(f, text, sizeof(text) - 1), -EINVAL);
    told_is(&f->told,
            "m.ini:1: byte 8 of the line is NUL: this is no text, and so no machine file");
}

static void bad_94_invalid_utf8(void **state)
{
    refuses(
        *state,
        "[a]\na = \xff\nb = \xc0\x80\nc = \xed\xa0\x80\nd = \xf5\x80\x80\x80\ne = \xe2\x82\nf = "
        "\xf4\x90\x80\x80\ng = \xe0\x9f\xbf\nh = \xf0\x8f\xbf\xbf\n",
        "m.ini:2: byte 5 of the line, 0xff, is not UTF-8: save the machine file as UTF-8\n"
        "m.ini:3: byte 5 of the line, 0xc0, is not UTF-8: save the machine file as UTF-8\n"
        "m.ini:4: byte 5 of the line, 0xed, is not UTF-8: save the machine file as UTF-8\n"
        "m.ini:5: byte 5 of the line, 0xf5, is not UTF-8: save the machine file as UTF-8\n"
        "m.ini:6: byte 5 of the line, 0xe2, is not UTF-8: save the machine file as UTF-8\n"
        "m.ini:7: byte 5 of the line, 0xf4, is not UTF-8: save the machine file as UTF-8\n"
        "m.ini:8: byte 5 of the line, 0xe0, is not UTF-8: save the machine file as UTF-8\n"
        "m.ini:9: byte 5 of the line, 0xf0, is not UTF-8: save the machine file as UTF-8");
}

static void bad_94_control_character(void **state)
{
    refuses(*state, "[a]\nx = \x01\n\x01=5\nz = \x7f\n",
            "m.ini:2: byte 5 of the line is the control character 0x01: remove it\n"
            "m.ini:3: byte 1 of the line is the control character 0x01: remove it\n"
            "m.ini:4: byte 5 of the line is the control character 0x7f: remove it");
}

static void bad_94_line_over_64_kib(void **state)
{
    struct fixture *f = *state;
    char *text = malloc(1100000), *end = text;

    end += sprintf(end, "[boot]\ncmdline = ");
    memset(end, 'x', 1048576);
    memcpy(end + 1048576, "\nkernel = k\n", 13);
    refuses(f, text, "m.ini:2: the line is 1048586 bytes long, the longest allowed is 65535");
    assert_string_equal(value(f, "boot", "kernel"), "k");
    free(text);
}

static void bad_94_line_of_exactly_64_kib(void **state)
{
    char *text = malloc(70000);

    memset(text, ';', 65536);
    text[65536] = 0;
    refuses(*state, text, "m.ini:1: the line is 65536 bytes long, the longest allowed is 65535");
    free(text);
}

static void bad_94_key_before_any_section(void **state)
{
    refuses(
        *state, "memory = 1G\n[machine]\n",
        "m.ini:1: \"memory = 1G\" stands before any section: write [machine] or another above it");
}

static void bad_94_garbage_lines(void **state)
{
    refuses(*state, "[a]\nhello\n[b\n[]\n]\nx\n[c] x = 1\n",
            "m.ini:2: \"hello\" is neither [section] nor key = value\n"
            "m.ini:3: \"[b\" lacks the closing bracket of [section]\n"
            "m.ini:4: \"\" is no name for a section: 1 to 48 letters, digits and - _ . are\n"
            "m.ini:5: \"]\" is neither [section] nor key = value\n"
            "m.ini:6: \"x\" is neither [section] nor key = value\n"
            "m.ini:7: \" x = 1\" follows [c]: a key stands on a line of its own");
}

static void bad_94_unknown_characters_in_names(void **state)
{
    refuses(
        *state, "[my section]\nx = 1\n[a ;b]\n[ok]\nMy Key = 1\n= 5\nk\xc3\xb6y = 2\n",
        "m.ini:1: \"my section\" is no name for a section: 1 to 48 letters, digits and - _ . are\n"
        "m.ini:3: \"a ;b\" is no name for a section: 1 to 48 letters, digits and - _ . are\n"
        "m.ini:5: \"My Key\" is no key: 1 to 48 of a-z, 0-9 and - are\n"
        "m.ini:6: \"\" is no key: 1 to 48 of a-z, 0-9 and - are\n"
        "m.ini:7: \"k\xc3\xb6y\" is no key: 1 to 48 of a-z, 0-9 and - are");
}

static void bad_94_key_longer_than_inih_can_hold(void **state)
{
    char text[1000] = "[a]\n";

    memset(text + 4, 'k', 300);
    memcpy(text + 304, " = 1\nx = 2\n", 12);
    refuses(
        *state, text,
        "m.ini:2: \"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
        "kk...\" is neither [section] nor key = value");
}

static void bad_94_colon_instead_of_equals(void **state)
{
    refuses(*state, "[a]\nx: 2\ny:z = 3\n",
            "m.ini:2: \"x: 2\" has a colon after the key: write key = value\n"
            "m.ini:3: \"y:z = 3\" has a colon after the key: write key = value");
}

static void bad_94_comment_before_equals(void **state)
{
    refuses(*state, "[a]\nx ; y = 3\n",
            "m.ini:2: \"x ; y = 3\" is neither [section] nor key = value");
}

static void bad_94_quotes_that_do_not_close_or_end(void **state)
{
    refuses(
        *state, "[a]\nx = \"abc\ny = \"\\\"\nz = \"a\" b\n",
        "m.ini:2: [a] x: the closing quote is missing\n"
        "m.ini:3: [a] y: the closing quote is missing\n"
        "m.ini:4: [a] z: text follows the closing quote: to keep quotes, put all of the value in "
        "quotes and write each inner one as \\\"");
}

static void keys_of_a_refused_section_are_not_told_again(void **state)
{
    struct fixture *f = *state;

    refuses(
        f, "[good]\nx = 1\n[bad name]\nx = 2\ny = 3\n[good2]\ny = 4\n",
        "m.ini:3: \"bad name\" is no name for a section: 1 to 48 letters, digits and - _ . are");
    assert_string_equal(value(f, "good", "x"), "1");
    assert_null(value(f, "good", "y"));
    assert_string_equal(value(f, "good2", "y"), "4");
}

static void bad_94_ten_thousand_sections(void **state)
{
    char *text = malloc(200000), *end = text;

    for (unsigned i = 0; i < 10000; i++)
        end += sprintf(end, "[s%u]\n", i);
    refuses(*state, text,
            "m.ini:4097: [s4096] is one section too many: a machine has at most 4096");
    free(text);
}

static void bad_94_too_many_keys_in_a_section(void **state)
{
    char *text = malloc(20000), *end = text;

    end += sprintf(end, "[a]\n");
    for (unsigned i = 0; i < 257; i++)
        end += sprintf(end, "k%u = 1\n", i);
    refuses(*state, text, "m.ini:258: [a] k256 is one key too many: a section has at most 256");
    free(text);
}

static void bad_94_errors_without_end_stop_at_fifty(void **state)
{
    struct fixture *f = *state;
    char *text = malloc(30000), *end = text;

    for (unsigned i = 0; i < 5000; i++)
        end += sprintf(end, "junk\n");
    assert_int_equal(read_text(f, text), -EINVAL);
    assert_int_equal(f->told.count, 51);
    assert_string_equal(f->told.lines[50],
                        "m.ini:51: more than 50 errors: the rest of the file was not read");
    free(text);
}

/* ---- files ---- */

static void bad_file(struct fixture *f, const char *path, int err, const char *what)
{
    char sentence[300];

    assert_int_equal(config_read_file(&f->config, path, &f->told.report), err);
    snprintf(sentence, sizeof(sentence), "%s: %s", path, what);
    told_is(&f->told, sentence);
}

static void file_is_read_and_its_folder_is_the_base(void **state)
{
    struct fixture *f = *state;
    char folder[] = "/tmp/bp-ini-XXXXXX", path[64], *real;
    FILE *out;

    assert_non_null(mkdtemp(folder));
    real = realpath(folder, NULL);
    snprintf(path, sizeof(path), "%s/../%s/m.ini", folder, strrchr(folder, '/') + 1);
    out = fopen(path, "w");
    fputs("[boot]\nkernel = k\n", out);
    fclose(out);
    assert_int_equal(config_read_file(&f->config, path, &f->told.report), 0);
    assert_string_equal(config_value(config_section(&f->config, "boot"), "kernel")->base, real);
    assert_string_equal(config_section(&f->config, "boot")->file, path);
    unlink(path);
    rmdir(folder);
    free(real);
}

static void bad_94_file_is_absent(void **state)
{
    bad_file(*state, "/nowhere/m.ini", -ENOENT,
             "the machine file cannot be read: No such file or directory");
}

static void bad_94_file_is_a_directory(void **state)
{
    bad_file(*state, "/tmp", -EISDIR, "this is a folder, not a machine file");
}

static void bad_94_file_is_a_device(void **state)
{
    bad_file(*state, "/dev/zero", -EINVAL,
             "this is a device, not a machine file: a machine file is a regular file");
}

static void bad_94_file_is_a_fifo(void **state)
{
    char folder[] = "/tmp/bp-ini-XXXXXX", path[64];

    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(20); /* a read that waits would end the test */
    bad_file(*state, path, -EINVAL,
             "this is a FIFO, not a machine file: a machine file is a regular file");
    alarm(0);
    unlink(path);
    rmdir(folder);
}

static void bad_94_file_is_unreadable(void **state)
{
    struct fixture *f = *state;
    char path[] = "/tmp/bp-ini-XXXXXX";
    int fd = mkstemp(path);
    uid_t before = geteuid();

    assert_true(fd >= 0);
    fchmod(fd, 0);
    close(fd);
    if (!before && seteuid(65534)) {
        unlink(path);
        skip();
    }
    bad_file(f, path, -EACCES, "the machine file cannot be read: Permission denied");
    if (!before)
        assert_int_equal(seteuid(0), 0);
    unlink(path);
}

static void bad_94_file_over_8_mib(void **state)
{
    char path[] = "/tmp/bp-ini-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, CONFIG_FILE_MAX + 1), 0);
    close(fd);
    bad_file(*state, path, -EIO,
             "the file is longer than 8 MiB, the most that a machine file may have");
    unlink(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sections_keys_and_values_are_read_with_their_lines),
        TEST(section_without_keys_is_kept),
        TEST(crlf_bom_and_missing_final_newline_are_accepted),
        TEST(empty_file_is_a_config_without_sections),
        TEST(blank_and_semicolon_begin_a_comment_in_a_value),
        TEST(quotes_keep_blanks_semicolons_and_escapes),
        TEST(values_keep_equals_colons_brackets_and_utf8),
        TEST(indented_line_is_a_key_and_no_continuation),
        TEST(many_blanks_around_a_key_are_allowed),
        TEST(value_of_64_kib_is_kept_whole_and_lines_stay_right),
        TEST(name_of_48_bytes_is_accepted),
        TEST(bad_94_section_name_of_49_bytes),
        TEST(bad_94_section_name_of_300_bytes),
        TEST(bad_94_duplicate_section),
        TEST(bad_94_duplicate_key),
        TEST(bad_94_nul_byte),
        TEST(bad_94_program_as_machine_file_costs_one_sentence),
        TEST(bad_94_invalid_utf8),
        TEST(bad_94_control_character),
        TEST(bad_94_line_over_64_kib),
        TEST(bad_94_line_of_exactly_64_kib),
        TEST(bad_94_key_before_any_section),
        TEST(bad_94_garbage_lines),
        TEST(bad_94_unknown_characters_in_names),
        TEST(bad_94_key_longer_than_inih_can_hold),
        TEST(bad_94_colon_instead_of_equals),
        TEST(bad_94_comment_before_equals),
        TEST(bad_94_quotes_that_do_not_close_or_end),
        TEST(keys_of_a_refused_section_are_not_told_again),
        TEST(bad_94_ten_thousand_sections),
        TEST(bad_94_too_many_keys_in_a_section),
        TEST(bad_94_errors_without_end_stop_at_fifty),
        TEST(file_is_read_and_its_folder_is_the_base),
        TEST(bad_94_file_is_absent),
        TEST(bad_94_file_is_a_directory),
        TEST(bad_94_file_is_a_device),
        TEST(bad_94_file_is_a_fifo),
        TEST(bad_94_file_is_unreadable),
        TEST(bad_94_file_over_8_mib),
    };

    return cmocka_run_group_tests_name("ini", tests, NULL, NULL);
}
