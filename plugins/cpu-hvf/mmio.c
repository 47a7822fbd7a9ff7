/* SPDX-License-Identifier: MIT
 *
 * cpu-hvf/mmio.c - instructions that access devices: decoded by Zydis and carried out on the bus.
 *
 * Intel SDM 2 (each instruction). What kernels use for device memory: MOV in its forms, string
 * moves, arithmetic and bit tests with memory, XCHG, XADD, CMPXCHG. A locked access to a device is
 * a read and a write. Others end the machine with a sentence that names the instruction. Left out:
 * checks of segment limits, which the hardware did for the access that exited.
 */
#include "hvf.h"

#include <backplane/util/log.h>

#include <Zydis/Zydis.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define INSN_BYTES 15u
#define ELEMENTS_AT_ONCE 512u

struct mmio {
    struct vcpu *v;
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
    bool code64;
    uint32_t width; /* of the operation, bytes */
};

/* ---- decoding ------------------------------------------------------------------------------- */

/* The bytes at RIP as far as they are mapped. 0 if the first is not: its #PF is ready. */
static uint32_t fetch(struct vcpu *v, uint8_t bytes[INSN_BYTES], bool code64)
{
    uint64_t base = code64 ? 0 : field_read(v, VMX_ES_BASE + 2 * SEG_CS);
    uint64_t la = base + field_read(v, VMX_RIP);
    uint32_t room = 4096 - (uint32_t)(la & 4095), first = room < INSN_BYTES ? room : INSN_BYTES;
    struct injection before = v->inject;

    if (linear_read(v, la, bytes, first, ACCESS_READ))
        return 0;
    if (first < INSN_BYTES &&
        linear_read(v, la + first, bytes + first, INSN_BYTES - first, ACCESS_READ)) {
        v->inject = before; /* perhaps it ends before */
        return first;
    }
    return INSN_BYTES;
}

static bool decode(struct mmio *m, const uint8_t *bytes, uint32_t count)
{
    bool big = field_read(m->v, VMX_ES_RIGHTS + 2 * SEG_CS) & 0x4000;
    ZydisDecoder d;

    if (m->code64)
        ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    else
        ZydisDecoderInit(&d, big ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LEGACY_16,
                         big ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16);
    return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&d, bytes, count, &m->insn, m->op));
}

/* ---- operands ------------------------------------------------------------------------------- */

static uint32_t gpr_number(ZydisRegister reg)
{
    return (uint32_t)ZydisRegisterGetId(
        ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg));
}

static bool is_high_byte(ZydisRegister reg)
{
    return reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH;
}

static uint64_t cut(uint64_t value, uint32_t bytes)
{
    return bytes >= 8 ? value : value & ((UINT64_C(1) << (8 * bytes)) - 1);
}

static uint64_t register_get(const struct mmio *m, ZydisRegister reg, uint32_t bytes)
{
    if (is_high_byte(reg))
        return gpr_read(m->v, (uint32_t)(reg - ZYDIS_REGISTER_AH)) >> 8 & 0xff;
    return cut(gpr_read(m->v, gpr_number(reg)), bytes);
}

static void register_put(const struct mmio *m, ZydisRegister reg, uint64_t value, uint32_t bytes)
{
    uint32_t number = is_high_byte(reg) ? (uint32_t)(reg - ZYDIS_REGISTER_AH) : gpr_number(reg);
    uint64_t old = gpr_read(m->v, number);

    if (is_high_byte(reg))
        value = (old & ~UINT64_C(0xff00)) | (value & 0xff) << 8;
    else if (bytes < 4)
        value = (old & ~cut(UINT64_MAX, bytes)) | cut(value, bytes);
    else
        value = cut(value, bytes);
    gpr_write(m->v, number, value);
}

static uint32_t segment_number(ZydisRegister reg)
{
    switch (reg) {
    case ZYDIS_REGISTER_ES:
        return SEG_ES;
    case ZYDIS_REGISTER_CS:
        return SEG_CS;
    case ZYDIS_REGISTER_SS:
        return SEG_SS;
    case ZYDIS_REGISTER_FS:
        return SEG_FS;
    case ZYDIS_REGISTER_GS:
        return SEG_GS;
    default:
        return SEG_DS;
    }
}

static uint64_t address_mask(const struct mmio *m)
{
    return cut(UINT64_MAX, m->insn.address_width / 8);
}

