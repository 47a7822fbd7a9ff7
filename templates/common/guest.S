/* The guest of machine.ini: says "ready" on the first serial port, and powers the machine off by
 * ACPI. The processor begins here, in 16-bit real mode. */
        .code16
        .globl _start
_start: mov     $text, %si
        mov     $text_end - text, %cx
        mov     $0x3f8, %dx             /* COM1's transmitter */
        rep outsb
        mov     $0x604, %dx             /* ACPI's PM1a control register */
        mov     $0x2000, %ax            /* SLP_EN, type 0: soft-off */
        out     %ax, %dx
        hlt
text:   .ascii  "ready\n"
text_end:
