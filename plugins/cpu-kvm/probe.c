/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/probe.c - can this host's KVM run a stock kernel, and at a processor's speed?
 *
 * Not every /dev/kvm can. Some hosts, virtual machines themselves, offer one that has no hardware
 * below it: it runs the guest's user mode on page tables of its own and emulates its kernel mode,
 * where INT3, XRSTOR or CMPXCHG16B end in an internal error and every instruction takes hundreds of
 * times its due. To find out before a kernel hangs in the middle of its boot, a guest of a few
 * instructions runs here in long mode at CPL 0: INT3 through an IDT and IRETQ, CMPXCHG16B where
 * CPUID has it, XSAVE and XRSTOR (FXSAVE and FXRSTOR on processors without), and a loop that is
 * timed against the same loop on the host. The guest tells by port writes how far it came.
 *
 * A timer that sends the kick signal to this thread bounds it all. What it does not prove: that
 * interrupts, SMP or devices work.
 */
#include "kvm.h"

#include <backplane/util/log.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid /* where glibc's header leaves it to the kernel's */
#endif

#define DEADLINE_MS 700
#define LOOP_COUNT 20000u
#define LOOP_TRIES 3u /* the fastest counts: a busy host is no slow KVM */
#define TOO_SLOW 20u

/* Guest-physical layout. */
#define GUEST_BYTES 0x10000u
#define PML4_AT 0x1000u
#define PDPT_AT 0x2000u
#define PD_AT 0x3000u
#define IDT_AT 0x4000u
#define GDT_AT 0x4800u
#define CODE_AT 0x5000u
#define DATA_AT 0x6000u /* 64-byte aligned, for XSAVE with x87 and SSE state */
#define STACK_TOP 0xf000u

#define CS_SELECTOR 0x08u
#define SS_SELECTOR 0x10u

/* What the guest writes to port 0x80 before each step. */
enum step {
    STEP_ENTER = 0, /* not written: it has not come to INT3 */
    STEP_INT3 = 1,
    STEP_CMPXCHG16B = 2,
    STEP_XSAVE = 3,
    STEP_LOOP = 4, /* LOOP_TRIES times, STEP_LOOP_END after each */
    STEP_LOOP_END = 5,
    STEP_DONE = 6,
    STEP_WRONG = 0xff, /* the step before gave a wrong result */
};

static const char *const step_names[] = {
    [STEP_ENTER] = "entering long mode",
    [STEP_INT3] = "INT3",
    [STEP_CMPXCHG16B] = "CMPXCHG16B",
    [STEP_XSAVE] = "XRSTOR",
    [STEP_LOOP] = "a loop",
    [STEP_LOOP_END] = "a loop",
    [STEP_DONE] = "a loop",
};

/* In: rsi = DATA_AT, r12 = tries, r13 = iterations, r14 = has CMPXCHG16B, r15 = has XSAVE.
 * The loop is timed against loop_on_host(), which is its twin. Position independent: it is copied.
 */
__asm__(".pushsection .rodata\n"
        "probe_guest:\n"
        "    mov $1, %al\n" /* STEP_INT3 */
        "    out %al, $0x80\n"
        "    xor %ebx, %ebx\n"
        "    int3\n"
        "    cmp $0x1234, %ebx\n"
        "    jne 9f\n"
        "    test %r14d, %r14d\n"
        "    jz 2f\n"
        "    mov $2, %al\n" /* STEP_CMPXCHG16B */
        "    out %al, $0x80\n"
        "    movq $5, (%rsi)\n"
        "    movq $6, 8(%rsi)\n"
        "    mov $5, %eax\n"
        "    mov $6, %edx\n"
        "    mov $7, %ebx\n"
        "    mov $8, %ecx\n"
        "    lock cmpxchg16b (%rsi)\n"
        "    jne 9f\n"
        "    cmpq $8, 8(%rsi)\n"
        "    jne 9f\n"
        "2:  mov $3, %al\n" /* STEP_XSAVE */
        "    out %al, $0x80\n"
        "    mov $3, %eax\n" /* x87 and SSE */
        "    xor %edx, %edx\n"
        "    mov $0x5678, %ebx\n"
        "    movd %ebx, %xmm3\n"
        "    test %r15d, %r15d\n"
        "    jz 3f\n"
        "    xor %ecx, %ecx\n"
        "    xsetbv\n"
        "    xsave64 (%rsi)\n"
        "    pxor %xmm3, %xmm3\n"
        "    xrstor64 (%rsi)\n"
        "    jmp 4f\n"
        "3:  fxsave64 (%rsi)\n"
        "    pxor %xmm3, %xmm3\n"
        "    fxrstor64 (%rsi)\n"
        "4:  movd %xmm3, %eax\n"
        "    cmp %ebx, %eax\n"
        "    jne 9f\n"
        "5:  mov $4, %al\n" /* STEP_LOOP */
        "    out %al, $0x80\n"
        "    mov %r13d, %ecx\n"
        "6:  addl %ecx, (%rsi)\n"
        "    dec %ecx\n"
        "    jnz 6b\n"
        "    mov $5, %al\n" /* STEP_LOOP_END */
        "    out %al, $0x80\n"
        "    dec %r12d\n"
        "    jnz 5b\n"
        "    mov $6, %al\n" /* STEP_DONE */
        "    out %al, $0x80\n"
        "8:  hlt\n"
        "    jmp 8b\n"
        "9:  mov $0xff, %al\n" /* STEP_WRONG */
        "    out %al, $0x80\n"
        "    jmp 8b\n"
        "probe_guest_int3:\n"
        "    mov $0x1234, %ebx\n"
        "    iretq\n"
        "probe_guest_end:\n"
        ".popsection\n");

