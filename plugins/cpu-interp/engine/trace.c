/* SPDX-License-Identifier: MIT
 *
 * trace.c - filters, lines, and what changed. See trace.h; docs/trace.md has the format.
 *
 * A vCPU makes its line in memory of its own, and takes the lock to append it. What an instruction
 * changed is found by comparison with a copy from before it. Left out: x87's control, status and
 * tag words, MXCSR, debug and test registers, limits and attributes of segments, descriptor tables.
 */
#include "trace.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode/insn.h"
#include "engine.h"
#include "mmu/tlb.h"
#include "trace_file.h"
#include "trace_names.h"
#include "uop.h"

#define INSN_BYTES 15
#define LINE_BYTES 4096             /* all registers at once take less */
#define FLUSH_NS (200ull * 1000000) /* of guest time: a plain file is read while it grows */

/* Where something happens. */
struct site {
    uint64_t la;
    const char *mode;
    uint8_t cpl;
};

/* What an instruction may change. */
struct registers {
    uint64_t gpr[16], rflags;
    uint64_t cr0, cr2, cr3, cr4, efer, xcr0;
    uint64_t base[6];
    uint16_t selector[SEGS];
    union vreg v[16];
    struct f80 fpr[8];
};

/* One vCPU's. */
struct trace_cpu {
    struct trace *trace;
    uint64_t memory_la; /* trace_at() */
    /* The instruction, and the event, that have begun. */
    bool has_insn, has_event;
    struct site insn_site, event_site;
    uint8_t bytes[INSN_BYTES];
    uint32_t byte_count;
    uint32_t insn_mode; /* MODE_* */
    uint64_t insn_rip;
    struct registers before;
    struct event event;
    uint64_t event_rip;
    uint16_t event_cs;
};

struct trace {
    const struct engine_user *user;
    uint32_t kinds;
    enum trace_privilege privilege;
    uint64_t low, high;
    uint32_t cpus;
    struct trace_cpu **cpu; /* by index; NULL: not traced, or not there yet */
    uint8_t *wanted;        /* by index */
    char *name;
    uint32_t ended; /* atomic: the output failed */
    pthread_mutex_t lock;
    struct trace_file *file; /* with `lock`, as the next */
    uint64_t flushed_ns;
};

/* ---- life ----------------------------------------------------------------------------------- */

static int choose_vcpus(struct trace *t, const struct trace_config *config, char *why,
                        uint32_t why_bytes)
{
    t->cpu = calloc(t->cpus, sizeof(struct trace_cpu *));
    t->wanted = calloc(t->cpus, 1);
    if (!t->cpu || !t->wanted) {
        snprintf(why, why_bytes, "out of memory");
        return -ENOMEM;
    }
    memset(t->wanted, config->vcpu_count == 0, t->cpus);
    for (uint64_t k = 0; k < config->vcpu_count; k++) {
        uint64_t index = config->vcpus[k];
        if (index >= t->cpus) {
            snprintf(why, why_bytes, "there is no vCPU %" PRIu64 " to trace; the last one is %u",
                     index, t->cpus - 1);
            return -EINVAL;
        }
        t->wanted[index] = 1;
    }
    return 0;
}

static int open_output(struct trace *t, const char *path, char *why, uint32_t why_bytes)
{
    int err;

    t->name = strdup(path ? path : "standard error");
    err = t->name ? trace_file_open(path, &t->file) : -ENOMEM;
    if (err == -ENXIO)
        snprintf(why, why_bytes, "the trace cannot go to %s: nobody reads this pipe", path);
    else if (err)
        snprintf(why, why_bytes, "the trace cannot go to %s: %s", path ? path : "standard error",
                 strerror(-err));
    return err;
}

int trace_create(const struct trace_config *config, const struct engine_user *user, uint32_t cpus,
                 struct trace **out, char *why, uint32_t why_bytes)
{
    struct trace *t;
    int err;

