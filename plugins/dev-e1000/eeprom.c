/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/eeprom.c - the 93C46 beside the part: 64 words of 16 bits (chapter 5), read by EERD or,
 * bit by bit, by the pins in EECD (13.4.3, 13.4.4), and written by the pins alone.
 *
 * Pins, as Microwire has them: DI is taken at the rising edge of SK while CS is high. A start bit,
 * two bits of opcode and six of address, then sixteen of data: out after a zero for READ, in for
 * WRITE. Writing takes no time here: DO says ready at once. What was written lasts as long as the
 * instance, and is in its snapshots; there is no file behind it.
 */
#include "e1000.h"

#define EE_IDLE 0u    /* waits for the start bit */
#define EE_COMMAND 1u /* opcode and address come in */
#define EE_READ 2u    /* a word goes out */
#define EE_WRITE 3u   /* a word comes in, for ee_address */
#define EE_FILL 4u    /* a word comes in, for all of them */
#define EE_DONE 5u    /* until CS falls */

#define COMMAND_BITS 8u

#define WORD_MAC 0x00u
#define WORD_CONTROL1 0x0au
#define WORD_SUBSYSTEM 0x0bu
#define WORD_SUBVENDOR 0x0cu
#define WORD_DEVICE 0x0du
#define WORD_VENDOR 0x0eu
#define WORD_CONTROL2 0x0fu
#define WORD_CONTROL3 0x14u
#define WORD_CONTROL3_A 0x24u
#define WORD_LED 0x2fu
#define WORD_CHECKSUM 0x3fu

#define CONTROL1_SIGNATURE 0xc000u
#define CONTROL1_VALID 0x4000u
#define CONTROL3_APME 0x0400u
#define CHECKSUM 0xbabau /* what all words sum up to (5.6.35) */

void eeprom_init(struct e1000 *e, const uint8_t *mac)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < EEPROM_WORDS; i++)
        e->eeprom[i] = 0xffff;
    for (uint32_t i = 0; i < 3; i++)
        e->eeprom[WORD_MAC + i] =
            (uint16_t)(mac[2u * (size_t)i] | (uint32_t)mac[2u * (size_t)i + 1] << 8);
    e->eeprom[3] = 0;
    /* Valid; power management; identities from here; full duplex. */
    e->eeprom[WORD_CONTROL1] = 0x640b;
    e->eeprom[WORD_SUBSYSTEM] = 0x001e;
    e->eeprom[WORD_SUBVENDOR] = 0x8086;
    e->eeprom[WORD_DEVICE] = 0x100e;
    e->eeprom[WORD_VENDOR] = 0x8086;
    e->eeprom[WORD_CONTROL2] = 0x3040; /* pause frames both ways */
    e->eeprom[WORD_CONTROL3] = e->eeprom[WORD_CONTROL3_A] = CONTROL3_APME;
    e->eeprom[WORD_LED] = 0x0602;
    for (uint32_t i = 0; i < WORD_CHECKSUM; i++)
        sum += e->eeprom[i];
    e->eeprom[WORD_CHECKSUM] = (uint16_t)(CHECKSUM - sum);
}

void eeprom_load(struct e1000 *e)
{
    const uint16_t *w = e->eeprom;

    e->RA[0] = (uint32_t)w[WORD_MAC + 1] << 16 | w[WORD_MAC];
    e->RA[1] = RAH_AV | w[WORD_MAC + 2];
    if ((w[WORD_CONTROL1] & CONTROL1_SIGNATURE) != CONTROL1_VALID)
        return;
    if (w[WORD_CONTROL3] & CONTROL3_APME)
        e->reg[R_WUC] |= WUC_APME;
    else
        e->reg[R_WUC] &= ~WUC_APME;
}

void eeprom_reset(struct e1000 *e)
{
    e->ee_state = EE_IDLE;
    e->ee_count = 0;
    e->ee_shift = 0;
    e->ee_out = 0;
    e->ee_address = 0;
    e->ee_do = 1;
}

uint32_t eeprom_eecd(const struct e1000 *e)
{
    uint32_t value = e->reg[R_EECD] | EECD_PRES;

    if (value & EECD_REQ)
        value |= EECD_GNT; /* nobody else ever wants it */
    return e->ee_do ? value | EECD_DO : value;
}

