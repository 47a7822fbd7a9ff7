/* SPDX-License-Identifier: MIT
 *
 * Traces: the lines that a small program leaves, filters, compression, and outputs that break.
 *
 * Guest time of the bench grows by one with each look, so that times in the lines are known. What
 * instructions do is not tested here.
 */
/* First, as <ucontext.h> behind it has names of its own for the places of registers. */
#include <signal.h>
#undef REG_RIP

#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <cmocka.h>

#include "bench.h"

#define EVERYTHING (TRACE_INSN | TRACE_INT | TRACE_MMIO | TRACE_PIO | TRACE_MSR)
#define EVENTS (EVERYTHING & ~TRACE_INSN)

#define TEXT_BYTES (1u << 18)

struct fixture {
    struct bench *bench;
    struct trace *trace;
    char path[64], packed_path[64];
    char text[TEXT_BYTES]; /* of the trace, read back */
    char why[200];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    int fd;

    assert_non_null(f);
    signal(SIGPIPE, SIG_IGN);
    f->bench = bench_create(2);
    snprintf(f->path, sizeof(f->path), "/tmp/trace-test-XXXXXX");
    fd = mkstemp(f->path);
    assert_true(fd >= 0);
    close(fd);
    snprintf(f->packed_path, sizeof(f->packed_path), "%.50s.zst", f->path);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    trace_destroy(f->trace);
    bench_destroy(f->bench);
    unlink(f->path);
    unlink(f->packed_path);
    free(f);
    return 0;
}

static int open_trace(struct fixture *f, struct trace_config config)
{
    int err;

    if (!config.path)
        config.path = f->path;
    if (!config.high)
        config.high = UINT64_MAX;
    err = trace_create(&config, &f->bench->engine->user, 2, &f->trace, f->why, sizeof(f->why));
    for (uint32_t i = 0; i < 2 && !err; i++)
        assert_int_equal(trace_attach(f->trace, f->bench->cpu[i]), 0);
    return err;
}

/* Ends the trace, and reads what it wrote. */
static const char *close_trace(struct fixture *f, const char *path)
{
    FILE *file;
    size_t n;

    trace_destroy(f->trace);
    f->trace = NULL;
    file = fopen(path, "r");
    assert_non_null(file);
    n = fread(f->text, 1, sizeof(f->text) - 1, file);
    f->text[n] = 0;
    fclose(file);
    return f->text;
}

static uint32_t count(const char *text, const char *what)
{
    uint32_t n = 0;

    for (; (text = strstr(text, what)); text += strlen(what))
        n++;
    return n;
}

/* Ten instructions: arithmetic, a branch, device memory, a port, an MSR, a vector, an exception. */
static const uint8_t program[] = {
    0xb8, 0x05, 0x00, 0x00, 0x00,       /* mov eax, 5 */
    0x83, 0xe8, 0x05,                   /* sub eax, 5 */
    0x74, 0x01,                         /* jz +1 */
    0x90,                               /* nop, jumped over */
    0xbb, 0x10, 0x00, 0x00, 0xd0,       /* mov ebx, 0xd0000010 */
    0xc7, 0x03, 0x78, 0x56, 0x34, 0x12, /* mov dword [rbx], 0x12345678 */
    0x66, 0x0f, 0x6e, 0xc3,             /* movd xmm0, ebx */
    0xe4, 0x71,                         /* in al, 0x71 */
    0xb9, 0x74, 0x01, 0x00, 0x00,       /* mov ecx, 0x174 */
    0x0f, 0x30,                         /* wrmsr */
    0x0f, 0x0b,                         /* ud2 */
};

static int run_program(struct fixture *f)
{
    bench_mode(f->bench, 0, BENCH_LONG);
    f->bench->now_ns = 0;
    f->bench->port[0x71] = 0x26;
    return bench_run(f->bench, program, sizeof(program));
}

static void ten_instructions_leave_their_lines(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(open_trace(f, (struct trace_config){.kinds = EVERYTHING}), 0);
    assert_int_equal(run_program(f), EXC_UD);
    assert_string_equal(
        close_trace(f, f->path),
        "insn 0 1 64/0 0000000000008000 b805000000 mov eax, 0x05 ; rax=0x5\n"
        "insn 0 2 64/0 0000000000008005 83e805 sub eax, 0x05 ; rax=0x0 rflags=0x46\n"
        "insn 0 3 64/0 0000000000008008 7401 jz 0x000000000000800B\n"
        "insn 0 4 64/0 000000000000800b bb100000d0 mov ebx, 0xD0000010 ; rbx=0xd0000010\n"
        "mmio 0 5 64/0 0000000000008010 write gpa=0xd0000010 width=4 value=0x12345678\n"
        "insn 0 6 64/0 0000000000008010 c70378563412 mov dword ptr [rbx], 0x12345678\n"
        "insn 0 7 64/0 0000000000008016 660f6ec3 movd xmm0, ebx ; "
        "xmm0=0x000000000000000000000000d0000010\n"
        "pio 0 8 64/0 000000000000801a in port=0x71 width=1 value=0x26\n"
        "insn 0 9 64/0 000000000000801a e471 in al, 0x71 ; rax=0x26\n"
        "insn 0 10 64/0 000000000000801c b974010000 mov ecx, 0x174 ; rcx=0x174\n"
        "msr 0 11 64/0 0000000000008021 write index=0x174 IA32_SYSENTER_CS value=0x26\n"
        "insn 0 12 64/0 0000000000008021 0f30 wrmsr\n"
        "insn 0 13 64/0 0000000000008023 0f0b ud2\n"
        "int 0 14 64/0 0000000000008023 exception vector=0x06 #UD from=0x8:0x8023 to=0x8:0x1060 "
        "rsp=0x7ed8\n"
        "insn 0 15 64/0 0000000000001060 f4 hlt\n");
}

static void events_alone_are_traced_at_full_speed(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(open_trace(f, (struct trace_config){.kinds = EVENTS}), 0);
    assert_null(f->bench->cpu[0]->trace);
    assert_int_equal(run_program(f), EXC_UD);
    assert_string_equal(
        close_trace(f, f->path),
        "mmio 0 1 64/0 0000000000008010 write gpa=0xd0000010 width=4 value=0x12345678\n"
        "pio 0 2 64/0 000000000000801a in port=0x71 width=1 value=0x26\n"
        "msr 0 3 64/0 0000000000008021 write index=0x174 IA32_SYSENTER_CS value=0x26\n"
        "int 0 4 64/0 0000000000008023 exception vector=0x06 #UD from=0x8:0x8023 to=0x8:0x1060 "
        "rsp=0x7ed8\n");
}

static void only_the_kinds_that_were_asked_for_are_traced(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(open_trace(f, (struct trace_config){.kinds = TRACE_PIO | TRACE_MSR}), 0);
    run_program(f);
    close_trace(f, f->path);
    assert_int_equal(count(f->text, "\n"), 2);
    assert_int_equal(count(f->text, "pio 0"), 1);
    assert_int_equal(count(f->text, "msr 0"), 1);
}

/* ---- filters -------------------------------------------------------------------------------- */

static void range_includes_both_ends(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(
        open_trace(f, (struct trace_config){.kinds = EVERYTHING, .low = 0x8005, .high = 0x801a}),
        0);
    run_program(f);
    close_trace(f, f->path);
    assert_int_equal(count(f->text, "\n"), 8);
    assert_non_null(strstr(f->text, " 0000000000008005 "));
    assert_int_equal(count(f->text, " 000000000000801a "), 2);
    assert_null(strstr(f->text, " 0000000000008000 "));
    assert_null(strstr(f->text, " 000000000000801c "));
}

static void bad_range_is_told(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(
        open_trace(f, (struct trace_config){.kinds = EVERYTHING, .low = 0x20, .high = 0x1f}),
        -EINVAL);
    assert_string_equal(f->why, "the range of addresses to trace is empty: 0x20 is above 0x1f");
}

static void vcpus_that_were_not_asked_for_are_not_touched(void **state)
{
    const uint64_t second = 1;
    struct fixture *f = *state;

    assert_int_equal(
        open_trace(f,
                   (struct trace_config){.kinds = EVERYTHING, .vcpus = &second, .vcpu_count = 1}),
        0);
    assert_null(f->bench->cpu[0]->trace);
    assert_null(f->bench->cpu[0]->trace_events);
    assert_non_null(f->bench->cpu[1]->trace);
    run_program(f);
    assert_string_equal(close_trace(f, f->path), "");
}