    if (config->low > config->high) {
        snprintf(why, why_bytes,
                 "the range of addresses to trace is empty: 0x%" PRIx64 " is above 0x%" PRIx64,
                 config->low, config->high);
        return -EINVAL;
    }
    t = calloc(1, sizeof(*t));
    if (!t) {
        snprintf(why, why_bytes, "out of memory");
        return -ENOMEM;
    }
    t->user = user;
    t->kinds = config->kinds;
    t->privilege = config->privilege;
    t->low = config->low;
    t->high = config->high;
    t->cpus = cpus;
    pthread_mutex_init(&t->lock, NULL);
    err = choose_vcpus(t, config, why, why_bytes);
    if (!err)
        err = open_output(t, config->path, why, why_bytes);
    if (err) {
        trace_destroy(t);
        return err;
    }
    *out = t;
    return 0;
}

/* One line, once. */
static void tell_end(const struct trace *t, int err)
{
    char text[512];

    snprintf(text, sizeof(text), "the trace ends here, and the guest goes on: %.300s: %s", t->name,
             err == -EPIPE       ? "its reader has gone"
             : err == -ETIMEDOUT ? "its reader has stood still for ten seconds"
                                 : strerror(-err));
    t->user->log(t->user->context, BP_LOG_WARN, text);
}

void trace_destroy(struct trace *t)
{
    int err;

    if (!t)
        return;
    err = trace_file_close(t->file);
    if (err && !t->ended)
        tell_end(t, err);
    for (uint32_t k = 0; t->cpu && k < t->cpus; k++)
        free(t->cpu[k]);
    pthread_mutex_destroy(&t->lock);
    free(t->cpu);
    free(t->wanted);
    free(t->name);
    free(t);
}

int trace_attach(struct trace *t, struct cpu *c)
{
    struct trace_cpu *tc;

    if (c->index >= t->cpus || !t->wanted[c->index])
        return 0;
    tc = t->cpu[c->index];
    if (!tc)
        tc = calloc(1, sizeof(*tc));
    if (!tc)
        return -ENOMEM;
    *tc = (struct trace_cpu){.trace = t};
    t->cpu[c->index] = tc;
    c->trace_events = tc;
    c->trace = t->kinds & TRACE_INSN ? tc : NULL;
    return 0;
}

/* ---- filters -------------------------------------------------------------------------------- */

static uint64_t linear(const struct cpu *c, uint64_t rip)
{
    return c->mode & MODE_64 ? rip : (uint32_t)(c->seg[SEG_CS].base + rip);
}

static uint64_t linear_of(const struct cpu *c, const struct uop *u)
{
    return linear(c, u ? uop_rip(c, u) : c->rip);
}

static struct site site_at(const struct cpu *c, uint64_t la)
{
    const char *mode = cpu_v8086(c)        ? "v86"
                       : !cpu_protected(c) ? "real"
                       : c->mode & MODE_64 ? "64"
                       : c->mode & MODE_32 ? "32"
                                           : "16";

    return (struct site){.la = la, .mode = mode, .cpl = c->cpl};
}

static bool passes(const struct trace *t, uint32_t kind, const struct site *s)
{
    if (!(t->kinds & kind) || s->la < t->low || s->la > t->high)
        return false;
    return t->privilege == TRACE_ALL || (t->privilege == TRACE_USER) == (s->cpl == 3);
}

/* ---- lines ---------------------------------------------------------------------------------- */

struct line {
    uint64_t now_ns; /* of its head */
    uint32_t length;
    char text[LINE_BYTES];
};

static void put(struct line *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct line *l, const char *format, ...)
{
    uint32_t room = LINE_BYTES - 1 - l->length;
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(l->text + l->length, room, format, args);
    va_end(args);
    if (n > 0)
        l->length += (uint32_t)n < room ? (uint32_t)n : room - 1;
}

