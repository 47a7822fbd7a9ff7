/* The guest of machine.ini, of the few instructions that the processor has: says "ready" on the
 * first serial port, and powers the machine off by ACPI. It begins in 16-bit real mode. */
        .code16
        .globl _start
_start: mov     $0x3f8, %dx             /* COM1's transmitter */
        .irp    letter, 'r', 'e', 'a', 'd', 'y', 10
        mov     $\letter, %al
        out     %al, %dx
        .endr
        mov     $0x604, %dx             /* ACPI's PM1a control register */
        mov     $0x2000, %ax            /* SLP_EN, type 0: soft-off */
        out     %ax, %dx
        hlt
