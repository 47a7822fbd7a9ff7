/* SPDX-License-Identifier: MIT
 *
 * install/embed.c - a program with two machines in it, built against an installed Backplane as
 * anybody's would be.
 *
 *     embed INSTALLED-PLUGINS MORE-PLUGINS
 *
 * The CPU is the fake one of the tests, from MORE-PLUGINS, which runs a bytecode
 * (tests/fakes/plugins/cpu_fake.c): the guest waits for a byte on COM1 and leaves by debug-exit
 * with it. Both machines are up at once, each is given a byte of its own, the second first. Says
 * what went wrong on standard error; exit status 0 if nothing did.
 */
#include <backplane/machine.h>
#include <backplane/util/le.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BASE 0x1000u
#define PATIENCE_MS 20000

enum { OUT = 1, IN = 2, HLT = 7, JUMP_ZERO = 10 };

static const struct {
    uint8_t op, width;
    uint64_t operand;
} code[] = {
    {IN, 1, 0x3f8},
    {JUMP_ZERO, 0, BASE},
    {OUT, 1, 0x501},
    {HLT, 0, 0},
};

static const char machine[] = "[machine]\nmemory = 2M\n"
                              "[boot]\nbinary = %s\n"
                              "[cpu]\nplugin = cpu-fake\n"
                              "[line]\nplugin = chr-host\nmodel = null\n"
                              "[com1]\nplugin = dev-uart\nchardev = line\n"
                              "[exit]\nplugin = dev-pc\nmodel = debug-exit\n";

static int failed(const char *what, int value)
{
    fprintf(stderr, "embed: %s: %d\n", what, value);
    return 1;
}

static void listen_to(void *context, const struct bp_message *message)
{
    fprintf(stderr, "embed: machine %s: %s:%u: %s\n", (const char *)context,
            message->file ? message->file : "", message->line, message->text);
}

static int write_code(char *path)
{
    uint8_t bytes[16 * sizeof(code) / sizeof(code[0])] = {0};
    int fd = mkstemp(path);

    if (fd < 0)
        return -1;
    for (size_t i = 0; i < sizeof(code) / sizeof(code[0]); i++) {
        bytes[16 * i] = code[i].op;
        bytes[16 * i + 1] = code[i].width;
        bp_put_le64(bytes + 16 * i + 8, code[i].operand);
    }
    ssize_t written = write(fd, bytes, sizeof(bytes));
    close(fd);
    return written == (ssize_t)sizeof(bytes) ? 0 : -1;
}

static int start(struct bp_machine **m, char **argv, const char *name, const char *binary)
{
    const struct bp_machine_options options = {.size = sizeof(options),
                                               .message = listen_to,
                                               .context = (void *)(uintptr_t)name,
                                               .plugin_path = argv[2],
                                               .installed_plugins = argv[1]};
    char text[1024];
    int err = bp_machine_new(&options, m);

    snprintf(text, sizeof(text), machine, binary);
    if (!err)
        err = bp_machine_load_string(*m, text, "machine.ini", "/tmp");
    if (!err)
        err = bp_machine_start(*m);
    return err;
}

static int finish(struct bp_machine *m, char byte, uint32_t code_wanted)
{
    struct bp_exit ended;

    if (bp_machine_inject(m, "line", &byte, 1) != 1)
        return failed("the byte was not taken", byte);
    int err = bp_machine_wait(m, PATIENCE_MS, &ended);
    if (err)
        return failed("bp_machine_wait", err);
    if (ended.reason != BP_EXIT_DEBUG || ended.code != code_wanted)
        return failed("ended with another code", (int)ended.code);
    return 0;
}

int main(int argc, char **argv)
{
    char binary[] = "/tmp/bp-embed-XXXXXX";
    struct bp_machine *a = NULL, *b = NULL;

    if (argc != 3 || write_code(binary))
        return failed("usage: embed INSTALLED-PLUGINS MORE-PLUGINS", argc);
    int err = start(&a, argv, "a", binary);
    if (!err)
        err = start(&b, argv, "b", binary);
    if (err)
        failed("a machine does not start", err);
    if (!err)
        err = finish(b, 2, 5);
    if (!err)
        err = finish(a, 3, 7);
    bp_machine_free(a);
    bp_machine_free(b);
    unlink(binary);
    if (!err)
        printf("backplane %s: both machines ended as they should\n", bp_version());
    return err ? 1 : 0;
}