extern const uint8_t probe_guest[] __attribute__((visibility("hidden")));
extern const uint8_t probe_guest_int3[] __attribute__((visibility("hidden")));
extern const uint8_t probe_guest_end[] __attribute__((visibility("hidden")));

struct probe {
    const struct bp_host *host;
    struct bp_node *node;
    int device_fd, vm_fd, vcpu_fd;
    uint8_t *ram;
    struct kvm_run *run;
    size_t run_bytes;
    bool has_cmpxchg16b, has_xsave;
    int step;         /* the last that the guest announced */
    uint64_t loop_ns; /* the fastest in the guest, without the way in and out */
    uint64_t way_ns;  /* the fastest way in and out */
    bool loop_measured;
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The guest's loop on the host, the fastest of LOOP_TRIES, ns. */
static uint64_t loop_on_host(void)
{
    uint64_t best = UINT64_MAX;

    for (uint32_t i = 0; i < LOOP_TRIES; i++) {
        uint32_t count = LOOP_COUNT, word = 0;
        uint64_t start = now_ns(), took;

        __asm__ volatile("1: addl %0, %1\n"
                         "   dec %0\n"
                         "   jnz 1b\n"
                         : "+r"(count), "+m"(word)
                         :
                         : "cc");
        took = now_ns() - start;
        best = took < best ? took : best;
    }
    return best ? best : 1;
}

/* ---- the guest ------------------------------------------------------------------------------ */

static int probe_failed(const struct probe *p, const char *what)
{
    return bp_failf(p->host, p->node, -ENODEV, "%s cannot run a stock kernel: %s failed: %m",
                    KVM_DEVICE, what);
}

/* KVM's own CPUID table goes to the guest as it is: this says what it can do, and the guest asks
 * for no more. */
static int probe_cpuid(struct probe *p)
{
    const uint32_t entries = 256;
    struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + entries * sizeof(c->entries[0]));
    int err = 0;

    if (!c)
        return bp_failf(p->host, p->node, -ENOMEM, "out of memory");
    c->nent = entries;
    if (ioctl(p->device_fd, KVM_GET_SUPPORTED_CPUID, c) != 0 ||
        ioctl(p->vcpu_fd, KVM_SET_CPUID2, c) != 0)
        err = probe_failed(p, "KVM_SET_CPUID2");
    for (uint32_t i = 0; i < c->nent && !err; i++) {
        if (c->entries[i].function == 1) {
            p->has_cmpxchg16b = c->entries[i].ecx >> 13 & 1;
            p->has_xsave = c->entries[i].ecx >> 26 & 1;
        }
    }
    free(c);
    return err;
}

static void put64(struct probe *p, uint32_t at, uint64_t value)
{
    memcpy(p->ram + at, &value, sizeof(value));
}

static void fill_ram(struct probe *p)
{
    uint64_t handler = CODE_AT + (uint64_t)(probe_guest_int3 - probe_guest);

    memcpy(p->ram + CODE_AT, probe_guest, (size_t)(probe_guest_end - probe_guest));
    put64(p, PML4_AT, PDPT_AT | 3);
    put64(p, PDPT_AT, PD_AT | 3);
    put64(p, PD_AT, 0x83); /* 2 MiB at 0, present, writable */
    put64(p, GDT_AT + CS_SELECTOR, UINT64_C(0x00af9b000000ffff));
    put64(p, GDT_AT + SS_SELECTOR, UINT64_C(0x00cf93000000ffff));
    /* An interrupt gate for vector 3 alone: whatever else happens ends in a triple fault. */
    put64(p, IDT_AT + 3 * 16, handler | CS_SELECTOR << 16 | UINT64_C(0x8e00) << 32);
}

