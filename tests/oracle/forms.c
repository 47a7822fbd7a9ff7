/* SPDX-License-Identifier: MIT
 *
 * forms.c - every form of every instruction, found by asking Zydis about all opcodes with all
 * prefixes, and random encodings of each.
 *
 * Left out: what no process may try without harm to itself (segment registers, SYSCALL, WRPKRU),
 * what has no one answer (RDTSC, RDRAND, CPUID, selectors), EVEX and XOP, far transfers.
 */
#include "oracle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLE 16384u

/* ---- what is left out ----------------------------------------------------------------------- */

static bool mnemonic_left_out(ZydisMnemonic m)
{
    switch (m) {
    case ZYDIS_MNEMONIC_SYSCALL: /* into the host's kernel, or the hypervisor below it */
    case ZYDIS_MNEMONIC_SYSENTER:
    case ZYDIS_MNEMONIC_VMCALL:
    case ZYDIS_MNEMONIC_VMMCALL:
    case ZYDIS_MNEMONIC_VMFUNC:
    case ZYDIS_MNEMONIC_GETSEC:
    case ZYDIS_MNEMONIC_ENCLU:
    case ZYDIS_MNEMONIC_RDTSC: /* an answer of the machine's */
    case ZYDIS_MNEMONIC_RDTSCP:
    case ZYDIS_MNEMONIC_RDPMC:
    case ZYDIS_MNEMONIC_RDPID:
    case ZYDIS_MNEMONIC_RDPRU:
    case ZYDIS_MNEMONIC_RDRAND:
    case ZYDIS_MNEMONIC_RDSEED:
    case ZYDIS_MNEMONIC_CPUID:
    case ZYDIS_MNEMONIC_XGETBV:
    case ZYDIS_MNEMONIC_RDPKRU:
    case ZYDIS_MNEMONIC_WRPKRU:
    case ZYDIS_MNEMONIC_SGDT: /* user-mode instruction prevention, emulated by Linux */
    case ZYDIS_MNEMONIC_SIDT:
    case ZYDIS_MNEMONIC_SLDT:
    case ZYDIS_MNEMONIC_SMSW:
    case ZYDIS_MNEMONIC_STR:
    case ZYDIS_MNEMONIC_VERR: /* of descriptor tables */
    case ZYDIS_MNEMONIC_VERW:
    case ZYDIS_MNEMONIC_LAR:
    case ZYDIS_MNEMONIC_LSL:
    case ZYDIS_MNEMONIC_LSS:
    case ZYDIS_MNEMONIC_LFS:
    case ZYDIS_MNEMONIC_LGS:
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
    case ZYDIS_MNEMONIC_RDFSBASE: /* the C library's thread pointer */
    case ZYDIS_MNEMONIC_WRFSBASE:
    case ZYDIS_MNEMONIC_RDGSBASE:
    case ZYDIS_MNEMONIC_WRGSBASE:
    case ZYDIS_MNEMONIC_INT1: /* #DB, which the host's debugger may want */
    case ZYDIS_MNEMONIC_MONITOR:
    case ZYDIS_MNEMONIC_MWAIT:
        return true;
    default:
        return false;
    }
}

