/* SPDX-License-Identifier: MIT
 *
 * machine/rig.h - for tests: a machine through the embedding API whose CPU is a fake that runs a
 * bytecode; devices, bus, loop, loader and threads are the real ones. TEST_PLUGIN_PATH is where the
 * plugins are.
 */
#ifndef TESTS_MACHINE_RIG_H
#define TESTS_MACHINE_RIG_H

#include <backplane/host.h>
#include <backplane/machine.h>
#include <backplane/util/le.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 20000
#define CODE_MAX 64

/* The bytecode of tests/fakes/plugins/cpu_fake.c. */
enum op {
    OUT = 1,
    IN,
    WRITE,
    READ,
    LOAD,
    JUMP,
    HLT,
    TRIPLE,
    FAIL,
    JUMP_ZERO,
    REPEAT,
    NAME,
    STOP,
    ACK,
    CHIP,
    POSTED
};

#define BASE 0x1000ull /* where the code begins */
#define AT(n) (BASE + 16ull * (n))

struct instruction {
    uint8_t op, width;
    uint64_t operand;
};

/* A machine, its code's file, and what it said, one line each. */
struct rig {
    struct bp_machine *m;
    char path[32], said[4096];
};

static inline void listen_to(void *context, const struct bp_message *m)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* vCPUs speak too */
    char *said = ((struct rig *)context)->said;

    pthread_mutex_lock(&lock);
    size_t used = strlen(said);
    snprintf(said + used, sizeof(((struct rig *)0)->said) - used, "%s%s%s\n",
             m->section && !m->file ? m->section : "", m->section && !m->file ? ": " : "", m->text);
    pthread_mutex_unlock(&lock);
}

static inline void write_code(struct rig *r, const struct instruction *code, size_t count)
{
    uint8_t bytes[16 * CODE_MAX] = {0};

    assert_true(count <= CODE_MAX);
    for (size_t i = 0; i < count; i++) {
        bytes[16 * i] = code[i].op;
        bytes[16 * i + 1] = code[i].width;
        bp_put_le64(bytes + 16 * i + 8, code[i].operand);
    }
    strcpy(r->path, "/tmp/bp-test-XXXXXX");
    int fd = mkstemp(r->path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, 16 * count), 16 * count);
    close(fd);
}

/* A machine of 2 MiB that would run `code`, with the sections of `more`. */
static inline struct rig *make(const struct instruction *code, size_t count, const char *more)
{
    struct rig *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    const struct bp_machine_options options = {.size = sizeof(options),
                                               .message = listen_to,
                                               .context = r,
                                               .plugin_path = TEST_PLUGIN_PATH};
    char text[2048];

    write_code(r, code, count);
    assert_int_equal(bp_machine_new(&options, &r->m), 0);
    snprintf(text, sizeof(text),
             "[machine]\nmemory = 2M\n[boot]\nbinary = %s\n[cpu]\nplugin = cpu-fake\n%s", r->path,
             more);
    if (bp_machine_load_string(r->m, text, "test.ini", "/tmp"))
        fail_msg("%s", r->said);
    return r;
}

static inline struct rig *started(struct rig *r)
{
    if (bp_machine_start(r->m))
        fail_msg("%s", r->said);
    return r;
}

static inline void discard(struct rig *r)
{
    bp_machine_free(r->m);
    unlink(r->path);
    free(r);
}

#define CODE(...)                                                                                  \
    (const struct instruction[]){__VA_ARGS__},                                                     \
        sizeof((const struct instruction[]){__VA_ARGS__}) / sizeof(struct instruction)

static inline struct bp_exit wait_end(struct rig *r)
{
    struct bp_exit ended;

    assert_int_equal(bp_machine_wait(r->m, PATIENCE_MS, &ended), 0);
    return ended;
}

#endif