static void bad_vcpu_is_told(void **state)
{
    const uint64_t third = 2;
    struct fixture *f = *state;

    assert_int_equal(
        open_trace(f, (struct trace_config){.kinds = EVERYTHING, .vcpus = &third, .vcpu_count = 1}),
        -EINVAL);
    assert_string_equal(f->why, "there is no vCPU 2 to trace; the last one is 1");
}

static void privilege_is_that_of_the_instruction(void **state)
{
    static const struct {
        enum trace_privilege privilege;
        uint32_t user, kernel;
    } cases[] = {{TRACE_ALL, 1, 1}, {TRACE_USER, 1, 0}, {TRACE_KERNEL, 0, 1}};
    struct fixture *f = *state;

    for (uint32_t k = 0; k < 3; k++) {
        assert_int_equal(open_trace(f, (struct trace_config){.kinds = EVERYTHING,
                                                             .privilege = cases[k].privilege}),
                         0);
        bench_mode(f->bench, 0, BENCH_USER);
        assert_int_equal(BENCH_RUN(f->bench, 0x90), BENCH_STOPPED);
        close_trace(f, f->path);
        assert_int_equal(count(f->text, " 64/3 0000000000008000 90 nop"), cases[k].user);
        assert_int_equal(count(f->text, " soft vector=0xff from=0x33:"), cases[k].user);
        assert_int_equal(count(f->text, " f4 hlt"), cases[k].kernel);
    }
}

/* ---- what can happen ------------------------------------------------------------------------ */

static void page_fault_tells_address_and_error(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(open_trace(f, (struct trace_config){.kinds = TRACE_INT}), 0);
    bench_mode(f->bench, 0, BENCH_LONG);
    bench_page_set(f->bench, BENCH_DATA, 0);
    f->bench->now_ns = 0;
    assert_int_equal(BENCH_RUN(f->bench, 0xc6, 0x04, 0x25, 0x08, 0xc0, 0x00, 0x00, 0x01), EXC_PF);
    assert_string_equal(close_trace(f, f->path),
                        "int 0 1 64/0 0000000000008000 exception vector=0x0e #PF error=0x2 "
                        "cr2=0xc008 from=0x8:0x8000 to=0x8:0x10e0 rsp=0x7ed0\n");
}

static void triple_fault_is_the_last_line(void **state)
{
    struct fixture *f = *state;
    struct cpu *c;

    assert_int_equal(open_trace(f, (struct trace_config){.kinds = TRACE_INT}), 0);
    c = bench_mode(f->bench, 0, BENCH_LONG);
    c->idt.limit = 0;
    f->bench->now_ns = 0;
    assert_int_equal(BENCH_RUN(f->bench, 0x0f, 0x0b), BENCH_TRIPLE_FAULT);
    close_trace(f, f->path);
    assert_non_null(strstr(f->text, "#UD from=0x8:0x8000 to=none\n"));
    assert_non_null(strstr(f->text, "#GP error=0x33 from=0x8:0x8000 to=none\n"));
    assert_non_null(strstr(f->text, "#DF error=0x0 from=0x8:0x8000 to=none\n"));
    assert_non_null(strstr(f->text, "to=shutdown\n"));
    assert_int_equal(count(f->text, "\n"), 4);
}

static void refused_msr_is_marked(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(open_trace(f, (struct trace_config){.kinds = TRACE_MSR}), 0);
    bench_mode(f->bench, 0, BENCH_LONG);
    f->bench->now_ns = 0;
    f->bench->cpu[0]->reg[RCX] = 0x12345;
    assert_int_equal(BENCH_RUN(f->bench, 0x0f, 0x32), EXC_GP);
    assert_string_equal(close_trace(f, f->path),
                        "msr 0 1 64/0 0000000000008000 read index=0x12345 #GP\n");
}