static bool extension_left_out(ZydisISAExt x)
{
    switch (x) {
    case ZYDIS_ISA_EXT_AVX2GATHER: /* vector SIB */
    case ZYDIS_ISA_EXT_AVX512EVEX:
    case ZYDIS_ISA_EXT_AVX512VEX:
    case ZYDIS_ISA_EXT_AMX_BF16:
    case ZYDIS_ISA_EXT_AMX_INT8:
    case ZYDIS_ISA_EXT_AMX_TILE:
    case ZYDIS_ISA_EXT_AMD3DNOW:
    case ZYDIS_ISA_EXT_AMD_INVLPGB:
    case ZYDIS_ISA_EXT_AVX_VNNI:
    case ZYDIS_ISA_EXT_CET:
    case ZYDIS_ISA_EXT_CLDEMOTE:
    case ZYDIS_ISA_EXT_CLZERO:
    case ZYDIS_ISA_EXT_ENQCMD:
    case ZYDIS_ISA_EXT_FMA4:
    case ZYDIS_ISA_EXT_HRESET:
    case ZYDIS_ISA_EXT_KEYLOCKER:
    case ZYDIS_ISA_EXT_KEYLOCKER_WIDE:
    case ZYDIS_ISA_EXT_KNC:
    case ZYDIS_ISA_EXT_KNCE:
    case ZYDIS_ISA_EXT_KNCV:
    case ZYDIS_ISA_EXT_MCOMMIT:
    case ZYDIS_ISA_EXT_MONITORX:
    case ZYDIS_ISA_EXT_MOVDIR:
    case ZYDIS_ISA_EXT_MPX:
    case ZYDIS_ISA_EXT_PADLOCK:
    case ZYDIS_ISA_EXT_PCONFIG:
    case ZYDIS_ISA_EXT_PT:
    case ZYDIS_ISA_EXT_RTM:
    case ZYDIS_ISA_EXT_SGX:
    case ZYDIS_ISA_EXT_SGX_ENCLV:
    case ZYDIS_ISA_EXT_SMX:
    case ZYDIS_ISA_EXT_SNP:
    case ZYDIS_ISA_EXT_SSE4A:
    case ZYDIS_ISA_EXT_SVM:
    case ZYDIS_ISA_EXT_TBM:
    case ZYDIS_ISA_EXT_TDX:
    case ZYDIS_ISA_EXT_TSX_LDTRK:
    case ZYDIS_ISA_EXT_UINTR:
    case ZYDIS_ISA_EXT_VMFUNC:
    case ZYDIS_ISA_EXT_VTX:
    case ZYDIS_ISA_EXT_WAITPKG:
    case ZYDIS_ISA_EXT_XOP:
    case ZYDIS_ISA_EXT_XSAVE: /* the host's components differ from the guest's */
    case ZYDIS_ISA_EXT_XSAVEC:
    case ZYDIS_ISA_EXT_XSAVEOPT:
    case ZYDIS_ISA_EXT_XSAVES:
        return true;
    default:
        return false;
    }
}