static void store(struct e1000 *e, uint32_t first, uint32_t count, uint16_t word)
{
    if (!e->ee_writable) {
        strict_log(e, "a write to the EEPROM before EWEN was ignored");
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        e->eeprom[(first + i) % EEPROM_WORDS] = word;
}

/* Opcode 0 has its kind in the address's upper two bits. */
static void extended_command(struct e1000 *e, uint32_t address)
{
    e->ee_state = EE_DONE;
    switch (address >> 4) {
    case 0:
        e->ee_writable = 0; /* EWDS */
        break;
    case 1:
        e->ee_state = EE_FILL; /* WRAL */
        e->ee_shift = e->ee_count = 0;
        break;
    case 2:
        store(e, 0, EEPROM_WORDS, 0xffff); /* ERAL */
        break;
    default:
        e->ee_writable = 1; /* EWEN */
        break;
    }
}

static void command(struct e1000 *e)
{
    uint32_t address = e->ee_shift % EEPROM_WORDS;

    e->ee_count = 0;
    e->ee_address = (uint8_t)address;
    switch (e->ee_shift >> 6 & 3u) {
    case 0:
        extended_command(e, address);
        return;
    case 1:
        e->ee_state = EE_WRITE;
        e->ee_shift = 0;
        return;
    case 2:
        e->ee_state = EE_READ;
        e->ee_out = e->eeprom[address];
        e->ee_do = 0; /* the zero before the data */
        return;
    default:
        e->ee_state = EE_DONE;
        store(e, address, 1, 0xffff); /* ERASE */
        return;
    }
}

/* READ goes on with the next word for as long as the clock does. */
static void shift_out(struct e1000 *e)
{
    e->ee_do = (uint8_t)(e->ee_out >> 15);
    e->ee_out = (uint16_t)(e->ee_out << 1);
    if (++e->ee_count < 16)
        return;
    e->ee_count = 0;
    e->ee_address = (uint8_t)((e->ee_address + 1u) % EEPROM_WORDS);
    e->ee_out = e->eeprom[e->ee_address];
}

static void clock_rises(struct e1000 *e, uint32_t bit)
{
    switch (e->ee_state) {
    case EE_IDLE:
        if (bit) {
            e->ee_state = EE_COMMAND;
            e->ee_shift = e->ee_count = 0;
        }
        break;
    case EE_COMMAND:
        e->ee_shift = e->ee_shift << 1 | bit;
        if (++e->ee_count == COMMAND_BITS)
            command(e);
        break;
    case EE_READ:
        shift_out(e);
        break;
    case EE_WRITE:
    case EE_FILL:
        e->ee_shift = e->ee_shift << 1 | bit;
        if (++e->ee_count < 16)
            break;
        if (e->ee_state == EE_WRITE)
            store(e, e->ee_address, 1, (uint16_t)e->ee_shift);
        else
            store(e, 0, EEPROM_WORDS, (uint16_t)e->ee_shift);
        e->ee_state = EE_DONE;
        e->ee_count = 0;
        e->ee_do = 1;
        break;
    default:
        break;
    }
}

/* The pins are the software's only while it has asked for them. */
void eeprom_eecd_write(struct e1000 *e, uint32_t value)
{
    uint32_t was = e->reg[R_EECD];

    e->reg[R_EECD] = value & register_bits(R_EECD);
    if (!(value & EECD_REQ)) {
        if (value & EECD_CS)
            strict_log(e, "EECD has CS without REQ: the EEPROM does not hear it");
        eeprom_reset(e);
        return;
    }
    if (!(value & EECD_CS)) {
        eeprom_reset(e);
        return;
    }
    if ((value & EECD_SK) && !(was & EECD_SK))
        clock_rises(e, value & EECD_DI ? 1u : 0u);
}

void eeprom_eerd_write(struct e1000 *e, uint32_t value)
{
    uint32_t address = value >> 8 & 0xffu, word = 0;

    e->reg[R_EERD] = value & register_bits(R_EERD);
    if (!(value & EERD_START))
        return;
    if (address < EEPROM_WORDS)
        word = e->eeprom[address];
    else
        guest_log(e, "EERD asks for word %u of 64; it reads 0", address);
    e->reg[R_EERD] |= EERD_DONE | word << 16;
}

int eeprom_check(const struct e1000 *e)
{
    return e->ee_state <= EE_DONE && e->ee_count < 16 && e->ee_address < EEPROM_WORDS &&
           e->ee_writable <= 1 && e->ee_do <= 1;
}
