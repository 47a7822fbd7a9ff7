/* SPDX-License-Identifier: MIT
 *
 * guest.c - the engine's side: the test bench with the memory of a process around a case.
 *
 * What is the engine's own (descriptor tables, handlers) is mapped for the supervisor alone, and
 * all else but the case's pages is not there.
 */
#include "oracle.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* Of <sys/ucontext.h>: the engine has another. */
#undef REG_RIP

#include "bench.h"
#include "decode/features.h"
#include "mmu/tlb.h"

#define ENTRY_P 1u
#define ENTRY_W 2u
#define ENTRY_U 4u
#define ENTRY_NX (1ull << 63)
#define TICKS_TO_HANG 20u

struct guest {
    struct bench *bench;
    struct segment segment[SEGS]; /* of a process */
    uint32_t placed_at, placed;   /* the code that is in memory, from CODE_AT */
};

/* The watchdog's and the crash handler's: they have no context argument. */
static struct {
    struct cpu *cpu;
    const struct test *running;
    volatile sig_atomic_t ticks, hung;
} watched;

/* ---- watching ----------------------------------------------------------------------------- */

static void on_tick(int signal)
{
    (void)signal;
    if (!watched.running) {
        watched.ticks = 0;
        return;
    }
    watched.ticks = watched.ticks + 1;
    if ((uint32_t)watched.ticks >= TICKS_TO_HANG) {
        watched.hung = 1;
        cpu_pend(watched.cpu, PEND_KICK);
    }
}

/* Says which case the engine has died of. */
static void on_crash(int signal)
{
    static const char digits[] = "0123456789abcdef";
    const struct test *t = watched.running;
    char line[64 + 2 * CASE_BYTES] = "the engine has crashed on: ";
    size_t n = strlen(line);

    for (uint32_t i = 0; t && i < t->bytes; i++) {
        line[n++] = digits[t->code[i] >> 4];
        line[n++] = digits[t->code[i] & 15];
    }
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, n) < 0)
        _exit(3);
    (void)raise(signal); /* SA_RESETHAND */
}

static void watch(struct cpu *c)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    const struct itimerval tick = {{0, 100000}, {0, 100000}};
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};

    watched.cpu = c;
    (void)sigaction(SIGALRM, &action, NULL);
    action.sa_handler = on_crash;
    action.sa_flags = (int)(SA_RESETHAND | SA_NODEFER);
    for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
        (void)sigaction(crashes[i], &action, NULL);
    (void)setitimer(ITIMER_REAL, &tick, NULL);
}

/* ---- memory ------------------------------------------------------------------------------- */

static void map_pages(struct bench *b)
{
    const uint64_t beyond = BENCH_TABLES + 2 * PAGE_SIZE + (BENCH_RAM_BYTES >> 21) * 8;

    /* Of the page directories nothing is left but what maps RAM. */
    memset(b->ram + beyond, 0, BENCH_TABLES + 6 * PAGE_SIZE - beyond);
    for (uint64_t la = 0; la < BENCH_RAM_BYTES; la += PAGE_SIZE) {
        uint64_t entry = 0, at = BENCH_TABLES + 6 * PAGE_SIZE + (la >> 12) * 8;
        if (la < 0x20000)
            entry = la | ENTRY_P | ENTRY_W;
        else if (la >= CODE_AT && la < CODE_AT + CODE_BYTES)
            entry = la | ENTRY_P | ENTRY_U;
        else if (la >= DATA_AT && la < DATA_AT + WRITABLE_BYTES)
            entry = la | ENTRY_P | ENTRY_W | ENTRY_U | ENTRY_NX;
        else if (la >= DATA_AT + WRITABLE_BYTES && la < DATA_AT + DATA_BYTES)
            entry = la | ENTRY_P | ENTRY_U | ENTRY_NX;
        memcpy(b->ram + at, &entry, 8);
    }
    tlb_flush(b->cpu[0]);
}

static void close_gates(struct bench *b)
{
    for (uint64_t i = 0x80; i < 256; i++)
        b->ram[BENCH_IDT + i * 16 + 5] &= 0x9f;
}

