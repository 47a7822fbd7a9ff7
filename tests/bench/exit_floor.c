/* SPDX-License-Identifier: MIT
 *
 * exit-floor - what an exit costs through Backplane's bus and a device, beside the least that KVM
 * allows.
 *
 *     exit-floor PLUGINS BENCH-PLUGINS COUNT
 *     exit-floor --start BACKPLANE PLUGINS BENCH-PLUGINS
 *     exit-floor --bare-start BINARY
 *
 * The same guest, `out` or a store to a page without memory in an endless loop, in flat 32-bit
 * mode, runs in turn in a bare loop of KVM_RUN that does nothing (bare), in the same with KVM's
 * interrupt controllers (irqchip), and in a machine with cpu-kvm and bench-counter (backplane).
 * Prints EXIT lines as in counter.c. The second form prints the cpu time from the start of the
 * program to the guest's first instruction, and a bare KVM program's.
 *
 * KVM: Documentation/virt/kvm/api.rst of Linux.
 */
#include <backplane/machine.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 15u
#define SKIP 100u
#define RAM_BYTES 0x100000u
#define CODE_AT 0x1000u
#define KERNEL_BYTES 65536u

static const uint8_t pio_guest[] = {
    0x66, 0xba, 0x00, 0x50, /* mov dx, 0x5000 */
    0xee,                   /* out dx, al */
    0xeb, 0xfd,             /* jmp to the out */
};

static const uint8_t mmio_guest[] = {
    0xbb, 0x00, 0x00, 0x00, 0xd0, /* mov ebx, 0xd0000000 */
    0x88, 0x03,                   /* mov [ebx], al */
    0xeb, 0xfc,                   /* jmp to the store */
};