static void put_head(struct line *l, const struct cpu *c, const char *kind, const struct site *s)
{
    const struct trace *t = c->trace_events->trace;

    l->length = 0;
    l->now_ns = t->user->clock_ns(t->user->context);
    put(l, "%s %u %" PRIu64 " %s/%u %016" PRIx64, kind, c->index, l->now_ns, s->mode, s->cpl,
        s->la);
}

/* This vCPU's hooks are not called any more. */
static void stop(struct cpu *c)
{
    c->trace = NULL;
    c->trace_events = NULL;
}

static void finish(struct cpu *c, int err, bool first)
{
    if (!err)
        return;
    if (first)
        tell_end(c->trace_events->trace, err);
    stop(c);
}

static void append(struct cpu *c, struct line *l)
{
    struct trace *t = c->trace_events->trace;
    bool first = false;
    int err;

    l->text[l->length++] = '\n';
    pthread_mutex_lock(&t->lock);
    err = trace_file_write(t->file, l->text, l->length);
    if (!err && l->now_ns - t->flushed_ns >= FLUSH_NS) {
        t->flushed_ns = l->now_ns;
        if (!trace_file_is_compressed(t->file))
            err = trace_file_flush(t->file);
    }
    if (err) {
        first = !t->ended;
        t->ended = 1;
    }
    pthread_mutex_unlock(&t->lock);
    finish(c, err, first);
}

static void flush(struct cpu *c)
{
    struct trace *t = c->trace_events->trace;
    bool first = false;
    int err;

    pthread_mutex_lock(&t->lock);
    err = trace_file_flush(t->file);
    if (err) {
        first = !t->ended;
        t->ended = 1;
    }
    pthread_mutex_unlock(&t->lock);
    finish(c, err, first);
}

/* ---- registers ------------------------------------------------------------------------------ */

static void copy_registers(const struct cpu *c, struct registers *to)
{
    memcpy(to->gpr, c->reg, sizeof(to->gpr));
    to->rflags = cpu_rflags(c);
    to->cr0 = c->cr0;
    to->cr2 = c->cr2;
    to->cr3 = c->cr3;
    to->cr4 = c->cr4;
    to->efer = c->efer;
    to->xcr0 = c->xcr0;
    for (uint32_t k = 0; k < SEGS; k++)
        to->selector[k] = c->seg[k].selector;
    for (uint32_t k = 0; k < 6; k++)
        to->base[k] = c->seg[k].base;
    memcpy(to->v, c->v, sizeof(to->v));
    memcpy(to->fpr, c->fpu.r, sizeof(to->fpr));
}

static void put_change(struct line *l, const char *name, uint64_t before, uint64_t now)
{
    if (before != now)
        put(l, " %s=0x%" PRIx64, name, now);
}

static void put_vectors(struct line *l, const struct cpu *c, const struct registers *was)
{
    for (uint32_t k = 0; k < 16; k++) {
        const uint64_t *old = was->v[k].u64, *now = c->v[k].u64;

        if (old[2] != now[2] || old[3] != now[3])
            put(l, " ymm%u=0x%016" PRIx64 "%016" PRIx64 "%016" PRIx64 "%016" PRIx64, k, now[3],
                now[2], now[1], now[0]);
        else if (old[0] != now[0] || old[1] != now[1])
            put(l, " xmm%u=0x%016" PRIx64 "%016" PRIx64, k, now[1], now[0]);
    }
    for (uint32_t k = 0; k < 8; k++) {
        const struct f80 *old = &was->fpr[k], *now = &c->fpu.r[k];

        if (old->mantissa != now->mantissa || old->sign_exponent != now->sign_exponent)
            put(l, " fpr%u=0x%04x%016" PRIx64, k, now->sign_exponent, now->mantissa);
    }
}