static bool left_out(const struct decoded *d)
{
    if (mnemonic_left_out(d->insn.mnemonic) || extension_left_out(d->insn.meta.isa_ext))
        return true;
    if (d->insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY &&
        d->insn.encoding != ZYDIS_INSTRUCTION_ENCODING_VEX)
        return true;
    if (d->insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
        return true;
    for (uint32_t i = 0; i < d->insn.operand_count; i++) {
        const ZydisDecodedOperand *o = &d->op[i];
        if (o->type == ZYDIS_OPERAND_TYPE_REGISTER &&
            ZydisRegisterGetClass(o->reg.value) == ZYDIS_REGCLASS_SEGMENT &&
            o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
            return true;
        if (o->type == ZYDIS_OPERAND_TYPE_MEMORY && o->mem.segment == ZYDIS_REGISTER_FS)
            return true;
        if (o->type == ZYDIS_OPERAND_TYPE_POINTER)
            return true;
    }
    /* INT 80h is a system call. */
    if (d->insn.mnemonic == ZYDIS_MNEMONIC_INT && d->op[0].imm.value.u == 0x80)
        return true;
    /* Nested frames copy any number of pointers. */
    return d->insn.mnemonic == ZYDIS_MNEMONIC_ENTER &&
           (d->op[1].imm.value.u != 0 || d->op[0].imm.value.u > 256);
}

/* ---- keys and names ------------------------------------------------------------------------- */

enum { CODE_MEMORY = 28, CODE_ADDRESS, CODE_IMMEDIATE, CODE_RELATIVE };

static uint32_t size_code(uint32_t bits)
{
    switch (bits) {
    case 0:
        return 0;
    case 8:
        return 1;
    case 16:
        return 2;
    case 32:
        return 3;
    case 48:
        return 4;
    case 64:
        return 5;
    case 80:
        return 6;
    case 128:
        return 7;
    case 256:
        return 8;
    default:
        return 15;
    }
}

static uint32_t operand_code(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *o)
{
    uint32_t kind = 0;

    switch (o->type) {
    case ZYDIS_OPERAND_TYPE_REGISTER:
        kind = (uint32_t)ZydisRegisterGetClass(o->reg.value);
        break;
    case ZYDIS_OPERAND_TYPE_MEMORY:
        kind = o->mem.type == ZYDIS_MEMOP_TYPE_AGEN ? CODE_ADDRESS : CODE_MEMORY;
        break;
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
        kind = o->imm.is_relative ? CODE_RELATIVE : CODE_IMMEDIATE;
        break;
    default:
        break;
    }
    (void)insn;
    return kind << 5 | size_code(o->size) << 1 |
           (o->visibility == ZYDIS_OPERAND_VISIBILITY_IMPLICIT);
}

static uint32_t repeat_code(const ZydisDecodedInstruction *insn)
{
    if (insn->attributes & ZYDIS_ATTRIB_HAS_LOCK)
        return 1;
    if (insn->attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE))
        return 2;
    if (insn->attributes & ZYDIS_ATTRIB_HAS_REPNE)
        return 3;
    return 0;
}

static uint64_t key_of(const struct decoded *d)
{
    uint64_t key = (uint64_t)d->insn.mnemonic | (uint64_t)repeat_code(&d->insn) << 12;

    for (uint32_t i = 0; i < d->insn.operand_count_visible && i < 5; i++)
        key |= (uint64_t)operand_code(&d->insn, &d->op[i]) << (14 + 10 * i);
    return key;
}

static uint32_t operand_name(const ZydisDecodedOperand *o, char *to, uint32_t size)
{
    int n = 0;

    switch (o->type) {
    case ZYDIS_OPERAND_TYPE_REGISTER: {
        ZydisRegisterClass class = ZydisRegisterGetClass(o->reg.value);
        if (o->visibility == ZYDIS_OPERAND_VISIBILITY_IMPLICIT)
            n = snprintf(to, size, "%s", ZydisRegisterGetString(o->reg.value));
        else if (class >= ZYDIS_REGCLASS_GPR8 && class <= ZYDIS_REGCLASS_GPR64)
            n = snprintf(to, size, "r%u", o->size);
        else if (class == ZYDIS_REGCLASS_X87)
            n = snprintf(to, size, "st");
        else if (class == ZYDIS_REGCLASS_MMX)
            n = snprintf(to, size, "mm");
        else if (class == ZYDIS_REGCLASS_XMM)
            n = snprintf(to, size, "xmm");
        else if (class == ZYDIS_REGCLASS_YMM)
            n = snprintf(to, size, "ymm");
        else if (class == ZYDIS_REGCLASS_SEGMENT)
            n = snprintf(to, size, "sreg");
        else if (class == ZYDIS_REGCLASS_CONTROL)
            n = snprintf(to, size, "cr");
        else
            n = snprintf(to, size, "dr");
        break;
    }
    case ZYDIS_OPERAND_TYPE_MEMORY:
        if (o->mem.type == ZYDIS_MEMOP_TYPE_AGEN || o->size == 0)
            n = snprintf(to, size, "m");
        else
            n = snprintf(to, size, "m%u", o->size);
        break;
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
        if (o->visibility == ZYDIS_OPERAND_VISIBILITY_IMPLICIT)
            n = snprintf(to, size, "1");
        else
            n = snprintf(to, size, "%s%u", o->imm.is_relative ? "rel" : "i", o->size);
        break;
    default:
        n = snprintf(to, size, "?");
        break;
    }
    return n < 0 ? 0 : (uint32_t)n;
}

static void name_form(struct form *form, const struct decoded *d)
{
    static const char *const repeats[] = {"", "lock ", "rep ", "repne "};
    const char *mnemonic = ZydisMnemonicGetString(d->insn.mnemonic);
    uint32_t at;

    (void)snprintf(form->mnemonic, sizeof(form->mnemonic), "%s", mnemonic);
    at = (uint32_t)snprintf(form->name, sizeof(form->name), "%s%s", repeats[repeat_code(&d->insn)],
                            mnemonic);
    for (uint32_t i = 0; i < d->insn.operand_count_visible && at < sizeof(form->name) - 12; i++) {
        at += (uint32_t)snprintf(form->name + at, sizeof(form->name) - at, i ? ", " : " ");
        at += operand_name(&d->op[i], form->name + at, (uint32_t)sizeof(form->name) - at);
    }
}

/* ---- the table ------------------------------------------------------------------------------ */

static uint32_t slot_of(const struct forms *f, uint64_t key)
{
    uint32_t i = (uint32_t)((key * 0x9e3779b97f4a7c15u) >> 50) & (TABLE - 1);

    while (f->table[i] && f->form[f->table[i] - 1].key != key)
        i = (i + 1) & (TABLE - 1);
    return i;
}

bool forms_decode(const struct forms *f, const uint8_t *code, uint32_t bytes, struct decoded *out)
{
    return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&f->decoder, code, bytes, &out->insn, out->op));
}

struct form *forms_of(const struct forms *f, const struct decoded *d)
{
    uint32_t slot;

    if (left_out(d))
        return NULL;
    slot = f->table[slot_of(f, key_of(d))];
    return slot ? &f->form[slot - 1] : NULL;
}

