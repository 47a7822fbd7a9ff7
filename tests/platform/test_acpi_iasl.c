/* SPDX-License-Identifier: MIT
 *
 * The ACPI tables as an independent compiler reads them: disassembled, compiled again, compared
 * byte by byte; and golden files of the disassembly of a machine with 2 processors.
 *
 * Needs iasl (Debian: acpica-tools). It proves the encodings, not that an operating system is
 * content. BACKPLANE_UPDATE_GOLDEN=1 writes the golden files anew.
 */
#include "platform/acpi_sample.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define GOLDEN_VERSION "version 20200925"
#define PATH_BYTES 512

static char folder[] = "/tmp/backplane-acpi-XXXXXX";

/* Runs iasl in `folder`; its exit status, or -1 if it is not installed. Output goes to `log`. */
static int iasl(const char *log, char *const argv[])
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status;

    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    int err = posix_spawnp(&pid, "iasl", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (err != 0)
        return -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 127;
}

static const char *in_folder(char *path, const char *name, const char *suffix)
{
    snprintf(path, PATH_BYTES, "%s/%s%s", folder, name, suffix);
    return path;
}

static char *read_all(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return NULL;
    char *text = malloc(1 << 20);
    assert_non_null(text);
    *len = fread(text, 1, (1 << 20) - 1, f);
    text[*len] = '\0';
    fclose(f);
    return text;
}

static void write_all(const char *path, const void *bytes, size_t len)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

/* What follows the comment at the top, which holds the compiler's version, the date and the path.
 */
static const char *after_comment(const char *text)
{
    const char *end = strstr(text, "*/");
    return end == NULL ? text : end + 2;
}

static bool golden_applies;

static void compare_golden(const char *name, const char *text)
{
    char path[PATH_BYTES];
    size_t len;

    snprintf(path, sizeof(path), GOLDEN "/%s.dsl", name);
    const char *body = after_comment(text);
    if (getenv("BACKPLANE_UPDATE_GOLDEN") != NULL) {
        write_all(path, body, strlen(body));
        return;
    }
    char *golden = read_all(path, &len);
    assert_non_null(golden);
    assert_string_equal(body, golden);
    free(golden);
}

static void round_trip(const char *name, const uint8_t *table, bool golden)
{
    char dat[PATH_BYTES], dsl[PATH_BYTES], aml[PATH_BYTES], log[PATH_BYTES], again[PATH_BYTES];
    uint32_t length = bp_le32(table + 4);
    size_t len;

    in_folder(dat, name, ".dat");
    in_folder(dsl, name, ".dsl");
    in_folder(aml, name, ".aml");
    in_folder(log, name, ".log");
    in_folder(again, name, "");
    write_all(dat, table, length);
    char *disassemble[] = {(char *)"iasl", (char *)"-d", dat, NULL};
    assert_int_equal(iasl(log, disassemble), 0);
    char *text = read_all(dsl, &len);
    assert_non_null(text);
    if (golden && golden_applies)
        compare_golden(name, text);
    free(text);

    char *compile[] = {(char *)"iasl", (char *)"-oa", (char *)"-p", again, dsl, NULL};
    int status = iasl(log, compile);
    text = read_all(log, &len);
    assert_non_null(text);
    if (status != 0 || strstr(text, "0 Errors, 0 Warnings") == NULL)
        print_error("%s", text);
    assert_int_equal(status, 0);
    assert_non_null(strstr(text, "0 Errors, 0 Warnings"));
    free(text);
    /* The compiler puts its own name and revision into the header. */
    char *compiled = read_all(aml, &len);
    assert_non_null(compiled);
    assert_int_equal(len, length);
    assert_memory_equal(compiled + 36, table + 36, length - 36);
    free(compiled);
    unlink(dat);
    unlink(dsl);
    unlink(aml);
    unlink(log);
}

static void machine_round_trip(uint32_t cpus, bool pci, bool power, bool golden)
{
    static const char *const signatures[] = {"DSDT", "FACP", "APIC", "HPET", "MCFG"};
    struct acpi_machine machine = sample_machine(cpus);
    struct acpi_description *d = acpi_description_new();
    struct ram ram;
    struct error e;
    uint64_t rsdp;

    machine.has_pci = pci;
    if (power)
        acpi_builder(d)->power(acpi_builder(d), &sample_power);
    sample_devices(d);
    sample_hpet(d);
    assert_int_equal(ram_create(&ram, SAMPLE_RAM, false, NULL, 0, &e), 0);
    assert_int_equal(acpi_write(d, &machine, &ram, &rsdp, &e), 0);
    for (uint32_t i = 0; i < 4u + pci; i++) {
        const uint8_t *table = sample_find(&ram, rsdp, signatures[i]);
        assert_non_null(table);
        round_trip(signatures[i], table, golden);
    }
    ram_destroy(&ram);
    acpi_description_free(d);
}

static void two_processors_disassemble_to_the_golden_files(void **state)
{
    (void)state;
    if (!golden_applies)
        print_message(
            "the golden files are of iasl %s, this is another: only the round trip is compared\n",
            GOLDEN_VERSION);
    machine_round_trip(2, true, true, true);
}

static void tables_of_255_processors_compile_to_the_same_bytes(void **state)
{
    (void)state;
    machine_round_trip(255, true, true, false);
}

static void tables_of_a_hardware_reduced_machine_compile_to_the_same_bytes(void **state)
{
    (void)state;
    machine_round_trip(1, false, false, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_processors_disassemble_to_the_golden_files),
        cmocka_unit_test(tables_of_255_processors_compile_to_the_same_bytes),
        cmocka_unit_test(tables_of_a_hardware_reduced_machine_compile_to_the_same_bytes),
    };
    char log[PATH_BYTES];
    char *version[] = {(char *)"iasl", (char *)"-v", NULL};
    size_t len;

    if (mkdtemp(folder) == NULL) {
        print_error("no folder for temporary files: %s\n", strerror(errno));
        return 1;
    }
    in_folder(log, "version", ".log");
    int status = iasl(log, version);
    char *text = read_all(log, &len);
    unlink(log);
    if (status != 0 || text == NULL) {
        print_message("skipped: iasl is not installed (Debian: apt-get install acpica-tools)\n");
        free(text);
        rmdir(folder);
        return 77;
    }
    golden_applies = strstr(text, GOLDEN_VERSION) != NULL;
    free(text);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return failed;
}