static void put_changes(struct line *l, const struct cpu *c, const struct registers *was)
{
    static const char *const gpr[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                        "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    static const char *const seg[SEGS] = {"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"};
    static const char *const base[6] = {"es.base", "cs.base", "ss.base",
                                        "ds.base", "fs.base", "gs.base"};

    for (uint32_t k = 0; k < 16; k++)
        put_change(l, gpr[k], was->gpr[k], c->reg[k]);
    put_change(l, "rflags", was->rflags, cpu_rflags(c));
    for (uint32_t k = 0; k < SEGS; k++)
        put_change(l, seg[k], was->selector[k], c->seg[k].selector);
    for (uint32_t k = 0; k < 6; k++)
        put_change(l, base[k], was->base[k], c->seg[k].base);
    put_change(l, "cr0", was->cr0, c->cr0);
    put_change(l, "cr2", was->cr2, c->cr2);
    put_change(l, "cr3", was->cr3, c->cr3);
    put_change(l, "cr4", was->cr4, c->cr4);
    put_change(l, "efer", was->efer, c->efer);
    put_change(l, "xcr0", was->xcr0, c->xcr0);
    put_vectors(l, c, was);
}

/* ---- instructions --------------------------------------------------------------------------- */

/* Code at `la`, as far as it is in RAM: devices are not asked. */
static uint32_t read_code(struct cpu *c, uint64_t la, uint8_t *to)
{
    uint32_t done = 0;

    while (done < INSN_BYTES) {
        uint64_t at = c->mode & MODE_64 ? la + done : (uint32_t)(la + done);
        uint32_t room = PAGE_SIZE - (uint32_t)(at & ~PAGE_MASK);
        uint32_t n = INSN_BYTES - done < room ? INSN_BYTES - done : room;
        int64_t gpa = mmu_debug_translate(c, at);
        const struct memory_slot *slot = gpa < 0 ? NULL : memory_slot_at(c->engine, (uint64_t)gpa);

        if (!slot)
            break;
        memcpy(to + done, slot->host + ((uint64_t)gpa - slot->gpa), n);
        done += n;
    }
    return done;
}

void trace_insn_begin(struct cpu *c)
{
    struct trace_cpu *tc = c->trace;

    tc->insn_site = site_at(c, linear(c, c->rip));
    tc->has_insn = passes(tc->trace, TRACE_INSN, &tc->insn_site);
    if (!tc->has_insn)
        return;
    tc->insn_rip = c->rip;
    tc->insn_mode = c->mode & ~MODE_STEP;
    tc->byte_count = read_code(c, tc->insn_site.la, tc->bytes);
    copy_registers(c, &tc->before);
}

static void put_insn(struct line *l, const struct trace_cpu *tc)
{
    char text[160] = "(not in RAM)";
    uint32_t length = tc->byte_count;
    struct insn i;

    if (length) {
        if (insn_decode(tc->bytes, tc->byte_count, tc->insn_mode, &i) == 0)
            length = i.length;
        insn_format(tc->bytes, length, tc->insn_mode, tc->insn_rip, text, sizeof(text));
    }
    put(l, " ");
    for (uint32_t k = 0; k < length; k++)
        put(l, "%02x", tc->bytes[k]);
    put(l, "%s %s", length ? "" : "-", text);
}

void trace_insn_end(struct cpu *c)
{
    struct trace_cpu *tc = c->trace;
    struct line l;
    uint32_t length;

    if (!tc || !tc->has_insn)
        return;
    tc->has_insn = false;
    put_head(&l, c, "insn", &tc->insn_site);
    put_insn(&l, tc);
    put(&l, " ;");
    length = l.length;
    put_changes(&l, c, &tc->before);
    if (l.length == length)
        l.length -= 2;
    append(c, &l);
}

/* ---- events --------------------------------------------------------------------------------- */

/* `to`: where the handler is, or why it is not reached. */
static void put_event(struct cpu *c, const char *to)
{
    struct trace_cpu *tc = c->trace_events;
    const struct event *e = &tc->event;
    const char *name = e->soft ? NULL : exception_name(e->vector);
    struct line l;

    tc->has_event = false;
    put_head(&l, c, "int", &tc->event_site);
    put(&l, " %s vector=0x%02x",
        e->external ? "external"
        : e->soft   ? "soft"
                    : "exception",
        e->vector);
    if (name && (!e->external || e->vector == EXC_NMI))
        put(&l, " %s", name);
    if (e->has_error)
        put(&l, " error=0x%x", e->error);
    if (e->vector == EXC_PF && !e->external && !e->soft)
        put(&l, " cr2=0x%" PRIx64, e->cr2);
    put(&l, " from=0x%x:0x%" PRIx64 " to=%s", tc->event_cs, tc->event_rip, to);
    append(c, &l);
}

void trace_int_begin(struct cpu *c, const struct event *e)
{
    struct trace_cpu *tc = c->trace_events;

    trace_insn_end(c);
    if (c->trace_events && tc->has_event)
        put_event(c, "none");
    if (!c->trace_events)
        return;
    tc->event_site = site_at(c, linear(c, c->rip));
    tc->has_event = passes(tc->trace, TRACE_INT, &tc->event_site);
    tc->event = *e;
    tc->event_rip = c->rip;
    tc->event_cs = c->seg[SEG_CS].selector;
}

void trace_int_end(struct cpu *c)
{
    char to[80];

    if (!c->trace_events->has_event)
        return;
    snprintf(to, sizeof(to), "0x%x:0x%" PRIx64 " rsp=0x%" PRIx64, c->seg[SEG_CS].selector, c->rip,
             c->reg[RSP]);
    put_event(c, to);
}

/* ---- devices, MSRs -------------------------------------------------------------------------- */

static uint64_t sized(uint64_t value, uint32_t bytes)
{
    return bytes >= 8 ? value : value & ((UINT64_C(1) << (8 * bytes)) - 1);
}

void trace_at(struct cpu *c, const struct uop *u)
{
    c->trace_events->memory_la = linear_of(c, u);
}

void trace_mmio(struct cpu *c, bool write, uint64_t gpa, uint64_t value, uint32_t bytes)
{
    const struct trace_cpu *tc = c->trace_events;
    struct site s = site_at(c, tc->memory_la);
    struct line l;

    if (!passes(tc->trace, TRACE_MMIO, &s))
        return;
    put_head(&l, c, "mmio", &s);
    put(&l, " %s gpa=0x%" PRIx64 " width=%u value=0x%" PRIx64, write ? "write" : "read", gpa, bytes,
        sized(value, bytes));
    append(c, &l);
}

void trace_pio(struct cpu *c, const struct uop *u, bool write, uint16_t port, uint32_t value,
               uint32_t bytes)
{
    struct site s = site_at(c, linear_of(c, u));
    struct line l;

    if (!passes(c->trace_events->trace, TRACE_PIO, &s))
        return;
    put_head(&l, c, "pio", &s);
    put(&l, " %s port=0x%x width=%u value=0x%" PRIx64, write ? "out" : "in", port, bytes,
        sized(value, bytes));
    append(c, &l);
}

void trace_msr(struct cpu *c, const struct uop *u, bool write, uint32_t index, uint64_t value,
               bool refused)
{
    struct site s = site_at(c, linear_of(c, u));
    const char *name = msr_name(index);
    struct line l;

    if (!passes(c->trace_events->trace, TRACE_MSR, &s))
        return;
    put_head(&l, c, "msr", &s);
    put(&l, " %s index=0x%x", write ? "write" : "read", index);
    if (name)
        put(&l, " %s", name);
    if (write || !refused)
        put(&l, " value=0x%" PRIx64, value);
    if (refused)
        put(&l, " #GP");
    append(c, &l);
}

void trace_idle(struct cpu *c)
{
    if (!trace_file_is_compressed(c->trace_events->trace->file))
        flush(c);
}

void trace_leave(struct cpu *c)
{
    trace_insn_end(c);
    if (c->trace_events && c->trace_events->has_event)
        put_event(c, c->shutdown ? "shutdown" : "none");
    if (c->trace_events)
        flush(c);
}