static void place(struct guest *g, const struct test *t)
{
    struct bench *b = g->bench;
    uint32_t n = CODE_BYTES - t->at;

    if (n > t->bytes)
        n = t->bytes;
    if (g->placed == n && g->placed_at == t->at &&
        memcmp(b->ram + CODE_AT + t->at, t->code, n) == 0)
        return;
    if (g->placed) {
        memset(b->ram + CODE_AT + g->placed_at, 0xcc, g->placed);
        engine_code_changed(b->engine, CODE_AT + g->placed_at, g->placed);
    }
    bench_write(b, CODE_AT + t->at, t->code, n);
    g->placed = n;
    g->placed_at = t->at;
}

/* ---- state -------------------------------------------------------------------------------- */

static void load(struct guest *g, const struct test *t)
{
    struct bench *b = g->bench;
    struct cpu *c = b->cpu[0];
    uint8_t image[512] = {0};

    memcpy(c->seg, g->segment, sizeof(c->seg));
    c->cpl = 3;
    cpu_rflags_set(c, t->in.rflags);
    cpu_mode_changed(c);
    memcpy(c->reg, t->in.gpr, sizeof(t->in.gpr));
    memcpy(image, t->in.fx, FX_BYTES);
    memset(image + 6, 0, 18); /* FOP, FIP, FDP */
    if (fpu_image_set(c, image) != 0)
        abort();
    for (uint32_t i = 0; i < 16; i++)
        memcpy(c->v[i].u8 + 16, t->in.high + 16 * i, 16);
}

static void unload(struct guest *g, int vector, struct outcome *o)
{
    struct bench *b = g->bench;
    struct cpu *c = b->cpu[0];
    uint8_t image[512] = {0};

    *o = (struct outcome){.vector = VECTOR_LOST};
    memcpy(o->s.gpr, c->reg, sizeof(o->s.gpr));
    if (vector >= 0) {
        struct bench_frame frame = bench_frame_get(b, 0, vector);
        o->vector = (uint32_t)vector;
        o->error = frame.has_error ? frame.error : 0;
        o->s.rip = frame.rip;
        o->s.rflags = frame.rflags;
        o->s.gpr[RSP] = frame.rsp;
        o->cr2 = vector == EXC_PF ? c->cr2 : 0;
    }
    fpu_image_get(c, image);
    memcpy(o->s.fx, image, FX_BYTES);
    for (uint32_t i = 0; i < 16; i++)
        memcpy(o->s.high + 16 * i, c->v[i].u8 + 16, 16);
    memcpy(o->memory, b->ram + DATA_AT, WRITABLE_BYTES);
}

void guest_run(struct guest *g, const struct test *t, struct outcome *out)
{
    struct bench *b = g->bench;
    int vector;

    place(g, t);
    memcpy(b->ram + DATA_AT, t->memory, DATA_BYTES);
    load(g, t);
    watched.ticks = 0;
    watched.hung = 0;
    watched.running = t;
    vector = bench_go(b, 0, t->in.rip);
    watched.running = NULL;
    unload(g, vector, out);
    if (vector >= 0)
        return;
    /* It has shut down, or was kicked out of a loop: nothing to go on with. */
    if (watched.hung)
        out->vector = VECTOR_HANG;
    (void)bench_mode(b, 0, BENCH_USER);
    map_pages(b);
    close_gates(b);
}

/* ---- life --------------------------------------------------------------------------------- */

struct guest *guest_create(void)
{
    struct guest *g = calloc(1, sizeof(*g));
    struct cpu *c;

    if (!g)
        return NULL;
    g->bench = bench_create(1);
    c = bench_mode(g->bench, 0, BENCH_USER);
    map_pages(g->bench);
    close_gates(g->bench);
    memset(g->bench->ram + CODE_AT, 0xcc, CODE_BYTES);
    memcpy(g->segment, c->seg, sizeof(g->segment));
    for (uint32_t i = SEG_DS; i <= SEG_GS; i++)
        g->segment[i] = (struct segment){0};
    g->segment[SEG_ES] = (struct segment){0};
    g->segment[SEG_GS].base = GS_BASE;
    watch(c);
    return g;
}

void guest_destroy(struct guest *g)
{
    const struct itimerval off = {{0, 0}, {0, 0}};

    (void)setitimer(ITIMER_REAL, &off, NULL);
    bench_destroy(g->bench);
    free(g);
}