/* The XCR0 that the guest's XSETBV is about to write: x87 and SSE. An emulated SVM may carry XSETBV
 * out without the exit that KVM asks for (AMD APM 2, 15.9). KVM then does not learn of it, enters
 * with the XCR0 it knows of from the next exit on, and whether XRSTOR gives the right result is
 * left to when that exit comes. Where KVM refuses this, the guest's own XSETBV has to do. */
static void set_xcr0(const struct probe *p)
{
    struct kvm_xcrs xcrs = {.nr_xcrs = 1, .xcrs = {{.xcr = 0, .value = 3}}};

    if (p->has_xsave)
        (void)ioctl(p->vcpu_fd, KVM_SET_XCRS, &xcrs);
}

static int set_registers(struct probe *p)
{
    struct kvm_segment code = {.limit = UINT32_MAX,
                               .selector = CS_SELECTOR,
                               .type = 11,
                               .present = 1,
                               .s = 1,
                               .l = 1,
                               .g = 1};
    struct kvm_segment data = {.limit = UINT32_MAX,
                               .selector = SS_SELECTOR,
                               .type = 3,
                               .present = 1,
                               .s = 1,
                               .db = 1,
                               .g = 1};
    struct kvm_regs regs = {
        .rip = CODE_AT,
        .rflags = 2,
        .rsp = STACK_TOP,
        .rsi = DATA_AT,
        .r12 = LOOP_TRIES,
        .r13 = LOOP_COUNT,
        .r14 = p->has_cmpxchg16b,
        .r15 = p->has_xsave,
    };
    struct kvm_sregs s;

    if (ioctl(p->vcpu_fd, KVM_GET_SREGS, &s) != 0)
        return probe_failed(p, "KVM_GET_SREGS");
    s.cs = code;
    s.ds = s.es = s.fs = s.gs = s.ss = data;
    s.gdt.base = GDT_AT;
    s.gdt.limit = 23;
    s.idt.base = IDT_AT;
    s.idt.limit = 4 * 16 - 1;
    s.cr0 = 0x80010033u; /* PG, WP, NE, ET, MP, PE */
    s.cr3 = PML4_AT;
    s.cr4 = 0x620u | (p->has_xsave ? 0x40000u : 0); /* PAE, OSFXSR, OSXMMEXCPT, OSXSAVE */
    s.efer = 0x500;                                 /* LME, LMA */
    if (ioctl(p->vcpu_fd, KVM_SET_SREGS, &s) != 0)
        return probe_failed(p, "KVM_SET_SREGS");
    if (ioctl(p->vcpu_fd, KVM_SET_REGS, &regs) != 0)
        return probe_failed(p, "KVM_SET_REGS");
    set_xcr0(p);
    return 0;
}

static int make_guest(struct probe *p)
{
    struct kvm_userspace_memory_region slot = {.memory_size = GUEST_BYTES};
    int bytes = ioctl(p->device_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

    p->ram = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p->ram == MAP_FAILED)
        return bp_failf(p->host, p->node, -ENOMEM, "out of memory");
    fill_ram(p);
    slot.userspace_addr = (uintptr_t)p->ram;
    if (ioctl(p->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot) != 0)
        return probe_failed(p, "KVM_SET_USER_MEMORY_REGION");
    p->vcpu_fd = ioctl(p->vm_fd, KVM_CREATE_VCPU, 0);
    if (p->vcpu_fd < 0 || bytes < (int)sizeof(struct kvm_run))
        return probe_failed(p, "KVM_CREATE_VCPU");
    p->run_bytes = (size_t)bytes;
    p->run = mmap(NULL, p->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, p->vcpu_fd, 0);
    if (p->run == MAP_FAILED)
        return bp_failf(p->host, p->node, -ENOMEM, "out of memory");
    return 0;
}

/* ---- running it ----------------------------------------------------------------------------- */

/* Takes the guest's report. `took_ns`: since the one before. */
static void take_step(struct probe *p, int step, uint64_t took_ns)
{
    /* From XSAVE's report to the loop's first are a few instructions and the way in and out; so are
     * the ones from one loop's end to the next one's start. */
    if (step == STEP_LOOP && (p->way_ns == 0 || took_ns < p->way_ns)) {
        p->way_ns = took_ns;
    } else if (step == STEP_LOOP_END) {
        if (!p->loop_measured || took_ns < p->loop_ns)
            p->loop_ns = took_ns;
        p->loop_measured = true;
    }
    p->step = step;
}

static int wrong_end(const struct probe *p, uint32_t reason)
{
    /* An emulator that gives up is what a KVM without hardware below it does. */
    const char *guess =
        reason == KVM_EXIT_INTERNAL_ERROR ? " (this host offers a page-table based KVM)" : "";

    return bp_failf(p->host, p->node, -ENODEV,
                    "%s cannot run a stock kernel: %s in ring 0 ends in %s%s", KVM_DEVICE,
                    step_names[p->step], report_exit_name(reason), guess);
}