static uint64_t linear(const struct mmio *m, uint32_t seg, uint64_t offset)
{
    uint64_t base =
        m->code64 && seg != SEG_FS && seg != SEG_GS ? 0 : field_read(m->v, VMX_ES_BASE + 2 * seg);

    return base + (offset & address_mask(m));
}

/* The effective address of a memory operand, `more` bytes on. */
static uint64_t operand_address(const struct mmio *m, const ZydisDecodedOperand *o, int64_t more)
{
    uint64_t offset = (uint64_t)o->mem.disp.value + (uint64_t)more;

    if (o->mem.base == ZYDIS_REGISTER_RIP || o->mem.base == ZYDIS_REGISTER_EIP)
        offset += field_read(m->v, VMX_RIP) + m->insn.length;
    else if (o->mem.base != ZYDIS_REGISTER_NONE)
        offset += gpr_read(m->v, gpr_number(o->mem.base)) & address_mask(m);
    if (o->mem.index != ZYDIS_REGISTER_NONE)
        offset += (gpr_read(m->v, gpr_number(o->mem.index)) & address_mask(m)) * o->mem.scale;
    return linear(m, segment_number(o->mem.segment), offset);
}

static int operand_get(const struct mmio *m, const ZydisDecodedOperand *o, uint64_t *value)
{
    uint32_t bytes = o->size / 8;

    *value = 0;
    switch (o->type) {
    case ZYDIS_OPERAND_TYPE_REGISTER:
        *value = register_get(m, o->reg.value, bytes);
        return 0;
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
        *value = o->imm.value.u;
        return 0;
    case ZYDIS_OPERAND_TYPE_MEMORY:
        return linear_read(m->v, operand_address(m, o, 0), value, bytes, ACCESS_READ);
    default:
        return -EOPNOTSUPP;
    }
}

static int operand_put(const struct mmio *m, const ZydisDecodedOperand *o, uint64_t value)
{
    uint32_t bytes = o->size / 8;

    if (o->type == ZYDIS_OPERAND_TYPE_MEMORY)
        return linear_write(m->v, operand_address(m, o, 0), &value, bytes, ACCESS_WRITE);
    register_put(m, o->reg.value, value, bytes);
    return 0;
}

/* ---- flags ---------------------------------------------------------------------------------- */

#define FLAGS_ARITHMETIC (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

static void flags_put(const struct mmio *m, uint64_t flags, uint64_t which)
{
    field_write(m->v, VMX_RFLAGS, (field_read(m->v, VMX_RFLAGS) & ~which) | (flags & which));
}

static uint64_t flags_of_result(uint64_t result, uint32_t bytes)
{
    uint64_t flags = 0;

    result = cut(result, bytes);
    if (!result)
        flags |= RFLAGS_ZF;
    if (result >> (8 * bytes - 1))
        flags |= RFLAGS_SF;
    if (!(__builtin_popcount((unsigned)(result & 0xff)) & 1))
        flags |= RFLAGS_PF;
    return flags;
}

/* a + b + carry and a - b - carry. */
static uint64_t add(const struct mmio *m, uint64_t a, uint64_t b, uint64_t carry)
{
    uint64_t result = cut(a + b + carry, m->width), flags = flags_of_result(result, m->width);
    uint32_t top = 8 * m->width - 1;

    if (((a & b) | ((a | b) & ~result)) >> top & 1)
        flags |= RFLAGS_CF;
    if ((~(a ^ b) & (a ^ result)) >> top & 1)
        flags |= RFLAGS_OF;
    if ((a ^ b ^ result) & 0x10)
        flags |= RFLAGS_AF;
    flags_put(m, flags, FLAGS_ARITHMETIC);
    return result;
}

static uint64_t subtract(const struct mmio *m, uint64_t a, uint64_t b, uint64_t borrow)
{
    uint64_t result = cut(a - b - borrow, m->width), flags = flags_of_result(result, m->width);
    uint32_t top = 8 * m->width - 1;

    if (((~a & b) | (~(a ^ b) & result)) >> top & 1)
        flags |= RFLAGS_CF;
    if (((a ^ b) & (a ^ result)) >> top & 1)
        flags |= RFLAGS_OF;
    if ((a ^ b ^ result) & 0x10)
        flags |= RFLAGS_AF;
    flags_put(m, flags, FLAGS_ARITHMETIC);
    return result;
}

static uint64_t logic(const struct mmio *m, uint64_t result)
{
    flags_put(m, flags_of_result(result, m->width), FLAGS_ARITHMETIC);
    return result;
}

/* ---- instructions --------------------------------------------------------------------------- */