static void real_mode_has_linear_addresses(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(open_trace(f, (struct trace_config){.kinds = TRACE_INSN}), 0);
    bench_mode(f->bench, 0, BENCH_REAL);
    f->bench->cpu[0]->seg[SEG_CS].selector = BENCH_CODE >> 4;
    f->bench->cpu[0]->seg[SEG_CS].base = BENCH_CODE;
    bench_write(f->bench, BENCH_CODE, "\xb8\x34\x12\xf4", 4);
    f->bench->now_ns = 0;
    assert_int_equal(bench_go(f->bench, 0, 0), BENCH_STOPPED);
    assert_string_equal(close_trace(f, f->path),
                        "insn 0 1 real/0 0000000000008000 b83412 mov ax, 0x1234 ; rax=0x1234\n"
                        "insn 0 2 real/0 0000000000008003 f4 hlt\n");
}

static void repeated_instruction_is_one_line_while_nothing_interrupts_it(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(open_trace(f, (struct trace_config){.kinds = TRACE_INSN}), 0);
    bench_mode(f->bench, 0, BENCH_LONG);
    f->bench->cpu[0]->reg[RCX] = 3;
    f->bench->cpu[0]->reg[RDI] = BENCH_DATA;
    f->bench->now_ns = 0;
    assert_int_equal(BENCH_RUN(f->bench, 0xf3, 0xaa), BENCH_STOPPED);
    assert_string_equal(close_trace(f, f->path), "insn 0 1 64/0 0000000000008000 f3aa rep stosb ; "
                                                 "rcx=0x0 rdi=0xc003\n"
                                                 "insn 0 2 64/0 0000000000008002 f4 hlt\n");
}

static void every_round_of_a_loop_is_traced(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(open_trace(f, (struct trace_config){.kinds = TRACE_INSN}), 0);
    bench_mode(f->bench, 0, BENCH_LONG);
    f->bench->cpu[0]->reg[RCX] = 3;
    /* dec ecx; jnz -4 */
    assert_int_equal(BENCH_RUN(f->bench, 0xff, 0xc9, 0x75, 0xfc), BENCH_STOPPED);
    close_trace(f, f->path);
    assert_int_equal(count(f->text, " ffc9 dec ecx"), 3);
    assert_int_equal(count(f->text, " 75fc jnz"), 3);
}

/* ---- several vCPUs -------------------------------------------------------------------------- */

#define ROUNDS 500u

static void *run_second(void *state)
{
    struct fixture *f = state;

    bench_go(f->bench, 1, BENCH_CODE + BENCH_SECOND);
    return NULL;
}

static void lines_of_two_vcpus_do_not_mix(void **state)
{
    /* mov ecx, ROUNDS; dec ecx; jnz -4; hlt */
    static const uint8_t code[] = {0xb9, ROUNDS & 0xff, ROUNDS >> 8, 0,    0,
                                   0xff, 0xc9,          0x75,        0xfc, 0xf4};
    struct fixture *f = *state;
    uint32_t lines[2] = {0, 0};
    pthread_t second;

    assert_int_equal(open_trace(f, (struct trace_config){.kinds = TRACE_INSN}), 0);
    for (uint32_t i = 0; i < 2; i++) {
        bench_mode(f->bench, i, BENCH_LONG);
        bench_write(f->bench, BENCH_CODE + i * BENCH_SECOND, code, sizeof(code));
    }
    assert_int_equal(pthread_create(&second, NULL, run_second, f), 0);
    assert_int_equal(bench_go(f->bench, 0, BENCH_CODE), BENCH_STOPPED);
    pthread_join(second, NULL);
    close_trace(f, f->path);
    for (const char *line = f->text; *line; line = strchr(line, '\n') + 1) {
        uint32_t vcpu;
        unsigned long long rip;

        /* NOLINTNEXTLINE(cert-err34-c): a count of 2 says that both were numbers of that form */
        assert_int_equal(sscanf(line, "insn %u %*u 64/0 %llx ", &vcpu, &rip), 2);
        assert_true(vcpu < 2);
        assert_int_equal(rip & ~0xfull, BENCH_CODE + vcpu * BENCH_SECOND);
        lines[vcpu]++;
    }
    assert_int_equal(lines[0], 2 * ROUNDS + 2);
    assert_int_equal(lines[1], 2 * ROUNDS + 2);
}

/* ---- outputs -------------------------------------------------------------------------------- */