static int too_late(const struct probe *p)
{
    return bp_failf(p->host, p->node, -ENODEV,
                    "%s cannot run a stock kernel: %s in ring 0 is not done after %d ms",
                    KVM_DEVICE, step_names[p->step], DEADLINE_MS);
}

static int run_guest(struct probe *p, uint64_t deadline_ns)
{
    for (;;) {
        uint64_t start = now_ns();
        int result = ioctl(p->vcpu_fd, KVM_RUN, 0);
        uint64_t end = now_ns();

        if (end >= deadline_ns)
            return p->loop_measured ? 0 : too_late(p);
        if (result != 0) {
            if (errno == EINTR || errno == EAGAIN)
                continue;
            return bp_failf(p->host, p->node, -ENODEV,
                            "%s cannot run a stock kernel: %s in ring 0 has KVM_RUN fail: %m",
                            KVM_DEVICE, step_names[p->step]);
        }
        if (p->run->exit_reason == KVM_EXIT_IO && p->run->io.direction == KVM_EXIT_IO_OUT) {
            int step = *((uint8_t *)p->run + p->run->io.data_offset);

            if (step == STEP_DONE)
                return 0;
            if (step < STEP_INT3 || step > STEP_DONE) {
                return bp_failf(p->host, p->node, -ENODEV,
                                "%s cannot run a stock kernel: %s in ring 0 gives a wrong result",
                                KVM_DEVICE, step_names[p->step]);
            }
            take_step(p, step, end - start);
        } else if (p->run->exit_reason != KVM_EXIT_INTR) {
            return wrong_end(p, p->run->exit_reason);
        }
    }
}

static int judge_speed(const struct probe *p)
{
    uint64_t guest = p->loop_ns > p->way_ns ? p->loop_ns - p->way_ns : 0;
    uint64_t native = loop_on_host();

    if (guest / native < TOO_SLOW)
        return 0;
    return bp_failf(
        p->host, p->node, -ENODEV,
        "%s runs guest kernel code %llu times slower than the host: %u times is the most that "
        "is taken without asking",
        KVM_DEVICE, (unsigned long long)(guest / native), TOO_SLOW);
}

/* Runs the guest with a timer of this thread's own that fires from the deadline on: again and
 * again, as one that fires between two KVM_RUNs is gone. */
static int run_bounded(struct probe *p)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = kick_signal()};
    struct itimerspec when = {
        .it_value = {.tv_nsec = DEADLINE_MS * 1000000L},
        .it_interval = {.tv_nsec = 10000000L},
    };
    sigset_t kick, before;
    timer_t timer;
    int err;

    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    sigemptyset(&kick);
    sigaddset(&kick, kick_signal());
    pthread_sigmask(SIG_BLOCK, &kick, &before);
    err = kick_let_in(p->vcpu_fd);
    if (err) {
        err = probe_failed(p, "KVM_SET_SIGNAL_MASK");
        goto out;
    }
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) {
        err = probe_failed(p, "timer_create");
        goto out;
    }
    timer_settime(timer, 0, &when, NULL);
    err = run_guest(p, now_ns() + DEADLINE_MS * 1000000ull);
    timer_delete(timer);
    kick_drain();
out:
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

static int probe_run(struct probe *p)
{
    int err = make_guest(p);

    err = err ? err : probe_cpuid(p);
    err = err ? err : set_registers(p);
    err = err ? err : run_bounded(p);
    return err ? err : judge_speed(p);
}

int64_t kvm_probe(const struct bp_host *host, struct bp_node *node)
{
    struct probe p = {.host = host,
                      .node = node,
                      .vm_fd = -1,
                      .vcpu_fd = -1,
                      .ram = MAP_FAILED,
                      .run = MAP_FAILED};
    int err;

    err = p.device_fd = device_open(host, node, KVM_DEVICE);
    if (err < 0)
        return err;
    err = device_check(host, node, KVM_DEVICE, p.device_fd);
    if (!err) {
        err = p.vm_fd = device_create_vm(host, node, KVM_DEVICE, p.device_fd);
        err = err < 0 ? err : probe_run(&p);
    }
    if (p.run != MAP_FAILED)
        munmap(p.run, p.run_bytes);
    if (p.vcpu_fd >= 0)
        close(p.vcpu_fd);
    if (p.vm_fd >= 0)
        close(p.vm_fd);
    if (p.ram != MAP_FAILED)
        munmap(p.ram, GUEST_BYTES);
    close(p.device_fd);
    return err ? err : (int64_t)(BP_CPU_IRQCHIP | BP_CPU_SNAPSHOT);
}