static int64_t sign_extend(uint64_t value, uint32_t bytes)
{
    uint32_t shift = 64 - 8 * bytes;

    return (int64_t)(value << shift) >> shift;
}

static int move(const struct mmio *m)
{
    uint64_t value;
    int err = operand_get(m, &m->op[1], &value);

    if (err)
        return err;
    if (m->insn.mnemonic == ZYDIS_MNEMONIC_MOVSX || m->insn.mnemonic == ZYDIS_MNEMONIC_MOVSXD)
        value = (uint64_t)sign_extend(value, m->op[1].size / 8);
    return operand_put(m, &m->op[0], value);
}

/* Two operands, the first is the destination. */
static int compute(const struct mmio *m)
{
    uint64_t a, b = 0, carry = field_read(m->v, VMX_RFLAGS) & RFLAGS_CF, result;
    bool writes = true;
    int err = operand_get(m, &m->op[0], &a);

    if (!err && m->insn.operand_count_visible > 1)
        err = operand_get(m, &m->op[1], &b);
    /* Nothing may have happened if the store faults. */
    if (!err && m->op[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
        m->insn.mnemonic != ZYDIS_MNEMONIC_CMP && m->insn.mnemonic != ZYDIS_MNEMONIC_TEST)
        err = linear_probe(m->v, operand_address(m, &m->op[0], 0), m->width, ACCESS_WRITE);
    if (err)
        return err;
    b = cut(b, m->width);
    switch (m->insn.mnemonic) {
    case ZYDIS_MNEMONIC_ADD:
        result = add(m, a, b, 0);
        break;
    case ZYDIS_MNEMONIC_ADC:
        result = add(m, a, b, carry);
        break;
    case ZYDIS_MNEMONIC_SUB:
        result = subtract(m, a, b, 0);
        break;
    case ZYDIS_MNEMONIC_SBB:
        result = subtract(m, a, b, carry);
        break;
    case ZYDIS_MNEMONIC_AND:
        result = logic(m, a & b);
        break;
    case ZYDIS_MNEMONIC_OR:
        result = logic(m, a | b);
        break;
    case ZYDIS_MNEMONIC_XOR:
        result = logic(m, a ^ b);
        break;
    case ZYDIS_MNEMONIC_NOT:
        result = ~a;
        break;
    case ZYDIS_MNEMONIC_NEG:
        result = subtract(m, 0, a, 0);
        break;
    case ZYDIS_MNEMONIC_INC:
        result = add(m, a, 1, 0);
        flags_put(m, carry, RFLAGS_CF);
        break;
    case ZYDIS_MNEMONIC_DEC:
        result = subtract(m, a, 1, 0);
        flags_put(m, carry, RFLAGS_CF);
        break;
    case ZYDIS_MNEMONIC_TEST:
        result = logic(m, a & b);
        writes = false;
        break;
    default:
        result = subtract(m, a, b, 0);
        writes = false;
        break;
    }
    return writes ? operand_put(m, &m->op[0], result) : 0;
}

static int exchange(const struct mmio *m)
{
    const ZydisDecodedOperand *memory = &m->op[0], *other = &m->op[1];
    uint64_t a, b, sum;
    int err;

    if (memory->type != ZYDIS_OPERAND_TYPE_MEMORY) {
        memory = &m->op[1];
        other = &m->op[0];
    }
    err = linear_probe(m->v, operand_address(m, memory, 0), m->width, ACCESS_WRITE);
    if (!err)
        err = operand_get(m, memory, &a);
    if (err || operand_get(m, other, &b))
        return err;
    if (m->insn.mnemonic == ZYDIS_MNEMONIC_XADD) {
        sum = add(m, a, b, 0);
        err = operand_put(m, memory, sum);
    } else {
        err = operand_put(m, memory, b);
    }
    return err ? err : operand_put(m, other, a);
}

static int compare_exchange(const struct mmio *m)
{
    uint64_t old, fresh, expected = cut(gpr_read(m->v, GPR_RAX), m->width);
    int err = linear_probe(m->v, operand_address(m, &m->op[0], 0), m->width, ACCESS_WRITE);

    if (!err)
        err = operand_get(m, &m->op[0], &old);
    if (err || operand_get(m, &m->op[1], &fresh))
        return err;
    subtract(m, expected, old, 0);
    if (old == expected)
        return operand_put(m, &m->op[0], fresh);
    err = operand_put(m, &m->op[0], old);
    if (!err)
        register_put(
            m, ZYDIS_REGISTER_RAX,
            m->width < 4 ? (gpr_read(m->v, GPR_RAX) & ~cut(UINT64_MAX, m->width)) | old : old, 8);
    return err;
}

/* BT and its kind: a register's offset goes beyond the operand. */
static int bit(const struct mmio *m)
{
    uint32_t bits = 8 * m->width;
    uint64_t value = 0, offset, mask, la;
    int64_t at = 0;
    bool stores = m->insn.mnemonic != ZYDIS_MNEMONIC_BT;
    int err = operand_get(m, &m->op[1], &offset);

    if (m->op[1].type == ZYDIS_OPERAND_TYPE_REGISTER)
        at = (sign_extend(offset, m->width) >> (m->width == 8   ? 6
                                                : m->width == 4 ? 5
                                                                : 4)) *
             (int64_t)m->width;
    la = operand_address(m, &m->op[0], at);
    mask = UINT64_C(1) << (offset & (bits - 1));
    if (!err)
        err = linear_probe(m->v, la, m->width, stores ? ACCESS_WRITE : ACCESS_READ);
    if (!err)
        err = linear_read(m->v, la, &value, m->width, ACCESS_READ);
    if (err)
        return err;
    flags_put(m, value & mask ? RFLAGS_CF : 0, RFLAGS_CF);
    if (!stores)
        return 0;
    value = m->insn.mnemonic == ZYDIS_MNEMONIC_BTS   ? value | mask
            : m->insn.mnemonic == ZYDIS_MNEMONIC_BTR ? value & ~mask
                                                     : value ^ mask;
    return linear_write(m->v, la, &value, m->width, ACCESS_WRITE);
}

/* ---- strings -------------------------------------------------------------------------------- */

static void advance(const struct mmio *m, uint32_t number, uint64_t by)
{
    uint64_t old = gpr_read(m->v, number), mask = address_mask(m), now = (old + by) & mask;

    gpr_write(m->v, number, mask == UINT16_MAX ? (old & ~mask) | now : now);
}

static int string_element(const struct mmio *m, uint32_t seg)
{
    uint64_t step = field_read(m->v, VMX_RFLAGS) & RFLAGS_DF ? -(uint64_t)m->width : m->width;
    uint64_t from = linear(m, seg, gpr_read(m->v, GPR_RSI));
    uint64_t to = linear(m, SEG_ES, gpr_read(m->v, GPR_RDI)), value = gpr_read(m->v, GPR_RAX);
    bool loads, stores;
    int err = 0;

    loads = m->insn.meta.category == ZYDIS_CATEGORY_STRINGOP &&
            (m->insn.opcode == 0xa4 || m->insn.opcode == 0xa5 || m->insn.opcode == 0xac ||
             m->insn.opcode == 0xad);
    stores = m->insn.opcode != 0xac && m->insn.opcode != 0xad;
    if (stores)
        err = linear_probe(m->v, to, m->width, ACCESS_WRITE);
    if (!err && loads) {
        value = 0;
        err = linear_read(m->v, from, &value, m->width, ACCESS_READ);
    }
    if (!err && stores)
        err = linear_write(m->v, to, &value, m->width, ACCESS_WRITE);
    if (err)
        return err;
    if (!stores)
        register_put(m, m->width == 1 ? ZYDIS_REGISTER_AL : ZYDIS_REGISTER_RAX,
                     m->width == 2 ? (gpr_read(m->v, GPR_RAX) & ~UINT64_C(0xffff)) | value : value,
                     m->width == 1 ? 1 : 8);
    if (loads)
        advance(m, GPR_RSI, step);
    if (stores)
        advance(m, GPR_RDI, step);
    return 0;
}

static uint32_t override(const struct mmio *m)
{
    ZydisInstructionAttributes a = m->insn.attributes;

    return a & ZYDIS_ATTRIB_HAS_SEGMENT_FS   ? SEG_FS
           : a & ZYDIS_ATTRIB_HAS_SEGMENT_GS ? SEG_GS
           : a & ZYDIS_ATTRIB_HAS_SEGMENT_CS ? SEG_CS
           : a & ZYDIS_ATTRIB_HAS_SEGMENT_SS ? SEG_SS
           : a & ZYDIS_ATTRIB_HAS_SEGMENT_ES ? SEG_ES
                                             : SEG_DS;
}

/* 0: past the instruction; 1: the guest comes again with what is left. */
static int string(const struct mmio *m)
{
    bool rep = m->insn.attributes &
               (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
    uint32_t seg = override(m);
    int err;

    if (!rep)
        return string_element(m, seg);
    for (uint32_t n = 0; n < ELEMENTS_AT_ONCE; n++) {
        if ((gpr_read(m->v, GPR_RCX) & address_mask(m)) == 0)
            return 0;
        err = string_element(m, seg);
        if (err)
            return err;
        advance(m, GPR_RCX, UINT64_MAX);
        if (debug_steps(m->v)) {
            m->v->debug.progress = true;
            return (gpr_read(m->v, GPR_RCX) & address_mask(m)) != 0;
        }
    }
    return 1;
}

/* ---- the exit ------------------------------------------------------------------------------- */

static int carry_out(struct mmio *m)
{
    m->width = m->op[0].size / 8;
    /* None of general registers: MOVSD and others that have vector forms. */
    if (m->insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
        return -EOPNOTSUPP;
    switch (m->insn.mnemonic) {
    case ZYDIS_MNEMONIC_MOV:
    case ZYDIS_MNEMONIC_MOVZX:
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD:
    case ZYDIS_MNEMONIC_MOVNTI:
        return m->op[0].size > 64 || m->op[1].size > 64 ? -EOPNOTSUPP : move(m);
    case ZYDIS_MNEMONIC_ADD:
    case ZYDIS_MNEMONIC_ADC:
    case ZYDIS_MNEMONIC_SUB:
    case ZYDIS_MNEMONIC_SBB:
    case ZYDIS_MNEMONIC_AND:
    case ZYDIS_MNEMONIC_OR:
    case ZYDIS_MNEMONIC_XOR:
    case ZYDIS_MNEMONIC_NOT:
    case ZYDIS_MNEMONIC_NEG:
    case ZYDIS_MNEMONIC_INC:
    case ZYDIS_MNEMONIC_DEC:
    case ZYDIS_MNEMONIC_TEST:
    case ZYDIS_MNEMONIC_CMP:
        return compute(m);
    case ZYDIS_MNEMONIC_XCHG:
    case ZYDIS_MNEMONIC_XADD:
        return exchange(m);
    case ZYDIS_MNEMONIC_CMPXCHG:
        return compare_exchange(m);
    case ZYDIS_MNEMONIC_BT:
    case ZYDIS_MNEMONIC_BTS:
    case ZYDIS_MNEMONIC_BTR:
    case ZYDIS_MNEMONIC_BTC:
        return bit(m);
    case ZYDIS_MNEMONIC_MOVSB:
    case ZYDIS_MNEMONIC_MOVSW:
    case ZYDIS_MNEMONIC_MOVSD:
    case ZYDIS_MNEMONIC_MOVSQ:
    case ZYDIS_MNEMONIC_STOSB:
    case ZYDIS_MNEMONIC_STOSW:
    case ZYDIS_MNEMONIC_STOSD:
    case ZYDIS_MNEMONIC_STOSQ:
    case ZYDIS_MNEMONIC_LODSB:
    case ZYDIS_MNEMONIC_LODSW:
    case ZYDIS_MNEMONIC_LODSD:
    case ZYDIS_MNEMONIC_LODSQ:
        if (m->insn.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT)
            return -EOPNOTSUPP;
        m->width = m->insn.opcode & 1 ? m->insn.operand_width / 8 : 1;
        return string(m);
    default:
        return -EOPNOTSUPP;
    }
}

static int cannot(const struct mmio *m, uint64_t gpa)
{
    char why[160];

    snprintf(why, sizeof(why),
             "its instruction %s accesses a device at 0x%llx, and this backend does not emulate it",
             ZydisMnemonicGetString(m->insn.mnemonic), (unsigned long long)gpa);
    return exit_give_up(m->v, why);
}

int mmio_exit(struct vcpu *v, uint64_t gpa)
{
    struct mmio m = {.v = v, .code64 = is_64bit(v)};
    uint8_t bytes[INSN_BYTES];
    uint32_t count;
    int err;

    if (v->inject.info)
        return exit_give_up(v, "an exception or interrupt pushes its frame where no memory is");
    count = fetch(v, bytes, m.code64);
    if (!count)
        return 0; /* the code went away: its #PF */
    if (!decode(&m, bytes, count)) {
        exit_raise(v, EXC_UD);
        return 0;
    }
    err = carry_out(&m);
    if (err == -EOPNOTSUPP)
        return cannot(&m, gpa);
    if (err == 0)
        exit_skip_bytes(v, m.insn.length);
    return 0; /* faults are ready, and long repetitions come again */
}
