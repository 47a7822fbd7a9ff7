/* SPDX-License-Identifier: MIT
 *
 * native.c - the host's processor, in a child process.
 *
 * Cases are loaded and unloaded by signals: an exception's signal frame holds every register, and
 * returning from the handler loads what the frame holds then. So a case needs no code but its own,
 * and the child goes from one to the next in its signal handler. Registers above AVX stay as they
 * are.
 */
#include "oracle.h"

#include <asm/prctl.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define TICK_US 50000
#define TICKS_TO_HANG 4u
#define STACK_BYTES (256u * 1024)

/* What parent and child share. */
struct shared {
    struct test test[BATCH];
    struct outcome outcome[BATCH];
    uint32_t count, current;
};

struct native {
    struct shared *shared;
    pid_t child;
    int to, from; /* pipes: a byte to start a batch, a byte when it is done */
    bool has_ymm;
};

/* A signal handler has no context argument: this is the child's only state. */
static struct {
    struct shared *shared;
    uint8_t *code; /* the code pages, where they can be written */
    uint32_t ticks, tick_case;
    bool ymm;
    sigjmp_buf done;
} child;

/* ---- the child ------------------------------------------------------------------------------ */

/* The order of struct sigcontext's registers, as ours. */
static const int greg_of[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                REG_R12, REG_R13, REG_R14, REG_R15};

#define XSTATE_HEADER 512
#define XSTATE_YMM 576
#define SOFTWARE_BYTES 464 /* SDM leaves them to software: Linux puts what the frame holds */
#define SOFTWARE_MAGIC 0x46505853u

static uint64_t frame_features(const uint8_t *area)
{
    uint32_t magic;
    uint64_t features;

    memcpy(&magic, area + SOFTWARE_BYTES, 4);
    if (magic != SOFTWARE_MAGIC)
        return 3;
    memcpy(&features, area + SOFTWARE_BYTES + 8, 8);
    return features;
}

static void put_code(const struct test *t, bool there)
{
    uint32_t n = CODE_BYTES - t->at;

    if (n > t->bytes)
        n = t->bytes;
    if (there)
        memcpy(child.code + t->at, t->code, n);
    else
        memset(child.code + t->at, 0xcc, n);
}

static void set_read_only(const struct test *t)
{
    /* The read-only page is written through another mapping, once a case. */
    memcpy(child.code + CODE_BYTES + WRITABLE_BYTES, t->memory + WRITABLE_BYTES,
           DATA_BYTES - WRITABLE_BYTES);
}

static void load(const struct test *t, ucontext_t *uc)
{
    uint8_t *area = (uint8_t *)uc->uc_mcontext.fpregs;
    greg_t *gregs = uc->uc_mcontext.gregs;

    put_code(t, true);
    memcpy((void *)(uintptr_t)DATA_AT, t->memory, WRITABLE_BYTES);
    set_read_only(t);
    for (uint32_t i = 0; i < 16; i++)
        gregs[greg_of[i]] = (greg_t)t->in.gpr[i];
    gregs[REG_RIP] = (greg_t)t->in.rip;
    gregs[REG_EFL] = (greg_t)t->in.rflags;
    memcpy(area, t->in.fx, FX_MXCSR + 4);
    memcpy(area + FX_ST, t->in.fx + FX_ST, FX_BYTES - FX_ST);
    if (frame_features(area) != 3) {
        uint64_t present;
        memcpy(&present, area + XSTATE_HEADER, 8);
        present |= child.ymm ? 7 : 3;
        memcpy(area + XSTATE_HEADER, &present, 8);
        if (child.ymm)
            memcpy(area + XSTATE_YMM, t->in.high, sizeof(t->in.high));
    }
}

static void unload(const struct test *t, struct outcome *o, ucontext_t *uc, uint32_t vector)
{
    const uint8_t *area = (const uint8_t *)uc->uc_mcontext.fpregs;
    const greg_t *gregs = uc->uc_mcontext.gregs;
    uint64_t features = frame_features(area), present = features;

    for (uint32_t i = 0; i < 16; i++)
        o->s.gpr[i] = (uint64_t)gregs[greg_of[i]];
    o->s.rip = (uint64_t)gregs[REG_RIP];
    o->s.rflags = (uint64_t)gregs[REG_EFL];
    o->vector = vector;
    o->error = vector == 14 || vector == 13 || vector == 12 || vector == 17 || vector == 11
                   ? (uint32_t)gregs[REG_ERR]
                   : 0;
    o->cr2 = vector == 14 ? (uint64_t)gregs[REG_CR2] : 0;
    memcpy(o->s.fx, area, FX_BYTES);
    if (features != 3)
        memcpy(&present, area + XSTATE_HEADER, 8);
    if (child.ymm && present & 4)
        memcpy(o->s.high, area + XSTATE_YMM, sizeof(o->s.high));
    else
        memset(o->s.high, 0, sizeof(o->s.high));
    memcpy(o->memory, (const void *)(uintptr_t)DATA_AT, WRITABLE_BYTES);
    put_code(t, false);
}