static int note(struct forms *f, struct random *r, const struct decoded *d,
                const struct encoding *e)
{
    uint64_t key = key_of(d);
    uint32_t slot = slot_of(f, key);
    struct form *form;

    if (!f->table[slot]) {
        if (f->count == f->capacity) {
            uint32_t capacity = f->capacity ? f->capacity * 2 : 1024;
            form = realloc(f->form, capacity * sizeof(*form));
            if (!form)
                return -ENOMEM;
            f->form = form;
            if (capacity > TABLE)
                return -ENOMEM;
            f->capacity = capacity;
        }
        form = &f->form[f->count];
        memset(form, 0, sizeof(*form));
        form->key = key;
        name_form(form, d);
        f->table[slot] = ++f->count;
    }
    form = &f->form[f->table[slot] - 1];
    form->seen++;
    /* Each of those found stays with the same probability. */
    if (form->count < ENCODINGS)
        form->encodings[form->count++] = *e;
    else if (random_below(r, form->seen) < ENCODINGS)
        form->encodings[random_below(r, ENCODINGS)] = *e;
    return 0;
}

/* ---- encoding ------------------------------------------------------------------------------- */

struct choice {
    uint8_t rex;    /* R, X, B as bits 2, 1, 0 */
    bool bare_rex;  /* REX though it says nothing */
    bool short_vex; /* two bytes if possible */
    uint8_t vvvv;
    uint8_t extra; /* another prefix, 0: none */
    uint8_t modrm, sib;
    uint8_t tail[8]; /* displacement and immediate */
    uint32_t disp;   /* bytes of displacement */
    uint8_t displacement[4];
};

static uint32_t put_vex(const struct encoding *e, const struct choice *c, uint8_t *code)
{
    static const uint8_t prefixes[] = {0, 0x66, 0xf3, 0xf2};
    uint8_t pp = 0, low;

    for (uint8_t i = 0; i < 4; i++)
        if (prefixes[i] == e->prefix)
            pp = i;
    low = (uint8_t)((~c->vvvv & 15) << 3 | e->l << 2 | pp);
    if (c->short_vex && e->map == 1 && !e->w && !(c->rex & 3)) {
        code[0] = 0xc5;
        code[1] = (uint8_t)((c->rex & 4 ? 0 : 0x80) | low);
        return 2;
    }
    code[0] = 0xc4;
    code[1] = (uint8_t)((~c->rex & 7) << 5 | e->map);
    code[2] = (uint8_t)(e->w << 7 | low);
    return 3;
}

static uint32_t put_legacy(const struct encoding *e, const struct choice *c, uint8_t *code)
{
    uint32_t n = 0;
    uint8_t rex = (uint8_t)(0x40 | e->w << 3 | c->rex);

    if (e->lock)
        code[n++] = 0xf0;
    if (e->prefix)
        code[n++] = e->prefix;
    if (rex != 0x40 || c->bare_rex)
        code[n++] = rex;
    if (e->map)
        code[n++] = 0x0f;
    if (e->map > 1)
        code[n++] = e->map == 2 ? 0x38 : 0x3a;
    return n;
}

/* At most 23 bytes, which is more than an instruction may have: the rest are spare. */
static uint32_t put(const struct encoding *e, const struct choice *c, uint8_t code[32])
{
    uint32_t n = 0;

    if (c->extra)
        code[n++] = c->extra;
    n += e->vex ? put_vex(e, c, code + n) : put_legacy(e, c, code + n);
    code[n++] = e->opcode;
    if (!e->plain) {
        code[n++] = c->modrm;
        if ((c->modrm & 0xc0) != 0xc0 && (c->modrm & 7) == 4)
            code[n++] = c->sib;
        memcpy(code + n, c->displacement, c->disp);
        n += c->disp;
    }
    memcpy(code + n, c->tail, 8);
    return n + 8;
}

/* ---- finding -------------------------------------------------------------------------------- */

static bool is_prefix(uint8_t byte)
{
    return byte == 0x26 || byte == 0x2e || byte == 0x36 || byte == 0x3e || byte == 0x66 ||
           byte == 0x67 || (byte >= 0x64 && byte <= 0x65) || (byte & 0xf0) == 0x40 ||
           byte == 0xf0 || byte == 0xf2 || byte == 0xf3 || byte == 0x62 || byte == 0xc4 ||
           byte == 0xc5;
}

/* All ModRM bytes with registers, and those with [rbx]. */
static int find_opcode(struct forms *f, struct random *r, struct encoding *e)
{
    for (uint32_t modrm = 0; modrm < 256; modrm++) {
        struct choice c = {.modrm = (uint8_t)modrm};
        uint8_t code[32] = {0};
        struct decoded d;
        uint32_t n;
        int err;

        if (modrm < 0xc0 && (modrm & 0xc7) != 3)
            continue;
        e->modrm = (uint8_t)modrm;
        e->plain = 0;
        n = put(e, &c, code);
        if (!forms_decode(f, code, n, &d) || left_out(&d))
            continue;
        e->plain = !(d.insn.attributes & ZYDIS_ATTRIB_HAS_MODRM);
        err = note(f, r, &d, e);
        if (err)
            return err;
        if (e->plain)
            break;
    }
    return 0;
}