static double clock_ns_of(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int complain(const char *what)
{
    fprintf(stderr, "exit-floor: %s: %s\n", what, strerror(errno));
    return -1;
}

/* ---- bare KVM ------------------------------------------------------------------------------- */

struct bare {
    int kvm, vm, vcpu;
    uint8_t *ram;
    struct kvm_run *run;
    size_t run_bytes;
};

static void bare_free(struct bare *b)
{
    if (b->run && b->run != MAP_FAILED)
        munmap(b->run, b->run_bytes);
    if (b->ram && b->ram != MAP_FAILED)
        munmap(b->ram, RAM_BYTES);
    if (b->vcpu > 0)
        close(b->vcpu);
    if (b->vm > 0)
        close(b->vm);
    if (b->kvm > 0)
        close(b->kvm);
}

/* A VM with one vCPU at CODE_AT in flat 32-bit mode. */
static int bare_new(struct bare *b, const void *code, size_t len, bool irqchip)
{
    struct kvm_userspace_memory_region slot = {.memory_size = RAM_BYTES};
    struct kvm_segment flat = {
        .limit = 0xffffffffu, .selector = 8, .type = 11, .present = 1, .s = 1, .db = 1, .g = 1};
    struct kvm_pit_config pit = {0};
    struct kvm_regs regs = {.rip = CODE_AT, .rflags = 2};
    struct kvm_sregs sregs;
    int size;

    memset(b, 0, sizeof(*b));
    b->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (b->kvm < 0)
        return complain("/dev/kvm");
    b->vm = ioctl(b->kvm, KVM_CREATE_VM, 0);
    if (b->vm < 0)
        return complain("KVM_CREATE_VM");
    if (irqchip && (ioctl(b->vm, KVM_SET_TSS_ADDR, 0xfffbd000ul) ||
                    ioctl(b->vm, KVM_CREATE_IRQCHIP, 0) || ioctl(b->vm, KVM_CREATE_PIT2, &pit)))
        return complain("KVM_CREATE_IRQCHIP");
    b->ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b->ram == MAP_FAILED)
        return complain("mmap");
    memcpy(b->ram + CODE_AT, code, len);
    slot.userspace_addr = (uintptr_t)b->ram;
    if (ioctl(b->vm, KVM_SET_USER_MEMORY_REGION, &slot))
        return complain("KVM_SET_USER_MEMORY_REGION");
    b->vcpu = ioctl(b->vm, KVM_CREATE_VCPU, 0);
    size = ioctl(b->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (b->vcpu < 0 || size < 0)
        return complain("KVM_CREATE_VCPU");
    b->run_bytes = (size_t)size;
    b->run = mmap(NULL, b->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, b->vcpu, 0);
    if (b->run == MAP_FAILED || ioctl(b->vcpu, KVM_GET_SREGS, &sregs))
        return complain("KVM_GET_SREGS");
    sregs.cs = flat;
    flat.type = 3;
    flat.selector = 16;
    sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat;
    sregs.cr0 |= 1;
    if (ioctl(b->vcpu, KVM_SET_SREGS, &sregs) || ioctl(b->vcpu, KVM_SET_REGS, &regs))
        return complain("KVM_SET_REGS");
    return 0;
}

/* Runs up to the next PIO or MMIO exit. */
static int bare_exit(struct bare *b)
{
    for (;;) {
        if (ioctl(b->vcpu, KVM_RUN, 0)) {
            if (errno == EINTR)
                continue;
            return complain("KVM_RUN");
        }
        if (b->run->exit_reason == KVM_EXIT_IO || b->run->exit_reason == KVM_EXIT_MMIO)
            return 0;
        fprintf(stderr, "exit-floor: exit reason %u\n", b->run->exit_reason);
        return -1;
    }
}

static int measure_bare(const char *access, const uint8_t *code, size_t len, unsigned n,
                        bool irqchip)
{
    double cpu = 0, wall = 0;
    struct bare b;
    int e = bare_new(&b, code, len, irqchip);

    for (unsigned i = 0; !e && i < SKIP; i++)
        e = bare_exit(&b);
    if (!e) {
        wall = clock_ns_of(CLOCK_MONOTONIC);
        cpu = clock_ns_of(CLOCK_THREAD_CPUTIME_ID);
    }
    for (unsigned i = 0; !e && i < n; i++)
        e = bare_exit(&b);
    if (!e)
        printf("EXIT access=%s who=%s n=%u cpu_ns=%.1f wall_ns=%.1f\n", access,
               irqchip ? "irqchip" : "bare", n, (clock_ns_of(CLOCK_THREAD_CPUTIME_ID) - cpu) / n,
               (clock_ns_of(CLOCK_MONOTONIC) - wall) / n);
    fflush(stdout);
    bare_free(&b);
    return e;
}

/* ---- the same in a machine ------------------------------------------------------------------ */

static const char machine_text[] = "[machine]\n"
                                   "memory = 1M\n"
                                   "board = none\n"
                                   "[cpu]\n"
                                   "plugin = %s\n"
                                   "level = host\n"
                                   "[boot]\n"
                                   "binary = %s\n"
                                   "entry = 0x1000\n"
                                   "mode = 32\n"
                                   "[counter]\n"
                                   "plugin = %s/bench-counter.so\n"
                                   "skip = %u\n"
                                   "count = %u\n";

static int measure_machine(const char *binary, const char *plugins, const char *bench, unsigned n)
{
    struct bp_machine_options options = {.size = sizeof(options), .plugin_path = plugins};
    struct bp_exit end = {0};
    struct bp_machine *m;
    char *text = NULL;
    int e = bp_machine_new(&options, &m);

    if (e)
        return e;
    if (asprintf(&text, machine_text, "cpu-kvm", binary, bench, SKIP, n) < 0)
        e = -ENOMEM;
    if (!e)
        e = bp_machine_load_string(m, text, "exit-floor", NULL);
    if (!e)
        e = bp_machine_start(m);
    if (!e)
        e = bp_machine_wait(m, 120000, &end);
    if (!e && end.reason != BP_EXIT_POWER_OFF) {
        fprintf(stderr, "exit-floor: the machine ended with reason %u\n", end.reason);
        e = -EIO;
    }
    free(text);
    bp_machine_free(m);
    return e;
}

static int write_file(const char *path, const void *data, size_t len, size_t padded)
{
    FILE *file = fopen(path, "we");

    if (!file)
        return complain(path);
    fwrite(data, 1, len, file);
    while (len++ < padded)
        fputc(0xf4, file);
    return fclose(file) ? complain(path) : 0;
}

static int measure_exits(const char *plugins, const char *bench, unsigned n)
{
    char binary[] = "/tmp/exit-floor.XXXXXX";
    int fd = mkstemp(binary), e = 0;

    if (fd < 0)
        return complain(binary);
    close(fd);
    for (unsigned round = 0; !e && round < ROUNDS; round++) {
        for (unsigned i = 0; !e && i < 2; i++) {
            const uint8_t *code = i ? mmio_guest : pio_guest;
            size_t len = i ? sizeof(mmio_guest) : sizeof(pio_guest);
            const char *access = i ? "mmio" : "pio";

            e = measure_bare(access, code, len, n, false);
            if (!e)
                e = measure_bare(access, code, len, n, true);
            if (!e)
                e = write_file(binary, code, len, len);
            if (!e)
                e = measure_machine(binary, plugins, bench, n);
        }
    }
    unlink(binary);
    return e;
}

/* ---- from exec to the first instruction ----------------------------------------------------- */

static int bare_start(const char *binary)
{
    static uint8_t code[KERNEL_BYTES];
    FILE *file = fopen(binary, "re");
    size_t len = file ? fread(code, 1, sizeof(code), file) : 0;
    struct bare b;
    int e;

    if (!len)
        return complain(binary);
    fclose(file);
    e = bare_new(&b, code, len, true);
    if (!e)
        e = bare_exit(&b);
    if (!e)
        printf("START process_us=%.0f\n", clock_ns_of(CLOCK_PROCESS_CPUTIME_ID) / 1e3);
    fflush(stdout);
    bare_free(&b);
    return e;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* The median of the START lines of ROUNDS runs of a command; -1 if one fails. */
static double median_start(const char *command)
{
    double us[ROUNDS];

    for (unsigned i = 0; i < ROUNDS; i++) {
        /* NOLINTNEXTLINE(cert-env33-c): our own words, quoted */
        FILE *pipe = popen(command, "re");
        char line[256];

        us[i] = -1;
        while (pipe && fgets(line, sizeof(line), pipe))
            if (strncmp(line, "START process_us=", 17) == 0)
                us[i] = strtod(line + 17, NULL);
        if (pipe)
            pclose(pipe);
        if (us[i] < 0)
            return -1;
    }
    qsort(us, ROUNDS, sizeof(us[0]), compare_doubles);
    return us[ROUNDS / 2];
}

static int measure_start(const char *self, const char *program, const char *plugins,
                         const char *bench)
{
    static const char *const backends[] = {"cpu-kvm", "auto"};
    char binary[] = "/tmp/exit-floor.XXXXXX", ini[64], command[4096];
    int fd = mkstemp(binary), e;
    double bare;

    if (fd < 0)
        return complain(binary);
    close(fd);
    e = write_file(binary, pio_guest, sizeof(pio_guest), KERNEL_BYTES);
    snprintf(command, sizeof(command), "'%s' --bare-start '%s'", self, binary);
    bare = e ? -1 : median_start(command);
    printf("start: bare KVM program: %.0f us of cpu to the first exit of its guest\n", bare);
    for (unsigned i = 0; !e && i < 2; i++) {
        char *text = NULL;
        double us;

        snprintf(ini, sizeof(ini), "%s.ini", binary);
        if (asprintf(&text, machine_text, backends[i], binary, bench, 0u, 1u) < 0)
            break;
        e = write_file(ini, text, strlen(text), 0);
        free(text);
        snprintf(command, sizeof(command), "'%s' run --plugin-path '%s' '%s' </dev/null", program,
                 plugins, ini);
        us = e ? -1 : median_start(command);
        if (us < 0)
            printf("start: plugin = %s: it did not run here\n", backends[i]);
        else
            printf("start: plugin = %s: %.0f us, %.0f beyond the bare program%s\n", backends[i], us,
                   us - bare, i ? "" : " (goal: at most 5,000)");
        unlink(ini);
    }
    unlink(binary);
    return e;
}

int main(int argc, char **argv)
{
    unsigned count = argc == 4 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;

    if (count > 0)
        return measure_exits(argv[1], argv[2], count) ? 1 : 0;
    if (argc == 5 && strcmp(argv[1], "--start") == 0)
        return measure_start(argv[0], argv[2], argv[3], argv[4]) ? 1 : 0;
    if (argc == 3 && strcmp(argv[1], "--bare-start") == 0)
        return bare_start(argv[2]) ? 1 : 0;
    fprintf(stderr, "usage: exit-floor PLUGINS BENCH-PLUGINS COUNT\n"
                    "       exit-floor --start BACKPLANE PLUGINS BENCH-PLUGINS\n");
    return 2;
}