static void next_case(ucontext_t *uc)
{
    struct shared *s = child.shared;

    child.ticks = 0;
    if (s->current == s->count)
        siglongjmp(child.done, 1);
    load(&s->test[s->current], uc);
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    struct shared *s = child.shared;
    uint32_t vector = VECTOR_HANG;

    (void)info;
    if (signal == SIGUSR1) {
        child.ymm = (frame_features((const uint8_t *)uc->uc_mcontext.fpregs) & 4) != 0;
        next_case(uc);
        return;
    }
    if (signal == SIGALRM) {
        if (s->current == s->count || ++child.ticks < TICKS_TO_HANG)
            return;
    } else {
        vector = (uint32_t)uc->uc_mcontext.gregs[REG_TRAPNO];
    }
    unload(&s->test[s->current], &s->outcome[s->current], uc, vector);
    s->current++;
    next_case(uc);
}

/* One file of memory, seen twice: as cases see it, and as the child writes it. */
static bool map_memory(void)
{
    /* Populated: a fault on a page that Linux has not yet mapped would look like a missing one. */
    const int fixed = MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE;
    int fd = memfd_create("oracle", MFD_CLOEXEC);
    uint8_t *code = (uint8_t *)(uintptr_t)CODE_AT, *data = (uint8_t *)(uintptr_t)DATA_AT;

    if (fd < 0 || ftruncate(fd, CODE_BYTES + DATA_BYTES) < 0)
        return false;
    child.code = mmap(NULL, CODE_BYTES + DATA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (child.code == MAP_FAILED)
        return false;
    memset(child.code, 0xcc, CODE_BYTES);
    return mmap(code, CODE_BYTES, PROT_READ | PROT_EXEC, fixed, fd, 0) == code &&
           mmap(data, WRITABLE_BYTES, PROT_READ | PROT_WRITE, fixed, fd, CODE_BYTES) == data &&
           mmap(data + WRITABLE_BYTES, DATA_BYTES - WRITABLE_BYTES, PROT_READ, fixed, fd,
                CODE_BYTES + WRITABLE_BYTES) == data + WRITABLE_BYTES;
}

static bool prepare(struct shared *s)
{
    static const int signals[] = {SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGBUS, SIGALRM, SIGUSR1};
    const struct itimerval tick = {{0, TICK_US}, {0, TICK_US}};
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    stack_t stack = {.ss_size = STACK_BYTES};

    child.shared = s;
    stack.ss_sp =
        mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL) < 0 || !map_memory())
        return false;
    if (syscall(SYS_arch_prctl, ARCH_SET_GS, (unsigned long)GS_BASE) < 0)
        return false;
    (void)sigfillset(&action.sa_mask);
    for (uint32_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        if (sigaction(signals[i], &action, NULL) < 0)
            return false;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    return setitimer(ITIMER_REAL, &tick, NULL) == 0;
}

static _Noreturn void child_main(struct shared *s, int in, int out)
{
    char byte = 0;
    ssize_t n;

    if (!prepare(s))
        _exit(1);
    for (;;) {
        do
            n = read(in, &byte, 1);
        while (n < 0 && errno == EINTR);
        if (n != 1)
            _exit(0);
        if (sigsetjmp(child.done, 1) == 0)
            (void)raise(SIGUSR1);
        do
            n = write(out, &byte, 1);
        while (n < 0 && errno == EINTR);
        if (n != 1)
            _exit(0);
    }
}

/* ---- the parent ----------------------------------------------------------------------------- */

static int start(struct native *n)
{
    int to[2], from[2];

    if (pipe2(to, 0) < 0)
        return -errno;
    if (pipe2(from, 0) < 0) {
        int err = -errno;
        (void)close(to[0]);
        (void)close(to[1]);
        return err;
    }
    n->child = fork();
    if (n->child == 0) {
        (void)close(to[1]);
        (void)close(from[0]);
        child_main(n->shared, to[0], from[1]);
    }
    (void)close(to[0]);
    (void)close(from[1]);
    n->to = to[1];
    n->from = from[0];
    return n->child < 0 ? -EAGAIN : 0;
}

static void stop(struct native *n)
{
    (void)close(n->to);
    (void)close(n->from);
    if (n->child > 0)
        (void)waitpid(n->child, NULL, 0);
}

struct native *native_create(void)
{
    struct native *n = calloc(1, sizeof(*n));

    if (!n)
        return NULL;
    n->shared =
        mmap(NULL, sizeof(*n->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (n->shared == MAP_FAILED || start(n) < 0) {
        free(n);
        return NULL;
    }
    n->has_ymm = __builtin_cpu_supports("avx") != 0;
    return n;
}

void native_destroy(struct native *n)
{
    stop(n);
    (void)munmap(n->shared, sizeof(*n->shared));
    free(n);
}

struct test *native_tests(struct native *n)
{
    return n->shared->test;
}

struct outcome *native_outcomes(struct native *n)
{
    return n->shared->outcome;
}

bool native_has_ymm(const struct native *n)
{
    return n->has_ymm;
}

int native_run(struct native *n, uint32_t count)
{
    n->shared->count = count;
    n->shared->current = 0;
    while (n->shared->current < count) {
        char byte = 0;
        ssize_t got = -1;
        if (write(n->to, &byte, 1) == 1)
            do
                got = read(n->from, &byte, 1);
            while (got < 0 && errno == EINTR);
        if (got == 1)
            continue;
        /* The case has killed it. */
        n->shared->outcome[n->shared->current].vector = VECTOR_LOST;
        n->shared->current++;
        stop(n);
        if (start(n) < 0)
            return -EIO;
    }
    return 0;
}