static void compressed_trace_is_the_same_text(void **state)
{
    static char plain[TEXT_BYTES], packed[TEXT_BYTES];
    struct fixture *f = *state;
    FILE *file;
    size_t n;

    assert_int_equal(open_trace(f, (struct trace_config){.kinds = EVERYTHING}), 0);
    run_program(f);
    close_trace(f, f->path);
    memcpy(plain, f->text, sizeof(plain));

    assert_int_equal(
        open_trace(f, (struct trace_config){.kinds = EVERYTHING, .path = f->packed_path}), 0);
    run_program(f);
    trace_destroy(f->trace);
    f->trace = NULL;
    file = fopen(f->packed_path, "r");
    assert_non_null(file);
    n = fread(packed, 1, sizeof(packed), file);
    fclose(file);
    n = ZSTD_decompress(f->text, sizeof(f->text), packed, n);
    assert_false(ZSTD_isError(n));
    f->text[n] = 0;
    assert_string_equal(f->text, plain);
}

static void bad_path_is_told(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(
        open_trace(f, (struct trace_config){.kinds = EVERYTHING, .path = "/nowhere/trace"}),
        -ENOENT);
    assert_string_equal(f->why, "the trace cannot go to /nowhere/trace: No such file or directory");
}

static void full_disk_ends_the_trace_and_not_the_guest(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(open_trace(f, (struct trace_config){.kinds = EVERYTHING, .path = "/dev/full"}),
                     0);
    assert_int_equal(run_program(f), EXC_UD);
    assert_null(f->bench->cpu[0]->trace);
    assert_null(f->bench->cpu[0]->trace_events);
    assert_string_equal(f->bench->log, "the trace ends here, and the guest goes on: /dev/full: No "
                                       "space left on device");
    f->bench->log[0] = 0;
    assert_int_equal(run_program(f), EXC_UD);
    trace_destroy(f->trace);
    f->trace = NULL;
    assert_string_equal(f->bench->log, "");
}

static void pipe_without_a_reader_is_refused(void **state)
{
    struct fixture *f = *state;
    char why[200];

    unlink(f->path);
    assert_int_equal(mkfifo(f->path, 0600), 0);
    assert_int_equal(open_trace(f, (struct trace_config){.kinds = EVERYTHING}), -ENXIO);
    snprintf(why, sizeof(why), "the trace cannot go to %s: nobody reads this pipe", f->path);
    assert_string_equal(f->why, why);
}

static void pipe_whose_reader_goes_ends_the_trace_and_not_the_guest(void **state)
{
    struct fixture *f = *state;
    char text[200];
    int fd;

    unlink(f->path);
    assert_int_equal(mkfifo(f->path, 0600), 0);
    fd = open(f->path, O_RDONLY | O_NONBLOCK);
    assert_true(fd >= 0);
    assert_int_equal(open_trace(f, (struct trace_config){.kinds = EVERYTHING}), 0);
    assert_int_equal(run_program(f), EXC_UD);
    assert_true(read(fd, text, sizeof(text)) > 100);
    close(fd);
    assert_int_equal(run_program(f), EXC_UD);
    snprintf(text, sizeof(text),
             "the trace ends here, and the guest goes on: %s: its reader has gone", f->path);
    assert_string_equal(f->bench->log, text);
    assert_null(f->bench->cpu[0]->trace);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ten_instructions_leave_their_lines),
        TEST(events_alone_are_traced_at_full_speed),
        TEST(only_the_kinds_that_were_asked_for_are_traced),
        TEST(range_includes_both_ends),
        TEST(bad_range_is_told),
        TEST(vcpus_that_were_not_asked_for_are_not_touched),
        TEST(bad_vcpu_is_told),
        TEST(privilege_is_that_of_the_instruction),
        TEST(page_fault_tells_address_and_error),
        TEST(triple_fault_is_the_last_line),
        TEST(refused_msr_is_marked),
        TEST(real_mode_has_linear_addresses),
        TEST(repeated_instruction_is_one_line_while_nothing_interrupts_it),
        TEST(every_round_of_a_loop_is_traced),
        TEST(lines_of_two_vcpus_do_not_mix),
        TEST(compressed_trace_is_the_same_text),
        TEST(bad_path_is_told),
        TEST(full_disk_ends_the_trace_and_not_the_guest),
        TEST(pipe_without_a_reader_is_refused),
        TEST(pipe_whose_reader_goes_ends_the_trace_and_not_the_guest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