int forms_find(struct forms *f)
{
    static const uint8_t prefixes[] = {0, 0x66, 0xf3, 0xf2};
    struct random r = {1};
    int err = 0;

    memset(f, 0, sizeof(*f));
    f->amd = maker_is_amd();
    f->table = calloc(TABLE, sizeof(*f->table));
    f->pool = pool_create();
    if (!f->table || !f->pool)
        return -ENOMEM;
    (void)ZydisDecoderInit(&f->decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    /* Bits: opcode 8, W 1, prefix 2, map 2, VEX or LOCK 2: none, LOCK, VEX.128, VEX.256. */
    for (uint32_t i = 0; i < 1u << 15 && !err; i++) {
        struct encoding e = {.opcode = (uint8_t)i,
                             .w = i >> 8 & 1,
                             .prefix = prefixes[i >> 9 & 3],
                             .map = i >> 11 & 3,
                             .lock = i >> 13 == 1,
                             .vex = i >> 14 & 1,
                             .l = i >> 13 == 3};
        if (e.map == 0 && (e.vex || is_prefix(e.opcode) || e.opcode == 0x0f))
            continue;
        if (e.map == 1 && !e.vex && (e.opcode == 0x38 || e.opcode == 0x3a))
            continue;
        err = find_opcode(f, &r, &e);
    }
    return err;
}

void forms_index(struct forms *f)
{
    memset(f->table, 0, TABLE * sizeof(*f->table));
    for (uint32_t i = 0; i < f->count; i++)
        f->table[slot_of(f, f->form[i].key)] = i + 1;
}

void forms_free(struct forms *f)
{
    free(f->form);
    free(f->table);
    pool_destroy(f->pool);
}

/* ---- generating ----------------------------------------------------------------------------- */

static void choose_memory(struct random *r, struct choice *c)
{
    uint32_t mod = random_below(r, 3);
    uint32_t value;

    c->modrm = (uint8_t)((c->modrm & 0x38) | mod << 6 | random_below(r, 8));
    c->sib = (uint8_t)random_next(r);
    c->disp = mod;
    if (mod == 2 ||
        (mod == 0 && ((c->modrm & 7) == 5 || ((c->modrm & 7) == 4 && (c->sib & 7) == 5))))
        c->disp = 4;
    value = random_below(r, 0x4000) - 0x2000;
    if (random_once(r, 16))
        value = (uint32_t)random_next(r);
    memcpy(c->displacement, &value, 4);
}

static void choose_tail(struct random *r, struct choice *c)
{
    uint64_t value = random_integer(r);

    if (random_once(r, 3))
        value = random_next(r);
    memcpy(c->tail, &value, 8);
}

static void choose(struct random *r, const struct encoding *e, struct choice *c)
{
    static const uint8_t extras[] = {0x26, 0x2e, 0x36, 0x3e, 0x65, 0x67, 0x67, 0x67};

    memset(c, 0, sizeof(*c));
    c->rex = (uint8_t)random_below(r, 8);
    if (random_once(r, 2))
        c->rex = 0;
    c->bare_rex = random_once(r, 8);
    c->short_vex = random_once(r, 2);
    c->vvvv = (uint8_t)random_below(r, 16);
    if (random_once(r, 2))
        c->vvvv = 0;
    c->modrm = e->modrm;
    if (random_once(r, 2))
        c->modrm = (uint8_t)((c->modrm & 0xc7) | random_below(r, 8) << 3);
    if (e->modrm < 0xc0)
        choose_memory(r, c);
    else if (!random_once(r, 4))
        c->modrm = (uint8_t)((c->modrm & 0xf8) | random_below(r, 8));
    if (random_once(r, 12))
        c->extra = extras[random_below(r, sizeof(extras))];
    choose_tail(r, c);
}

uint32_t form_generate(const struct forms *f, const struct form *form, struct random *r,
                       uint8_t code[16], struct decoded *out)
{
    for (uint32_t tries = 0; tries < 24; tries++) {
        const struct encoding *e = &form->encodings[random_below(r, form->count)];
        struct choice c;
        uint8_t bytes[32];
        uint32_t n;

        choose(r, e, &c);
        n = put(e, &c, bytes);
        if (!forms_decode(f, bytes, n, out) || left_out(out) || key_of(out) != form->key)
            continue;
        memset(code, 0, 16);
        memcpy(code, bytes, out->insn.length);
        return out->insn.length;
    }
    return 0;
}
